"""Production as the monitor exercises play it: garments, what changes them, and what the shipped model says."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from mlops_lab.data.dataset import Split
from mlops_lab.grade.rubric.images import LABELS, answers, garments
from mlops_lab.image import InputSpec
from mlops_lab.monitor.disturbances import disturb
from mlops_lab.summary.image_statistics import describe_inputs, names

SPEC = InputSpec(shape=(28, 28, 1), size=(28, 28))
EIGHT = ("brightness", "contrast", "dark", "bright", "sharpness", "grain", "border", "spread")
_PLACES = [names(SPEC).index(name) for name in EIGHT]
CLASSES = len(LABELS)
POOL = 8000


@cache
def pool() -> Split:
    """Return test images in an order that has nothing to do with their classes."""
    images, labels = garments(np.random.default_rng(18), 10_000, held_out=True)
    return Split(images[:POOL], labels[:POOL].astype(np.int64))


def places(rng: np.random.Generator, count: int, *, reference: bool = False) -> NDArray[np.int64]:
    """Return places in the half of the pool that is the reference, or in the half that is production."""
    half = POOL // 2
    drawn: NDArray[np.int64] = rng.permutation(half)[:count] + (0 if reference else half)
    return drawn


def at(chosen: NDArray[np.int64]) -> Split:
    """Return the images at some places of the pool."""
    return Split(pool().images[chosen], pool().labels[chosen])


def draw(rng: np.random.Generator, count: int) -> Split:
    """Return images of production."""
    return at(places(rng, count))


def changed(split: Split, kind: str, strength: float, rng: np.random.Generator) -> Split:
    """Return a split after something changed."""
    return disturb(split, kind, strength, seed=int(rng.integers(2**31)))


def eight(split: Split) -> NDArray[np.float64]:
    """Return eight statistics of each image, ``(n, 8)``."""
    return describe_inputs(split.images, SPEC)[:, _PLACES].astype(np.float64)


@dataclass(frozen=True)
class Answers:
    """What the model said to some images.

    Parameters
    ----------
    classes, confidence, right
        ``(n,)``: the class, its probability, and whether it is the right one.
    """

    classes: NDArray[np.int64]
    confidence: NDArray[np.float64]
    right: NDArray[np.bool_]


@cache
def _known() -> tuple[Answers, NDArray[np.float64]]:
    return ask(pool()), eight(pool())


def known(chosen: NDArray[np.int64]) -> Answers:
    """Return what the model said to the images at some places of the pool: computed once for all."""
    said = _known()[0]
    return Answers(said.classes[chosen], said.confidence[chosen], said.right[chosen])


def known_eight(chosen: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the statistics of the images at some places of the pool."""
    statistics: NDArray[np.float64] = _known()[1][chosen]
    return statistics


def ask(split: Split) -> Answers:
    """Let the shipped model answer images."""
    rows = answers(split.images, only=("right",))["right"]
    classes = rows.argmax(axis=1)
    return Answers(classes.astype(np.int64), rows.max(axis=1).astype(np.float64), classes == split.labels)
