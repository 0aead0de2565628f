"""A Ray cluster of two node processes on this machine, from the files that `deploy ray` writes, and its server."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import requests

from mlops_lab import deploy, train
from mlops_lab.data.dataset import Split
from mlops_lab.image import encode_png
from mlops_lab.store import ModelStore

ROOT = Path(__file__).parents[2]
SECONDS = 180.0
# The load of `benchmarks/ray_cluster.py` lasts at least so long; without it, as long as it takes.
LONG = float(os.environ.get("MLOPS_LAB_RAY_SECONDS", "0"))
HEAD = r"ray start --address='([\d.:]+)'"


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.ray)


def wait_for(what, condition, seconds=SECONDS):
    """Return what the condition returns, once that is true."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"{what} did not happen within {seconds:g} s"
        time.sleep(0.05)
    return found


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def small_node():
    """Return options of a node that stands beside others on this machine.

    Ray ends where one of its agents has not chosen a port within 15 s, which are too few on a busy machine; so they are
    given theirs.
    """
    agents = ("dashboard-agent-grpc", "dashboard-agent-listen", "runtime-env-agent", "metrics-export")
    ports = [word for name in agents for word in (f"--{name}-port", str(free_port()))]
    return ["--num-cpus", "2", "--object-store-memory", str(100 * 2**20), *ports]


class Process:
    """A program that runs beside the test, with what it prints in a file."""

    def __init__(self, command, log, environment):
        self.log = log
        with log.open("wb") as file:
            self._popen = subprocess.Popen(command, stdout=file, stderr=file, env=environment, cwd=log.parent)
        self.process = psutil.Process(self._popen.pid)

    def printed(self, pattern, *, may_end=False):
        """Return what the pattern's group matches, once it is printed; None where the program has ended before."""

        def found():
            ended = self._popen.poll() is not None
            text = self.log.read_text(errors="replace")
            matched = re.search(pattern, text)
            assert matched or may_end or not ended, text
            return (matched and [matched[1]]) or (ended and [None])

        return wait_for(f"{pattern!r} in {self.log.name}", found)[0]

    def descendants(self, word):
        """Return the processes below this one whose command line has a word."""
        found = []
        for child in self.process.children(recursive=True):
            try:
                if any(word in part for part in child.cmdline()):
                    found.append(child)
            except psutil.NoSuchProcess:
                continue
        return found

    def stop(self):
        """End it as a terminal does, with all that it started; what does not end is killed."""
        if self._popen.poll() is not None:
            return None
        family = [self.process, *self.process.children(recursive=True)]
        self._popen.send_signal(signal.SIGTERM)
        _, alive = psutil.wait_procs(family, timeout=40)
        for one in alive:
            one.kill()
        return self._popen.wait()


class Programs:
    """Starts programs in a folder, and stops them all."""

    def __init__(self, folder, environment):
        self.folder, self._environment, self._started = folder, environment, []

    def __call__(self, name, *command, **more):
        process = Process([*command], self.folder / f"{name}.log", self._environment | more)
        self._started.append(process)
        return process

    def patiently(self, name, pattern, *command, **more):
        """Start a program and wait for a line; again, where a machine is so busy that Ray gives up."""
        for attempt in range(4):
            process = self(f"{name}-{attempt}", *command, **more)
            if found := process.printed(pattern, may_end=attempt < 3):
                return process, found
        raise AssertionError(name)

    def stop_all(self):
        for process in reversed(self._started):
            process.stop()


WAITING = """
import sys, time
from mlops_lab.deploy.ray_front import count_running, connect
connect()
from ray import serve
name = f"digits-v{sys.argv[1]}-"
def running():
    return sum(count_running(one) for key, one in serve.status().applications.items() if key.startswith(name))
while running() < int(sys.argv[2]):
    time.sleep(0.1)
print("there they are", flush=True)
time.sleep(60)
"""


class Cluster:
    """A head and a second node, the server in front, and its models: v1 reads digits, v2 says nine minus the digit."""

    def __init__(self, models, start):
        self.models, self.start, self.folder = models, start, start.folder
        ports = ["--port", str(free_port()), "--ray-client-server-port", str(free_port())]
        self.head, self.address = start.patiently("head", HEAD, "sh", "head.sh", *ports, *small_node())
        node = ["sh", "node.sh", *small_node()]
        self.node, _ = start.patiently("node", "(Ray runtime started)", *node, RAY_ADDRESS=self.address)
        self.front = start("front", sys.executable, "serve_on_ray.py", RAY_ADDRESS=self.address)
        self.url = self.front.printed(r"serving (http://\S+)")
        self.wait_for_replicas(1, 2)  # the server begins with the first

    def wait_for_replicas(self, version, count):
        """Wait until so many replicas of a version take requests."""
        program = [sys.executable, "-c", WAITING, str(version), str(count)]
        waiting, _ = self.start.patiently("waiting", "(there they are)", *program, RAY_ADDRESS=self.address)
        waiting.stop()

    def replicas(self, node, version):
        """Return the processes of a version's replicas on a node."""
        return node.descendants(f"ServeReplica:digits-v{version}-")


@pytest.fixture(scope="session")
def two_versions(digits, digits_run, tmp_path_factory):
    models = ModelStore(tmp_path_factory.mktemp("ray") / "models")
    models.publish(digits_run, "digits")
    turned = [Split(split.images, 9 - split.labels) for split in (digits.train, digits.test)]
    models.publish(train.fit_sklearn(replace(digits, train=turned[0], test=turned[1])), "digits")
    models.promote("digits", 1)
    return models


@pytest.fixture(scope="session")
def questions(digits, two_versions):
    """Bodies of images that both versions read right, with their digits."""
    images, labels = digits.test.images[:200], digits.test.labels[:200]
    first, second = (two_versions.load("digits", version).probabilities(images).argmax(1) for version in (1, 2))
    right = np.flatnonzero((first == labels) & (second == 9 - labels))
    assert len(right) > 100
    return [(encode_png(images[place]), int(labels[place])) for place in right]


def environment(**more):
    """Return the environment of a program that finds this project and Ray's commands."""
    return os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        **more,
    }


@pytest.fixture
def programs(tmp_path):
    programs = Programs(tmp_path, environment())
    yield programs
    programs.stop_all()


@pytest.fixture(scope="session")
def cluster(two_versions, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cluster")
    deploy.files(deploy.make_spec(two_versions.root, "digits"), "ray").write(folder)
    settings = json.loads((folder / "settings.json").read_text())
    # One replica on each node, so that both nodes are needed and either is enough.
    settings |= {"port": 0, "replicas": {"number": 2, "cpus": 0.1, "per_machine": 1}}
    (folder / "settings.json").write_text(json.dumps(settings))
    start = Programs(folder, environment(RAY_AUTH_TOKEN_PATH=str(folder / "token")))
    try:
        yield Cluster(two_versions, start)
    finally:
        start.stop_all()


class Load:
    """Clients that ask one question after the other and note every answer, until they are stopped."""

    def __init__(self, url, questions, clients=4):
        self.url, self.questions = url, questions
        self.milliseconds, self.versions, self.wrong = [], [], []
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(clients)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, number):
        with requests.Session() as session:
            while not self._ended.is_set():
                body, digit = self.questions[number % len(self.questions)]
                number += 1
                started = time.perf_counter()
                try:
                    self._note(
                        session.post(self.url, data=body, headers={"Content-Type": "image/png"}, timeout=60), digit
                    )
                except requests.RequestException as error:
                    self.wrong.append(f"no answer: {error}")
                self.milliseconds.append(1000 * (time.perf_counter() - started))

    def _note(self, answer, digit):
        if answer.status_code != 200:
            self.wrong.append(f"{answer.status_code}: {answer.text}")
            return
        found = answer.json()
        expected = {"v1": digit, "v2": 9 - digit}[found["version"]]
        if found["predictions"][0]["class"] != expected:
            self.wrong.append(f"mislabelled: {found}")
        self.versions.append(found["version"])

    def more(self, count=100):
        """Wait for so many further answers, and for a part of the time that a long run takes."""
        there, end = len(self.milliseconds), time.monotonic() + LONG / 5
        wait_for(f"{count} answers", lambda: len(self.milliseconds) >= there + count and time.monotonic() > end)

    def answered_by(self, version):
        """Wait until every client is answered by this version."""
        wait_for(f"answers of {version}", lambda: set(self.versions[-20:]) == {version})


@pytest.fixture
def load():
    return Load


@pytest.fixture(name="wait_for")
def fixture_wait_for():
    return wait_for
