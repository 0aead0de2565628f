"""A day of predictions in order: when an alarm rings, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from mlops_lab import show
from mlops_lab.errors import WrongUsage
from mlops_lab.monitor.reference import Reference
from mlops_lab.monitor.verdict import Verdict, compare
from mlops_lab.summary.summary import Summary, merge, summarise
from mlops_lab.summary.window import Window

SIZE = 200
# Looking often is testing often: an alarm needs so many looks in a row that say harm …
LOOKS = 2
# … or one that says more than this is lost: on images as they are, estimates of 200 lie within 8 points.
SEVERE = 0.1


@dataclass(frozen=True)
class Alarm:
    """One alarm.

    Parameters
    ----------
    place
        How many predictions had been seen.
    time
        When, in seconds since 1970.
    reason
        What the verdict said.
    verdict
        In full.
    """

    place: int
    time: float
    reason: str
    verdict: Verdict = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {"place": self.place, "time": self.time, "reason": self.reason, "verdict": self.verdict.to_dict()}

    def __str__(self) -> str:
        return f"alarm after {self.place:,} predictions: {self.reason}"

    def _repr_html_(self) -> str:
        return show.card(f"After {self.place:,} predictions", show.state("error", "alarm"), self.verdict._repr_html_())


@dataclass(frozen=True)
class Watched:
    """A stream that was watched: its alarms, and the verdict of every look."""

    predictions: int
    alarms: tuple[Alarm, ...]
    looks: tuple[tuple[int, Verdict], ...] = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        looks = [
            {
                "place": place,
                "accuracy": round(one.estimate.accuracy, 4),
                "changed": one.changed,
                "harmful": one.harmful,
            }
            for place, one in self.looks
        ]
        return {"predictions": self.predictions, "alarms": [one.to_dict() for one in self.alarms], "looks": looks}

    def __str__(self) -> str:
        head = f"{self.predictions:,} predictions, {len(self.alarms)} alarm{'' if len(self.alarms) == 1 else 's'}"
        return "\n".join([head, *(f"  {alarm}" for alarm in self.alarms)])

    def _repr_html_(self) -> str:
        state = show.state(
            "error" if self.alarms else "ok", f"{len(self.alarms)} alarms" if self.alarms else "no alarm"
        )
        rows = [(f"{alarm.place:,}", alarm.reason) for alarm in self.alarms]
        table = show.table(rows, ("after predictions", "why")) if rows else ""
        return show.card(f"{self.predictions:,} predictions watched", state, table)


def watch(reference: Reference, stream: Window, *, size: int = SIZE, every: int | None = None) -> Watched:
    """Look at a stream of predictions as it comes, and ring when it hurts.

    The last ``size`` predictions are compared with the reference each time that ``every`` new ones have come. An alarm
    rings when two looks in a row say harm, or one says that more than ten points of accuracy are lost; and again only
    after a look that said none.

    Parameters
    ----------
    reference
        Of the version.
    stream
        Predictions in order.
    size
        Predictions in a look.
    every
        By default a quarter of that.

    Raises
    ------
    WrongUsage
        The window is smaller than what a verdict needs.
    """
    if size < 50 or (every is not None and not 0 < every <= size):
        raise WrongUsage(f"A look of {size} predictions, every {every}, is too small.", "Take size=200, every=50.")
    alarms: list[Alarm] = []
    looks: list[tuple[int, Verdict]] = []
    harmful, ringing = 0, False
    for place, summary in _looks(reference, stream, size, every or max(1, size // 4)):
        verdict = compare(reference, summary)
        looks.append((place, verdict))
        harmful = harmful + 1 if verdict.harmful else 0
        severe = verdict.harmful and verdict.expected - verdict.estimate.accuracy > SEVERE
        if (severe or harmful >= LOOKS) and not ringing:
            alarms.append(Alarm(place, float(stream.times[place - 1]), verdict.reason, verdict))
            ringing = True
        ringing = ringing and verdict.harmful
    return Watched(len(stream), tuple(alarms), tuple(looks))


def _looks(reference: Reference, stream: Window, size: int, every: int) -> Iterator[tuple[int, Summary]]:
    """Yield the summary of the last predictions, each merged from steps, so that every prediction is counted once."""
    steps: list[Summary] = []
    for start in range(0, len(stream) - every + 1, every):
        steps.append(summarise(stream.take(slice(start, start + every)), reference.scale))
        steps = steps[-max(1, size // every) :]
        if len(steps) * every >= size - every + 1:
            yield start + every, merge(*steps)
