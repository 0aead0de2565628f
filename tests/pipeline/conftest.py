"""Servers behind this process instead of processes of their own, and a client that never stops asking production."""

import json
import threading
import time
from collections import Counter
from functools import partial

import pytest

from mlops_lab import data, serve
from mlops_lab.errors import LabError
from mlops_lab.image import encode_png
from mlops_lab.pipeline import ReleasePlan
from mlops_lab.pipeline.local import LocalEnvironment
from mlops_lab.validate import Expected, LoadTestConfig

QUICK = {
    "expected": Expected(milliseconds=5000, images=5),
    "load": LoadTestConfig(clients=2, seconds=0.2, milliseconds=60_000, per_second=1),
    "ready_seconds": 5.0,
    "switch_seconds": 5.0,
}


@pytest.fixture
def quick():
    """Settings of a plan that asks for little, so that a release takes a second."""
    return QUICK


@pytest.fixture
def edit(two):
    """Change what the manifest of v2 says, as a careless or dishonest publisher would."""

    def change(**entries):
        path = two.root / "digits" / "2" / "manifest.json"
        manifest = json.loads(path.read_text())
        path.write_text(json.dumps(manifest | entries))

    return change


class InThread:
    """A staging server behind this process."""

    def __init__(self, app_of, models, *, seconds):
        self._server = serve.start(app_of(models), name="staging")
        self.url = self._server.url
        self.stop = self._server.stop

    def last_log_lines(self):
        return "its last log lines"


@pytest.fixture
def staged():
    """Return the environment of a plan whose staging server is made by a function."""
    return lambda plan, app_of=serve.create_app: LocalEnvironment(plan, partial(InThread, app_of))


class Asking:
    """A client of production that asks all the while and counts what it gets."""

    def __init__(self, url):
        self.found = Counter()
        self._client = serve.Client(url)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        image = b"\x89PNG"

        image = encode_png(data.load("digits").test.images[0])
        while not self._ended.wait(0.005):
            try:
                self.found[self._client.classify("digits", "production", image).response["version"]] += 1
            except LabError as error:
                self.found[f"failed: {error}"] += 1

    def __enter__(self):
        self._thread.start()
        self.wait_for(lambda word: True)
        return self

    def wait_for(self, wanted, seconds=30):
        """Wait until an answer of some kind has come."""
        deadline = time.monotonic() + seconds
        while not any(wanted(word) for word in list(self.found)):
            assert time.monotonic() < deadline, f"only {dict(self.found)} in {seconds} s"
            time.sleep(0.005)

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()


@pytest.fixture
def client_of():
    """Return the client that asks all the while."""
    return Asking


@pytest.fixture
def production(two):
    """A server over the store that watches it, with somebody who asks it all the time."""
    server = serve.start(two, name="production")
    with Asking(server.url) as asking:
        server.asking = asking
        yield server


@pytest.fixture
def plan(two, production):
    return ReleasePlan(two.root, "digits", 2, url=production.url, **QUICK)
