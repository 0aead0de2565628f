"""The result of training: the model, its metrics and its provenance."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab import show
from mlops_lab.data import Dataset, Split
from mlops_lab.image import InputSpec
from mlops_lab.train.config import TrainConfig

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class TrainingRun:
    """A trained model with its metrics and provenance.

    ``model`` and ``history`` are Keras's own; ``metrics`` holds ``test_accuracy`` and ``validation_accuracy``;
    ``examples`` are test images, one per class, from which the store makes the golden examples. ``held_out`` is the
    test split: the store summarises what the model does on it, which the monitor holds production against.
    """

    model: Any = field(repr=False)
    framework: str
    input: InputSpec = field(repr=False)
    labels: tuple[str, ...] = field(repr=False)
    history: dict[str, list[float]] = field(repr=False)
    config: TrainConfig | None
    metrics: dict[str, float]
    seconds: float
    data: dict[str, Any] = field(repr=False)
    seed: int | None
    examples: NDArray[np.uint8] = field(repr=False)
    settings: dict[str, Any] = field(repr=False)
    held_out: Split | None = field(repr=False, default=None)

    @property
    def data_checksum(self) -> str:
        """SHA-256 of the pixels and labels of the data set."""
        return str(self.data["sha256"])

    def to_dict(self) -> dict[str, Any]:
        """Return the run without its model and images."""
        return {
            "framework": self.framework,
            "settings": self.settings,
            "metrics": self.metrics,
            "history": self.history,
            "seconds": round(self.seconds, 1),
            "data": self.data,
            "seed": self.seed,
        }

    def __str__(self) -> str:
        numbers = ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in self.metrics.items())
        return f"{self.framework} model trained on {self.data['name']} in {self.seconds:.0f} s: {numbers}"

    def _repr_html_(self) -> str:
        curves = show.drawing(self._curves(), f"Accuracy and loss by epoch. {self}") if self.history else ""
        return show.card(str(self), curves)

    def curves_png(self) -> bytes:
        """Return a plot of accuracy and loss by epoch, as PNG."""
        return show.figure_png(self._curves())

    def _curves(self) -> Figure:
        drawing = show.figure(8, 3)
        for place, name in enumerate(("accuracy", "loss"), start=1):
            axes = drawing.add_subplot(1, 2, place)
            epochs = range(1, len(self.history[name]) + 1)
            axes.plot(epochs, self.history[name], "o-", markersize=3, label="training")
            axes.plot(epochs, self.history[f"val_{name}"], "s--", markersize=3, label="validation")
            axes.set(title=name.capitalize())
            show.by_epoch(axes)
        return drawing


def accuracy(probabilities: NDArray[Any], labels: NDArray[np.int64]) -> float:
    """Return the fraction of rows whose most probable class is the label.

    Examples
    --------
    >>> accuracy(np.array([[0.9, 0.1], [0.8, 0.2]]), np.array([0, 1]))
    0.5
    """
    return float((probabilities.argmax(axis=1) == labels).mean())


def provenance(dataset: Dataset) -> dict[str, Any]:
    """Return the description of a data set that goes into a manifest."""
    return {
        "name": dataset.name,
        "task": dataset.task,
        "train": len(dataset.train),
        "test": len(dataset.test),
        "sha256": dataset.checksum,
        **({"note": dataset.note} if dataset.note else {}),
    }


def one_of_each(split: Split) -> NDArray[np.uint8]:
    """Return the first image of each class, ``(classes, height, width)``."""
    _, first = np.unique(split.labels, return_index=True)
    return split.images[first]
