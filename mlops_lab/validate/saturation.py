"""The saturation of a server: raise the rate of an open load until it no longer keeps up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from mlops_lab import show
from mlops_lab.client import Client
from mlops_lab.validate import drawing
from mlops_lab.validate.load import send_load
from mlops_lab.validate.load_result import MOST_RATE, LoadResult, LoadTestConfig

KEEPS_UP = 0.95
CLOSE_ENOUGH = 1.1


@dataclass(frozen=True)
class Saturation:
    """The highest rate that a server sustains, and the load tests that found it.

    Parameters
    ----------
    rate
        The highest rate at which p99 stayed below the limit and nothing failed; 0 where none was.
    limit
        The limit of p99, in milliseconds.
    tests
        Every load test, by rate.

    Examples
    --------
    >>> Saturation(400.0, 100.0, ()).summary
    'sustains 400 requests a second with p99 below 100 ms'
    """

    rate: float
    limit: float
    tests: tuple[LoadResult, ...]

    @property
    def summary(self) -> str:
        """One line."""
        if not self.rate:
            return f"p99 is never below {self.limit:g} ms"
        return f"sustains {self.rate:.0f} requests a second with p99 below {self.limit:g} ms"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        tests = [test.to_dict() for test in self.tests]
        return {"rate": self.rate, "limit": self.limit, "summary": self.summary, "tests": tests}

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.summary}>"

    def __str__(self) -> str:
        rows = [
            f"  {test.plan.rate:7.0f} a second: {test.per_second:7.0f} answered, p99 {test.p99:8.1f} ms, "
            f"generator late by {test.lateness:.1f} ms"
            for test in self.tests
        ]
        return "\n".join([*rows, self.summary])

    def _repr_html_(self) -> str:
        rows = [
            (f"{one.plan.rate:.0f}", f"{one.per_second:.0f}", f"{one.p50:.1f}", f"{one.p99:.1f}", f"{one.lateness:.1f}")
            for one in self.tests
        ]
        table = show.table(rows, ("asked for a second", "answered", "p50 ms", "p99 ms", "generator late, ms"))
        rates = [test.plan.rate for test in self.tests]
        waits = [("p50", [test.p50 for test in self.tests]), ("p99", [test.p99 for test in self.tests])]
        axes = ("requests a second", "milliseconds, logarithmic")
        return show.card(
            "Saturation", self.summary, drawing.lines(rates, waits, axes, self.summary, logarithmic=True), table
        )


def find_saturation(
    client: Client,
    name: str,
    version: int | str,
    images: Iterable[Any],
    *,
    limit: float = 100.0,
    start: float = 50.0,
    plan: LoadTestConfig | None = None,
) -> Saturation:
    """Find the highest rate that a server sustains: double it until the server falls behind, then halve the distance.

    Parameters
    ----------
    client, name, version, images
        As for :func:`mlops_lab.validate.measure_load`.
    limit
        The limit of p99, in milliseconds.
    start
        The first rate.
    plan
        The duration and the timeout of each test; by default two seconds.

    Returns
    -------
    Saturation
    """
    requests = [client.prepare(name, version, image) for image in images]
    base = plan or LoadTestConfig(seconds=2.0, timeout=5.0)
    tests: dict[float, LoadResult] = {}

    def sustains(rate: float) -> bool:
        asked = replace(base, rate=rate, milliseconds=limit, per_second=KEEPS_UP * rate, shape="steady")
        tests[rate] = send_load(client.url, requests, asked)
        return not tests[rate].unmet

    low, high = 0.0, start
    while high <= MOST_RATE and sustains(high):
        low, high = high, 2 * high
    if not low:
        low_try = start / 2
        while low_try >= 1 and not sustains(low_try):
            high, low_try = low_try, low_try / 2
        low = low_try if low_try >= 1 else 0.0
    high = min(high, MOST_RATE)  # doubled beyond what a load test may ask for, though nothing fell behind
    while low and high / low > CLOSE_ENOUGH:
        middle = (low * high) ** 0.5
        low, high = (middle, high) if sustains(middle) else (low, middle)
    return Saturation(round(low, 1), limit, tuple(tests[rate] for rate in sorted(tests)))
