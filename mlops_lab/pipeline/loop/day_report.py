"""The picture of a simulated production: its accuracy by hour, who answered, and what happened when."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from html import escape
from typing import Any

from mlops_lab import show
from mlops_lab.pipeline.loop.history import PAGE, LoopRun


@dataclass(frozen=True)
class Hour:
    """One hour of production.

    Parameters
    ----------
    start
        In seconds since 1970.
    world
        What customers sent: ``"as before"``, ``"masks"`` or ``"black"``.
    requests, right, failed
        How many images were asked about, how many answers were right, and how many requests were not answered.
    served
        How many images each version answered.
    estimate, low, high
        The accuracy as the monitor saw it, and its interval; ``None`` where nobody looked.
    action
        What the loop did about it.
    """

    start: float
    world: str
    requests: int
    right: int
    failed: int
    served: Mapping[int, int]
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    action: str = ""

    @property
    def accuracy(self) -> float:
        """The share of right answers, which the simulation knows and the monitor does not."""
        return self.right / self.requests if self.requests else 0.0

    @property
    def clock(self) -> str:
        """The day and the hour."""
        return time.strftime("%a %H:%M", time.gmtime(self.start))


@dataclass(frozen=True)
class Event:
    """Something that happened: its time in seconds since 1970, its kind in words, and more about it."""

    time: float
    kind: str
    text: str

    @property
    def clock(self) -> str:
        """The day and the hour."""
        return time.strftime("%a %H:%M", time.gmtime(self.time))


@dataclass(frozen=True)
class Day:
    """The report of a simulated production.

    Parameters
    ----------
    name
        The model.
    hours
        The hours in which the shop was open.
    events
        What happened, in order.
    runs
        The runs of the loop.
    seconds
        What the simulation took.
    """

    name: str
    hours: tuple[Hour, ...] = field(repr=False)
    events: tuple[Event, ...] = field(repr=False)
    runs: tuple[LoopRun, ...] = field(repr=False)
    seconds: float = 0.0

    @property
    def failed(self) -> int:
        """The number of requests that were not answered."""
        return sum(one.failed for one in self.hours)

    @property
    def versions(self) -> tuple[int, ...]:
        """The versions that have answered, in order."""
        return tuple(sorted({number for one in self.hours for number in one.served}))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "name": self.name,
            "failed": self.failed,
            "versions": list(self.versions),
            "seconds": round(self.seconds, 1),
            "hours": [{**asdict(one), "accuracy": round(one.accuracy, 4)} for one in self.hours],
            "events": [asdict(one) for one in self.events],
        }

    def __str__(self) -> str:
        lines = [
            f"{one.clock}  {one.world:10} {one.accuracy:.2f} right  "
            + ", ".join(f"v{number} {count}" for number, count in sorted(one.served.items()))
            for one in self.hours
        ]
        events = [f"{one.clock}  {one.kind}: {one.text}" for one in self.events]
        asked = sum(one.requests for one in self.hours)
        return "\n".join([*lines, "", *events, f"{asked:,} images, {self.failed} failed; {self.seconds:.0f} s"])

    def draw(self) -> str:
        """Return the picture as SVG, in the colours of the page that it stands on."""
        return draw(self)

    def page(self) -> str:
        """Return one HTML file for light and dark."""
        return PAGE.format(title=escape(f"Two days in production of {self.name}"), body=self._repr_html_())

    def _repr_html_(self) -> str:
        asked = sum(one.requests for one in self.hours)
        state = show.state("error" if self.failed else "ok", f"{self.failed} of {asked:,} images got no answer")
        rows = [(str(place), one.clock, one.kind, one.text) for place, one in enumerate(self.events, start=1)]
        title = f"Two days in production of {self.name}, simulated in {self.seconds:.0f} s"
        return show.card(title, state, self.draw(), show.table(rows, ("", "when", "what", "more")))


WIDTH, LEFT, RIGHT, TOP, PLOT = 700, 44, 12, 46, 190
BAND, BOTTOM = 16, 74
# A line cannot inherit its colour as text does.
TEXT = "var(--jp-content-font-color1, currentColor)"
WORLDS = {
    "masks": ("var(--jp-warn-color1, #b26a00)", "masks"),
    "black": (show.STATES["error"][1], "black"),
}
FILLS = (show.MUTED, show.BAR, show.STATES["ok"][1])


def draw(day: Day) -> str:
    """Return the accuracy by hour, what the monitor made of it, the versions that answered, and the events."""
    step = (WIDTH - LEFT - RIGHT) / max(1, len(day.hours))
    parts = [*_worlds(day, step), *_axes(day, step), *_versions(day, step), *_legend(day), *_line(day, step)]
    body = "".join([*parts, *_events(day, step)])
    height = TOP + PLOT + BAND + BOTTOM
    words = escape("; ".join(f"{one.clock} {one.kind}" for one in day.events), quote=True)
    label = f"Accuracy of {day.name} by hour over two days. {words}"
    style = f"max-width: 100%; height: auto; {show.FONT}; color: {show.TEXT}"
    box = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}"'
    return f'<svg role="img" aria-label="{label}" {box} style="{style}">{body}</svg>'


def _y(value: float) -> float:
    return TOP + PLOT * (1 - value)


def _text(x: float, y: float, words: str, *, anchor: str = "middle", colour: str = show.MUTED, size: int = 12) -> str:
    style = f"fill: {colour}; font-size: {size}px"
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" style="{style}">{escape(words)}</text>'


def _rule(start: tuple[float, float], end: tuple[float, float], colour: str, more: str = "") -> str:
    (x1, y1), (x2, y2) = start, end
    places = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {places} style="stroke: {colour}; {more}"/>'


def _box(x: float, y: float, width: float, height: float, colour: str, opacity: float) -> str:
    places = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'<rect {places} style="fill: {colour}; opacity: {opacity}"/>'


def _dot(x: float, y: float) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" style="fill: {show.BAR}"/>'


def _worlds(day: Day, step: float) -> list[str]:
    """Return a ground for each stretch of hours in which customers sent something else."""
    parts, start = [], 0
    for place in range(1, len(day.hours) + 1):
        if place < len(day.hours) and day.hours[place].world == day.hours[start].world:
            continue
        if day.hours and day.hours[start].world in WORLDS:
            colour, words = WORLDS[day.hours[start].world]
            x = LEFT + start * step
            parts.append(_box(x, TOP, (place - start) * step, PLOT, colour, 0.12))
            parts.append(_text(x + 4, TOP + PLOT - 6, words, anchor="start", colour=colour))
        start = place
    return parts


def _axes(day: Day, step: float) -> list[str]:
    parts = []
    for value in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(_rule((LEFT, _y(value)), (WIDTH - RIGHT, _y(value)), show.LINE))
        parts.append(_text(LEFT - 6, _y(value) + 4, f"{value:g}", anchor="end"))
    bottom, before = TOP + PLOT + BAND, -1
    for place, hour in enumerate(day.hours):
        clock, x = time.gmtime(hour.start), LEFT + place * step
        if clock.tm_hour % 2 == 0:
            parts.append(_text(x, bottom + 20, str(clock.tm_hour)))
        if clock.tm_yday != before:
            parts.append(_text(x, bottom + 38, time.strftime("%A", clock), anchor="start", colour=TEXT))
            parts.append(_rule((x, TOP), (x, bottom + 26), show.LINE))
        before = clock.tm_yday
    return parts


def _colour(number: int) -> str:
    return FILLS[(number - 1) % len(FILLS)]


def _versions(day: Day, step: float) -> list[str]:
    """Return, below the plot, which version answered what part of each hour."""
    parts = [_text(LEFT - 6, TOP + PLOT + 15, "version", anchor="end", size=10)]
    for place, hour in enumerate(day.hours):
        top, total = float(TOP + PLOT + 3), max(1, sum(hour.served.values()))
        for number, count in sorted(hour.served.items()):
            height = BAND * count / total
            parts.append(_box(LEFT + place * step, top, step - 0.5, height, _colour(number), 0.75))
            top += height
    return parts


def _legend(day: Day) -> list[str]:
    y, x = TOP + PLOT + BAND + 58, float(WIDTH - RIGHT)
    parts = []
    for number in reversed(day.versions):
        parts += [_text(x, y, f"v{number}", anchor="end"), _box(x - 32, y - 9, 11, 11, _colour(number), 0.75)]
        x -= 48
    parts += [_rule((LEFT, y - 4), (LEFT + 22, y - 4), TEXT, "stroke-width: 2")]
    parts += [_text(LEFT + 28, y, "true accuracy", anchor="start")]
    parts += [_rule((LEFT + 130, y - 12), (LEFT + 130, y + 2), show.BAR, "opacity: 0.6"), _dot(LEFT + 130, y - 5)]
    return [*parts, _text(LEFT + 140, y, "what the monitor knew, with its interval", anchor="start")]


def _line(day: Day, step: float) -> list[str]:
    points = [(LEFT + (place + 0.5) * step, _y(hour.accuracy)) for place, hour in enumerate(day.hours)]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    parts = [f'<polyline points="{path}" style="fill: none; stroke: {TEXT}; stroke-width: 2"/>']
    for (x, _), hour in zip(points, day.hours, strict=True):
        if hour.estimate is not None and hour.low is not None and hour.high is not None:
            parts.append(_rule((x, _y(hour.high)), (x, _y(hour.low)), show.BAR, "opacity: 0.6"))
            parts.append(_dot(x, _y(hour.estimate)))
    return parts


def _events(day: Day, step: float) -> list[str]:
    """Return a numbered mark for each event; the numbers are those of the table below the picture."""
    parts: list[str] = []
    taken: list[float] = []
    for number, event in enumerate(day.events, start=1):
        x = LEFT + step * sum(hour.start < event.time for hour in day.hours)
        level = sum(abs(x - other) < 17 for other in taken)
        taken.append(x)
        x, y = x + 18 * (level // 2), TOP - 10 - 18 * (level % 2)
        parts.append(_rule((x, y + 8), (x, TOP + PLOT), show.MUTED, "stroke-dasharray: 3 3"))
        parts.append(f'<circle cx="{x:.1f}" cy="{y}" r="8.5" style="fill: none; stroke: {TEXT}"/>')
        parts.append(_text(x, y + 4, str(number), colour=TEXT))
    return parts
