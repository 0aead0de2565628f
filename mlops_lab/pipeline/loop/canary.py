"""A canary: a small share of the requests goes to the new version, until it is known whether it is worse."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mlops_lab.client import Client
from mlops_lab.data import Split
from mlops_lab.errors import GateFailed, LabError, NotFound, StoreError
from mlops_lab.monitor.log import PredictionLog
from mlops_lab.pipeline.loop.config import CanarySettings
from mlops_lab.store import ModelStore
from mlops_lab.store.routing import split_traffic
from mlops_lab.summary.window import UNKNOWN, Window

# A worse version is noticed at any look, and looking often is testing often.
WORSE = 0.01
SLOWER, MILLISECONDS = 3.0, 50.0
FEWEST = 10


@dataclass(frozen=True)
class ClientAnswer:
    """The outcome of one example that a client sent to the default address.

    Parameters
    ----------
    version
        Which answered; ``None`` where the request failed.
    right
        Whether it was right; ``None`` where nobody has judged it.
    milliseconds
        What the client waited.
    """

    version: int | None
    right: bool | None = None
    milliseconds: float = 0.0


# Returns what clients have seen since it was called last; it may send requests itself, or wait for those of others.
Traffic = Callable[[], Sequence[ClientAnswer]]


@dataclass(frozen=True)
class VersionResults:
    """The outcomes of one version, as clients saw them."""

    answered: int = 0
    judged: int = 0
    right: int = 0
    milliseconds: float = 0.0

    @property
    def accuracy(self) -> float:
        """The share of right answers among those that were judged."""
        return self.right / self.judged if self.judged else 0.0

    def add(self, one: ClientAnswer) -> VersionResults:
        """Return the tally with one more answer."""
        judged = one.right is not None
        spent = (self.milliseconds * self.answered + one.milliseconds) / (self.answered + 1)
        return VersionResults(self.answered + 1, self.judged + judged, self.right + bool(one.right), spent)


@dataclass(frozen=True)
class CanaryResult:
    """The result of a canary.

    Parameters
    ----------
    passed
        Whether the version may be promoted.
    reason
        Why.
    canary, production
        What clients have seen of both.
    failed
        Requests that got no answer while the canary was on.
    """

    passed: bool
    reason: str
    canary: VersionResults
    production: VersionResults
    failed: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        sides = {
            name: {**asdict(one), "accuracy": round(one.accuracy, 4), "milliseconds": round(one.milliseconds, 2)}
            for name, one in (("canary", self.canary), ("production", self.production))
        }
        return {"passed": self.passed, "reason": self.reason, "failed": self.failed, **sides}

    def __str__(self) -> str:
        return self.reason


def run_canary(
    store: ModelStore, name: str, version: int, traffic: Traffic, settings: CanarySettings | None = None,
    ready: Callable[[], None] = lambda: None,
) -> CanaryResult:  # fmt: skip
    """Give a version a share of the requests until it is known whether it is worse than production.

    The share ends whatever happens; the alias is not moved here.

    Parameters
    ----------
    store, name, version
        The version that is tried. Another one must be in production.
    traffic
        Returns what clients have seen since it was called last.
    settings
        The share, how many judged answers decide, and within which time.
    ready
        Returns once production shares its requests, so that no time is counted in which it does not.

    Raises
    ------
    GateFailed
        Nothing is in production, or the version itself is.
    """
    settings = settings or CanarySettings()
    before = store.aliases(name).get("production")
    if before is None or before == version:
        message = (
            f"{name} v{version} cannot be tried: production is {'none' if before is None else 'the version itself'}."
        )
        raise GateFailed(message, "A canary is tried against another version in production.")
    why = f"canary of v{version}"
    split_traffic(store, name, {before: 100 - settings.share, version: settings.share}, why=why)
    result = CanaryResult(False, "it was interrupted", VersionResults(), VersionResults(), 0)
    try:
        ready()
        end = time.monotonic() + settings.seconds
        while True:
            for one in traffic():
                result = _count(result, one, version)
            decided = judge(result, settings)
            if decided is not None:
                result = decided
                return result
            if time.monotonic() > end:
                seen = f"{result.canary.judged} of {settings.judged} answers were judged within {settings.seconds:g} s"
                result = replace(result, reason=f"{seen}: nobody knows whether v{version} is worse")
                return result
    finally:
        split_traffic(store, name, {}, why=f"{why}: {result.reason}")


def _count(result: CanaryResult, one: ClientAnswer, version: int) -> CanaryResult:
    if one.version is None:
        return replace(result, failed=result.failed + 1)
    if one.version == version:
        return replace(result, canary=result.canary.add(one))
    return replace(result, production=result.production.add(one))


def judge(result: CanaryResult, settings: CanarySettings) -> CanaryResult | None:
    """Return how a canary ends by what was seen so far; ``None`` where that is not known yet.

    Examples
    --------
    >>> tried = CanaryResult(False, "", VersionResults(60, 60, 20, 2.0), VersionResults(540, 540, 490, 2.0), 0)
    >>> judge(tried, CanarySettings()).reason
    '20 of 60 answers of the canary were right (0.33), 490 of 540 of production (0.91): it is worse'
    """
    from scipy.stats import hypergeom

    canary, production = result.canary, result.production
    seen = (
        f"{canary.right:,} of {canary.judged:,} answers of the canary were right ({canary.accuracy:.2f}), "
        f"{production.right:,} of {production.judged:,} of production ({production.accuracy:.2f})"
    )
    if min(canary.judged, production.judged) >= FEWEST:
        judged, right = canary.judged + production.judged, canary.right + production.right
        if float(hypergeom.cdf(canary.right, judged, right, canary.judged)) < WORSE:
            return replace(result, passed=False, reason=f"{seen}: it is worse")
    slow = SLOWER * production.milliseconds + MILLISECONDS
    if min(canary.answered, production.answered) >= FEWEST and canary.milliseconds > slow:
        text = (
            f"the canary takes {canary.milliseconds:.0f} ms, production {production.milliseconds:.0f} ms: it is slower"
        )
        return replace(result, passed=False, reason=text)
    if canary.judged < settings.judged or production.judged < FEWEST:
        return None
    return replace(result, passed=True, reason=f"{seen}: it is not worse")


def replay(url: str, name: str, split: Split, *, seed: int = 0, batch: int = 20, api_key: str | None = None) -> Traffic:
    """Return traffic that sends judged examples to the default address, each image in a request of its own.

    Parameters
    ----------
    url, name
        Of the server and the model.
    split
        Examples that no training has seen.
    seed
        Of their order.
    batch
        Requests in one call.
    """
    client = Client(url, api_key=api_key)
    places = _forever(len(split), np.random.default_rng(seed))

    def send() -> list[ClientAnswer]:
        return [_asked(client, name, split, next(places)) for _ in range(batch)]

    return send


def from_log(log: str | Path, name: str, versions: Sequence[int], *, pause: float = 2.0) -> Traffic:
    """Return traffic that waits for what users ask, and counts what people judge of it.

    Parameters
    ----------
    log
        The prediction log of production.
    name, versions
        The model, and the versions that answer.
    pause
        Seconds between two looks.
    """
    start = time.time()
    seen: set[tuple[int, float, bytes]] = set()

    def wait() -> list[ClientAnswer]:
        time.sleep(pause)
        found: list[ClientAnswer] = []
        for version in versions:
            window = _judged_since(log, name, version, start)
            if window is None:
                continue
            for place in range(len(window)):
                key = (version, float(window.times[place]), window.probabilities[place].tobytes())
                if key not in seen:
                    right = bool(window.classes[place] == window.truth[place])
                    found.append(ClientAnswer(version, right, 1000 * float(window.seconds[place])))
                seen.add(key)
        return found

    return wait


def _judged_since(log: str | Path, name: str, version: int, start: float) -> Window | None:
    try:
        with PredictionLog(log) as opened:
            window = opened.read(name, version, since=start)
    except (NotFound, StoreError):
        return None
    return window.take(window.truth != UNKNOWN)


def _asked(client: Client, name: str, split: Split, place: int) -> ClientAnswer:
    try:
        said = client.classify(name, "production", split.images[place])
    except LabError:
        return ClientAnswer(None)
    number = int(str(said.response["version"]).removeprefix("v"))
    return ClientAnswer(number, bool(said[0].class_index == split.labels[place]), said.milliseconds)


def _forever(count: int, random: np.random.Generator) -> Iterator[int]:
    while True:
        yield from random.permutation(count).tolist()
