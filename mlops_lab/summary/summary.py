"""A summary of many predictions: sums of whole numbers, so that parts merge exactly and in any order.

A summary is one vector of sums over predictions: how many there were, how often each class was said, how many fell into
each bin of the reference, and the first two moments of some features. Merging is addition, so an hour of a laptop, the
same hour of ten servers, and a year of hours give the same verdict wherever they were added up.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import reduce
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab import show
from mlops_lab.errors import WrongUsage
from mlops_lab.summary.scale import Scale
from mlops_lab.summary.window import UNKNOWN, Window

# Features are added as multiples of 1/65,536, because whole numbers add up to the same in any order.
UNIT = 1 << 16
HOUR = 3600


@dataclass(frozen=True, eq=False)
class Summary:
    """Sums over predictions of one version, on the bins of its reference.

    Parameters
    ----------
    scale
        The bins and features of the reference.
    sums
        ``(3 + classes + columns · bins + 2 · features,)``, whole numbers.
    """

    scale: Scale = field(repr=False)
    sums: NDArray[np.int64] = field(repr=False)

    @property
    def count(self) -> int:
        """The number of predictions."""
        return int(self.sums[0])

    @property
    def labelled(self) -> int:
        """The number of predictions with a label."""
        return int(self.sums[1])

    @property
    def correct(self) -> int:
        """The number of labelled predictions that were right."""
        return int(self.sums[2])

    @property
    def classes(self) -> NDArray[np.int64]:
        """The number of predictions of each class."""
        return self.sums[3 : 3 + len(self.scale.labels)]

    @property
    def histograms(self) -> NDArray[np.int64]:
        """``(columns, bins)``: how many predictions fell into each bin of the reference."""
        start = 3 + len(self.scale.labels)
        columns, bins = len(self.scale.columns), self.scale.bins
        return self.sums[start : start + columns * bins].reshape(columns, bins)

    @property
    def means(self) -> NDArray[np.float64]:
        """The mean of each feature."""
        return self._moment(0)

    @property
    def deviations(self) -> NDArray[np.float64]:
        """The standard deviation of each feature."""
        spread: NDArray[np.float64] = np.sqrt(np.maximum(0, self._moment(1) - self.means**2))
        return spread

    def _moment(self, place: int) -> NDArray[np.float64]:
        features = len(self.scale.features)
        start = len(self.sums) - (2 - place) * features
        return self.sums[start : start + features] / (UNIT * max(1, self.count))

    def to_bytes(self) -> bytes:
        """Return the sums as they are stored."""
        return zlib.compress(self.sums.astype("<i8").tobytes(), 1)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "predictions": self.count,
            "labelled": self.labelled,
            "correct": self.correct,
            "classes": dict(zip(self.scale.labels, self.classes.tolist(), strict=True)),
            "features": dict(zip(self.scale.features, self.means.round(4).tolist(), strict=True)),
        }

    def __repr__(self) -> str:
        return f"<Summary of {self.count:,} predictions>"

    def _repr_html_(self) -> str:
        shares = (self.classes / max(1, self.count)).tolist()
        bars = show.bars(self.scale.labels, shares, strongest=int(self.classes.argmax())) if self.count else ""
        judged = f"{self.correct:,} of {self.labelled:,} judged predictions were right." if self.labelled else ""
        return show.card(f"{self.count:,} predictions, summarised", bars, escape(judged))


def summarise(window: Window, scale: Scale) -> Summary:
    """Return the sums over a window.

    Raises
    ------
    WrongUsage
        The window's predictions have other classes or statistics than the reference.
    """
    if (window.labels, window.statistics) != (scale.labels, scale.statistics):
        message = (
            f"The {len(window.labels)} classes of the predictions are not the {len(scale.labels)} of the reference."
        )
        raise WrongUsage(message, "Take the reference of the version that made the predictions.")
    known = window.truth != UNKNOWN
    counts = [len(window), int(known.sum()), int((window.classes == window.truth)[known].sum())]
    classes = np.bincount(window.classes, minlength=len(scale.labels)) if len(window) else np.zeros(len(scale.labels))
    features = scale.features_of(window)
    moments = [np.rint(UNIT * power).astype(np.int64).sum(axis=0) for power in (features, features**2)]
    sums = np.concatenate([counts, classes, scale.count(window).ravel(), *moments])
    return Summary(scale, sums.astype(np.int64))


def summarise_hours(window: Window, scale: Scale) -> Iterator[tuple[int, Summary]]:
    """Yield each hour since 1970 that a window has predictions of, and their summary; the earliest first."""
    hours = (window.times // HOUR).astype(np.int64)
    for hour in np.unique(hours).tolist():
        yield hour, summarise(window.take(hours == hour), scale)


def empty(scale: Scale) -> Summary:
    """Return the summary of no predictions."""
    length = 3 + len(scale.labels) + len(scale.columns) * scale.bins + 2 * len(scale.features)
    return Summary(scale, np.zeros(length, np.int64))


def from_bytes(content: bytes, scale: Scale) -> Summary:
    """Return a stored summary."""
    return Summary(scale, np.frombuffer(zlib.decompress(content), "<i8").astype(np.int64))


def merge(*summaries: Summary) -> Summary:
    """Return the summary of all predictions together: ``merge(summary(a), summary(b)) == summary(a + b)``, exactly.

    Raises
    ------
    WrongUsage
        They count on different bins.
    """
    if len({one.scale.digest for one in summaries}) > 1:
        raise WrongUsage("The summaries belong to different references.", "Merge those of one version.")
    return reduce(lambda a, b: Summary(a.scale, a.sums + b.sums), summaries)
