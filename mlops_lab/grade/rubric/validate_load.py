"""validate-6: load on a clock, against servers that are played: one that stalls, and one with a known capacity."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mlops_lab.grade.calls import Answer
from mlops_lab.grade.cases import Case
from mlops_lab.grade.exercises import Exercise, Hint
from mlops_lab.grade.rubric.shared import RAISES

# The server that stalls: asked RATE times a second for SECONDS, it answers nothing in the second from STALL on.
RATE, SECONDS, STALL = 40.0, 2.2, 0.6
LEAST = 0.8  # seconds of p99, at least
# The server with a capacity: in a run of SHORT seconds, waits grow by as much as is asked beyond it.
SHORT, LIMIT = 0.8, 0.8
CLOSE = 0.2

load = Exercise("validate-6", "Load, honestly", names=("open_loop", "highest_rate"), section="Notebook 5, section 6",
                hints={
    **RAISES,
    "waits": Hint("open_loop did not return a wait for each request.", "A list of seconds, one for each request."),
    "mean-only": Hint("{mean:.0f} ms on average; the slowest waited {most:.0f}.",
                      "A mean hides whoever waited: return every wait."),
})  # fmt: skip


@dataclass
class SimulatedServer:
    """A server in a function: requests are served one after the other, each in its time.

    Parameters
    ----------
    service
        Seconds that one request takes.
    stall
        Seconds after the first request in which it stops for one second; ``None``: it never does.
    """

    service: float
    stall: float | None = None
    arrivals: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    _free: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self) -> bool:
        """Answer one request, when its turn has come."""
        with self._lock:
            arrived = time.monotonic()
            self.arrivals.append(arrived)
            begin = max(arrived, self._free)
            if self.stall is not None:
                stopped = self.arrivals[0] + self.stall
                begin = stopped + 1 if stopped <= begin < stopped + 1 else begin
            self._free = done = begin + self.service
            self.waits.append(done - arrived)
        time.sleep(max(0.0, done - time.monotonic()))
        return True


def _waits(case: Case, value: Any, server: SimulatedServer) -> Any:
    mean, most = float(np.mean(server.waits or [0])), float(np.max(server.waits or [0]))
    if isinstance(value, int | float | np.number) and not isinstance(value, bool):
        key = "mean-only" if abs(float(value) - mean) < 0.05 else "waits"
        case.fail("open_loop returned one number.", hint=key, got=float(value), mean=1000 * mean, most=1000 * most,
                  expected="a wait for each request", received=value)  # fmt: skip
    try:
        found = np.asarray(value, dtype=np.float64).ravel()
    except (TypeError, ValueError):
        found = np.empty(0)
    case.expect(len(found), "open_loop returned no waits.", hint="waits", expected="seconds, one for each request",
                received=value)  # fmt: skip
    return found


@load.check("stall", "It sends on a clock, and p99 shows the stall, whoever waited for it", points=4, again=True,
            timeout=40, hints={
    "closed": Hint("p99 of {p99:.0f} ms with a stall of a second in it: while it stalled you did not ask.",
                   "Users do: their requests do not wait for the answers of others."),
    "clock": Hint("p99 of {p99:.0f} ms, and {shown:.0%} of the waits show the stall; about a fifth met it.",
                  "You measured the server and not the queue in front of it: start from when the request was due."),
    "faster": Hint("{early} requests came in the first {window:g} s, and {planned} were due.",
                   "The plan says when each is due; send none before."),
    "late": Hint("The waits are right, but {during} requests came while the server stalled, and {planned} were due.",
                 "A few connections cannot send on time: each request needs one when it is due."),
})  # fmt: skip
def shows_the_stall(answer: Answer, case: Case) -> None:
    server = SimulatedServer(0.002, STALL)
    returned = answer.open_loop(server.send, RATE, SECONDS)
    asked, sent = round(RATE * SECONDS), len(server.arrivals)
    case.expect(sent, "Nothing was sent.", expected=f"{asked} requests", received=0)
    waits = _waits(case, returned, server)
    after = np.array(server.arrivals) - server.arrivals[0]
    early, during = int((after < STALL).sum()), int(((after > STALL + 0.1) & (after < STALL + 0.9)).sum())
    p99, share = float(np.quantile(waits, 0.99)), float((waits > 0.4).mean())
    figures = {"p99": 1000 * p99, "shown": share, "early": early, "window": STALL, "during": during}
    seen = f"{sent} of {asked} requests, {during} during the stall; p99 {1000 * p99:.0f} ms, {share:.0%} above 0.4 s"
    case.note(seen)
    due = round(RATE * STALL)
    case.expect(early <= 1.5 * due + 3, "It sent faster than asked.", hint="faster", planned=due,
                expected=f"about {due} in the first {STALL:g} s", received=early, **figures)  # fmt: skip
    case.expect(0.9 * asked <= sent <= 1.1 * asked + 1, "Another number of requests was sent.",
                hint="closed" if sent < asked else "faster", planned=asked, expected=asked, received=seen,
                **figures)  # fmt: skip
    case.expect(p99 >= LEAST and share >= 0.1, "The stall hardly shows.", hint="clock",
                expected="p99 of at least 800 ms, some 25% above 0.4 s", received=seen, **figures)  # fmt: skip
    due = round(RATE * 0.8)
    case.expect(during >= 0.4 * due, "Hardly a request was sent while the server stalled.", hint="late", share=0.5,
                planned=due, expected=f"about {due}", received=during, **figures)  # fmt: skip


@load.check("rate", "The highest rate at which p99 stays under the limit, to 20%", points=2, again=True, timeout=120,
            after="stall", held_out=1, covers="a server with another capacity", hints={
    "mean": Hint("{got:.0f} requests a second: there the mean is under the limit, and p99 is {p99:.1f} s.",
                 "12 ms on average, and one in a hundred waited 900: ask what the slow ones waited."),
    "low": Hint("{got:.0f} requests a second; it bears {right:.0f}.", "Search on: from a rate that holds to one that "
                "does not, then between."),
    "high": Hint("{got:.0f} requests a second; it bears {right:.0f}.", "At that rate p99 is {p99:.1f} s."),
})  # fmt: skip
def highest(answer: Answer, case: Case) -> None:
    capacity = float(case.rng.integers(14, 19))
    server = SimulatedServer(1 / capacity)
    right, mean = capacity * (1 + LIMIT / SHORT), capacity * (1 + 2 * LIMIT / SHORT)
    got = _number(case, answer.highest_rate(server.send, LIMIT, SHORT))
    p99 = SHORT * max(0.0, got / capacity - 1)
    key = "low" if got < right else "mean" if abs(got / mean - 1) < CLOSE else "high"
    case.note(f"{len(server.arrivals)} requests were sent in the search")
    case.expect(abs(got / right - 1) <= CLOSE, "The rate is another.", hint=key, got=got, right=right, p99=p99,
                expected=f"{right:.0f} within 20%", received=f"{got:.1f}")  # fmt: skip


def _number(case: Case, value: Any) -> float:
    right = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    case.expect(right, "highest_rate returned no number.", expected="requests a second", received=value)
    return float(value)
