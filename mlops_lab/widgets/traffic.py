"""What the last requests of a server tell: how many, how fast, how answered, and what was seen. No widgets here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from html import escape
from typing import Any

import numpy as np

from mlops_lab import show
from mlops_lab.serve.background import Exchange


@dataclass(frozen=True)
class Traffic:
    """The requests of the last seconds.

    Parameters
    ----------
    per_second
        Requests in a second, on average over the window.
    p50, p95
        Milliseconds that half of the requests, and 95 in 100, stayed below.
    statuses, routes
        How often each status was answered, and each request line came.
    history
        Requests in each second of the window, oldest first.
    total
        Requests in the window.
    classes
        How often each class was seen since the server started, by version.

    Examples
    --------
    >>> seen = Exchange("GET", "/models", 200, 1.5, 100, at=99.5)
    >>> Traffic.of([seen], now=100.0, window=10).per_second
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
        exchanges: Iterable[Exchange],
        *,
        now: float,
        window: int = 30,
        classes: Mapping[str, Mapping[str, int]] | None = None,
    ) -> Traffic:
        """Count the exchanges of the last ``window`` seconds before ``now``."""
        recent = [seen for seen in exchanges if 0 <= now - seen.at < window]
        milliseconds = [seen.milliseconds for seen in recent] or [0.0]
        ages = Counter(int(now - seen.at) for seen in recent)
        return cls(
            per_second=len(recent) / window,
            p50=float(np.percentile(milliseconds, 50)),
            p95=float(np.percentile(milliseconds, 95)),
            statuses=_counted(str(seen.status) for seen in recent),
            routes=_counted(f"{seen.method} {seen.path}" for seen in recent),
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
                ("requests a second", f"{self.per_second:.1f}"),
                ("half of them within", f"{self.p50:.1f} ms"),
                ("95 in 100 within", f"{self.p95:.1f} ms"),
            ]
        )
        statuses = [(show.Html(show.state(_kind(name), name)), number) for name, number in self.statuses.items()]
        routes = list(self.routes.items())[:6]
        return (
            '<div style="display: flex; flex-wrap: wrap; gap: 24px; align-items: flex-start; line-height: 1.3">'
            f"{numbers}{show.table(statuses, ('status', 'times'))}{show.table(routes, ('request', 'times'))}</div>"
            f"{columns(self.history)}"
            f'<div style="display: flex; flex-wrap: wrap; gap: 0 32px">'
            f"{''.join(histogram(version, counts) for version, counts in self.classes.items())}</div>"
        )


def _counted(words: Iterable[str]) -> dict[str, int]:
    return dict(Counter(words).most_common())


def _kind(status: str) -> str:
    return "ok" if status < "400" else "warning" if status < "500" else "error"


def histogram(version: str, counts: Mapping[str, int]) -> str:
    """Return how often a version saw each class, as bars; of many classes, the ten most frequent.

    Examples
    --------
    >>> "clothes v1 said, of 4 images" in histogram("clothes v1", {"Bag": 3, "Coat": 1})
    True
    """
    total = sum(counts.values())
    most = list(counts.items()) if len(counts) <= 12 else Counter(counts).most_common(10)
    labels, times = [label for label, _ in most], [number for _, number in most]
    longest = max(times)
    shares = [number / max(1, longest) for number in times]
    bars = show.bars(labels, shares, strongest=times.index(longest), words=[f"{number:,}" for number in times])
    title = f"{version} said, of {total:,} image{'' if total == 1 else 's'} so far"
    style = f"{show.FONT}; color: {show.TEXT}; font-weight: 600; margin: 10px 0 2px"
    return f'<div style="line-height: 1.3"><div style="{style}">{escape(title)}</div>{bars}</div>'


def columns(values: Sequence[int], *, width: int = 480, height: int = 60) -> str:
    """Return upright bars, one for each second, as SVG with a text that stands for it.

    Examples
    --------
    >>> columns([1, 2]).count("<rect")
    2
    """
    highest, step = max([1, *values]), width / max(1, len(values))
    bars = "".join(
        f'<rect x="{place * step + 1:.1f}" y="{height - height * value / highest:.1f}" width="{step - 2:.1f}" '
        f'height="{height * value / highest:.1f}" fill="{show.BAR}"/>'
        for place, value in enumerate(values)
    )
    words = f"Requests in each of the last {len(values)} seconds; the most in one second: {max([0, *values])}."
    return (
        f'<svg role="img" aria-label="{words}" width="{width}" height="{height}" style="border-bottom: 1px solid '
        f'{show.LINE}; margin-top: 8px">{bars}</svg><div style="{show.FONT}; color: {show.MUTED}">{words}</div>'
    )
