"""The scale of summaries: bins and features that are fixed once from the reference."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mlops_lab.errors import WrongUsage
from mlops_lab.summary.window import Window

BINS = 20
# Of a model with more classes, only the class and the confidence are looked at.
MOST_OUTPUTS = 50
# Features are clipped here, in standard deviations, so that one odd image does not outweigh a thousand.
FARTHEST = 10.0


@dataclass(frozen=True, eq=False)
class Scale:
    """Bins and features, computed from the reference.

    Parameters
    ----------
    labels, statistics
        The classes of the model, and the names of its input statistics.
    edges
        ``(columns, bins - 1)``: quantiles of the reference, for every output, the confidence and every statistic.
    centre, spread
        ``(statistics,)``: mean and standard deviation of the input statistics.
    class_centre, class_spread
        ``(classes, statistics)``: the same among the images of which the model said that class.
    calibration
        ``(2, knots)``: how often the model is right at a confidence, from held-out data.
    """

    labels: tuple[str, ...]
    statistics: tuple[str, ...]
    edges: NDArray[np.float64] = field(repr=False)
    centre: NDArray[np.float64] = field(repr=False)
    spread: NDArray[np.float64] = field(repr=False)
    class_centre: NDArray[np.float64] = field(repr=False)
    class_spread: NDArray[np.float64] = field(repr=False)
    calibration: NDArray[np.float64] = field(repr=False)

    @property
    def bins(self) -> int:
        """The number of bins of each column."""
        return int(self.edges.shape[1]) + 1

    @property
    def outputs(self) -> tuple[str, ...]:
        """The outputs that have a column."""
        return self.labels if len(self.labels) <= MOST_OUTPUTS else ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return (*(f"output {label}" for label in self.outputs), "confidence", *self.statistics)

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the features whose moments are kept."""
        unusual = (f"{name} for its class" for name in self.statistics)
        return ("expected accuracy", "entropy", "margin", *self.statistics, *unusual)

    @cached_property
    def digest(self) -> str:
        """A short name of these bins and features."""
        parts = (self.edges, self.centre, self.spread, self.class_centre, self.class_spread, self.calibration)
        return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()[:16]

    def count(self, window: Window) -> NDArray[np.int64]:
        """Return how many predictions fall into each bin, ``(columns, bins)``."""
        values = columns_of(window, len(self.outputs))
        counted = [
            np.bincount(np.searchsorted(edges, column, side="right"), minlength=self.bins)
            for edges, column in zip(self.edges, values.T, strict=True)
        ]
        return np.stack(counted).astype(np.int64)

    def features_of(self, window: Window) -> NDArray[np.float64]:
        """Return the features of each prediction, ``(n, features)``."""
        said = window.classes
        ordered = np.sort(window.probabilities, axis=1)
        second = ordered[:, -2] if ordered.shape[1] > 1 else np.zeros(len(window))
        entropy = -(window.probabilities * np.log(window.probabilities.clip(1e-9))).sum(axis=1)
        own = np.abs((window.inputs - self.class_centre[said]) / self.class_spread[said])
        parts = (
            np.interp(window.confidence, *self.calibration),
            entropy,
            window.confidence - second,
            ((window.inputs - self.centre) / self.spread).clip(-FARTHEST, FARTHEST),
            own.clip(0, FARTHEST),
        )
        return np.column_stack(parts).astype(np.float64)


def columns_of(window: Window, outputs: int) -> NDArray[np.float64]:
    """Return what is counted in bins, ``(n, columns)``."""
    values = (window.probabilities[:, :outputs], window.confidence[:, np.newaxis], window.inputs)
    return np.concatenate(values, axis=1).astype(np.float64)


def make_scale(window: Window) -> Scale:
    """Return the bins and features of held-out predictions whose truth is known.

    Raises
    ------
    WrongUsage
        The truth of some is not known.
    """
    if not len(window) or (window.truth < 0).any():
        raise WrongUsage("A reference needs the right class of every image.", "Pass held-out images with their labels.")
    outputs = len(window.labels) if len(window.labels) <= MOST_OUTPUTS else 0
    edges = np.quantile(columns_of(window, outputs), np.linspace(0, 1, BINS + 1)[1:-1], axis=0).T
    centre, spread = window.inputs.mean(axis=0), window.inputs.std(axis=0) + 1e-3
    class_centre, class_spread = np.tile(centre, (len(window.labels), 1)), np.tile(spread, (len(window.labels), 1))
    for place in range(len(window.labels)):
        own = window.inputs[window.classes == place]
        if len(own) >= 10:  # of fewer, a mean says little: those of all images stand in
            class_centre[place], class_spread[place] = own.mean(axis=0), own.std(axis=0) + 1e-3
    return Scale(
        window.labels,
        window.statistics,
        np.ascontiguousarray(edges),
        centre.astype(np.float64),
        spread.astype(np.float64),
        class_centre.astype(np.float64),
        class_spread.astype(np.float64),
        _calibrate(window),
    )


def _calibrate(window: Window) -> NDArray[np.float64]:
    """Return knots of confidence and of the share of right answers there: isotonic regression, thinned."""
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
    fitted.fit(window.confidence.astype(np.float64), window.classes == window.truth)
    knots = np.unique(np.quantile(window.confidence.astype(np.float64), np.linspace(0, 1, 65)))
    return np.stack([knots, fitted.predict(knots)])
