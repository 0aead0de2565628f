"""The metrics at ``/metrics``, for Prometheus.

A request only adds to plain lists under one lock; they become text when Prometheus scrapes them. A label never holds
what a client sent: routes are templates, methods and status codes come from short lists, models, versions and classes
from what is loaded. The series of a version end when the version is unloaded.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

import mlops_lab
from mlops_lab.answers import classes_of
from mlops_lab.predict import Predictor
from mlops_lab.serve.core.admission import AdmissionController
from mlops_lab.serve.core.inference import Inference
from mlops_lab.serve.core.registry import Registry
from mlops_lab.serve.core.timing import STAGES, RequestContext

BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
MAX_CLASSES = 100  # the other classes of a model are counted together


@dataclass(slots=True)
class Histogram:
    """A histogram over :data:`BUCKETS`.

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
        """Return the buckets as Prometheus takes them, each including those below it."""
        sum_, found = 0, []
        for bound, count in zip([*map(str, BUCKETS), "+Inf"], self.counts, strict=True):
            sum_ += count
            found.append((bound, float(sum_)))
        return found


@dataclass(slots=True)
class VersionMetrics:
    """Time by stage, and predictions by class, of one version."""

    stages: dict[str, Histogram] = field(default_factory=lambda: {stage: Histogram() for stage in STAGES})
    classes: Counter[str] = field(default_factory=Counter)


class Metrics:
    """The metrics of one server; two servers in one process share none.

    Parameters
    ----------
    registry
        The models, whose names may be labels.
    admission
        Knows how many requests are in flight and waiting.

    Examples
    --------
    >>> from mlops_lab.serve import Limits
    >>> metrics = Metrics(Registry(), AdmissionController(Limits()))
    >>> metrics.count("/models", "GET", 200, RequestContext.begin())
    >>> 'route="/models"' in metrics.text()[0].decode()
    True
    """

    def __init__(self, registry: Registry, admission: AdmissionController) -> None:
        self._models = registry
        self._admission = admission
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._seconds: dict[str, Histogram] = {}
        self._versions: dict[tuple[str, int], VersionMetrics] = {}
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def add(self, collector: Collector) -> None:
        """Show what another part of the server counts, too."""
        self._registry.register(collector)

    def predicted(self, inference: Inference) -> None:
        """Count the classes that a version answered; a model that answers numbers alone has none."""
        if inference.outputs is not None:
            return self._count_answers(inference.predictor, inference.answers)
        labels = inference.predictor.labels
        with self._lock:
            classes = self._of(inference.predictor).classes
            for index in inference.rows.argmax(axis=1).tolist():
                known = index < min(MAX_CLASSES, len(labels))
                classes[labels[index] if known else str(index) if index < MAX_CLASSES else "(other)"] += 1

    def _count_answers(self, predictor: Predictor, answers: Iterable[Any]) -> None:
        names = [name for answer in answers for name in classes_of(answer)]
        with self._lock:
            classes = self._of(predictor).classes
            for name in names:
                classes[name if name in classes or len(classes) < MAX_CLASSES else "(other)"] += 1

    def count(self, route: str, method: str, status: int, context: RequestContext) -> None:
        """Count a request that has been answered, and record the time of its stages."""
        key = (route, method if method in METHODS else "other", status)
        with self._lock:
            self._requests[key] += 1
            histogram = self._seconds.get(route) or self._seconds.setdefault(route, Histogram())
            histogram.observe(context.elapsed())
            for part in (context, *context.links):
                if part.predictor is not None:
                    stages = self._of(part.predictor).stages
                    for stage, seconds in part.stages.items():
                        stages[stage].observe(seconds)

    def _of(self, predictor: Predictor) -> VersionMetrics:
        key = (predictor.name, predictor.version)
        return self._versions.get(key) or self._versions.setdefault(key, VersionMetrics())

    def classes(self) -> dict[str, dict[str, int]]:
        """Return how often each class was seen, by version: ``{"clothes v1": {"Bag": 3, "Coat": 0}}``."""
        with self._lock:
            seen = {key: dict(served.classes) for key, served in self._versions.items() if served.classes}
        return {f"{name} v{number}": self._in_order(name, number, counts) for (name, number), counts in seen.items()}

    def _in_order(self, name: str, number: int, counts: dict[str, int]) -> dict[str, int]:
        """All classes of a version in their order, also those that have not been seen."""
        entry = self._models.entries.get(name)
        loaded = entry.loaded.get(number) if entry else None
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
                (name, number) for name, entry in list(self._models.entries.items()) for number in list(entry.loaded)
            }
            self._versions = {key: served for key, served in self._versions.items() if key in loaded}
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
            "Time of a prediction by stage: queue, decode, infer, encode.",
            labels=("model", "version", "stage"),
        )
        classes = CounterMetricFamily(
            "mlops_lab_predictions", "Images classified, by class.", labels=("model", "version", "class")
        )
        for (name, number), served in self._versions.items():
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
            for number, predictor in list(entry.loaded.items()):
                counts = getattr(predictor.engine, "batch_counts", None)  # an engine that computes in batches
                if counts is not None:
                    calls.add_metric((name, f"v{number}"), counts.calls)
                    examples.add_metric((name, f"v{number}"), counts.examples)
        yield from (calls, examples)

    def _about_now(self) -> Iterator[Metric]:
        in_flight = GaugeMetricFamily("mlops_lab_in_flight", "Requests being answered now.", labels=("model",))
        waiting = GaugeMetricFamily("mlops_lab_waiting", "Requests waiting in the queue now.", labels=("model",))
        overdue = GaugeMetricFamily(
            "mlops_lab_overdue",
            "Requests past their deadline that still compute, and keep their place.",
            labels=("model",),
        )
        ready = GaugeMetricFamily(
            "mlops_lab_version_ready", "1 where the version answers, 0 where it failed.", labels=("model", "version")
        )
        for name, entry in list(self._models.entries.items()):
            queue = self._admission.queue(name)
            in_flight.add_metric((name,), queue.in_flight)
            waiting.add_metric((name,), len(queue.waiting))
            overdue.add_metric((name,), queue.overdue)
            for version, state in entry.states().items():
                ready.add_metric((name, version), float(state in ("ready", "not loaded")))
        about = GaugeMetricFamily("mlops_lab_build", "The version of this server.", labels=("version",))
        about.add_metric((mlops_lab.__version__,), 1)
        yield from (in_flight, waiting, overdue, ready, about)
