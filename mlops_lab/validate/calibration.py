"""Calibration: of the answers with confidence 0.8, eight in ten should be right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab import show
from mlops_lab.validate import drawing
from mlops_lab.validate.intervals import Interval, bootstrap, pair, percentiles, wilson

BINS = 15
RESAMPLES = 200


@dataclass(frozen=True, eq=False)
class Calibration:
    """The confidence of a classifier held against its accuracy.

    Parameters
    ----------
    error
        Expected calibration error (ECE): the mean distance of confidence and accuracy over bins of equal width.
    interval
        95% interval of the error, by bootstrap.
    brier
        Mean squared distance of the probabilities from the truth, from 0 to 2.
    counts, confidence, accuracy
        For each bin: the number of answers, their mean confidence, and the share that is right.
    """

    error: float
    interval: Interval
    brier: float
    counts: tuple[int, ...]
    confidence: tuple[float, ...]
    accuracy: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        bins = {"counts": list(self.counts), "confidence": list(self.confidence), "accuracy": list(self.accuracy)}
        return {"error": self.error, "interval": list(self.interval), "brier": self.brier, **bins}

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self}>"

    def __str__(self) -> str:
        return f"calibration error {self.error:.4f} ({self.interval[0]:.4f} to {self.interval[1]:.4f})"

    def draw(self) -> str:
        """Return the reliability curve as SVG: confidence across, accuracy up, the diagonal is ideal."""
        filled = [place for place, count in enumerate(self.counts) if count]
        points = [(self.confidence[place], self.accuracy[place]) for place in filled]
        bounds = wilson(*np.array([(round(self.accuracy[p] * self.counts[p]), self.counts[p]) for p in filled]).T)
        label = f"Reliability curve: {self}; on the diagonal confidence equals accuracy."
        return drawing.curve(points, [pair(one) for one in bounds], ("confidence", "accuracy"), label)

    def _repr_html_(self) -> str:
        return show.card("Calibration", str(self), self.draw())


def calibrate(probabilities: NDArray[Any], labels: NDArray[Any], bins: int = BINS, seed: int = 0) -> Calibration:
    """Return the calibration of the most probable class.

    Parameters
    ----------
    probabilities
        ``(n, classes)``.
    labels
        ``(n,)``, the right class of each.
    bins
        Number of bins of equal width between 0 and 1.
    seed
        Seed of the bootstrap.

    Examples
    --------
    >>> calibrate(np.array([[0.8, 0.2]] * 10), np.array([0] * 8 + [1] * 2)).error
    0.0
    """
    rows = np.asarray(probabilities, float)
    confidence, right = rows.max(axis=1), rows.argmax(axis=1) == labels
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    sums = np.bincount(place, confidence, bins), np.bincount(place, right, bins)
    known = np.maximum(counts, 1)
    # The error of a bin, times its share, is the sum of the gaps of its answers over n: so resamples are sums too.
    gaps = right - confidence
    samples = bootstrap(
        lambda drawn: np.abs(np.bincount(place[drawn], gaps[drawn], bins)).sum() / len(rows), len(rows), RESAMPLES, seed
    )
    truth = np.zeros_like(rows)
    truth[np.arange(len(rows)), labels] = 1
    return Calibration(
        # Rounded to what the sum of so many doubles holds.
        error=round(float(np.abs(sums[1] - sums[0]).sum() / len(rows)), 12),
        interval=pair(percentiles(samples)),
        brier=float(((rows - truth) ** 2).sum(axis=1).mean()),
        counts=tuple(counts.tolist()),
        confidence=tuple((sums[0] / known).tolist()),
        accuracy=tuple((sums[1] / known).tolist()),
    )
