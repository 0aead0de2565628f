"""What becomes of a student's Compose file before it is run, and what commands print; no engine is needed."""

import sys
from pathlib import Path

import pytest
import yaml
from corpus_types import write

from mlops_lab.grade import containers, needs, stack
from mlops_lab.grade.cases import Case, Failed
from mlops_lab.grade.containers import CommandResult
from mlops_lab.grade.exercises import find
from mlops_lab.grade.runner import Grading, grade_submission

HOSTILE = {
    "image": "nginx:1.30",
    "privileged": True,
    "network_mode": "host",
    "pid": "host",
    "cap_add": ["SYS_ADMIN"],
    "devices": ["/dev/mem"],
    "container_name": "mine",
    "ports": ["80:80"],
    "security_opt": ["seccomp:unconfined"],
    "environment": {"A": "${SECRET}"},
    "mem_limit": "64g",
    "volumes": ["./nginx.conf:/etc/nginx/nginx.conf", "cache:/cache"],
    "depends_on": ["gone"],
}
KEYS = {
    "image", "scale", "environment", "depends_on", "volumes", "networks", "env_file", "restart", "mem_limit",
    "pids_limit", "cap_drop", "cap_add", "security_opt", "logging",
}  # fmt: skip


class Engine:
    """An engine that builds nothing."""

    name = "mlops-lab-grade-0"

    def __init__(self):
        self.options = []

    def build(self, folder, *options):
        self.options += options
        return f"{Path(folder).name}:0"


@pytest.fixture
def started(tmp_path, monkeypatch):
    """Return what Compose would be given, and with which environment."""
    seen = {}

    def command(*words, seconds=60.0, environment=None):
        seen.update(yaml.safe_load(Path(words[words.index("--file") + 1]).read_text()), environment=environment)
        return CommandResult(0, "")

    monkeypatch.setattr(stack, "command", command)
    monkeypatch.setattr(stack, "program", lambda: ("docker", "compose"))
    monkeypatch.setenv("SECRET", "of the grader")
    write(tmp_path / "context", {"nginx.conf": "events {}", "Dockerfile": "FROM python:3.11-slim"})

    def started(services, copies=1, top=None):
        folder = tmp_path / "context"
        engine = Engine()
        stack.Stack(engine, folder, services, dict.fromkeys(services, copies), top or {"services": services})
        return {**seen, "options": engine.options}

    return started


def test_nothing_of_the_machine_comes_in_with_a_service(started, tmp_path):
    whole = started({"front": HOSTILE}, copies=50)
    front = whole["services"]["front"]
    assert set(front) == KEYS
    assert (front["cap_drop"], front["security_opt"], front["scale"]) == (["ALL"], ["no-new-privileges:true"], 4)
    assert "SYS_ADMIN" not in front["cap_add"] and front["mem_limit"] == containers.MEMORY and not front["depends_on"]
    bind, volume = front["volumes"]
    assert bind == {"type": "bind", "source": str(tmp_path / "context" / "nginx.conf"), "read_only": True,
                    "target": "/etc/nginx/nginx.conf"}  # fmt: skip
    assert (volume["type"], whole["volumes"]) == ("volume", {"cache": {}})
    assert whole["networks"]["default"] == {"external": True, "name": "mlops-lab-grade-0"}
    assert "SECRET" not in whole["environment"] and "PATH" in whole["environment"]


@pytest.mark.parametrize("service", [
    {"image": "nginx:1.30", "volumes": ["/:/host"]}, {"image": "nginx:1.30", "volumes": ["../..:/host:ro"]},
    {"image": "nginx:1.30", "volumes": ["/var/run/docker.sock:/var/run/docker.sock"]},
    {"image": "nginx:1.30", "volumes": [{"type": "bind", "source": "/etc", "target": "/x"}]},
    {"image": "nginx:1.30", "env_file": "/etc/passwd"}, {"build": {"context": "/"}},
    {"build": {"dockerfile": "../../x"}},
    {"image": "nginx:1.30", "secrets": ["key"]}, {"build": "https://example.com/repository.git"},
])  # fmt: skip
def test_what_lies_outside_is_refused(service, started):
    with pytest.raises(Failed) as failed:
        started({"one": service}, top={"secrets": {"key": {"file": "/etc/shadow"}}})
    assert failed.value.key == "no-file"


def test_configs_and_secrets_become_files_that_are_mounted(started, tmp_path):
    service = {
        "image": "nginx:1.30",
        "configs": [{"source": "site", "target": "/etc/nginx/nginx.conf"}],
        "secrets": ["key"],
    }
    top = {"configs": {"site": {"content": "events {}"}}, "secrets": {"key": {"file": "nginx.conf"}}}
    site, key = started({"one": service}, top=top)["services"]["one"]["volumes"]
    assert (site["target"], Path(site["source"]).read_text()) == ("/etc/nginx/nginx.conf", "events {}")
    assert (key["target"], Path(key["source"]).name) == ("/run/secrets/key", "nginx.conf")


@pytest.mark.parametrize(("service", "image"), [
    ({"image": "shop/clothes:1.4"}, "context:0"), ({"image": "shop/clothes:1.4", "build": "."}, "context:0"),
    ({"build": {"context": ".", "args": {"A": "1"}}}, "context:0"), ({"image": "nginx:1.30"}, "nginx:1.30"),
])  # fmt: skip
def test_servers_are_built_of_the_submission_and_proxies_are_what_others_publish(service, image, started):
    assert started({"one": service})["services"]["one"]["image"] == image


@pytest.mark.parametrize("arguments", [["SECRET", "A=1"], {"A": 1}])
def test_a_build_argument_takes_nothing_of_the_graders_environment(arguments, started):
    options = started({"one": {"build": {"context": ".", "args": arguments}}})["options"]
    assert [one for one in options if one.startswith("--build-arg")] == ["--build-arg=A=1"]


def test_a_command_that_prints_without_end_fills_nothing():
    done = containers.command(sys.executable, "-c", "while True: print('x' * 10_000)", seconds=1)
    assert done.status is None and len(done.output) <= containers.KEPT


def test_what_is_left_for_afterwards_is_done_when_a_check_ends():
    done, case = [], Case("data-99.value")
    case.afterwards(lambda: done.append(1))
    case.afterwards(lambda: done.append(2))
    case.close()
    assert done == [2, 1]


def test_no_total_holds_points_that_need_docker_unless_it_is_asked_for(tmp_path):
    shipped = find("deploy-1")
    assert shipped.with_docker().max_points == shipped.max_points + 3
    write(tmp_path, {"Dockerfile": "FROM python:3.11-slim\n"})
    leaf = grade_submission(tmp_path, Grading(only=("deploy-1",), check="deploy-1.runs")).checks[-1]
    assert (leaf.id, leaf.max_points) == ("deploy-1.runs", 0)


def test_without_an_engine_it_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(needs.NEEDS, "docker", (lambda: False, "no Docker engine"))
    write(tmp_path, {"Dockerfile": 'FROM python:3.11-slim\nCMD ["gunicorn", "--bind=0.0.0.0:8000", "api:app"]\n'})
    report = grade_submission(tmp_path, Grading(only=("deploy-1",), docker=True, check="deploy-1.runs"))
    leaf = report.checks[-1]
    assert (leaf.state, leaf.message, report.unjudged) == ("skipped", "Skipped: no Docker engine.", 3)
