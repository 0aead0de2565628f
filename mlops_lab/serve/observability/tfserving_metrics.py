"""TensorFlow Serving's own metrics at its own address, so that dashboards made for it go on working.

They count requests of its protocol, over REST and gRPC. ``/metrics`` counts everything.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest

from mlops_lab.serve.core.registry import Registry

PATH = "/monitoring/prometheus/metrics"
BUCKETS = tuple(10 * 1.8**power for power in range(33))  # microseconds
# gRPC's names for the HTTP status codes of this server; 501 is for methods it does not offer.
STATUS_NAMES = {
    200: "OK",
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    404: "NOT_FOUND",
    413: "INVALID_ARGUMENT",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class TFServingMetrics:
    """The metrics of one server under TensorFlow Serving's names.

    Parameters
    ----------
    registry
        The models, whose names may be labels; requests for others are counted without a name.

    Examples
    --------
    >>> metrics = TFServingMetrics(Registry())
    >>> metrics.count("clothes", "predict", "REST", 404, 0.001)
    >>> ':tensorflow:serving:request_count{model_name="",status="NOT_FOUND"} 1.0' in metrics.text()
    True
    """

    def __init__(self, registry: Registry) -> None:
        self._models = registry
        self._registry = CollectorRegistry()
        # A gauge, because the counters of prometheus_client end in "_total" and TensorFlow Serving's does not.
        self._requests = Gauge(
            ":tensorflow:serving:request_count", "Requests", ("model_name", "status"), registry=self._registry
        )
        self._latency = Histogram(
            ":tensorflow:serving:request_latency",
            "Microseconds",
            ("model_name", "API", "entrypoint"),
            buckets=BUCKETS,
            registry=self._registry,
        )

    def count(self, model: str, api: str, entrypoint: str, status: int, seconds: float) -> None:
        """Count a request, and its time where it was answered."""
        name = model if model in self._models.entries else ""
        self._requests.labels(name, STATUS_NAMES.get(status, "INTERNAL")).inc()
        if status == 200:
            self._latency.labels(name, api, entrypoint).observe(1e6 * seconds)

    def text(self) -> str:
        """Return everything in the text format of Prometheus."""
        return generate_latest(self._registry).decode()
