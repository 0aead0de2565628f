"""The Compose files, read as text, and the commands; `test_compose_stack.py` runs them with a real engine."""

import os
import re
import shutil
from pathlib import Path

import pytest
import yaml

from mlops_lab import deploy, serve
from mlops_lab.deploy import commands, compose, docker
from mlops_lab.errors import MissingPackage, WrongUsage

ROOT = Path(__file__).parents[2]
API = "from flask import Flask\napp = Flask(__name__)\n"


@pytest.fixture
def spec():
    return deploy.make_spec(ROOT / "models", "clothes", replicas=3, port=8765)


@pytest.fixture
def files(spec):
    return deploy.files(spec, "compose")


@pytest.fixture
def services(files):
    return yaml.safe_load(files["compose.yaml"])["services"]


def test_what_is_written(files):
    top = {path for path in files if "/" not in path}
    assert top == {".env", "compose.yaml", "nginx.conf"}
    assert {path.split("/")[0] for path in files if "/" in path} == {"image", "prometheus", "tfserving"}
    assert all(text.endswith("\n") for text in files.values())


def test_the_parts_are_those_of_the_other_kinds(spec, files):
    assert files.below("image").to_dict() == deploy.files(spec, "docker").to_dict()
    alone = deploy.make_spec(ROOT / "models", "clothes", port=compose.SERVING_PORT)
    assert files.below("tfserving").to_dict() == deploy.files(alone, "tfserving").to_dict()


def test_servers_side_by_side_behind_one_port(services):
    assert services["server"]["scale"] == 3
    assert "ports" not in services["server"]
    assert services["proxy"]["ports"] == ["127.0.0.1:8765:8080"]


def test_the_servers_reach_nobody(files, services):
    networks = yaml.safe_load(files["compose.yaml"])["networks"]
    assert services["server"]["networks"] == ["inside"]
    assert networks["inside"] == {"internal": True}


@pytest.mark.parametrize("name", ["server", "proxy", "prometheus"])
def test_nothing_may_be_written_and_no_privilege_is_left(services, name):
    service = services[name]
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["pids_limit"] and service["mem_limit"] and service["cpus"]
    assert service["restart"] == "unless-stopped"
    if name != "server":  # the image says who runs the server
        assert int(service["user"].split(":")[0]) >= 10001
        assert ":latest" not in service["image"] and ":" in service["image"]


def test_only_the_servers_run_unless_more_is_asked_for(services):
    assert {name: service.get("profiles") for name, service in services.items()} == {
        "server": None,
        "proxy": None,
        "prometheus": ["prometheus"],
        "tfserving": ["tfserving"],
    }
    assert {"prometheus", "tfserving"} == set(compose.PROFILES)


def test_the_proxy_has_the_servers_limits(files):
    limits, text = serve.Limits(), files["nginx.conf"]
    assert f"client_max_body_size {limits.body_bytes};" in text
    assert f"client_body_timeout {limits.idle_seconds:.0f}s;" in text
    times = re.findall(r"^ *\w+_timeout (.*);$", text, re.MULTILINE)
    assert "error_page 500 =507 @storage_full;" in text and '"code": "storage_full"' in text
    assert len(times) == 8 and all(re.fullmatch(r"\d+s", time) for time in times)  # nginx refuses 15.0s
    assert "proxy_read_timeout 15s;" in text
    assert "proxy_next_upstream error timeout non_idempotent;" in text


def test_every_mounted_file_is_there(files, services):
    mounts = [mount for service in services.values() for mount in service.get("volumes", []) if isinstance(mount, dict)]
    for mount in mounts:
        assert mount["read_only"]
        source = mount["source"].removeprefix("./")
        assert source in files or any(path.startswith(f"{source}/") for path in files)


def test_mounted_models():
    spec = deploy.make_spec(ROOT / "models", "clothes", mount=True)
    server = yaml.safe_load(deploy.files(spec, "compose")["compose.yaml"])["services"]["server"]
    assert server["volumes"][0]["source"] == (ROOT / "models").resolve().as_posix()
    assert server["volumes"][0]["read_only"]


def test_the_health_check_of_the_proxy_takes_no_notice_of_proxy_variables(files):
    check = yaml.safe_load(files["compose.yaml"])["services"]["proxy"]["healthcheck"]["test"]
    assert check[check.index("--noproxy") + 1] == "*"


def test_an_application_of_one_s_own(tmp_path):
    (tmp_path / "api.py").write_text(API)
    files = deploy.files(deploy.make_spec(ROOT / "models", "clothes", app=tmp_path / "api.py"), "compose")
    assert not [path for path in files if path.startswith("tfserving")]
    services = yaml.safe_load(files["compose.yaml"])["services"]
    assert set(services) == {"server", "proxy"}
    check = services["proxy"]["healthcheck"]["test"]
    assert check[-1].endswith("8080/") and "--fail" not in check  # it has no GET route: any answer shows that it runs


def test_a_model_without_a_saved_model():
    files = deploy.files(deploy.make_spec(ROOT / "models", "digits"), "compose")
    assert "tfserving" not in yaml.safe_load(files["compose.yaml"])["services"]


def test_grpc_is_refused():
    with pytest.raises(WrongUsage, match="grpc_port=8500"):
        deploy.files(deploy.make_spec(ROOT / "models", "clothes", grpc_port=8500), "compose")


def test_a_version_that_was_staged_before_is_gone(spec, files, tmp_path):
    old = tmp_path / "image" / "models" / "clothes" / "0"
    old.mkdir(parents=True)
    compose.stage(spec, files, tmp_path)
    assert not old.exists()
    assert (tmp_path / "image" / "models" / "clothes" / "1" / "manifest.json").is_file()
    assert (tmp_path / "image" / "Dockerfile").is_file()
    if os.name == "posix":
        assert all(path.stat().st_mode & 0o044 == 0o044 for path in tmp_path.rglob("*"))


# A `docker` and a `docker-compose` that only write down how they were called


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Put the named programs, and no others, onto the path; return what they were called with."""
    if os.name == "nt":
        pytest.skip("shell scripts")
    said = tmp_path / "said"
    said.write_text("")
    sh = shutil.which("sh")

    def put(*names, plugin=True):
        for name in names:
            path = tmp_path / "bin" / name
            path.parent.mkdir(exist_ok=True)
            refuses = "" if plugin or name != "docker" else '[ "$1" = compose ] && exit 1\n'
            # Asked for the image's health check, or for the containers, it answers as the engine would.
            answers = 'case "$*" in *inspect*) echo \'["CMD","ask"]\';; *ps*) echo c1; echo c2;; esac'
            path.write_text(f'#!{sh}\n{refuses}echo "{name} $*" >>"{said}"\n{answers}\n')
            path.chmod(0o755)
        return lambda: [line for line in said.read_text().splitlines() if not line.endswith(" version")]

    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    compose.program.cache_clear()
    yield put
    compose.program.cache_clear()


def test_docker_compose_is_preferred(programs, tmp_path):
    said = programs("docker", "docker-compose")
    compose.down(tmp_path)
    assert said() == [
        f"docker compose --file {tmp_path}/compose.yaml --profile prometheus --profile tfserving "
        "down --volumes --remove-orphans --timeout 15"
    ]


def test_docker_compose_with_a_hyphen(programs, tmp_path):
    said = programs("docker", "docker-compose", plugin=False)
    compose.down(tmp_path)
    assert said()[0].startswith("docker-compose --file")


@pytest.mark.parametrize("names", [(), ("docker",)])
def test_no_compose_at_all(programs, names, tmp_path):
    programs(*names, plugin=False)
    with pytest.raises(MissingPackage, match="Compose is not installed") as caught:
        compose.down(tmp_path)
    assert "apt install docker-compose" in caught.value.hint


@pytest.mark.parametrize("program", ["docker", "docker-compose"])
def test_the_commands_of_up(programs, program, spec, files, tmp_path, monkeypatch):
    said = programs("docker", "docker-compose", plugin=program == "docker")
    monkeypatch.setattr(docker, "answers", lambda url, seconds: url == "http://127.0.0.1:8765/readyz")
    folder = tmp_path / "deployment"
    assert compose.up(spec, files, folder, profiles=["prometheus"]) == "http://127.0.0.1:8765"
    words = "docker compose" if program == "docker" else "docker-compose"
    assert said() == [
        f"docker build --tag mlops-lab/clothes:1 {folder}/image",
        f"{words} --file {folder}/compose.yaml --profile prometheus up --detach --remove-orphans",
        f"{words} --file {folder}/compose.yaml ps --quiet server",
        "docker inspect --format {{json .Config.Healthcheck.Test}} mlops-lab/clothes:1",
        "docker exec c1 ask",
        "docker exec c2 ask",
    ]


def test_nothing_that_became_ready(programs, spec, files, tmp_path, monkeypatch):
    said = programs("docker")
    monkeypatch.setattr(docker, "answers", lambda url, seconds: False)
    with pytest.raises(commands.CommandFailed, match="The deployment was not ready within 1 s"):
        compose.up(spec, files, tmp_path / "deployment", seconds=1)
    assert said()[-1].endswith("logs --tail 20")


def test_a_check_ends_what_it_started_even_if_it_fails(programs, spec, files, monkeypatch):
    said = programs("docker")
    monkeypatch.setattr(docker, "answers", lambda url, seconds: False)
    with pytest.raises(commands.CommandFailed):
        compose.check(spec, files)
    assert said()[-1].endswith("down --volumes --remove-orphans --timeout 15")
