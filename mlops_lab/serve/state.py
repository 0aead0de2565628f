"""The parts of one server, shared by Flask, the event loop and gRPC."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from mlops_lab.predict import PredictionEvent
from mlops_lab.serve.core.auth import ApiKeys
from mlops_lab.serve.core.inference import InferenceService
from mlops_lab.serve.core.registry import Registry
from mlops_lab.serve.core.timing import Promise, RequestContext
from mlops_lab.serve.observability.access_log import AccessLog, Exchange, describe
from mlops_lab.serve.observability.metrics import Metrics
from mlops_lab.serve.observability.tfserving_metrics import TFServingMetrics

if TYPE_CHECKING:
    from flask import Flask

    from mlops_lab.serve.chains.routes import ChainRegistry

KEY = "mlops_lab"
# Health checks and the pages need no key: the pages hold no data, and request what they show with one.
OPEN_ENDPOINTS = frozenset({"healthz", "readyz", "oip.live", "oip.ready", "pages.home", "pages.docs", "pages.asset"})


class Log(Protocol):
    """The interface of a prediction log, such as :class:`mlops_lab.monitor.PredictionLog`."""

    def submit(self, event: PredictionEvent) -> Promise | bool:
        """Take a prediction at once, and never raise; return what its answer must wait for, if anything."""
        ...

    def attach(self, app: Flask) -> object:
        """Add routes, metrics and details of its own to an application."""
        ...


@dataclass(eq=False)
class ServerState:
    """The parts of one server.

    Parameters
    ----------
    service
        Answers requests for predictions.
    keys
        The API keys.
    chains
        The chains of the server.
    metrics, tfserving_metrics
        The metrics, and the same under TensorFlow Serving's names.
    access_log
        Where each request is logged, if anywhere.
    expose
        Returns the text of ``/metrics`` and its content type, for an ``Accept`` header; several processes replace it.
    hooks
        The number of hooks that ``create_app`` registered with Flask.
    draining
        Whether the server has been asked to stop.
    watched
        The models that the first request begins to watch: those of a store whose registry the application made.
    log
        The prediction log, if there is one.
    details
        What ``/readyz`` tells beside the models, by name.
    open_endpoints
        The endpoints that are answered without a key.
    allowed_origins
        Origins such as ``https://example.org`` whose pages may send requests; ``*`` stands for all.
    """

    service: InferenceService
    keys: ApiKeys
    chains: ChainRegistry
    metrics: Metrics
    tfserving_metrics: TFServingMetrics
    expose: Callable[[str], tuple[bytes, str]]
    access_log: AccessLog | None = None
    hooks: int = 0
    draining: bool = False
    single_process: bool = True
    watched: Registry | None = None
    log: Log | None = None
    details: dict[str, Callable[[], object]] = field(default_factory=dict)
    open_endpoints: frozenset[str] = OPEN_ENDPOINTS
    allowed_origins: frozenset[str] = frozenset()

    @property
    def registry(self) -> Registry:
        """The models."""
        return self.service.registry

    def record(self, exchange: Exchange, context: RequestContext) -> None:
        """Count and log a request that has been answered."""
        self.metrics.count(exchange.route or "(none)", exchange.method, exchange.status, context)
        if self.access_log is not None:
            self.access_log.write(describe(exchange, context))

    def record_refusal(self, status: int) -> None:
        """Count a request that was refused before it reached a route."""
        self.metrics.count("(refused)", "POST", status, RequestContext.begin())

    def record_call(self, path: str, status: int, context: RequestContext) -> None:
        """Count a gRPC call, and under TensorFlow Serving's names too where it is one of its calls."""
        self.metrics.count(path, "POST", status, context)
        _, service, method = path.split("/")
        if service == "tensorflow.serving.PredictionService":
            self.tfserving_metrics.count(context.model, method, "GRPC", status, context.elapsed())


def count_hooks(app: Flask) -> int:
    """Return the number of functions that Flask calls around requests."""
    tables: list[dict[Any, list[Any]]] = [
        *(app.before_request_funcs, app.after_request_funcs, app.teardown_request_funcs),
        app.url_value_preprocessors,
    ]
    return sum(len(functions) for table in tables for functions in table.values())


def state_of(app: Flask | Any) -> ServerState | None:
    """Return the parts of an application that :func:`mlops_lab.serve.create_app` made; None for any other."""
    found = getattr(app, "extensions", {}).get(KEY)
    return found if isinstance(found, ServerState) else None
