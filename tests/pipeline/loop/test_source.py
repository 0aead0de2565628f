"""A broken camera is told from a world that has changed, however it is broken."""

import numpy as np
import pytest

from mlops_lab import data, monitor
from mlops_lab.data import Split
from mlops_lab.engines.python import PythonEngine
from mlops_lab.pipeline.loop.source import examine_source
from mlops_lab.predict import Predictor


@pytest.fixture(scope="module")
def garments():
    return data.load("fashion-mnist", limit=1000).test


@pytest.fixture(scope="module")
def examined(garments):
    known = data.load("fashion-mnist", limit=1000, seed=1).train.images
    spec = data.load("fashion-mnist", limit=10).input
    rows = np.full(10, 0.1)
    even = Predictor("even", 1, spec, tuple("abcdefghij"), PythonEngine(lambda x: np.tile(rows, (len(x), 1))), {})

    def examine(images):
        window = monitor.observe(even, images, start=1_800_000_000.0, interval=60.0)
        return examine_source(window, images, known)

    return examine


@pytest.mark.parametrize("kind", [kind for kind in monitor.KINDS if kind != "broken camera"])
@pytest.mark.parametrize("strength", [0.2, 0.7])
def test_a_world_that_has_changed_is_no_broken_camera(garments, examined, kind, strength):
    found = examined(monitor.disturb(garments, kind, strength).images)
    assert not found.broken, found.message


def test_images_as_they_are(garments, examined):
    assert not examined(garments.images).broken


def half_way(images):
    return np.where(np.arange(len(images))[:, None, None] < 100, images, 0)


def dead_rows(images):
    return monitor.disturb(Split(images, np.zeros(len(images), np.int64)), "broken camera", 0.7).images


@pytest.mark.parametrize(
    ("breaks", "said"),
    [
        (np.zeros_like, "167 of 167 images are black since 08:00 UTC"),
        (lambda images: np.full_like(images, 128), "of one grey"),
        (half_way, "67 of 167 images are black since 09:40"),
        (lambda images: np.repeat(images[:1], len(images), axis=0), "one and the same"),
        (dead_rows, "never change"),
    ],
)
def test_a_broken_camera(garments, examined, breaks, said):
    found = examined(breaks(garments.images).astype(np.uint8))
    assert found.broken and said in found.message, found.message


def test_few_images_say_nothing(examined):
    assert not examined(np.zeros((10, 28, 28), np.uint8)).broken
