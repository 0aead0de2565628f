"""Load tests: how much a server answers, how fast, and whether anything fails.

Each client sends its next request when the last one is answered. So the load adapts to the server: what is measured is
what so many patient clients would see, not what happens to a crowd that does not wait.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import urllib3
from requests import PreparedRequest

from mlops_lab import show
from mlops_lab.errors import WrongUsage
from mlops_lab.serve.client import Client

MOST_CLIENTS = 256
MOST_SECONDS = 3600
NO_ANSWER = "no answer"


@dataclass(frozen=True)
class LoadTestConfig:
    """How much to ask, and what must come of it.

    Parameters
    ----------
    clients
        At the same time, each with a connection of its own; at most 256.
    seconds
        For how long; at most an hour.
    timeout
        Seconds after which a request counts as not answered.
    failed
        Share of the requests that may fail.
    milliseconds
        99 of 100 requests are answered in less.
    per_second
        At least so many are answered.

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

    def __post_init__(self) -> None:
        if not 1 <= self.clients <= MOST_CLIENTS or not 0 < self.seconds <= MOST_SECONDS or self.timeout <= 0:
            most = f"Take 1 to {MOST_CLIENTS} clients and up to {MOST_SECONDS} seconds."
            raise WrongUsage(f"{self.clients} clients for {self.seconds:g} s cannot be.", most)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


@dataclass(frozen=True)
class LoadResult:
    """What the clients saw.

    Parameters
    ----------
    url, plan
        Who was asked, and how much.
    seconds
        From the first request to the last answer.
    statuses
        How many answers of each status, ``"200"``; ``"no answer"`` where none came.
    p50, p95, p99, largest
        Milliseconds from sending a request to having read its answer, of the good ones.

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

    @property
    def requests(self) -> int:
        """How many were sent."""
        return sum(self.statuses.values())

    @property
    def failed(self) -> int:
        """How many were not answered with a status of success."""
        return sum(count for status, count in self.statuses.items() if not status.startswith("2"))

    @property
    def per_second(self) -> float:
        """Good answers a second."""
        return (self.requests - self.failed) / self.seconds if self.seconds else 0.0

    @property
    def unmet(self) -> tuple[str, ...]:
        """The limits of the plan that were not kept, each as a sentence."""
        plan, said = self.plan, []
        if self.failed > plan.failed * self.requests:
            errors = ", ".join(f"{status}: {n}" for status, n in self.statuses.items() if not status.startswith("2"))
            said.append(
                f"{self.failed} of {self.requests} requests failed ({errors}); allowed is a share of {plan.failed:g}"
            )
        if self.requests > self.failed and self.p99 > plan.milliseconds:
            said.append(f"p99 is {self.p99:.1f} ms; the limit is {plan.milliseconds:g} ms")
        if self.per_second < plan.per_second:
            said.append(f"{self.per_second:.1f} answers a second; at least {plan.per_second:g} are asked for")
        return tuple(said)

    @property
    def passed(self) -> bool:
        """Whether every limit was kept."""
        return not self.unmet

    @property
    def summary(self) -> str:
        """One line."""
        times = f"p50 {self.p50:.1f} ms, p95 {self.p95:.1f} ms, p99 {self.p99:.1f} ms"
        return f"{self.requests} requests, {self.failed} failed, {self.per_second:.0f} a second, {times}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        counted = {"requests": self.requests, "failed": self.failed, "per_second": round(self.per_second, 1)}
        return {"passed": self.passed, "unmet": list(self.unmet), "summary": self.summary, **counted, **asdict(self)}

    def __str__(self) -> str:
        head = f"{self.plan.clients} clients for {self.plan.seconds:g} s at {self.url}"
        return "\n".join(
            [head, f"  {self.summary}", f"  {listed(self.statuses)}", *(f"  unmet: {one}" for one in self.unmet)]
        )

    def _repr_html_(self) -> str:
        rows = [
            (
                "requests",
                f"{self.requests:,} ({', '.join(f'{word}: {count:,}' for word, count in self.statuses.items())})",
            ),
            ("answers a second", f"{self.per_second:.0f}"),
            *((name, f"{value:.1f} ms") for name, value in self._times()),
        ]
        outcome = show.state("ok", "all limits kept") if self.passed else show.state("error", "; ".join(self.unmet))
        title = f"{self.plan.clients} clients for {self.plan.seconds:g} s at {self.url}"
        return show.card(title, outcome, show.table(rows))

    def _times(self) -> list[tuple[str, float]]:
        return [("p50", self.p50), ("p95", self.p95), ("p99", self.p99), ("largest", self.largest)]


def listed(statuses: Mapping[str, int]) -> str:
    """Return counts in words.

    Examples
    --------
    >>> listed({"200": 990, "503": 10})
    '200: 990, 503: 10'
    """
    return ", ".join(f"{status}: {count}" for status, count in statuses.items())


@dataclass
class _Seen:
    """What one client notes; clients share nothing while they run."""

    statuses: Counter[str] = field(default_factory=Counter)
    milliseconds: list[float] = field(default_factory=list)


def measure_load(
    client: Client, name: str, version: int | str, images: Iterable[Any], plan: LoadTestConfig | None = None
) -> LoadResult:
    """Send images over and over from several clients, and count what comes back.

    Parameters
    ----------
    client
        Of the server: :class:`mlops_lab.serve.Client`.
    name, version
        Of the model, as for :meth:`mlops_lab.serve.Client.classify`.
    images
        What the requests hold in turn, each as for :meth:`mlops_lab.serve.Client.classify`.
    plan
        How many clients, for how long, and the limits.

    Returns
    -------
    LoadResult

    Raises
    ------
    LabError
        The server does not answer at all, or has no such version.

    Examples
    --------
    >>> from mlops_lab import data, serve
    >>> images = data.load("digits").test.images[:8]
    >>> with serve.start("models", name="example") as server:
    ...     measure_load(serve.Client(server), "digits", "v1", images, LoadTestConfig(clients=2, seconds=0.2)).failed
    0
    """
    plan = plan or LoadTestConfig()
    requests = [client.prepare(name, version, image) for image in images]
    if not requests:
        raise WrongUsage("There is nothing to send.", "Give at least one image.")
    seen = [_Seen() for _ in range(plan.clients)]
    started = time.perf_counter()
    threads = [
        threading.Thread(target=_send, args=(client.url, requests, place, plan, one), daemon=True)
        for place, one in enumerate(seen)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return _counted(client.url, plan, time.perf_counter() - started, seen)


def _counted(url: str, plan: LoadTestConfig, seconds: float, seen: Sequence[_Seen]) -> LoadResult:
    statuses: Counter[str] = sum((one.statuses for one in seen), Counter())
    taken = np.concatenate([np.array(one.milliseconds, dtype=float) for one in seen])
    times = np.percentile(taken, [50, 95, 99, 100]) if len(taken) else np.zeros(4)
    p50, p95, p99, largest = (round(float(value), 2) for value in times)
    return LoadResult(url, plan, round(seconds, 3), dict(sorted(statuses.items())), p50, p95, p99, largest)


def _send(url: str, requests: Sequence[PreparedRequest], place: int, plan: LoadTestConfig, seen: _Seen) -> None:
    """Be one client. The first requests of several clients differ, so that they do not move in step."""
    end = time.perf_counter() + plan.seconds
    with urllib3.connection_from_url(url, maxsize=1, timeout=plan.timeout, retries=False) as connection:
        while time.perf_counter() < end:
            request = requests[place % len(requests)]
            place += 1
            started = time.perf_counter()
            status = _status(connection, request)
            if status.startswith("2"):
                seen.milliseconds.append(1000 * (time.perf_counter() - started))
            elif status == NO_ANSWER:
                time.sleep(0.05)  # a server that is gone is not asked ten thousand times a second
            seen.statuses[status] += 1


def _status(connection: urllib3.HTTPConnectionPool, request: PreparedRequest) -> str:
    """Send one request and read its answer to the end."""
    try:
        answer = connection.urlopen(
            str(request.method), request.path_url, body=request.body, headers=dict(request.headers)
        )
        return str(answer.status)
    except urllib3.exceptions.HTTPError:
        return NO_ANSWER
