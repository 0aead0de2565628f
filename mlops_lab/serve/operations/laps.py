"""Where the time of a request goes: a stopwatch that travels with it, whatever protocol it came by."""

from __future__ import annotations

import time
from contextvars import ContextVar
from dataclasses import dataclass, field

from mlops_lab.predict import Predictor

STAGES = ("queue", "decode", "infer", "encode")


@dataclass(slots=True)
class Laps:
    """The stopwatch of one request.

    Parameters
    ----------
    started, last
        When the request began, and when its last lap ended, by ``time.perf_counter``.
    seconds
        What each stage took.
    predictor
        Who answered, once that is known.
    lane
        The model at whose gate the request holds a place.
    asked
        The model that a call over gRPC names.

    Examples
    --------
    >>> laps = begin()
    >>> lap("decode")
    >>> list(laps.seconds)
    ['decode']
    """

    started: float
    last: float
    seconds: dict[str, float] = field(default_factory=dict)
    predictor: Predictor | None = None
    lane: str | None = None
    asked: str = ""

    def lap(self, stage: str, now: float | None = None) -> None:
        """End a stage, by default now: what has passed since the last lap was spent in it."""
        now = time.perf_counter() if now is None else now
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self.last
        self.last = now

    def elapsed(self) -> float:
        """Return the seconds since the request began."""
        return time.perf_counter() - self.started


_current: ContextVar[Laps | None] = ContextVar("mlops_lab_laps", default=None)


def begin() -> Laps:
    """Start the stopwatch of the request that this thread answers from now on."""
    now = time.perf_counter()
    laps = Laps(now, now)
    _current.set(laps)
    return laps


def current() -> Laps | None:
    """Return the stopwatch of the request that this thread answers, if it answers one."""
    return _current.get()


def end() -> Laps | None:
    """Return the stopwatch and forget it: a thread that rests must not keep the memory of a version that goes."""
    laps = _current.get()
    _current.set(None)
    return laps


def lap(stage: str) -> None:
    """End a stage of this thread's request; outside a request, do nothing."""
    laps = _current.get()
    if laps is not None:
        laps.lap(stage)
