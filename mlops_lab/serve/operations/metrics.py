"""What Prometheus asks for at ``/metrics``.

A request only adds to plain lists under one lock; they become Prometheus' text when it asks. A label is never what a
client sent: routes are templates, methods and statuses come from short lists, models, versions and classes from what
is loaded. What is said about a version goes when the version goes.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVarTuple

from flask import Blueprint, Response, request
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder

import mlops_lab
from mlops_lab.predict import Prediction, Predictor
from mlops_lab.serve.batching import Batched
from mlops_lab.serve.operations import laps
from mlops_lab.serve.operations.gate import Gate
from mlops_lab.serve.operations.laps import STAGES, Laps
from mlops_lab.serve.registry import Registry

Told = TypeVarTuple("Told")
BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
MAX_CLASSES = 100  # of a model with more, the rest are counted together


@dataclass(slots=True)
class Histogram:
    """How many of what was measured fell below each of :data:`BUCKETS`.

    Examples
    --------
    >>> histogram = Histogram()
    >>> histogram.observe(0.0002)
    >>> histogram.cumulated()[:3]
    [('0.0001', 0.0), ('0.00025', 1.0), ('0.0005', 1.0)]
    """

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    total: float = 0.0

    def observe(self, seconds: float) -> None:
        """Count one measurement."""
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.total += seconds

    def cumulated(self) -> list[tuple[str, float]]:
        """Return the buckets as Prometheus takes them: each holds those below it as well."""
        sum_, found = 0, []
        for bound, count in zip([*map(str, BUCKETS), "+Inf"], self.counts, strict=True):
            sum_ += count
            found.append((bound, float(sum_)))
        return found


@dataclass(slots=True)
class Served:
    """What one version has answered."""

    stages: dict[str, Histogram] = field(default_factory=lambda: {stage: Histogram() for stage in STAGES})
    classes: Counter[str] = field(default_factory=Counter)


class Metrics:
    """The counts of one server; two servers in one process do not share any.

    Parameters
    ----------
    models
        Whose states are told, and whose names may be labels.
    gate
        Which knows what is in flight and what waits.

    Examples
    --------
    >>> from mlops_lab.serve import Limits
    >>> metrics = Metrics(Registry(), Gate(Limits()))
    >>> metrics.count("/models", "GET", 200, laps.begin())
    >>> 'route="/models"' in metrics.text()[0].decode()
    True
    """

    def __init__(self, models: Registry, gate: Gate) -> None:
        self._models = models
        self._gate = gate
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._seconds: dict[str, Histogram] = {}
        self._served: dict[tuple[str, int], Served] = {}
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def predicted(self, predictor: Predictor, images: Any, predictions: Sequence[Prediction]) -> None:
        """Note who answered and what; this is the moment at which computing ended."""
        watch = laps.current()
        with self._lock:
            if watch is not None:
                if watch.predictor not in (None, predictor):  # a chain: so far, it was the link before
                    self._flush(watch)
                    watch.seconds.clear()
                watch.lap("infer")
                watch.predictor = predictor
            classes = self._of(predictor).classes
            for prediction in predictions:
                place = prediction.class_index
                classes[prediction.label if place < MAX_CLASSES else "(other)"] += 1

    def count(self, route: str, method: str, status: int, watch: Laps) -> None:
        """Count a request that has been answered, and where its time went."""
        if watch.predictor is not None:
            watch.lap("encode")
        key = (route, method if method in METHODS else "other", status)
        with self._lock:
            self._requests[key] += 1
            seconds = self._seconds.get(route) or self._seconds.setdefault(route, Histogram())
            seconds.observe(watch.elapsed())
            self._flush(watch)

    def _flush(self, watch: Laps) -> None:
        """Tell a request's laps to the version that answered; the caller holds the lock."""
        if watch.predictor is not None:
            stages = self._of(watch.predictor).stages
            for stage, seconds in watch.seconds.items():
                stages[stage].observe(seconds)

    def _of(self, predictor: Predictor) -> Served:
        key = (predictor.name, predictor.version)
        return self._served.get(key) or self._served.setdefault(key, Served())

    def classes(self) -> dict[str, dict[str, int]]:
        """Return how often each class was seen, by version: ``{"clothes v1": {"Bag": 3, "Coat": 0}}``."""
        with self._lock:
            seen = {key: dict(served.classes) for key, served in self._served.items() if served.classes}
        return {f"{name} v{number}": self._in_order(name, number, counts) for (name, number), counts in seen.items()}

    def _in_order(self, name: str, number: int, counts: dict[str, int]) -> dict[str, int]:
        """All classes of a version in their order, also those that have not been seen."""
        entry = self._models.entries.get(name)
        loaded = entry.ready.get(number) if entry else None
        labels = loaded.labels[:MAX_CLASSES] if loaded else ()
        return {**dict.fromkeys(labels, 0), **counts}

    def text(self, accept: str = "") -> tuple[bytes, str]:
        """Return everything as Prometheus reads it, and the content type of that."""
        encoder, kind = choose_encoder(accept)
        return encoder(self._registry), kind

    def collect(self) -> Iterator[Metric]:
        """Yield every metric; ``prometheus_client`` calls this."""
        with self._lock:
            loaded = {
                (name, number) for name, entry in list(self._models.entries.items()) for number in list(entry.ready)
            }
            self._served = {key: served for key, served in self._served.items() if key in loaded}
            yield from self._about_requests()
            yield from self._about_versions()
        yield from self._about_batches()
        yield from self._about_now()

    def _about_requests(self) -> Iterator[Metric]:
        requests = CounterMetricFamily("mlops_lab_requests", "Requests answered.", labels=("route", "method", "status"))
        for (route, method, status), number in self._requests.items():
            requests.add_metric((route, method, str(status)), number)
        seconds = HistogramMetricFamily(
            "mlops_lab_request_seconds", "From the request's arrival to its answer.", labels=("route",)
        )
        for route, histogram in self._seconds.items():
            seconds.add_metric((route,), histogram.cumulated(), histogram.total)
        yield from (requests, seconds)

    def _about_versions(self) -> Iterator[Metric]:
        stages = HistogramMetricFamily(
            "mlops_lab_stage_seconds",
            "Where a prediction's time went: queue, decode, infer, encode.",
            labels=("model", "version", "stage"),
        )
        classes = CounterMetricFamily(
            "mlops_lab_predictions", "Images classified, by what was seen.", labels=("model", "version", "class")
        )
        for (name, number), served in self._served.items():
            for stage, histogram in served.stages.items():
                stages.add_metric((name, f"v{number}", stage), histogram.cumulated(), histogram.total)
            for label, times in served.classes.items():
                classes.add_metric((name, f"v{number}", label), times)
        yield from (stages, classes)

    def _about_batches(self) -> Iterator[Metric]:
        labels = ("model", "version")
        calls = CounterMetricFamily("mlops_lab_batches", "Batches computed.", labels=labels)
        examples = CounterMetricFamily("mlops_lab_batched_pictures", "Images in these batches.", labels=labels)
        for name, entry in list(self._models.entries.items()):
            for number, predictor in list(entry.ready.items()):
                if isinstance(predictor.engine, Batched):
                    calls.add_metric((name, f"v{number}"), predictor.engine.calls)
                    examples.add_metric((name, f"v{number}"), predictor.engine.examples)
        yield from (calls, examples)

    def _about_now(self) -> Iterator[Metric]:
        flying = GaugeMetricFamily("mlops_lab_in_flight", "Requests being answered now.", labels=("model",))
        waiting = GaugeMetricFamily("mlops_lab_waiting", "Requests waiting for their turn now.", labels=("model",))
        ready = GaugeMetricFamily(
            "mlops_lab_version_ready", "1 where the version answers, 0 where it failed.", labels=("model", "version")
        )
        for name, entry in list(self._models.entries.items()):
            lane = self._gate.lane(name)
            flying.add_metric((name,), lane.flying)
            waiting.add_metric((name,), len(lane.waiting))
            for version, state in entry.states().items():
                ready.add_metric((name, version), float(state == "ready"))
        about = GaugeMetricFamily("mlops_lab_build", "Of this server.", labels=("version",))
        about.add_metric((mlops_lab.__version__,), 1)
        yield from (flying, waiting, ready, about)


def then(first: Callable[[*Told], None], second: Callable[[*Told], None] | None) -> Callable[[*Told], None]:
    """Return a hook that calls one, then the other if there is one."""
    if second is None:
        return first

    def both(*told: *Told) -> None:
        first(*told)
        second(*told)

    return both


def blueprint(metrics: Metrics) -> Blueprint:
    """Return ``/metrics``, and the hooks that measure every request of the application."""
    routes = Blueprint("metrics", __name__)

    @routes.before_app_request
    def begin() -> None:
        laps.begin()

    @routes.after_app_request
    def count(response: Response) -> Response:
        watch = laps.current() or laps.begin()
        rule = request.url_rule
        metrics.count(rule.rule if rule else "(none)", request.method, response.status_code, watch)
        if watch.predictor is not None:
            spent = ", ".join([f"{stage};dur={1000 * seconds:.2f}" for stage, seconds in watch.seconds.items()])
            response.headers["Server-Timing"] = spent
        return response

    @routes.get("/metrics")
    def text() -> Response:
        body, kind = metrics.text(request.headers.get("Accept", ""))
        return Response(body, content_type=kind)

    return routes
