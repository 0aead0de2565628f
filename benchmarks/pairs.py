"""Comparing two servers on a noisy machine: one after the other over and over, and one of them twice.

In every round the first server is measured, then the second, then the first again. The ratio of a round is the
first's figure to the second's; the median of the rounds counts. The first against itself in the same rounds is the
null pair: what the machine's noise alone makes of it.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from server import Server
from wrk import Post, Rate, drive

PAIRS = 5


@dataclass(frozen=True)
class Ratios:
    """One ratio for each round, and those of the null pair."""

    each: tuple[float, ...]
    null: tuple[float, ...]

    @property
    def median(self) -> float:
        """The ratio."""
        return statistics.median(self.each)

    def __str__(self) -> str:
        lowest, highest = min(self.each), max(self.each)
        return f"{self.median:.2f} ({lowest:.2f} to {highest:.2f}; null pair {statistics.median(self.null):.2f})"


@dataclass(frozen=True)
class Comparison:
    """What one number of connections showed."""

    first: str
    second: str
    connections: int
    ratios: Ratios
    rates: tuple[Rate, Rate]  # the medians of both

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {**asdict(self), "ratio": self.ratios.median}

    def __str__(self) -> str:
        first, second = self.rates
        return (
            f"{self.connections:>3} connections: {first.per_second:6.0f}/s, p50 {first.p50:.2f} p99 {first.p99:.2f} ms"
            f" | {self.second}: {second.per_second:6.0f}/s, p50 {second.p50:.2f} p99 {second.p99:.2f} ms"
            f" | ratio {self.ratios}"
        )


def alternate(first: Callable[[], float], second: Callable[[], float], pairs: int = PAIRS) -> Ratios:
    """Measure two things in turn, and return the first's figure as ratios to the second's."""
    rounds = [(first(), second(), first()) for _ in range(pairs)]
    return Ratios(tuple(a / b for a, b, _ in rounds), tuple(again / a for a, _, again in rounds))


def compare(
    first: tuple[Server, Post], second: tuple[Server, Post], connections: int, pairs: int = PAIRS, seconds: int = 4
) -> Comparison:
    """Drive two running servers in turn with the same number of connections."""
    seen: tuple[list[Rate], list[Rate]] = ([], [])

    def measured(which: int) -> Callable[[], float]:
        server, post = (first, second)[which]

        def run() -> float:
            rate = drive(server, post, connections, seconds)
            seen[which].append(rate)
            return rate.per_second

        return run

    ratios = alternate(measured(0), measured(1), pairs)
    return Comparison(first[0].name, second[0].name, connections, ratios, (median(seen[0]), median(seen[1])))


def median(rates: Sequence[Rate]) -> Rate:
    """Return the median of each figure."""
    return Rate(**{name: statistics.median(asdict(rate)[name] for rate in rates) for name in asdict(rates[0])})
