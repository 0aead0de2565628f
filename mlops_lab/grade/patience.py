"""How much slower this machine is just now than the one that time limits were set on, so that nobody pays for it."""

from __future__ import annotations

import statistics
import time

NORMAL = 0.012  # seconds of a processor as in docs/performance.md
MOST = 3.0
KEPT = 20.0  # seconds for which a measurement counts
_measured: list[float] = []  # when, and the factor


def factor() -> float:
    """Return what time limits are multiplied by: 1 on a machine that is as fast and idle, at most 3.

    Examples
    --------
    >>> 1 <= factor() <= 3
    True
    """
    if not _measured or time.monotonic() - _measured[0] > KEPT:
        slower = statistics.median(_seconds() for _ in range(3)) / NORMAL
        _measured[:] = [time.monotonic(), min(MOST, max(1.0, slower))]
    return _measured[1]


def _seconds() -> float:
    """Return how long some plain work takes, waiting for the processor included."""
    started = time.perf_counter()
    total = 0
    for number in range(400_000):
        total += number & 7
    return time.perf_counter() - started
