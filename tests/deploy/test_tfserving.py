import json
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mlops_lab import serve
from mlops_lab.deploy import layout, tfserving
from mlops_lab.errors import StoreError, UnknownVersion
from mlops_lab.store import ModelStore

ROOT = Path(__file__).parents[2]
TEMPLATES = Path(tfserving.__file__).parent / "templates" / "tfserving"
FILES = {"models.config", "batching_parameters.txt", "monitoring.config", "compose.yaml", "run.sh"}


@dataclass(frozen=True)
class Wanted:
    name: str
    version: int | str | None
    models: Path
    port: int = 8501
    grpc_port: int | None = 8500


@pytest.fixture
def models(tmp_path):
    """Four versions of one model. Their manifests differ by the number alone."""
    root = tmp_path / "models"
    text = (ROOT / "models" / "clothes" / "1" / "manifest.json").read_text(encoding="utf-8")
    for number in range(1, 5):
        folder = root / "clothes" / str(number)
        shutil.copytree(ROOT / "models" / "clothes" / "1", folder)
        (folder / "manifest.json").write_text(text.replace('"version": 1,', f'"version": {number},'), encoding="utf-8")
    return ModelStore(root)


def render(models, version, name="clothes", **options):
    """Render as the room that renders does: by Jinja2, and nothing may be undefined."""
    rooms = Environment(loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, keep_trailing_newline=True)
    values = tfserving.context(Wanted(name, version, models.root, **options))
    return {path: rooms.get_template(path).render(**values) for path in rooms.list_templates()}


@pytest.fixture(scope="session")
def schemas(tmp_path_factory):
    """Return a reader of protobuf text for the messages in `protos/serving.proto`."""
    from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory, text_format

    out = tmp_path_factory.mktemp("protos") / "serving.bin"
    folder = Path(__file__).parent / "protos"
    options = ["--include_imports", f"--descriptor_set_out={out}", f"-I{folder}", "serving.proto"]
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *options], check=True)
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file:
        pool.Add(file)

    def read(text, name):
        message = message_factory.GetMessageClass(pool.FindMessageTypeByName(f"lab.{name}"))()
        plain = json_format.MessageToDict(text_format.Parse(text, message), preserving_proto_field_name=True)
        return json.loads(json.dumps(plain), object_hook=_numbers)

    return read


def _numbers(entry):
    """JSON of protobuf writes whole numbers of 64 bits as strings."""
    as_number = {"versions", "allowed_batch_sizes"}
    return {
        key: [int(item) for item in value] if key in as_number else int(value) if str(value).isdigit() else value
        for key, value in entry.items()
    }


def test_every_file_is_there_and_ends_with_one_newline(models):
    files = render(models, 4)
    assert files.keys() == FILES
    assert all(text.endswith("\n") and not text.endswith("\n\n") for text in files.values())


def test_a_version_and_the_older_ones_that_have_names(models, schemas):
    for alias, version in {"production": 2, "staging": 3, "next": 4}.items():
        models.promote("clothes", version, alias)
    text = render(models, 3)["models.config"]
    assert schemas(text, "ModelServerConfig")["model_config_list"]["config"] == [
        {
            "name": "clothes",
            "base_path": "/models/clothes",
            "model_platform": "tensorflow",
            "model_version_policy": {"specific": {"versions": [2, 3]}},
            "version_labels": {"production": 2, "staging": 3},
        }
    ]
    assert "# The alias next is left out: v4 is newer than v3" in text
    assert layout.examine(models.root / "clothes", config=text).passed


def test_an_alias_stands_for_its_version(models, schemas):
    models.promote("clothes", 2, "production")
    config = schemas(render(models, "production")["models.config"], "ModelServerConfig")
    assert config["model_config_list"]["config"][0]["model_version_policy"] == {"specific": {"versions": [2]}}


@pytest.mark.parametrize("version", ["latest", None])
def test_the_newest_at_any_time(models, schemas, version):
    models.promote("clothes", 2, "production")
    models.promote("clothes", 4, "staging")
    text = render(models, version)["models.config"]
    config = schemas(text, "ModelServerConfig")["model_config_list"]["config"][0]
    assert config["model_version_policy"] == {"latest": {"num_versions": 1}}
    assert config["version_labels"] == {"staging": 4}
    assert "The alias production is left out: v2 is not the newest" in text
    assert layout.examine(models.root / "clothes", config=text).passed


def test_aliases_of_versions_that_cannot_be_loaded(models):
    models.promote("clothes", 1, "gone")
    models.promote("clothes", 2, "bare")
    shutil.rmtree(models.root / "clothes" / "1")
    (models.root / "clothes" / "2" / "saved_model.pb").unlink()
    serving = tfserving.context(Wanted("clothes", 3, models.root))["serving"]
    assert serving.versions == (3,) and not serving.labels
    assert serving.left_out == {"gone": "v1 is not in the store", "bare": "v2 has no SavedModel"}


def test_the_other_files(models, schemas):
    files = render(models, 4)
    batching = schemas(files["batching_parameters.txt"], "BatchingParameters")
    sizes = batching["allowed_batch_sizes"]
    assert sizes == sorted(set(sizes)) and sizes[-1] == batching["max_batch_size"] >= serve.Limits().batch
    assert batching["batch_timeout_micros"] == 0
    assert batching["num_batch_threads"] == yaml.safe_load(files["compose.yaml"])["services"]["tfserving"]["cpus"]
    monitoring = schemas(files["monitoring.config"], "MonitoringConfig")
    assert monitoring == {"prometheus_config": {"enable": True, "path": "/monitoring/prometheus/metrics"}}


def test_the_compose_file(models):
    service = yaml.safe_load(render(models, 4)["compose.yaml"])["services"]["tfserving"]
    assert service["image"] == tfserving.IMAGE and service["platform"] == "linux/amd64"
    assert service["ports"] == ["127.0.0.1:8501:8501", "127.0.0.1:8500:8500"]
    assert service["volumes"][0] == {
        "type": "bind",
        "source": (models.root / "clothes").as_posix(),
        "target": "/models/clothes",
        "read_only": True,
    }
    assert service["volumes"][1]["target"] == "/config" and service["volumes"][1]["read_only"]
    assert service["read_only"] and service["cap_drop"] == ["ALL"] and int(service["user"].split(":")[0]) >= 10001
    assert service["security_opt"] == ["no-new-privileges:true"] and service["pids_limit"] and service["mem_limit"]


def test_the_files_that_the_command_names_are_those_that_are_rendered(models):
    files = render(models, 4)
    command = yaml.safe_load(files["compose.yaml"])["services"]["tfserving"]["command"]
    named = {flag.split("=/config/")[1] for flag in command if "=/config/" in flag}
    assert named == {"models.config", "batching_parameters.txt", "monitoring.config"} and named < files.keys()


def test_the_image_has_a_version():
    name, tag = tfserving.IMAGE.split(":")
    assert name == "tensorflow/serving" and tag[0].isdigit() and tag.count(".") == 2


def test_without_grpc(models):
    files = render(models, 4, grpc_port=None)
    assert yaml.safe_load(files["compose.yaml"])["services"]["tfserving"]["ports"] == ["127.0.0.1:8501:8501"]
    assert ":8500" not in files["run.sh"]


def flags(models, tmp_path, **options):
    """Run `run.sh` with a `docker` that writes down how it was called."""
    folder = tmp_path / "a folder"
    folder.mkdir()
    (folder / "run.sh").write_text(render(models, 4, **options)["run.sh"], encoding="utf-8")
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    docker.chmod(0o755)
    path = f"{docker.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", folder / "run.sh"], env={"PATH": path}, capture_output=True, text=True, check=True, cwd=tmp_path
    )
    return done.stdout.splitlines(), folder


@pytest.mark.skipif(os.name == "nt", reason="a shell script")
def test_the_command_is_the_compose_file_in_one_line(models, tmp_path):
    said, folder = flags(models, tmp_path)
    service = yaml.safe_load(render(models, 4)["compose.yaml"])["services"]["tfserving"]
    image = said.index(tfserving.IMAGE)
    assert said[image + 1 :] == service["command"]
    assert [said[i + 1] for i, word in enumerate(said) if word == "--publish"] == service["ports"]
    assert [said[i + 1] for i, word in enumerate(said) if word == "--mount"] == [
        f'type=bind,"source={models.root / "clothes"}",target=/models/clothes,readonly',
        f'type=bind,"source={folder}",target=/config,readonly',
    ]
    assert {"--read-only", "--cap-drop", "--security-opt", "--pids-limit", "--memory", "--platform"} <= set(said)


@pytest.mark.skipif(os.name == "nt", reason="names that Windows does not allow")
def test_odd_folders_arrive_whole(models, tmp_path):
    odd = tmp_path / 'it\'s, $HOME: a "folder"'
    shutil.copytree(models.root, odd)
    files = render(ModelStore(odd), 4)
    source = yaml.safe_load(files["compose.yaml"])["services"]["tfserving"]["volumes"][0]["source"]
    assert source.replace("$$", "$") == f"{odd}/clothes" and "$$HOME" in source
    line = next(line for line in files["run.sh"].splitlines() if "target=/models" in line)
    quoted = str(odd).replace('"', '""')
    assert shlex.split(line.rstrip(" \\"))[1] == f'type=bind,"source={quoted}/clothes",target=/models/clothes,readonly'


def health_check(models, name):
    command = yaml.safe_load(render(models, 4)["compose.yaml"])["services"]["tfserving"]["healthcheck"]["test"]
    assert command[:3] == ["CMD", "/bin/bash", "-c"]
    return command[3].replace("$$", "$").replace("/models/clothes/", f"/models/{name}/")


@pytest.mark.skipif(not Path("/bin/bash").exists(), reason="the check runs in a container that has bash")
def test_the_health_check_against_a_server_that_speaks_the_same(models, bright):
    with serve.start([bright], name="health") as server:
        port = server.url.rsplit(":", 1)[1]
        for name, status in (("bright", 0), ("absent", 1)):
            script = health_check(models, name).replace("8501", port)
            assert subprocess.run(["/bin/bash", "-c", script], check=False, timeout=10).returncode == status
    script = health_check(models, "bright").replace("8501", "9")
    assert subprocess.run(["/bin/bash", "-c", script], check=False, capture_output=True).returncode == 1


def test_a_model_that_is_none_of_tensorflow(shared_models):
    with pytest.raises(StoreError, match="without a SavedModel") as caught:
        tfserving.context(Wanted("digits", 1, shared_models.root))
    assert "mlops-lab serve" in caught.value.hint


def test_a_version_that_is_not_there(models):
    with pytest.raises(UnknownVersion):
        render(models, 9)


@pytest.mark.parametrize("machine", ["arm64", "aarch64", "ARM64"])
def test_arm_is_told_before_the_pull(machine):
    note = tfserving.machine_note(machine)
    assert "no official image" in note and machine in note and "mlops-lab serve" in note


@pytest.mark.parametrize("machine", ["x86_64", "AMD64"])
def test_others_are_told_nothing(machine):
    assert tfserving.machine_note(machine) == ""


def test_the_machine_is_this_one_unless_told(monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    assert "arm64" in tfserving.machine_note()
