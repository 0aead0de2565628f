"""Canary and shadow: two versions behind the default address, without a cluster.

A request that names no version (``/models/clothes``, or the alias ``production``) may be answered by a canary, by
weight; the same request id always meets the same version. A shadow version gets a copy in the background; its answers
are compared and never sent. Whoever names a version gets that version.
"""

from __future__ import annotations

import hashlib
import json
import logging
import queue
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from flask import Blueprint
from numpy.typing import NDArray

from mlops_lab.errors import WrongUsage
from mlops_lab.predict import Predictor, from_probabilities
from mlops_lab.provenance import utc_now
from mlops_lab.serve.registry import Entry, Registry
from mlops_lab.store.routing import TrafficSettings

WAITING = 32  # requests that may wait for the shadow; the next ones are dropped and counted
LAST = 10
MAX_LABELS = 100
DEFAULT_WORDS = ("", "production")
_log = logging.getLogger("mlops_lab.serve")

OnShadow = Callable[[dict[str, Any]], None]


@dataclass
class Tally:
    """What one version has answered from the default address."""

    requests: int = 0
    images: int = 0
    confidence: float = 0.0
    milliseconds: float = 0.0
    labels: Counter[str] = field(default_factory=Counter)

    def add(self, rows: NDArray[Any], labels: Sequence[str], milliseconds: float) -> None:
        """Count one request."""
        self.requests += 1
        self.images += len(rows)
        self.milliseconds += milliseconds
        if len(rows):
            self.confidence += float(rows.max(axis=1).sum())
            self.labels.update(labels[place] for place in rows.argmax(axis=1) if place < MAX_LABELS)

    def to_dict(self) -> dict[str, Any]:
        """Return the means."""
        return {
            "requests": self.requests,
            "images": self.images,
            "mean_confidence": round(self.confidence / self.images, 4) if self.images else None,
            "mean_milliseconds": round(self.milliseconds / self.requests, 3) if self.requests else None,
            "labels": dict(self.labels.most_common()),
        }


@dataclass
class Counts:
    """What happened at a model's default address since its settings changed."""

    settings: TrafficSettings
    served: dict[int, Tally] = field(default_factory=dict)
    compared: int = 0
    images: int = 0
    agreed: int = 0
    dropped: int = 0
    failed: int = 0
    unlogged: int = 0
    reason: str = ""
    last: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=LAST))


class Copy(NamedTuple):
    """A request that was answered, for the shadow to answer as well."""

    counts: Counts
    shadow: Predictor
    served: Predictor
    images: Any
    rows: NDArray[Any]
    milliseconds: float
    request_id: str


@dataclass(frozen=True, eq=False)
class Routed(Predictor):
    """The version that one request was given; tells the traffic what it answered."""

    note: Callable[[Any, NDArray[Any], float], None] = field(default=lambda images, rows, spent: None, repr=False)

    def probabilities(self, images: Sequence[NDArray[Any]] | NDArray[Any]) -> NDArray[np.float32]:
        """Return what the version answers, and note it."""
        started = time.perf_counter()
        rows = super().probabilities(images)
        self.note(images, rows, 1000 * (time.perf_counter() - started))
        return rows


class Traffic:
    """Who answers the default address of each model.

    Parameters
    ----------
    registry
        Where the models and their settings are.
    on_shadow
        Gets each comparison: a function of one dictionary, or a file that gets one line of JSON each.

    Examples
    --------
    >>> Traffic(Registry()).find("clothes", "v1", "an id")  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    UnknownModel: There is no model 'clothes'. There are none yet.
    """

    def __init__(self, registry: Registry, on_shadow: OnShadow | str | PathLike[str] | None = None) -> None:
        self._registry = registry
        self._write = _to_file(Path(on_shadow)) if isinstance(on_shadow, str | PathLike) else on_shadow
        self._lock = threading.Lock()
        self._counts: dict[str, Counts] = {}
        self._copies: queue.Queue[Copy] = queue.Queue(WAITING)
        self._thread: threading.Thread | None = None

    def find(self, name: str, version: str, request_id: str) -> Predictor:
        """Return who answers a request: what :meth:`Registry.get` returns, unless a canary or a shadow has its part."""
        entry = self._registry.entries.get(name)
        found = entry.words.get(version) if entry is not None else None
        if entry is None or found is None:
            return self._registry.get(name, version)  # which says what is wrong
        settings = entry.traffic
        if settings is None or version not in DEFAULT_WORDS:
            return found
        return self._routed(name, entry, settings, request_id)

    def _routed(self, name: str, entry: Entry, settings: TrafficSettings, request_id: str) -> Predictor:
        chosen = choose(entry, settings, f"{name}:{request_id}")
        counts = self._counted(name, settings)
        shadow = entry.ready.get(settings.shadow or 0)

        def note(images: Any, rows: NDArray[Any], spent: float) -> None:
            with self._lock:
                counts.served.setdefault(chosen.version, Tally()).add(rows, chosen.labels, spent)
            if shadow is not None and shadow is not chosen:
                self._hand_over(Copy(counts, shadow, chosen, images, rows, spent, request_id))

        one = chosen
        return Routed(one.name, one.version, one.input, one.labels, one.engine, one.info, note)

    def about(self, name: str) -> dict[str, Any]:
        """Return the settings of a model's default address, and what came of them."""
        entry = self._registry.entry(name)
        default = entry.words.get("")
        settings = entry.traffic
        told: dict[str, Any] = {"model": name, "default": f"v{default.version}" if default else None}
        told |= {"canary": None, "shadow": None} | (settings.to_dict() if settings else {})
        told["state"] = _state(entry, settings)
        if entry.traffic_wrong:
            told["problem"] = f"What is on disk now was refused: {entry.traffic_wrong}"
        if settings is not None:
            with self._lock:
                told |= _results(self._counted_locked(name, settings), self._copies.qsize())
        return told

    def settle(self, seconds: float = 10.0) -> bool:
        """Wait until the shadow has answered what waits for it, and tell whether it has."""
        deadline = time.monotonic() + seconds
        while self._copies.unfinished_tasks and time.monotonic() < deadline:
            time.sleep(0.005)
        return not self._copies.unfinished_tasks

    def _counted(self, name: str, settings: TrafficSettings) -> Counts:
        with self._lock:
            return self._counted_locked(name, settings)

    def _counted_locked(self, name: str, settings: TrafficSettings) -> Counts:
        counts = self._counts.get(name)
        if counts is None or counts.settings != settings:
            counts = self._counts[name] = Counts(settings)
        return counts

    def _hand_over(self, copy: Copy) -> None:
        """Queue a copy, or drop it: the request never waits."""
        try:
            self._copies.put_nowait(copy)
        except queue.Full:
            with self._lock:
                copy.counts.dropped += 1
            return
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="mlops-lab-shadow", daemon=True)
                    self._thread.start()

    def _run(self) -> None:
        while True:
            copy = self._copies.get()
            try:
                self._compare(copy)
            except Exception as error:  # whatever the shadow does is its own trouble
                with self._lock:
                    copy.counts.failed += 1
                    copy.counts.reason = f"{type(error).__name__}: {error}"[:300]
            finally:
                del copy  # so that a version that was removed goes
                self._copies.task_done()

    def _compare(self, copy: Copy) -> None:
        if copy.shadow.input != copy.served.input:
            raise ValueError(f"v{copy.shadow.version} does not take what v{copy.served.version} takes")
        started = time.perf_counter()
        rows = copy.shadow.probabilities(copy.images)
        line = side_by_side(copy, rows, 1000 * (time.perf_counter() - started))
        counts = copy.counts
        with self._lock:
            counts.compared += 1
            counts.images += len(line["agree"])
            counts.agreed += sum(line["agree"])
            counts.last.append(line)
        try:
            if self._write is not None:
                self._write(line)
        except Exception as error:  # a full disk, or a hook of somebody else's
            _log.warning("a comparison of %s could not be logged: %s", line["model"], error)
            with self._lock:
                counts.unlogged += 1


def choose(entry: Entry, settings: TrafficSettings, key: str) -> Predictor:
    """Return the version for a request: by weight, and always the same one for the same key."""
    default = entry.words[""]
    shares = [(number, weight) for number, weight in settings.canary if weight and number in entry.ready]
    if not shares or not _in_force(entry, settings):
        return default
    digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
    point = int.from_bytes(digest, "big") % sum(weight for _, weight in shares)
    ends = accumulate(weight for _, weight in shares)
    return entry.ready[next(number for (number, _), end in zip(shares, ends, strict=True) if point < end)]


def side_by_side(copy: Copy, rows: NDArray[Any], milliseconds: float) -> dict[str, Any]:
    """Return both versions' answers to one request, as the log holds them."""
    served, shadow = copy.served, copy.shadow
    answers = [from_probabilities(part, who.labels) for part, who in ((copy.rows, served), (rows, shadow))]
    told = [
        {
            "version": f"v{who.version}",
            "milliseconds": round(spent, 3),
            "predictions": [{"label": one.label, "confidence": one.confidence} for one in found],
        }
        for who, spent, found in zip((served, shadow), (copy.milliseconds, milliseconds), answers, strict=True)
    ]
    line: dict[str, Any] = {"time": utc_now(), "request_id": copy.request_id, "model": served.name}
    line |= {"served": told[0], "shadow": told[1]}
    line["agree"] = [one.label == other.label for one, other in zip(*answers, strict=True)]
    if served.labels == shadow.labels and len(rows):
        line["largest_difference"] = round(float(np.abs(copy.rows - rows).max()), 6)
    return line


def _in_force(entry: Entry, settings: TrafficSettings) -> bool:
    return settings.production in (None, entry.aliases.get("production"))


def _state(entry: Entry, settings: TrafficSettings | None) -> str:
    if settings is None:
        return "the default version answers alone"
    parts = []
    if settings.canary and not _in_force(entry, settings):
        parts.append(f"the canary is over: production is no longer v{settings.production}")
    elif settings.canary:
        parts.append("the canary takes its share")
    wanted = {number for number, _ in settings.canary} | ({settings.shadow} - {None})
    parts += [f"v{number} is not ready" for number in sorted(wanted - set(entry.ready), key=str)]
    if settings.shadow in entry.ready:
        parts.append(f"v{settings.shadow} gets copies")
    return "; ".join(parts)


def _results(counts: Counts, waiting: int) -> dict[str, Any]:
    shadowed = {
        "compared": counts.compared,
        "images": counts.images,
        "agreed": counts.agreed,
        "agreement": round(counts.agreed / counts.images, 4) if counts.images else None,
        "dropped": counts.dropped,
        "failed": counts.failed,
        "unlogged": counts.unlogged,
        "reason": counts.reason,
        "waiting": waiting,
        "last": list(counts.last),
    }
    return {"served": {f"v{n}": tally.to_dict() for n, tally in sorted(counts.served.items())}, "shadowed": shadowed}


def _to_file(path: Path) -> OnShadow:
    try:
        path.open("ab").close()  # what is wrong is said now, not at the first comparison
    except OSError as error:
        raise WrongUsage(f"{path} cannot be written: {error.strerror}.", "Name a file in a folder of yours.") from error

    def write(line: dict[str, Any]) -> None:
        with path.open("ab") as file:  # one write call, so the lines of two processes do not mix
            file.write(json.dumps(line).encode() + b"\n")

    return write


def blueprint(traffic: Traffic) -> Blueprint:
    """Return the route that tells how the versions compare."""
    routes = Blueprint("traffic", __name__)

    @routes.get("/models/<name>/traffic")
    def about(name: str) -> dict[str, Any]:
        return traffic.about(name)

    return routes
