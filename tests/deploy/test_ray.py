"""The files that serve a model with Ray; `tests/ray` runs them."""

import asyncio
import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

from mlops_lab import deploy
from mlops_lab.deploy import ray_front
from mlops_lab.deploy.ray_front import Replicas
from mlops_lab.errors import ServerError, UnknownModel, WrongUsage
from mlops_lab.serve import Batching
from mlops_lab.serve.core.batching import BatchingEngine


@pytest.fixture
def spec(shared_models):
    return deploy.make_spec(shared_models.root, "digits", replicas=1, most=3, cpus=0.5, gpus=0.25, port=8010)


def test_the_files(spec, shared_models):
    files = deploy.files(spec, "ray")
    assert list(files) == ["head.sh", "node.sh", "serve_on_ray.py", "settings.json"]
    settings = json.loads(files["settings.json"])
    assert settings["models"] == str(shared_models.root.resolve()) and settings["host"] == "127.0.0.1"
    assert Replicas(**settings["replicas"]) == Replicas(1, most=3, cpus=0.5, gpus=0.25)
    compile(files["serve_on_ray.py"], "serve_on_ray.py", "exec")
    for script in ("head.sh", "node.sh"):
        assert "RAY_AUTH_MODE=token" in files[script]  # without it, whoever reaches Ray's ports runs what he likes


@pytest.mark.skipif(sys.platform == "win32", reason="the scripts are for sh")
@pytest.mark.parametrize("script", ["head.sh", "node.sh"])
def test_the_scripts_are_scripts(spec, script):
    done = subprocess.run(["sh", "-n"], input=deploy.files(spec, "ray")[script], text=True, capture_output=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_makes_no_sense(shared_models, tmp_path):
    with pytest.raises(WrongUsage, match="most=1 is less than replicas=2"):
        deploy.make_spec(shared_models.root, "digits", most=1)
    (tmp_path / "api.py").write_text("from server import app\n")
    with pytest.raises(WrongUsage, match="not an application"):
        deploy.files(deploy.make_spec(shared_models.root, "digits", app=tmp_path / "api.py"), "ray")


def test_the_options_of_a_deployment():
    assert Replicas(3, cpus=0.5).options()["num_replicas"] == 3
    assert Replicas(3, per_machine=1).options()["max_replicas_per_node"] == 1
    scaling = Replicas(1, most=4, in_flight=6).options()
    assert "num_replicas" not in scaling and scaling["autoscaling_config"]["target_ongoing_requests"] == 3


def test_the_deadline_of_the_server_is_that_of_the_replicas(monkeypatch, shared_models):
    found = {}

    class Recorded(ray_front.Deployments):
        def __init__(self, store, replicas, limits):
            found["replicas"] = limits.request_seconds

        def wrap(self, predictor):
            return predictor

    monkeypatch.setattr(ray_front, "Deployments", Recorded)
    monkeypatch.setattr(ray_front, "connect", lambda address: None)
    monkeypatch.setattr(ray_front, "import_ray", lambda: SimpleNamespace(shutdown=lambda: None))
    monkeypatch.setattr(
        ray_front, "run", lambda settings, *say: found.update(server=settings.make_limits().request_seconds)
    )
    ray_front.serve_model(shared_models.root, "digits", limits={"request_seconds": 30.0})
    assert found == {"server": 30.0, "replicas": 30.0}


def test_batches_are_joined_before_ray(monkeypatch, shared_models):
    found = {}
    monkeypatch.setattr(ray_front, "Deployments", lambda *_: SimpleNamespace(wrap=lambda predictor: predictor))
    monkeypatch.setattr(ray_front, "connect", lambda address: None)
    monkeypatch.setattr(ray_front, "import_ray", lambda: SimpleNamespace(shutdown=lambda: None))
    monkeypatch.setattr(ray_front, "run", lambda settings, *say: found.update(registry=settings.models))
    ray_front.serve_model(shared_models.root, "digits", batching=Batching(4))
    assert isinstance(found["registry"].get("digits").engine, BatchingEngine)
    ray_front.serve_model(shared_models.root, "digits")
    assert not isinstance(found["registry"].get("digits").engine, BatchingEngine)


def test_it_deploys_from_the_thread_of_a_notebook_which_has_an_event_loop(monkeypatch, shared_models):
    def wrap(predictor):
        with pytest.raises(RuntimeError, match="no running event loop"):  # in one, Ray refuses to wait for an answer
            asyncio.get_running_loop()
        return predictor

    monkeypatch.setattr(ray_front, "connect", lambda address: None)
    monkeypatch.setattr(ray_front, "Deployments", lambda *_: SimpleNamespace(wrap=wrap))

    async def cell():
        return ray_front.deploy_model(shared_models.root, "digits")

    assert asyncio.run(cell()).entry("digits").states() == {"v1": "ready"}


def test_ray_does_not_stay_where_nothing_can_be_deployed(monkeypatch, shared_models):
    done = []

    def broken(*_):
        raise RuntimeError("no room")

    monkeypatch.setattr(ray_front, "connect", lambda address: done.append("connect"))
    monkeypatch.setattr(ray_front, "import_ray", lambda: SimpleNamespace(shutdown=lambda: done.append("shutdown")))
    monkeypatch.setattr(ray_front, "Deployments", broken)
    with pytest.raises(UnknownModel):
        ray_front.deploy_model(shared_models.root, "digit")
    assert done == []  # a wrong name is said before Ray starts
    with pytest.raises(RuntimeError, match="no room"):
        ray_front.deploy_model(shared_models.root, "digits")
    assert done == ["connect", "shutdown"]


@pytest.mark.parametrize("failures", [0, 2, 3])
def test_ray_is_started_again_where_the_machine_is_too_busy(monkeypatch, failures):
    started, ended = [], []

    def init(address, **options):
        started.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "/ray/agent.py"]))
        if len(started) <= failures:
            raise Exception("The current node timed out during startup.")

    ray = SimpleNamespace(init=init, shutdown=lambda: ended.append(True), start=lambda **_: None)
    monkeypatch.setattr(ray_front, "import_ray", lambda name="ray": ray)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    try:
        if failures == 3:
            with pytest.raises(ServerError, match=r"within 3 attempts: The current node timed out"):
                ray_front.connect()
        else:
            ray_front.connect()
        assert len(ended) == failures
        assert all(process.wait(10) != 0 for process in started[:failures])  # killed, long before it would have ended
    finally:
        for process in started:
            process.kill()
            process.wait()
