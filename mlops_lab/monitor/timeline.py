"""The accuracy by hour as a drawing: an SVG whose text says the same."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from mlops_lab import show

WIDTH, HEIGHT, LEFT, BOTTOM = 520, 170, 36, 24
MUTED, BAR, ERROR, TEXT = show.MUTED, show.BAR, show.STATES["error"][1], show.TEXT


@dataclass(frozen=True)
class Hour:
    """One hour of a version.

    ``start`` is in seconds since 1970; ``accuracy``, ``low`` and ``high`` are the estimate or what was measured, and
    ``None`` where there were too few predictions to say.
    """

    start: float
    predictions: int
    accuracy: float | None
    low: float | None
    high: float | None
    changed: bool
    harmful: bool

    @property
    def clock(self) -> str:
        """The hour, in UTC."""
        return time.strftime("%Y-%m-%d %H:%M", time.gmtime(self.start))


def draw(hours: Sequence[Hour], expected: float) -> str:
    """Return the accuracy of each hour as a point on its interval, beside the accuracy of the reference.

    Examples
    --------
    >>> draw([Hour(0.0, 400, 0.9, 0.85, 0.95, False, False)], 0.91).count("<circle")
    1
    """
    known = [(place, hour) for place, hour in enumerate(hours) if hour.accuracy is not None]
    step = (WIDTH - LEFT - 8) / max(1, len(hours))
    parts = [_axis(expected), *(_point(LEFT + (place + 0.5) * step, hour) for place, hour in known)]
    if hours:
        parts += [_label(LEFT, hours[0].clock, "start"), _label(WIDTH - 8, hours[-1].clock, "end")]
    words = _words(hours, expected)
    style = f"max-width: 100%; height: auto; {show.FONT}; color: {TEXT}"
    body = "".join(parts)
    box = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}"'
    return f'<svg role="img" aria-label="{words}" {box} style="{style}">{body}</svg>'


def _words(hours: Sequence[Hour], expected: float) -> str:
    known = [hour.accuracy for hour in hours if hour.accuracy is not None]
    harm = sum(hour.harmful for hour in hours)
    if not known:
        return f"{len(hours)} hours, none with enough predictions to estimate the accuracy."
    return (
        f"Accuracy in {len(known)} hours, from {min(known):.2f} to {max(known):.2f}; {expected:.2f} on the reference; "
        f"{harm} of the hours harmful."
    )


def _height(value: float) -> float:
    return 8 + (HEIGHT - BOTTOM - 8) * (1 - value)


def _axis(expected: float) -> str:
    style = f"fill: {MUTED}; font-size: 13px"
    lines = "".join(
        f'<line x1="{LEFT}" x2="{WIDTH - 8}" y1="{_height(v)}" y2="{_height(v)}" style="stroke: {show.LINE}"/>'
        f'<text x="{LEFT - 6}" y="{_height(v) + 4}" text-anchor="end" style="{style}">{v:.1f}</text>'
        for v in (0.0, 0.5, 1.0)
    )
    y = _height(expected)
    return lines + (
        f'<line x1="{LEFT}" x2="{WIDTH - 8}" y1="{y:.1f}" y2="{y:.1f}" stroke-dasharray="5 4" style="stroke: {TEXT}"/>'
    )


def _point(x: float, hour: Hour) -> str:
    """Return an hour: a disc where all is well, a cross where it hurts."""
    assert hour.accuracy is not None and hour.low is not None and hour.high is not None
    colour = ERROR if hour.harmful else BAR
    low, y, high = (_height(value) for value in (hour.low, hour.accuracy, hour.high))
    span = f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{high:.1f}" y2="{low:.1f}" style="stroke: {colour}; opacity: 0.5"/>'
    if not hour.harmful:
        return span + f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" style="fill: {colour}"/>'
    cross = f"M{x - 4:.1f} {y - 4:.1f}l8 8m0 -8l-8 8"
    return span + f'<path d="{cross}" style="stroke: {colour}; stroke-width: 2.5; fill: none"/>'


def _label(x: float, words: str, anchor: str) -> str:
    style = f"fill: {MUTED}; font-size: 13px"
    return f'<text x="{x:.0f}" y="{HEIGHT - 6}" text-anchor="{anchor}" style="{style}">{words} UTC</text>'
