"""Predictions of one version, side by side as arrays: what every examination looks at."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab import show
from mlops_lab.errors import WrongUsage
from mlops_lab.predict import Predictor
from mlops_lab.summary.image_statistics import describe_inputs, names

UNKNOWN = -1  # the truth of a prediction that nobody has judged
NO_CLASS = -2  # the truth of an image that belongs to none of the model's classes


@dataclass(frozen=True, eq=False)
class Window:
    """Predictions of one version of a model.

    Parameters
    ----------
    model, version
        Who answered.
    labels
        The names of its classes.
    statistics
        The names of the input statistics.
    times
        ``(n,)``, seconds since 1970.
    probabilities
        ``(n, classes)``.
    inputs
        ``(n, statistics)``: the statistics of each input.
    truth
        ``(n,)``, the right class where it is known; -1 where it is not, and -2 for an image of no known class.
    seconds
        ``(n,)``, how long the model took.
    """

    model: str
    version: int
    labels: tuple[str, ...]
    statistics: tuple[str, ...]
    times: NDArray[np.float64] = field(repr=False)
    probabilities: NDArray[np.float32] = field(repr=False)
    inputs: NDArray[np.float32] = field(repr=False)
    truth: NDArray[np.int64] = field(repr=False)
    seconds: NDArray[np.float64] = field(repr=False)

    def __len__(self) -> int:
        return len(self.times)

    @property
    def classes(self) -> NDArray[np.int64]:
        """The class that the model said, ``(n,)``."""
        said: NDArray[np.int64] = self.probabilities.argmax(axis=1)
        return said

    @property
    def confidence(self) -> NDArray[np.float32]:
        """The probability of that class, ``(n,)``."""
        highest: NDArray[np.float32] = self.probabilities.max(axis=1, initial=0)
        return highest

    @property
    def accuracy(self) -> float | None:
        """The share of right answers among those whose truth is known; ``None`` where none is."""
        known = self.truth != UNKNOWN
        return float((self.classes == self.truth)[known].mean()) if known.any() else None

    def take(self, places: Any) -> Window:
        """Return some of the predictions, by indices, a mask or a slice."""
        columns = (self.times, self.probabilities, self.inputs, self.truth, self.seconds)
        return Window(self.model, self.version, self.labels, self.statistics, *(column[places] for column in columns))

    def to_dict(self) -> dict[str, Any]:
        """Return what the window holds, without its rows."""
        return {
            "model": self.model,
            "version": self.version,
            "predictions": len(self),
            "from": float(self.times.min()) if len(self) else None,
            "to": float(self.times.max()) if len(self) else None,
            "labelled": int((self.truth != UNKNOWN).sum()),
            "accuracy": self.accuracy,
        }

    def __repr__(self) -> str:
        return f"<Window of {len(self):,} predictions by {self.model} v{self.version}>"

    def _repr_html_(self) -> str:
        facts = self.to_dict()
        rows = [("predictions", f"{len(self):,}"), ("with a known truth", f"{facts['labelled']:,}")]
        if self.accuracy is not None:
            rows.append(("accuracy on those", f"{self.accuracy:.3f}"))
        counts = np.bincount(self.classes, minlength=len(self.labels)) / max(1, len(self))
        bars = show.bars(self.labels, counts.tolist(), strongest=int(counts.argmax())) if len(self) else ""
        return show.card(f"{self.model} v{self.version}: what it said", show.table(rows), bars)


def observe(
    predictor: Predictor,
    images: Sequence[NDArray[Any]] | NDArray[Any],
    truth: NDArray[Any] | None = None,
    *,
    start: float | None = None,
    interval: float = 1.0,
) -> Window:
    """Let a model answer images, and return its predictions as the log would keep them.

    Parameters
    ----------
    predictor
        From :meth:`mlops_lab.store.ModelStore.load`.
    images
        As the model takes them.
    truth
        The right classes, where they are known.
    start
        The time of the first prediction; by default now.
    interval
        Seconds between two predictions.

    Raises
    ------
    WrongUsage
        There is not one truth for each image.

    Examples
    --------
    >>> from mlops_lab import data, store
    >>> digits = data.load("digits")
    >>> window = observe(store.ModelStore("models").load("digits"), digits.test.images, digits.test.labels)
    >>> window.accuracy > 0.9
    True
    """
    rows = predictor.probabilities(images)
    if truth is not None and len(truth) != len(rows):
        raise WrongUsage(f"There are {len(rows)} images and {len(truth)} classes.", "Pass one class for each image.")
    return Window(
        predictor.name,
        predictor.version,
        tuple(predictor.class_names(rows.shape[1])),
        names(predictor.input),
        (time.time() if start is None else start) + interval * np.arange(len(rows), dtype=np.float64),
        rows,
        describe_inputs(images, predictor.input),
        np.full(len(rows), UNKNOWN) if truth is None else np.asarray(truth, np.int64),
        np.zeros(len(rows)),
    )
