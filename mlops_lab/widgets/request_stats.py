"""Statistics of the recent requests of a server: rate, latency, status codes, routes and classes. No widgets here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from html import escape
from typing import Any

import numpy as np

from mlops_lab import show
from mlops_lab.serve.background import RecordedRequest


@dataclass(frozen=True)
class RequestStats:
    """Statistics of the requests in a time window.

    Parameters
    ----------
    per_second
        The average rate over the window, in requests per second.
    p50, p95
        Percentiles of the latency, in milliseconds.
    statuses, routes
        The number of responses by status code, and of requests by request line.
    history
        The number of requests in each second of the window, oldest first.
    total
        The number of requests in the window.
    classes
        The number of predictions of each class since the server started, by version.

    Examples
    --------
    >>> exchange = RecordedRequest("GET", "/models", 200, 1.5, 100, at=99.5)
    >>> RequestStats.of([exchange], now=100.0, window=10).per_second
    0.1
    """

    per_second: float
    p50: float
    p95: float
    statuses: dict[str, int]
    routes: dict[str, int]
    history: tuple[int, ...]
    total: int
    classes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        exchanges: Iterable[RecordedRequest],
        *,
        now: float,
        window: int = 30,
        classes: Mapping[str, Mapping[str, int]] | None = None,
    ) -> RequestStats:
        """Count the exchanges of the last ``window`` seconds before ``now``."""
        recent = [item for item in exchanges if 0 <= now - item.at < window]
        milliseconds = [item.milliseconds for item in recent] or [0.0]
        ages = Counter(int(now - item.at) for item in recent)
        return cls(
            per_second=len(recent) / window,
            p50=float(np.percentile(milliseconds, 50)),
            p95=float(np.percentile(milliseconds, 95)),
            statuses=_count(str(item.status) for item in recent),
            routes=_count(f"{item.method} {item.path}" for item in recent),
            history=tuple(ages.get(age, 0) for age in reversed(range(window))),
            total=len(recent),
            classes=classes or {},
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers."""
        return asdict(self)

    def _repr_html_(self) -> str:
        numbers = show.table(
            [
                ("requests/s", f"{self.per_second:.1f}"),
                ("p50 latency", f"{self.p50:.1f} ms"),
                ("p95 latency", f"{self.p95:.1f} ms"),
            ]
        )
        statuses = [(show.Html(show.state(_kind(name), name)), number) for name, number in self.statuses.items()]
        routes = list(self.routes.items())[:6]
        return (
            '<div style="display: flex; flex-wrap: wrap; gap: 24px; align-items: flex-start; line-height: 1.3">'
            f"{numbers}{show.table(statuses, ('status', 'count'))}{show.table(routes, ('request', 'count'))}</div>"
            f"{columns(self.history)}"
            f'<div style="display: flex; flex-wrap: wrap; gap: 0 32px">'
            f"{''.join(histogram(version, counts) for version, counts in self.classes.items())}</div>"
        )


def _count(values: Iterable[str]) -> dict[str, int]:
    return dict(Counter(values).most_common())


def _kind(status: str) -> str:
    return "ok" if status < "400" else "warning" if status < "500" else "error"


def histogram(version: str, counts: Mapping[str, int]) -> str:
    """Return a histogram of the classes that a version predicted; of many classes, the ten most frequent.

    Examples
    --------
    >>> "clothes v1 predicted, for 4 images" in histogram("clothes v1", {"Bag": 3, "Coat": 1})
    True
    """
    total = sum(counts.values())
    most = list(counts.items()) if len(counts) <= 12 else Counter(counts).most_common(10)
    labels, times = [label for label, _ in most], [number for _, number in most]
    longest = max(times)
    shares = [number / max(1, longest) for number in times]
    bars = show.bars(labels, shares, strongest=times.index(longest), words=[f"{number:,}" for number in times])
    title = f"{version} predicted, for {total:,} image{'' if total == 1 else 's'} so far"
    style = f"{show.FONT}; color: {show.TEXT}; font-weight: 600; margin: 10px 0 2px"
    return f'<div style="line-height: 1.3"><div style="{style}">{escape(title)}</div>{bars}</div>'


def columns(values: Sequence[int], *, width: int = 480, height: int = 60) -> str:
    """Return a bar chart with one bar per second, as SVG with a text alternative.

    Examples
    --------
    >>> columns([1, 2]).count("<rect")
    2
    """
    highest, step = max([1, *values]), width / max(1, len(values))
    bars = "".join(
        f'<rect x="{index * step + 1:.1f}" y="{height - height * value / highest:.1f}" width="{step - 2:.1f}" '
        f'height="{height * value / highest:.1f}" fill="{show.BAR}"/>'
        for index, value in enumerate(values)
    )
    text = f"Requests per second over the last {len(values)} seconds; maximum: {max([0, *values])}."
    return (
        f'<svg role="img" aria-label="{text}" width="{width}" height="{height}" style="border-bottom: 1px solid '
        f'{show.LINE}; margin-top: 8px">{bars}</svg><div style="{show.FONT}; color: {show.MUTED}">{text}</div>'
    )
