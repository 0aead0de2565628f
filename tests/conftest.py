"""Models for the tests: a digits model that scikit-learn trains in a second, and predictors made of one line."""

from __future__ import annotations

import hashlib
import json
import pickle
import re
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from itertools import chain, combinations
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from mlops_lab import data, train
from mlops_lab.engines.python import PythonEngine
from mlops_lab.image import InputSpec
from mlops_lab.predict import Predictor
from mlops_lab.serve import create_app, stop_all
from mlops_lab.store import ModelStore

GREY = InputSpec(shape=(28, 28, 1), size=(28, 28))
WITHOUT_EVIDENCE = shutil.ignore_patterns("evidence")
MARKS = {"tensorflow", "browser", "docker", "ray", "slow"}
WHOLE_FILE = re.compile(r"^pytestmark = (\[.*?^\]|.*?$)", re.MULTILINE | re.DOTALL)


def pytest_ignore_collect(collection_path, config):
    """Leave out a file of which ``-m`` selects nothing: importing some of them takes seconds, in every worker."""
    if not config.option.markexpr or not collection_path.name.startswith("test_"):
        return None
    return None if may_be_selected(config.option.markexpr, marks_of_file(collection_path)) else True


def marks_of_file(path) -> frozenset[str]:
    """Return the marks that every test of a file bears."""
    declared = WHOLE_FILE.search(path.read_text(encoding="utf-8"))
    marks = set(re.findall(r"pytest\.mark\.(\w+)", declared[1])) if declared else set()
    return frozenset((marks | {path.parent.name}) & MARKS)


@cache
def may_be_selected(expression: str, marks: frozenset[str]) -> bool:
    """Return whether an expression is true of these marks, with or without some of the others."""
    if set(re.findall(r"\w+", expression)) - MARKS - {"and", "or", "not"}:
        return True  # it speaks of marks that are not known here
    others = sorted(MARKS - marks)
    sets = chain.from_iterable(combinations(others, count) for count in range(len(others) + 1))
    return any(eval(expression, {mark: mark in marks or mark in more for mark in MARKS}) for more in sets)


@pytest.fixture(scope="session")
def digits():
    return data.load("digits")


@pytest.fixture(scope="session")
def made_once(request, tmp_path_factory):
    """Return a function that gives a folder which one of the processes of this run makes, for all of them to read."""
    root = tmp_path_factory.getbasetemp()
    root = root.parent if hasattr(request.config, "workerinput") else root  # beside the folders of the workers

    def folder_of(name: str, make: Callable[[Path], object]) -> Path:
        folder = root / f"shared-{name}"
        with FileLock(root / f"shared-{name}.lock"):
            if not folder.exists():
                unfinished = Path(tempfile.mkdtemp(dir=root))  # made anew where whoever began it has failed
                make(unfinished)
                unfinished.rename(folder)
        return folder

    return folder_of


@pytest.fixture(scope="session")
def digits_run(digits, made_once):
    folder = made_once("digits-run", lambda new: (new / "run").write_bytes(pickle.dumps(train.fit_sklearn(digits))))
    return pickle.loads((folder / "run").read_bytes())


@pytest.fixture(scope="session")
def _published(made_once, request) -> Path:
    def publish(new: Path) -> None:
        run = request.getfixturevalue("digits_run")
        ModelStore(new / "models").publish(run, "digits", description="Read handwritten digits")

    return made_once("published", publish) / "models"


@pytest.fixture
def models(_published, tmp_path) -> ModelStore:
    """A store of one's own that holds digits v1."""
    return ModelStore(shutil.copytree(_published, tmp_path / "models", ignore=WITHOUT_EVIDENCE))


@pytest.fixture
def publish_up_to(models, _published, made_once, request):
    """Return a function that leaves so many versions of digits in the store, each as publishing leaves it."""

    def publish(count: int) -> ModelStore:
        def make(new: Path) -> None:
            store = ModelStore(shutil.copytree(_published, new / "models", ignore=WITHOUT_EVIDENCE))
            for _ in range(count - 1):
                store.publish(request.getfixturevalue("digits_run"), "digits")

        ready = made_once(f"published-up-to-v{count}", make)
        shutil.rmtree(models.root)
        shutil.copytree(ready / "models", models.root)
        return models

    return publish


@pytest.fixture(scope="session")
def shared_models(_published) -> ModelStore:
    """The same store for tests that only read."""
    return ModelStore(_published)


def brightness(inputs):
    """Return how dark and how bright each image is: an answer that tells which image was asked about."""
    bright = inputs.mean(axis=(1, 2, 3))
    return np.stack([1 - bright, bright], axis=1)


@pytest.fixture(scope="session")
def bright() -> Predictor:
    """A model whose confidence is the brightness of a grey 28×28 image."""
    return Predictor("bright", 1, GREY, ("dark", "bright"), PythonEngine(brightness), {"name": "bright"})


@pytest.fixture(scope="session")
def app(shared_models, bright):
    predictor = shared_models.load("digits", 1)
    return create_app([bright, predictor])


@pytest.fixture
def client(app):
    return app.test_client()


@pytest.fixture
def no_servers():
    """Stop what a test leaves running in the background."""
    yield
    stop_all()


@pytest.fixture(scope="session")
def images() -> np.ndarray:
    """Five grey images, each brighter than the one before."""
    return np.stack([np.full((28, 28), level, np.uint8) for level in (0, 51, 102, 153, 255)])


@pytest.fixture(scope="session")
def tiny_fashion():
    """Real garments, few enough to train on in a moment."""
    return data.load("fashion-mnist", limit=2000)


@pytest.fixture
def forge_golden(models):
    """Return a function that changes the golden examples of a version of digits, and their hash in the manifest."""

    def forge(change, version=1):
        folder = models.root / "digits" / str(version)
        with np.load(folder / "golden.npz") as file:
            arrays = dict(file)
        change(arrays)
        np.savez(folder / "golden.npz", **arrays)
        content = (folder / "golden.npz").read_bytes()
        entry = json.loads((folder / "manifest.json").read_text())
        entry["files"]["golden.npz"] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        (folder / "manifest.json").write_text(json.dumps(entry))

    return forge


@pytest.fixture
def two(models, publish_up_to, no_servers):
    """A store with digits v1 in production and v2 published."""
    publish_up_to(2).promote("digits", 1)
    return models
