"""Canary and shadow deployments: two versions behind the default address, without a cluster.

A request that names no version (``/models/clothes``, or the alias ``production``) may be answered by a canary, by
weight; the same request id always reaches the same version. A shadow version gets a copy of the request in the
background; its answers are compared and never sent. A request that names a version gets that version.
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
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlops_lab import tensors
from mlops_lab.answers import LabelSet, Prediction, Score, Value, agree, classes_of, from_outputs, from_probabilities
from mlops_lab.errors import WrongUsage
from mlops_lab.predict import Predictor
from mlops_lab.provenance import utc_now
from mlops_lab.serve.core.limits import Limits
from mlops_lab.serve.core.registry import ModelEntry, Registry
from mlops_lab.serve.core.watchdog import WATCHDOG

MAX_QUEUED = 32  # requests that may wait for the shadow; the next ones are dropped and counted
KEPT_COMPARISONS = 10
MAX_LABELS = 100
DEFAULT_VERSIONS = ("", "production")
if TYPE_CHECKING:
    from mlops_lab.store.routing import TrafficSettings

_log = logging.getLogger("mlops_lab.serve")

# The model input of a request and the rows of its answer: arrays of a plain classifier, by name of any other model.
ModelInputs = NDArray[Any] | dict[str, NDArray[Any]]
ModelOutputs = ModelInputs
OnShadow = Callable[[dict[str, Any]], None]


@dataclass
class VersionStats:
    """Statistics of what one version answered at the default address."""

    requests: int = 0
    images: int = 0
    classified: int = 0
    confidence: float = 0.0
    milliseconds: float = 0.0
    labels: Counter[str] = field(default_factory=Counter)

    def add(self, rows: ModelOutputs, predictor: Predictor, milliseconds: float, answers: Sequence[Any]) -> None:
        """Count one request; ``answers`` are what the rows of any other model than a plain classifier say."""
        self.requests += 1
        self.milliseconds += milliseconds
        if isinstance(rows, dict):
            self.images += len(answers)
            confidences = [answer.confidence for answer in answers if isinstance(answer, Prediction)]
            self.classified += len(confidences)
            self.confidence += sum(confidences)
            names = (name for answer in answers for name in classes_of(answer))
            self.labels.update(name for name in names if name in self.labels or len(self.labels) < MAX_LABELS)
            return
        self.images += len(rows)
        self.classified += len(rows)
        if len(rows):
            labels = predictor.labels
            self.confidence += float(rows.max(axis=1).sum())
            self.labels.update(labels[place] for place in rows.argmax(axis=1) if place < MAX_LABELS)

    def to_dict(self) -> dict[str, Any]:
        """Return the means."""
        return {
            "requests": self.requests,
            "images": self.images,
            "mean_confidence": round(self.confidence / self.classified, 4) if self.classified else None,
            "mean_milliseconds": round(self.milliseconds / self.requests, 3) if self.requests else None,
            "labels": dict(self.labels.most_common()),
        }


@dataclass
class RouteStats:
    """Statistics of a model's default address since its settings changed."""

    settings: TrafficSettings
    served: dict[int, VersionStats] = field(default_factory=dict)
    compared: int = 0
    images: int = 0
    agreed: int = 0
    dropped: int = 0
    failed: int = 0
    unlogged: int = 0
    reason: str = ""
    last: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=KEPT_COMPARISONS))


class ShadowRequest(NamedTuple):
    """A request that was answered, to be answered by the shadow as well."""

    stats: RouteStats
    shadow: Predictor
    served: Predictor
    tensor: ModelInputs
    rows: ModelOutputs
    milliseconds: float
    request_id: str


class Route(NamedTuple):
    """The version that answers one request, and a function that records its answer, if anything is to be recorded."""

    predictor: Predictor
    record: Callable[[Any, Any, float, Sequence[Any]], None] | None = None


class TrafficRouter:
    """Chooses the version that answers each request, and records how canary and shadow compare.

    Parameters
    ----------
    registry
        The models and their settings.
    on_shadow
        Called with each comparison, a dictionary; or a file that gets one line of JSON each.
    seconds
        Time that a shadow may take for one request.

    Examples
    --------
    >>> TrafficRouter(Registry()).route("clothes", "v1", "an id")  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    UnknownModel: There is no model 'clothes'. There are none yet.
    """

    def __init__(
        self,
        registry: Registry,
        on_shadow: OnShadow | str | PathLike[str] | None = None,
        seconds: float = Limits.request_seconds,
    ) -> None:
        self._registry = registry
        self._seconds = seconds
        self._write = _to_file(Path(on_shadow)) if isinstance(on_shadow, str | PathLike) else on_shadow
        self._lock = threading.Lock()
        self._stats: dict[str, RouteStats] = {}
        self._shadowed: queue.Queue[ShadowRequest] = queue.Queue(MAX_QUEUED)
        self._thread: threading.Thread | None = None

    def route(self, name: str, version: str, request_id: str) -> Route:
        """Return the version that answers a request: that of :meth:`Registry.get`, or by weight a canary."""
        entry = self._registry.entries.get(name)
        if entry is None or entry.traffic is None or version not in DEFAULT_VERSIONS or not entry.by_version:
            return Route(self._registry.get(name, version))
        return self._shared_route(name, entry, entry.traffic, request_id)

    def _shared_route(self, name: str, entry: ModelEntry, settings: TrafficSettings, request_id: str) -> Route:
        chosen = choose(entry, settings, f"{name}:{request_id}") or self._registry.get(name)
        shadow = entry.loaded.get(settings.shadow or 0)
        stats = self._stats_of(name, settings)

        def record(tensor: ModelInputs, rows: ModelOutputs, milliseconds: float, answers: Sequence[Any]) -> None:
            with self._lock:
                stats.served.setdefault(chosen.version, VersionStats()).add(rows, chosen, milliseconds, answers)
            if shadow is not None and shadow is not chosen:
                self._submit(ShadowRequest(stats, shadow, chosen, tensor, rows, milliseconds, request_id))

        return Route(chosen, record)

    def about(self, name: str) -> dict[str, Any]:
        """Return the settings of a model's default address, and the statistics since they were set."""
        entry = self._registry.entry(name)
        default = entry.by_version.get("")
        settings = entry.traffic
        described: dict[str, Any] = {"model": name, "default": f"v{default}" if default else None}
        described |= {"canary": None, "shadow": None} | (settings.to_dict() if settings else {})
        described["state"] = _state(entry, settings)
        if entry.traffic_error:
            described["problem"] = f"What is on disk now was refused: {entry.traffic_error}"
        if settings is not None:
            stats = self._stats_of(name, settings)
            with self._lock:
                described |= _results(stats, self._shadowed.qsize())
        return described

    def settle(self, seconds: float = 10.0) -> bool:
        """Wait until the shadow has answered what waits for it, and tell whether it has."""
        deadline = time.monotonic() + seconds
        while self._shadowed.unfinished_tasks and time.monotonic() < deadline:
            time.sleep(0.005)
        return not self._shadowed.unfinished_tasks

    def _stats_of(self, name: str, settings: TrafficSettings) -> RouteStats:
        with self._lock:
            stats = self._stats.get(name)
            if stats is None or stats.settings != settings:
                stats = self._stats[name] = RouteStats(settings)
            return stats

    def _submit(self, copy: ShadowRequest) -> None:
        """Queue a request for the shadow, or drop it: the request itself never waits."""
        try:
            self._shadowed.put_nowait(copy)
        except queue.Full:
            with self._lock:
                copy.stats.dropped += 1
            return
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="mlops-lab-shadow", daemon=True)
                    self._thread.start()

    def _run(self) -> None:
        while True:
            copy = self._shadowed.get()
            try:
                self._compare(copy)
            except Exception as error:  # a failing shadow never affects the answer
                with self._lock:
                    copy.stats.failed += 1
                    copy.stats.reason = f"{type(error).__name__}: {error}"[:300]
            finally:
                del copy  # so that a version that was removed goes
                self._shadowed.task_done()

    def _compare(self, copy: ShadowRequest) -> None:
        shadow, served = copy.shadow.signature, copy.served.signature
        if shadow.inputs != served.inputs:
            raise ValueError(f"v{copy.shadow.version} does not take what v{copy.served.version} takes")
        if shadow.is_classifier != served.is_classifier:
            raise ValueError(f"v{copy.shadow.version} does not answer what v{copy.served.version} answers")
        started = time.perf_counter()
        sent = copy.tensor
        with WATCHDOG.watching(copy.shadow, self._seconds):
            rows = tensors.run(copy.shadow, sent) if isinstance(sent, dict) else copy.shadow.infer(sent)
        line = side_by_side(copy, rows, 1000 * (time.perf_counter() - started))
        stats = copy.stats
        with self._lock:
            stats.compared += 1
            stats.images += len(line["agree"])
            stats.agreed += sum(line["agree"])
            stats.last.append(line)
        try:
            if self._write is not None:
                self._write(line)
        except Exception as error:  # a full disk, or a hook of somebody else's
            _log.warning("a comparison of %s could not be logged: %s", line["model"], error)
            with self._lock:
                stats.unlogged += 1


def choose(entry: ModelEntry, settings: TrafficSettings, key: str) -> Predictor | None:
    """Return the canary for a request, by weight and always the same one for the same key; None without a canary."""
    shares = [(number, weight) for number, weight in settings.canary if weight and number in entry.loaded]
    if not shares or not _in_force(entry, settings):
        return None
    digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
    point = int.from_bytes(digest, "big") % sum(weight for _, weight in shares)
    ends = accumulate(weight for _, weight in shares)
    return entry.loaded[next(number for (number, _), end in zip(shares, ends, strict=True) if point < end)]


def side_by_side(copy: ShadowRequest, rows: ModelOutputs, milliseconds: float) -> dict[str, Any]:
    """Return the answers of both versions to one request, as the log holds them."""
    served, shadow = copy.served, copy.shadow
    answers = [_answers(part, one) for part, one in ((copy.rows, served), (rows, shadow))]
    sides = [
        {
            "version": f"v{one.version}",
            "milliseconds": round(spent, 3),
            "predictions": [_shown(item) for item in found],
        }
        for one, spent, found in zip((served, shadow), (copy.milliseconds, milliseconds), answers, strict=True)
    ]
    line: dict[str, Any] = {
        "time": utc_now(),
        "request_id": copy.request_id,
        "model": served.name,
    }
    line |= {"served": sides[0], "shadow": sides[1]}
    line["agree"] = [agree(one, other) for one, other in zip(*answers, strict=True)]
    largest = _largest_difference(copy.rows, rows) if served.labels == shadow.labels else None
    if largest is not None:
        line["largest_difference"] = round(largest, 6)
    return line


def _answers(rows: ModelOutputs, predictor: Predictor) -> list[Any]:
    if isinstance(rows, dict):
        return from_outputs(rows, predictor.signature)
    return list(from_probabilities(rows, predictor.labels))


def _shown(answer: Any) -> dict[str, Any]:
    """Return what a line of the log holds of an answer: numbers, and a vector or a mask in words."""
    if isinstance(answer, Prediction):
        return {"label": answer.label, "confidence": answer.confidence}
    if isinstance(answer, LabelSet | Value | Score):
        return answer.to_dict()
    return {"answer": str(answer)}


def _largest_difference(one: ModelOutputs, other: ModelOutputs) -> float | None:
    """Return the largest difference between two answers' numbers; None where they cannot be compared."""
    lefts, rights = _by_name(one), _by_name(other)
    differences = [
        float(np.abs(left.astype(np.float64) - rights[name].astype(np.float64)).max())
        for name, left in lefts.items()
        if name in rights and left.shape == rights[name].shape and left.size and left.dtype.kind in "fiub"
    ]
    return max(differences) if len(differences) == len(lefts) else None


def _by_name(rows: ModelOutputs) -> dict[str, NDArray[Any]]:
    return rows if isinstance(rows, dict) else {"": rows}


def _in_force(entry: ModelEntry, settings: TrafficSettings) -> bool:
    return settings.production in (None, entry.aliases.get("production"))


def _state(entry: ModelEntry, settings: TrafficSettings | None) -> str:
    if settings is None:
        return "the default version answers alone"
    parts = []
    if settings.canary and not _in_force(entry, settings):
        parts.append(f"the canary is over: production is no longer v{settings.production}")
    elif settings.canary:
        parts.append("the canary takes its share")
    wanted = {number for number, _ in settings.canary} | ({settings.shadow} - {None})
    parts += [f"v{number} is not ready" for number in sorted(wanted - set(entry.loaded), key=str)]
    if settings.shadow in entry.loaded:
        parts.append(f"v{settings.shadow} gets copies")
    return "; ".join(parts)


def _results(stats: RouteStats, waiting: int) -> dict[str, Any]:
    shadowed = {
        "compared": stats.compared,
        "images": stats.images,
        "agreed": stats.agreed,
        "agreement": round(stats.agreed / stats.images, 4) if stats.images else None,
        "dropped": stats.dropped,
        "failed": stats.failed,
        "unlogged": stats.unlogged,
        "reason": stats.reason,
        "waiting": waiting,
        "last": list(stats.last),
    }
    return {"served": {f"v{n}": stats.to_dict() for n, stats in sorted(stats.served.items())}, "shadowed": shadowed}


def _to_file(path: Path) -> OnShadow:
    try:
        path.open("ab").close()  # an unwritable file is an error now, not at the first comparison
    except OSError as error:
        raise WrongUsage(f"{path} cannot be written: {error.strerror}.", "Name a file in a folder of yours.") from error

    def write(line: dict[str, Any]) -> None:
        with path.open("ab") as file:  # one write call, so the lines of two processes do not mix
            file.write(json.dumps(line).encode() + b"\n")

    return write
