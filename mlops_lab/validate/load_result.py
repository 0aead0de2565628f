"""The settings of a load test, and its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from mlops_lab import show
from mlops_lab.errors import WrongUsage
from mlops_lab.validate import drawing
from mlops_lab.validate.schedule import due_times

MOST_CLIENTS = 256
MOST_SECONDS = 3600
MOST_RATE = 20_000
# A generator that is later than this share of p99 has measured itself; so little is never late.
MOST_LATE, NEVER_LATE = 0.1, 1.0


@dataclass(frozen=True)
class LoadTestConfig:
    """The load, and the limits that must be kept under it.

    Parameters
    ----------
    clients
        Number of concurrent clients of a closed load, each with a connection of its own; at most 256. Of an open load,
        the number of connections, 256 whatever is given here.
    seconds
        Duration; at most an hour.
    timeout
        Seconds after which a request counts as not answered.
    failed
        The largest accepted share of failed requests.
    milliseconds
        The largest accepted 99th percentile of the waits.
    per_second
        The lowest accepted number of answers a second.
    rate
        Requests a second of an open load, whether or not answers came; 0 for a closed load.
    shape
        Of an open load: ``"steady"``, ``"ramp"``, ``"spike"``, ``"steps"`` or ``"soak"``.

    Examples
    --------
    >>> LoadTestConfig(clients=8, seconds=2).timeout
    10.0
    """

    clients: int = 4
    seconds: float = 5.0
    timeout: float = 10.0
    failed: float = 0.0
    milliseconds: float = 500.0
    per_second: float = 10.0
    rate: float = 0.0
    shape: str = "steady"

    def __post_init__(self) -> None:
        if not 1 <= self.clients <= MOST_CLIENTS or not 0 < self.seconds <= MOST_SECONDS or self.timeout <= 0:
            most = f"Take 1 to {MOST_CLIENTS} clients and up to {MOST_SECONDS} seconds."
            raise WrongUsage(f"{self.clients} clients for {self.seconds:g} s cannot be.", most)
        if not 0 <= self.rate <= MOST_RATE:
            raise WrongUsage(f"{self.rate:g} requests a second cannot be.", f"Take up to {MOST_RATE}, or 0.")
        due_times(1, 1, self.shape)

    @property
    def title(self) -> str:
        """The load in words."""
        if not self.rate:
            return f"{self.clients} clients for {self.seconds:g} s"
        return f"{self.rate:g} requests a second ({self.shape}) for {self.seconds:g} s"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


@dataclass(frozen=True)
class LoadResult:
    """The result of a load test.

    Parameters
    ----------
    url, plan
        The server, and the load.
    seconds
        From the first request to the last answer.
    statuses
        Number of answers of each status, ``"200"``; ``"no answer"`` where none came.
    p50, p95, p99, largest
        Milliseconds to the end of a good answer: from when its request was due in an open load, from when it was sent
        in a closed one.
    p99_9
        The same, exceeded by one in a thousand.
    lateness
        The 99th percentile of how late the generator itself sent requests, in milliseconds.
    most_in_flight
        The largest number of requests that waited for their answers at the same time.
    timeline
        For each of twenty slices of time: seconds, requests due a second, good answers a second, p99 in ms.

    Examples
    --------
    >>> result = LoadResult("http://a", LoadTestConfig(), 5.0, {"200": 990, "503": 10}, 4.0, 9.0, 20.0, 31.0)
    >>> result.passed, result.unmet
    (False, ('10 of 1000 requests failed (503: 10); allowed is a share of 0',))
    """

    url: str
    plan: LoadTestConfig
    seconds: float
    statuses: dict[str, int]
    p50: float
    p95: float
    p99: float
    largest: float
    p99_9: float = 0.0
    lateness: float = 0.0
    most_in_flight: int = 0
    timeline: tuple[tuple[float, float, float, float], ...] = field(default=(), repr=False)

    @property
    def requests(self) -> int:
        """Number of requests that were sent."""
        return sum(self.statuses.values())

    @property
    def failed(self) -> int:
        """Number of requests that were not answered with a status of success."""
        return sum(count for status, count in self.statuses.items() if not status.startswith("2"))

    @property
    def per_second(self) -> float:
        """Good answers a second."""
        return (self.requests - self.failed) / self.seconds if self.seconds else 0.0

    @property
    def unmet(self) -> tuple[str, ...]:
        """The limits that were not kept, each as a sentence."""
        plan, unmet = self.plan, []
        if self.failed > plan.failed * self.requests:
            errors = ", ".join(f"{status}: {n}" for status, n in self.statuses.items() if not status.startswith("2"))
            unmet.append(
                f"{self.failed} of {self.requests} requests failed ({errors}); allowed is a share of {plan.failed:g}"
            )
        if self.requests > self.failed and self.p99 > plan.milliseconds:
            unmet.append(f"p99 is {self.p99:.1f} ms; the limit is {plan.milliseconds:g} ms")
        if self.per_second < plan.per_second:
            unmet.append(f"{self.per_second:.1f} answers a second; at least {plan.per_second:g} are asked for")
        return tuple(unmet)

    @property
    def on_schedule(self) -> bool:
        """Whether the generator kept its clock well enough for its figures to be the server's."""
        return self.lateness <= max(MOST_LATE * self.p99, NEVER_LATE)

    @property
    def verdict(self) -> str:
        """``"passed"``, ``"failed"``, or ``"no verdict"`` where the generator was late by more than a tenth of p99."""
        if not self.on_schedule:
            return "no verdict"
        return "failed" if self.unmet else "passed"

    @property
    def passed(self) -> bool:
        """Whether every limit was kept, and the generator kept its clock."""
        return self.verdict == "passed"

    @property
    def reason(self) -> str:
        """Why there is no pass; empty where there is one."""
        late = f"the generator was late by {self.lateness:.1f} ms at p99, more than a tenth of the server's p99"
        return "; ".join(self.unmet if self.on_schedule else (f"no verdict: {late}", *self.unmet))

    @property
    def summary(self) -> str:
        """One line."""
        times = f"p50 {self.p50:.1f} ms, p95 {self.p95:.1f} ms, p99 {self.p99:.1f} ms"
        return f"{self.requests} requests, {self.failed} failed, {self.per_second:.0f} a second, {times}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        counted = {"requests": self.requests, "failed": self.failed, "per_second": round(self.per_second, 1)}
        decided = {"passed": self.passed, "verdict": self.verdict, "unmet": list(self.unmet), "reason": self.reason}
        timeline = [list(one) for one in self.timeline]
        return {**decided, "summary": self.summary, **counted, **asdict(self), "timeline": timeline}

    def __str__(self) -> str:
        rows = [f"{self.plan.title} at {self.url}", f"  {self.summary}, p99.9 {self.p99_9:.1f} ms"]
        rows.append(f"  {listed(self.statuses)}; at most {self.most_in_flight} in flight")
        if self.plan.rate:
            rows.append(f"  the generator was late by {self.lateness:.1f} ms at p99")
        late = [] if self.on_schedule else [f"  {self.reason.split(';')[0]}"]
        return "\n".join([*rows, *(f"  unmet: {one}" for one in self.unmet), *late])

    def _repr_html_(self) -> str:
        rows = [
            ("requests", f"{self.requests:,} ({listed(self.statuses)})"),
            ("answers a second", f"{self.per_second:.0f}"),
            *((name, f"{value:.1f} ms") for name, value in self._times()),
            ("at most in flight", self.most_in_flight),
            ("lateness of the generator, p99", f"{self.lateness:.1f} ms"),
        ]
        kinds = {"passed": ("ok", "all limits kept"), "failed": ("error", self.reason)}
        kind, words = kinds.get(self.verdict, ("warning", self.reason))
        title = f"{self.plan.title} at {self.url}"
        return show.card(title, show.state(kind, words), show.table(rows), self.draw())

    def draw(self) -> str:
        """Return the test over time as SVG: what was asked for, what was answered, and the waits."""
        if not self.timeline:
            return ""
        seconds, due, answered, waits = (list(column) for column in zip(*self.timeline, strict=True))
        asked = [("asked for", due)] if self.plan.rate else []
        label = f"{self.summary}: requests a second over time"
        rates = drawing.lines(seconds, [*asked, ("answered", answered)], ("seconds", "requests a second"), label)
        label = f"p99 over time, at most {max(waits):.0f} ms"
        axes = ("seconds", "milliseconds, logarithmic")
        return rates + drawing.lines(seconds, [("p99", waits)], axes, label, logarithmic=True)

    def _times(self) -> list[tuple[str, float]]:
        names = ("p50", "p95", "p99", "p99_9", "largest")
        return [(name.replace("_", "."), getattr(self, name)) for name in names]


def listed(statuses: Mapping[str, int]) -> str:
    """Return counts in words.

    Examples
    --------
    >>> listed({"200": 990, "503": 10})
    '200: 990, 503: 10'
    """
    return ", ".join(f"{status}: {count}" for status, count in statuses.items())
