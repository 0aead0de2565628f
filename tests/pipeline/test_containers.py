"""Releases into containers, by a real engine: servers are replaced, and put back, while a client asks all the time."""

import contextlib
import re
import subprocess
from dataclasses import replace

import pytest

from mlops_lab import pipeline, serve
from mlops_lab.deploy import compose
from mlops_lab.deploy.commands import CommandFailed
from mlops_lab.errors import WrongUsage
from mlops_lab.pipeline import ReleasePlan, containers, stages
from mlops_lab.pipeline.containers import ContainerEnvironment
from mlops_lab.serve.ports import bind

with_engine = [pytest.mark.docker, pytest.mark.timeout(900)]


def test_production_in_containers_is_a_port_and_not_an_address():
    with pytest.raises(WrongUsage, match="port=8000"):
        ReleasePlan("models", "clothes", environment="docker", url="http://127.0.0.1:8000")


class Engine:
    """Containers that are only names, and a note of what was done to them."""

    def __init__(self, running):
        self.running, self.done, self.silent = list(running), [], []

    def run(self, command):
        verb, *rest = command[1:]
        names = [word for word in rest if word.startswith("server-")]
        if verb == "ps":
            return "\n".join(self.running)
        self.done += [f"{verb} {name}" for name in names]
        if verb == "stop":
            self.running = [name for name in self.running if name not in names]
        if verb == "start":
            self.running += [name for name in names if name not in self.running]
        return ""

    def call(self, folder, *words):
        wanted = int(next(word for word in words if word.startswith("server=")).partition("=")[2])
        new = [f"server-{number}" for number in range(len(self.running) + 1, wanted + 1)]
        self.done += [f"new {name}" for name in new]
        self.running += new

    def not_ready(self, spec, servers, deadline):
        return [name for name in servers if name in self.silent]


@pytest.fixture
def engine(monkeypatch):
    engine = Engine(["server-1", "server-2"])
    monkeypatch.setattr(containers, "run", engine.run)
    monkeypatch.setattr(containers, "NGINX_SECONDS", 0)
    monkeypatch.setattr(compose, "call", engine.call)
    monkeypatch.setattr(compose, "not_ready", engine.not_ready)
    monkeypatch.setattr(compose, "stage", lambda spec, files, folder: engine.done.append(f"files of v{spec.version}"))
    monkeypatch.setattr(compose, "up", lambda spec, *_, **__: engine.done.append(f"up v{spec.version}"))
    monkeypatch.setattr(compose, "down", lambda folder: engine.done.append("down"))
    return engine


@pytest.fixture
def place(two, engine):
    return ContainerEnvironment(ReleasePlan(two.root, "digits", 2, "compose"))


def test_the_new_come_before_the_old_go_and_the_old_are_kept_until_all_is_good(two, engine, place):
    assert place.switch(two.get("digits", 2)) == "2 server(s) replaced 2"
    new, old = ["new server-3", "new server-4"], ["stop server-1", "stop server-2"]
    assert engine.done == ["files of v2", *new, *old]
    place.close(passed=True)
    assert engine.done[5:] == ["rm server-1", "rm server-2"]


def test_the_way_back(two, engine, place):
    place.switch(two.get("digits", 2))
    engine.done.clear()
    place.switch(two.get("digits", 1))
    restored, gone = ["start server-1", "start server-2"], ["stop server-3", "stop server-4"]
    assert engine.done == ["files of v1", *restored, *gone, "rm server-3", "rm server-4"]
    engine.done.clear()
    place.close(passed=False)
    assert (engine.done, engine.running) == ([], ["server-1", "server-2"])


def test_the_old_stay_where_the_new_are_not_ready(two, engine, place):
    engine.silent = ["server-4"]
    with pytest.raises(CommandFailed, match="1 of 2 new servers did not become ready"):
        place.switch(two.get("digits", 2))
    assert not [word for word in engine.done if word.startswith("stop")]
    place.switch(two.get("digits", 1))
    assert engine.running == ["server-1", "server-2"]


def test_the_first_release_starts_everything_and_its_way_back_ends_it(two, engine, place):
    engine.running = []
    place.switch(two.get("digits", 2))
    place.switch(None)
    assert engine.done == ["up v2", "down"]


def test_where_nothing_runs_yet_the_version_in_production_is_started_once(engine, place):
    engine.running = []
    assert place.production() == place.production() == "http://127.0.0.1:8000"
    assert engine.done == ["up v1"]


def said(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def servers(plan, *options):
    """Return the images of production's servers."""
    project = f"label=com.docker.compose.project=mlops-lab-digits-{plan.port}"
    service = "label=com.docker.compose.service=server"
    return said("docker", "ps", *options, "--filter", project, "--filter", service, "--format", "{{.Image}}")


def staged_containers():
    """Return the staging containers; those of production have a longer name."""
    names = said("docker", "ps", "--all", "--format", "{{.Names}}")
    return [name for name in names if re.fullmatch(r"mlops-lab-digits-\d+", name)]


@pytest.fixture
def plan(two, quick, tmp_path, request):
    with contextlib.closing(bind("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    plan = ReleasePlan(
        two.root, "digits", 2, request.param, port=port, folder=tmp_path / "deployed", network="host", **quick
    )
    yield replace(plan, ready_seconds=120, switch_seconds=30)
    if (tmp_path / "deployed").is_dir():
        compose.down(tmp_path / "deployed")


@pytest.mark.parametrize(
    "plan", [pytest.param(kind, marks=with_engine) for kind in ("docker", "compose")], indirect=True
)
def test_versions_follow_each_other_and_nobody_notices(two, plan, client_of, monkeypatch):
    replicas = {"docker": 1, "compose": 2}[plan.environment]
    first = pipeline.release(replace(plan, version=1))
    assert first.passed, str(first)
    assert servers(plan) == replicas * ["mlops-lab/digits:1"]
    url = f"http://127.0.0.1:{plan.port}"

    with client_of(url) as asking:
        second = pipeline.release(plan)
    assert second.passed, str(second)
    assert set(asking.found) == {"v1", "v2"}
    assert servers(plan, "--all") == replicas * ["mlops-lab/digits:2"]

    # Back to version 1, which fails after it has taken over: version 2 is started again.
    def verify(context):
        stages.verify(context)
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(pipeline.running, "STAGES", (*stages.STAGES[:-1], verify))
    with client_of(url) as asking:
        third = pipeline.release(replace(plan, version=1))
    assert third.state == "rolled back", str(third)
    assert set(asking.found) == {"v1", "v2"}
    assert servers(plan, "--all") == replicas * ["mlops-lab/digits:2"]
    assert two.aliases("digits") == {"production": 2}
    assert serve.Client(url).info("digits", "production")["version"] == "v2"
    print(f"{plan.environment}: {dict(asking.found)}; none failed")
    assert staged_containers() == []


@pytest.mark.parametrize("plan", [pytest.param("docker", marks=with_engine)], indirect=True)
def test_a_version_that_never_gets_ready_is_refused_and_its_container_removed(two, plan, client_of, monkeypatch):
    assert pipeline.release(replace(plan, version=1)).passed
    monkeypatch.setattr("mlops_lab.deploy.docker.entry", lambda spec: ["python", "-c", "import time; time.sleep(600)"])
    with client_of(f"http://127.0.0.1:{plan.port}") as asking:
        release = pipeline.release(replace(plan, ready_seconds=3))
    assert (release.state, release.outcomes[-1].name) == ("refused", "staging"), str(release)
    assert set(asking.found) == {"v1"}
    assert servers(plan, "--all") == ["mlops-lab/digits:1"]
    assert staged_containers() == []
