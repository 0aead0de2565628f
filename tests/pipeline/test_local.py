"""The environment of one machine: a copy of the version, and servers that are stopped at the end."""

import pytest

from mlops_lab.errors import DamagedArtifact, StoreError
from mlops_lab.pipeline import ReleasePlan
from mlops_lab.pipeline.local import LocalEnvironment
from mlops_lab.store import ModelStore


class Server:
    def __init__(self, models, *, seconds):
        self.models, self.url, self.stopped = models, f"http://{models.name}", False

    def last_log_lines(self):
        return "the last lines"

    def stop(self):
        self.stopped = True


@pytest.fixture
def started():
    return []


@pytest.fixture
def environment(two, started):
    def start(models, *, seconds):
        started.append(Server(models, seconds=seconds))
        return started[-1]

    environment = LocalEnvironment(ReleasePlan(two.root, "digits", 2), start)
    yield environment
    environment.close(passed=False)


def test_the_copy_holds_the_one_version_with_its_alias(two, environment, started):
    assert environment.build(two.get("digits", 2)).endswith("hashes and golden examples match")
    environment.start_staging()
    staged = ModelStore(started[0].models)
    assert (staged.versions("digits"), staged.aliases("digits")) == ([2], {"production": 2})


def test_a_damaged_version_is_not_built(two, environment):
    (two.root / "digits" / "2" / "model.onnx").write_bytes(b"not a model")
    with pytest.raises(DamagedArtifact):
        environment.build(two.get("digits", 2))


def test_a_missing_file_is_an_error_of_the_store(two, environment):
    version = two.get("digits", 2)
    (two.root / "digits" / "2" / "model.onnx").unlink()
    with pytest.raises(StoreError, match="cannot be copied"):
        environment.build(version)


def test_production_is_started_once_and_stopped_at_the_end(two, environment, started):
    assert environment.production() == environment.production() == f"http://{two.root.name}"
    assert len(started) == 1
    environment.close(passed=True)
    assert started[0].stopped


def test_production_at_an_address_is_never_started(two, started):
    environment = LocalEnvironment(ReleasePlan(two.root, "digits", 2, url="http://elsewhere"), start=None)
    assert environment.production() == "http://elsewhere"
    environment.close(passed=True)


def test_the_log_lines_are_those_of_staging(two, environment):
    assert environment.last_log_lines() == ""
    environment.build(two.get("digits", 2))
    environment.start_staging()
    assert environment.last_log_lines() == "the last lines"
