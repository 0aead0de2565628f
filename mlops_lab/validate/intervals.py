"""Confidence intervals (Wilson's for shares, the bootstrap for everything else) and tests of paired answers.

A figure that depends on counts alone is resampled as counts: drawing n rows with replacement and counting them is one
draw of a multinomial distribution. So a thousand resamples cost as much as a thousand small tables.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Interval = tuple[float, float]
CONFIDENCE = 0.95


def wilson(successes: ArrayLike, count: ArrayLike, confidence: float = CONFIDENCE) -> NDArray[np.float64]:
    """Return Wilson's score interval of a share, ``(…, 2)``; all of 0 to 1 where nothing was counted.

    Examples
    --------
    >>> wilson(9081, 10_000).round(4).tolist()
    [0.9023, 0.9136]
    >>> wilson([0, 3], [0, 3]).round(2).tolist()
    [[0.0, 1.0], [0.44, 1.0]]
    """
    from scipy.special import ndtri

    z = ndtri((1 + confidence) / 2)
    hits, n = np.asarray(successes, float), np.asarray(count, float)
    known = np.maximum(n, 1)
    share = hits / known
    middle = (share + z**2 / (2 * known)) / (1 + z**2 / known)
    half = z / (1 + z**2 / known) * np.sqrt(share * (1 - share) / known + z**2 / (4 * known**2))
    low, high = np.where(n > 0, middle - half, 0.0), np.where(n > 0, middle + half, 1.0)
    return np.stack([np.clip(low, 0, 1), np.clip(high, 0, 1)], axis=-1)


def resampled_counts(counts: ArrayLike, times: int, seed: int = 0) -> NDArray[np.int64]:
    """Return the counts of ``times`` resamples, ``(times, *counts.shape)``: the bootstrap of everything they tell.

    Examples
    --------
    >>> resampled_counts([[90, 10], [5, 95]], 1000).sum(axis=(1, 2)).tolist() == [200] * 1000
    True
    """
    table = np.asarray(counts, np.int64)
    total = int(table.sum())
    if not total:
        return np.zeros((times, *table.shape), np.int64)
    draws = np.random.default_rng(seed).multinomial(total, table.ravel() / total, times)
    return draws.reshape(times, *table.shape)


def bootstrap(
    statistic: Callable[[NDArray[np.int64]], Any], count: int, times: int = 1000, seed: int = 0
) -> NDArray[np.float64]:
    """Return a statistic of ``times`` resamples; it is called with the places of the rows that were drawn.

    Examples
    --------
    >>> values = np.arange(100.0)
    >>> percentiles(bootstrap(lambda rows: values[rows].mean(), 100)).round().tolist()
    [44.0, 55.0]
    """
    random = np.random.default_rng(seed)
    return np.array([statistic(random.integers(0, count, count)) for _ in range(times)], dtype=float)


def percentiles(samples: NDArray[Any], confidence: float = CONFIDENCE) -> NDArray[np.float64]:
    """Return the percentile interval of resampled figures, ``(…, 2)``; the resamples are the first axis."""
    tail = 50 * (1 - confidence)
    return np.asarray(np.moveaxis(np.nanpercentile(samples, [tail, 100 - tail], axis=0), 0, -1))


def pair(interval: NDArray[Any]) -> Interval:
    """Return an interval as two plain numbers."""
    return float(interval[0]), float(interval[1])


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the p-value of McNemar's exact test: two models disagree as often in either direction.

    Parameters
    ----------
    only_first, only_second
        Number of examples that only the first, and only the second model has right.

    Examples
    --------
    >>> mcnemar(10, 10), round(mcnemar(5, 25), 4)
    (1.0, 0.0003)
    """
    from scipy.stats import binomtest

    disagreements = only_first + only_second
    return float(binomtest(only_second, disagreements).pvalue) if disagreements else 1.0
