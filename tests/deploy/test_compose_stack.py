"""Three servers behind nginx, and Prometheus beside them, started by a real engine and both programs of Compose."""

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import requests
import yaml

from mlops_lab import data, deploy, serve
from mlops_lab.deploy import compose, smoke
from mlops_lab.image import encode_png
from mlops_lab.serve.ports import bind
from mlops_lab.store import ModelStore

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]


def free_port():
    with contextlib.closing(bind("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def said(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def containers(spec, service):
    labels = {"project": f"mlops-lab-{spec.name}-{spec.port}", "service": service}
    filters = [
        word for key, value in labels.items() for word in ("--filter", f"label=com.docker.compose.{key}={value}")
    ]
    return said("docker", "ps", "--quiet", *filters).split()


def left(spec):
    """Return what there still is of a deployment: containers, networks and volumes."""
    project = f"label=com.docker.compose.project=mlops-lab-{spec.name}-{spec.port}"
    kinds = (["ps", "--all"], ["network", "ls"], ["volume", "ls"])
    return [line for kind in kinds for line in said("docker", *kind, "--quiet", "--filter", project).split()]


@pytest.fixture(scope="module", params=["docker compose", "docker-compose"])
def stack(request, tmp_path_factory):
    """Three servers behind nginx and Prometheus beside them, started by each of Compose's two programs."""
    words = tuple(request.param.split())
    subprocess.run([*words, "version"], capture_output=True, check=True)
    spec = deploy.make_spec(
        ROOT / "models", "clothes", image="mlops-lab/clothes:composed", port=free_port(), replicas=3
    )
    folder = tmp_path_factory.mktemp("stack")
    watch = free_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compose, "program", lambda: words)
        patch.setenv("PROMETHEUS_PORT", str(watch))
        try:
            files = deploy.files(spec, "compose")
            url = compose.up(spec, files, folder, profiles=["prometheus"], network="host")
            yield SimpleNamespace(spec=spec, folder=folder, url=url, watch=f"http://127.0.0.1:{watch}")
        finally:
            compose.down(folder)
    assert left(spec) == []


def eventually(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.3)
    return found


def test_the_answers_are_the_local_ones(stack):
    images = data.load("fashion-mnist").test.images[:32]
    there = serve.Client(stack.url).classify("clothes", "v1", images)
    here = ModelStore(ROOT / "models").load("clothes").probabilities(images)
    assert np.allclose([item.probabilities for item in there], here, atol=1e-6)
    assert smoke.run(stack.spec, stack.url).examples == 10


class Load:
    """Clients that keep their connections and send until told to end; each request is answered or it failed."""

    def __init__(self, url, clients=4):
        self.counts, self.ended = Counter(), threading.Event()
        self.threads = [threading.Thread(target=self._send, args=(url,)) for _ in range(clients)]

    def _send(self, url):
        image = encode_png(np.zeros((28, 28), np.uint8))
        with requests.Session() as session:
            session.trust_env = False
            while not self.ended.is_set():
                try:
                    answer = session.post(
                        f"{url}/models/clothes/v1", data=image, headers={"Content-Type": "image/png"}, timeout=20
                    )
                    self.counts[answer.status_code] += 1
                except requests.RequestException as error:
                    self.counts[type(error).__name__] += 1

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        time.sleep(1)
        return self

    def __exit__(self, *_):
        self.ended.set()
        for thread in self.threads:
            thread.join()


def test_a_killed_server_costs_no_request(stack):
    """`kill -9` of one of three, three times over, in the middle of a load."""
    with Load(stack.url) as load:
        for victim in containers(stack.spec, "server"):
            os.kill(int(said("docker", "inspect", "-f", "{{.State.Pid}}", victim)), signal.SIGKILL)
            time.sleep(3)
    print(f"kill -9 under load: {dict(load.counts)}")
    assert set(load.counts) == {200} and load.counts[200] > 200
    assert len(containers(stack.spec, "server")) == 3, "they come back"


def test_a_server_that_is_taken_away_costs_no_request(stack):
    with Load(stack.url) as load:
        said("docker", "rm", "--force", containers(stack.spec, "server")[0])
        time.sleep(4)
    print(f"removed under load: {dict(load.counts)}")
    assert set(load.counts) == {200} and load.counts[200] > 100
    assert len(containers(stack.spec, "server")) == 2


def test_more_servers_and_fewer_under_load(stack):
    files = {number: deploy.files(replace(stack.spec, replicas=number), "compose") for number in (2, 3)}
    with Load(stack.url) as load:
        for number, text in files.items():
            compose.up(
                replace(stack.spec, replicas=number), text, stack.folder, profiles=["prometheus"], network="host"
            )
            assert len(containers(stack.spec, "server")) == number
    print(f"scaling under load: {dict(load.counts)}")
    assert set(load.counts) == {200}


def test_nobody_is_root_and_nothing_leaves(stack):
    for service, user in (("server", "10001"), ("proxy", "10001"), ("prometheus", "65534")):
        container = containers(stack.spec, service)[0]
        assert said("docker", "exec", container, "id", "-u") == user
        inside = json.loads(said("docker", "inspect", "-f", "{{json .HostConfig}}", container))
        assert (inside["CapDrop"], inside["ReadonlyRootfs"]) == (["ALL"], True)
        assert inside["Memory"] and inside["PidsLimit"] and inside["NanoCpus"]
    assert (
        said("docker", "inspect", "-f", "{{.HostConfig.PortBindings}}", containers(stack.spec, "server")[0]) == "map[]"
    )


def test_what_nginx_refuses_is_an_error_like_the_others(stack):
    answer = requests.post(f"{stack.url}/models/clothes/v1", data=bytes(3_000_000), timeout=20)
    assert answer.status_code == 413
    assert answer.json()["code"] == "too_large" and answer.headers["X-Request-Id"] == answer.json()["request_id"]


def test_prometheus_asks_every_server_and_has_the_rules(stack):
    def targets():
        found = requests.get(f"{stack.watch}/api/v1/targets", timeout=20).json()["data"]["activeTargets"]
        return {target["scrapeUrl"] for target in found if target["health"] == "up"}

    eventually(lambda: len(targets()) == 3)
    groups = requests.get(f"{stack.watch}/api/v1/rules", timeout=20).json()["data"]["groups"]
    rules = yaml.safe_load(deploy.files(stack.spec, "compose")["prometheus/rules.yml"])["groups"]
    assert [rule["name"] for group in groups for rule in group["rules"]] == [
        rule["alert"] for group in sorted(rules, key=lambda group: group["name"]) for rule in group["rules"]
    ]
    assert all(rule["health"] == "ok" for group in groups for rule in group["rules"])
