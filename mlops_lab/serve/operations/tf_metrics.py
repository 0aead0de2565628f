"""TensorFlow Serving's own metrics at its own address, so that dashboards made for it go on working.

They count what came by its protocol, over REST and gRPC. ``/metrics`` counts everything.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator

from flask import Blueprint, Response, request

from mlops_lab.serve.operations import laps
from mlops_lab.serve.operations.laps import Laps
from mlops_lab.serve.registry import Registry
from mlops_lab.serve.rpc.call import STATUSES

PATH = "/monitoring/prometheus/metrics"
BUCKETS = tuple(10 * 1.8**power for power in range(33))  # microseconds
COUNT, LATENCY = ":tensorflow:serving:request_count", ":tensorflow:serving:request_latency"


class TfMetrics:
    """The counts of one server.

    Parameters
    ----------
    models
        Whose names may be labels; what was asked of others is counted without a name.

    Examples
    --------
    >>> metrics = TfMetrics(Registry())
    >>> metrics.note("clothes", "predict", "REST", 404, 0.001)
    >>> metrics.text().splitlines()[1]
    ':tensorflow:serving:request_count{model_name="",status="NOT_FOUND"} 1'
    """

    def __init__(self, models: Registry) -> None:
        self._models = models
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, str]] = Counter()
        self._places: dict[tuple[str, str, str], Counter[int]] = {}
        self._sums: Counter[tuple[str, str, str]] = Counter()

    def note(self, model: str, api: str, entrypoint: str, status: int, seconds: float) -> None:
        """Count a request; its time only where it was answered."""
        name = model if model in self._models.entries else ""
        word = "OK" if status == 200 else STATUSES.get(status, ("INTERNAL", 13))[0]
        key = (name, api, entrypoint)
        with self._lock:
            self._requests[name, word] += 1
            if status == 200:
                places = self._places.get(key) or self._places.setdefault(key, Counter())
                places[bisect_left(BUCKETS, 1e6 * seconds)] += 1
                self._sums[key] += round(1e6 * seconds)

    def called(self, path: str, method: str, status: int, watch: Laps) -> None:
        """Count a call over gRPC, if it is one of TensorFlow Serving's that asks a model."""
        _, service, name = path.split("/")
        if service == "tensorflow.serving.PredictionService":
            self.note(watch.asked, name, "GRPC", status, watch.elapsed())

    def text(self) -> str:
        """Return everything as Prometheus reads it, with the names that TensorFlow Serving has for it."""
        with self._lock:
            return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        yield f"# TYPE {COUNT} counter"
        for (name, word), number in self._requests.items():
            yield f'{COUNT}{{model_name="{name}",status="{word}"}} {number}'
        yield f"# TYPE {LATENCY} histogram"
        for key, places in self._places.items():
            labels, below = 'model_name="{}",API="{}",entrypoint="{}"'.format(*key), 0
            for place, bound in enumerate([*(f"{bucket:g}" for bucket in BUCKETS), "+Inf"]):
                below += places[place]
                yield f'{LATENCY}_bucket{{{labels},le="{bound}"}} {below}'
            yield f"{LATENCY}_sum{{{labels}}} {self._sums[key]}"
            yield f"{LATENCY}_count{{{labels}}} {below}"


def blueprint(metrics: TfMetrics, counted: Blueprint) -> Blueprint:
    """Return the address, and have the routes of TensorFlow Serving's protocol counted."""
    routes = Blueprint("tf_metrics", __name__)

    @counted.after_request
    def count(response: Response) -> Response:
        name = (request.view_args or {}).get("name")
        if name:
            watch = laps.current() or laps.begin()
            verb = request.path.rpartition(":")[2] if request.method == "POST" else ""
            metrics.note(name, verb, "REST", response.status_code, watch.elapsed())
        return response

    @routes.get(PATH)
    def text() -> Response:
        return Response(metrics.text(), content_type="text/plain")

    return routes
