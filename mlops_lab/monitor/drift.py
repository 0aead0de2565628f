"""Whether production has changed: corrected tests and effect sizes over outputs, class, confidence and inputs.

Everything is computed from summaries. The distance of a column is Kolmogorov and Smirnov's, to the mass of one bin of
the reference; that of the classes is the share of predictions that moved from one class to another.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab import show
from mlops_lab.summary.summary import Summary

ALPHA = 0.05
# From this distance on a change is large: a fifth of the predictions lie elsewhere.
LARGE = 0.2
# A chi-squared test wants at least so many expected in each cell; rarer classes are counted together.
EXPECTED = 5


@dataclass(frozen=True)
class Difference:
    """One statistic, held against the reference.

    Parameters
    ----------
    statistic
        ``"class"``, ``"confidence"``, ``"output Bag"``, ``"brightness"`` and so on.
    p_value
        How often chance alone gives such a distance, corrected for the number of tests.
    effect
        The distance, 0–1.
    changed
        Whether it is more than chance.
    since
        When it began, in seconds since 1970, where that is known.
    """

    statistic: str
    p_value: float
    effect: float
    changed: bool
    since: float | None = None

    @property
    def large(self) -> bool:
        """Whether it changed, and much."""
        return self.changed and self.effect >= LARGE

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {**asdict(self), "p_value": float(f"{self.p_value:.3g}"), "effect": round(self.effect, 4)}

    def __str__(self) -> str:
        word = "changed" if self.changed else "as before"
        return f"{self.statistic}: {word}, distance {self.effect:.3f}, p {self.p_value:.2g}"

    def _repr_html_(self) -> str:
        return show.card(self.statistic, show.state("warning" if self.changed else "ok", str(self)))


def examine(summary: Summary, reference: Summary, *, alpha: float = ALPHA) -> tuple[Difference, ...]:
    """Return every statistic beside the reference, those that changed most first.

    The p-values are corrected by Holm's method: where nothing changed, one of them is below ``alpha`` at most ``alpha``
    of the times.
    """
    names = ("class", *summary.scale.columns)
    tests = [_compare_classes(summary, reference), *_compare_columns(summary, reference)]
    corrected = _holm(np.array([p for p, _ in tests]))
    found = [
        Difference(name, float(p), float(effect), bool(p < alpha))
        for name, p, (_, effect) in zip(names, corrected, tests, strict=True)
    ]
    return tuple(sorted(found, key=lambda one: (not one.changed, -one.effect)))


def _compare_columns(summary: Summary, reference: Summary) -> list[tuple[float, float]]:
    from scipy.stats import kstwobign

    n, m = summary.count, reference.count
    shares = [np.cumsum(one.histograms, axis=1) / max(1, one.count) for one in (summary, reference)]
    distances = np.abs(shares[0] - shares[1]).max(axis=1)
    size = math.sqrt(n * m / max(1, n + m))
    # Stephens' correction makes the limiting distribution hold for small windows too.
    p_values = kstwobign.sf(distances * (size + 0.12 + 0.11 / max(size, 1e-9)))
    return list(zip(p_values.tolist(), distances.tolist(), strict=True))


def _compare_classes(summary: Summary, reference: Summary) -> tuple[float, float]:
    from scipy.stats import chi2_contingency

    counts = np.stack([summary.classes, reference.classes]).astype(float)
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    moved = float(np.abs(shares[0] - shares[1]).sum() / 2)
    # In the smaller of the two: a cell counts too little where either expects few.
    expected = counts.sum(axis=0) * min(summary.count, reference.count) / max(1.0, counts.sum())
    rare = expected < EXPECTED
    cells = np.column_stack([counts[:, ~rare], counts[:, rare].sum(axis=1)])
    cells = cells[:, cells.sum(axis=0) > 0]
    if cells.shape[1] < 2 or not summary.count:
        return 1.0, moved
    return float(chi2_contingency(cells, correction=False).pvalue), moved


def _holm(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return p-values that may be compared with alpha one by one."""
    order = np.argsort(p_values)
    steps = p_values[order] * np.arange(len(p_values), 0, -1)
    corrected = np.empty_like(p_values)
    corrected[order] = np.minimum(1, np.maximum.accumulate(steps))
    return corrected
