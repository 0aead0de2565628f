"""Robustness: the accuracy under visible disturbances, by kind and strength."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab import show
from mlops_lab.data import Dataset, Split
from mlops_lab.train.run import accuracy
from mlops_lab.validate import perturbations
from mlops_lab.validate.answers import Model, asker

STRENGTHS = ("mild", "strong", "severe")
KINDS: Mapping[str, tuple[Callable[[NDArray[np.uint8]], NDArray[np.uint8]], ...]] = {
    "noise": tuple(partial(perturbations.noisy, deviation=level) for level in (0.05, 0.15, 0.3)),
    "blur": tuple(partial(perturbations.blurred, width=level / 28) for level in (0.7, 1.2, 2.0)),
    "rotation": tuple(partial(perturbations.rotated, degrees=level) for level in (7, 15, 30)),
    "move": tuple(partial(perturbations.moved, down=0, right=level / 28) for level in (1, 2, 4)),
    "dark": tuple(partial(perturbations.scaled, factor=level) for level in (0.75, 0.5, 0.25)),
    "occlusion": tuple(
        partial(perturbations.hidden, top=0.5 - side / 2, left=0.5 - side / 2, height=side, width=side)
        for side in (0.1, 0.25, 0.4)
    ),
}


@dataclass(frozen=True)
class Robustness:
    """The accuracy of a model under disturbances.

    Parameters
    ----------
    clean
        The accuracy on the images as they are.
    accuracy
        For each kind the accuracy at the mild, the strong and the severe strength.
    count
        Number of images.

    Examples
    --------
    >>> Robustness(0.9, {"noise": (0.88, 0.7, 0.4)}, 500).worst
    ('noise', 0.88)
    """

    clean: float
    accuracy: Mapping[str, tuple[float, ...]]
    count: int

    @property
    def worst(self) -> tuple[str, float]:
        """The kind whose mild strength costs most, and the accuracy under it."""
        kind = min(self.accuracy, key=lambda name: self.accuracy[name][0])
        return kind, self.accuracy[kind][0]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        kinds = {kind: dict(zip(STRENGTHS, values, strict=True)) for kind, values in self.accuracy.items()}
        return {"clean": self.clean, "count": self.count, "accuracy": kinds}

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self}>"

    def __str__(self) -> str:
        kind, value = self.worst
        return f"accuracy {self.clean:.3f}; under mild {kind} {value:.3f}"

    def _repr_html_(self) -> str:
        rows = [(kind, *(f"{value:.3f}" for value in values)) for kind, values in self.accuracy.items()]
        table = show.table(rows, ("disturbance", *STRENGTHS))
        return show.card(f"Robustness: accuracy {self.clean:.3f} on {self.count:,} images", table)


def measure_robustness(model: Model, dataset: Dataset | Split, *, images: int = 500, seed: int = 0) -> Robustness:
    """Measure the accuracy of a model under six kinds of disturbance at three strengths.

    Parameters
    ----------
    model
        As for :func:`mlops_lab.validate.check_behaviour`.
    dataset
        A data set, whose test split is used, or a split.
    images, seed
        How many images are disturbed, and which.

    Examples
    --------
    >>> from mlops_lab import data, store
    >>> found = measure_robustness(store.ModelStore("models").load("digits", 1), data.load("digits"), images=100)
    >>> found.clean > found.accuracy["noise"][2]
    True
    """
    test = (dataset.test if isinstance(dataset, Dataset) else dataset).sample(images, seed)
    ask = asker(model, dataset)

    found = {
        kind: tuple(accuracy(ask(change(test.images)), test.labels) for change in changes)
        for kind, changes in KINDS.items()
    }
    return Robustness(accuracy(ask(test.images), test.labels), found, len(test))
