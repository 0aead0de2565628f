"""The Flask application: every route of the server, and the middleware around them. Any WSGI server runs it."""

from __future__ import annotations

import io
from collections.abc import Callable, Collection
from os import PathLike
from typing import IO, Any, TextIO

from flask import Flask, Request, Response, g, request
from flask.json.provider import DefaultJSONProvider

from mlops_lab.errors import BadRequest, TooLarge, Unavailable
from mlops_lab.predict import PredictionEvent
from mlops_lab.serve import openapi, pages
from mlops_lab.serve.chains import routes as chain_routes
from mlops_lab.serve.core.auth import ApiKeys
from mlops_lab.serve.core.batching import Batching
from mlops_lab.serve.core.inference import Inference, InferenceService
from mlops_lab.serve.core.limits import Limits
from mlops_lab.serve.core.registry import Registry
from mlops_lab.serve.core.timing import Promise, RequestContext
from mlops_lab.serve.core.traffic import OnShadow
from mlops_lab.serve.core.watcher import watch
from mlops_lab.serve.observability import tfserving_metrics
from mlops_lab.serve.observability.access_log import AccessLog, Exchange
from mlops_lab.serve.observability.metrics import Metrics
from mlops_lab.serve.observability.tfserving_metrics import TFServingMetrics
from mlops_lab.serve.rest import errors, images, oip, tfserving
from mlops_lab.serve.rest.cors import cors_headers, parse_origins, preflight_headers
from mlops_lab.serve.rest.reply import JSON, common_headers, to_json
from mlops_lab.serve.state import KEY, Log, ServerState, count_hooks

OnPrediction = Callable[[PredictionEvent], object]


class _Json(DefaultJSONProvider):
    """JSON by orjson, which is ten times as fast with numbers."""

    def response(self, *args: Any, **kwargs: Any) -> Response:
        return Response(to_json(self._prepare_response_obj(args, kwargs)), content_type=JSON)


class _Request(Request):
    """A request whose uploads stay in memory: the whole body is bounded, and a full disk then refuses nobody."""

    def _get_file_stream(self, *args: Any, **kwargs: Any) -> IO[bytes]:
        return io.BytesIO()


class _App(Flask):
    json_provider_class = _Json
    request_class = _Request

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function as it is: all views are plain functions, and asking each time costs more than metrics."""
        return func


def create_app(
    models: Any,
    *,
    limits: Limits | None = None,
    on_prediction: OnPrediction | None = None,
    api_keys: Collection[str] = (),
    access_log: TextIO | None = None,
    chains: Any = None,
    on_shadow: OnShadow | str | PathLike[str] | None = None,
    batching: Batching | None = None,
    log: Log | None = None,
    cors_origins: Collection[str] = (),
) -> Flask:
    """Return the inference server as a WSGI application.

    Parameters
    ----------
    models
        A :class:`~mlops_lab.store.ModelStore` or its folder, which is watched from the first request on, so that
        promotions need no restart; or loaded predictors.
    limits
        The limits of the server.
    on_prediction
        Called with a :class:`~mlops_lab.predict.PredictionEvent` for each answer. Where it, or the object whose method
        it is, has an attribute ``nonblocking`` that is true, it may be called on the event loop.
    api_keys
        Requests without one of these keys are refused, except health checks. By default the server is open.
    access_log
        Gets one line of JSON for each request: a file, or ``sys.stdout``.
    chains
        Chains, or the folder of their JSON files; by default the folder ``chains`` beside that of the models.
    on_shadow
        Gets each comparison of a version with its shadow: a function, or a file that gets one line of JSON each.
    batching
        Computes requests that arrive together in one call of the engine; by default each is computed alone. Unless
        ``limits`` says otherwise, a whole batch may then be in flight.
    log
        A :class:`~mlops_lab.monitor.PredictionLog`: gets each answer, and adds ``/models/<name>/feedback``,
        ``/monitor`` and its state in ``/metrics`` and ``/readyz``. The caller closes it.
    cors_origins
        Web pages of these origins, such as ``http://localhost:3000``, may read the answers in a browser; ``*`` stands
        for all. By default only the server's own pages may.

    Returns
    -------
    flask.Flask

    Examples
    --------
    >>> app = create_app("models")  # doctest: +SKIP
    >>> app.test_client().get("/models/clothes/v1").json["number_of_parameters"]  # doctest: +SKIP
    133280
    """
    limits = limits or (Limits() if batching is None else Limits(in_flight=max(Limits.in_flight, batching.size)))
    registry = Registry.of(models, batching.wrap(limits) if batching is not None else None)
    service = InferenceService.over(registry, limits, on_shadow)
    metrics = Metrics(registry, service.admission)
    service.hooks.append(metrics.predicted)
    if on_prediction is not None:
        service.hooks.append(_event_hook(on_prediction))
        service.blocking = not _is_nonblocking(on_prediction)
    if log is not None:
        service.hooks.append(_log_hook(log))
    linked = chain_routes.ChainRegistry(registry, chains)
    state = ServerState(service, ApiKeys(api_keys), linked, metrics, TFServingMetrics(registry), metrics.text)
    state.access_log = AccessLog(access_log) if access_log is not None else None
    state.allowed_origins = parse_origins(cors_origins)
    app = _App("mlops_lab.serve", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = app.config["MAX_FORM_MEMORY_SIZE"] = limits.body_bytes
    app.config["MAX_FORM_PARTS"] = limits.batch + images.FIELDS_BESIDE
    app.extensions[KEY] = state
    if registry.store is not None and not isinstance(models, Registry):  # a registry is watched by its maker
        state.watched = registry
    _add_middleware(app, state)
    app.register_blueprint(images.blueprint(service))
    app.register_blueprint(chain_routes.blueprint(linked, service))
    app.register_blueprint(tfserving.blueprint(service))
    app.register_blueprint(oip.blueprint(service))
    described = openapi.blueprint(service, chains=linked.names, secured=bool(api_keys), logged=log is not None)
    app.register_blueprint(described)
    app.register_blueprint(pages.blueprint(service))
    _add_operations(app, state)
    errors.add_handlers(app, limits)
    state.log = log
    if log is not None:
        log.attach(app)
    state.hooks = count_hooks(app)
    return app


def _event_hook(on_prediction: OnPrediction) -> Callable[[Inference], None]:
    def hook(inference: Inference) -> None:
        on_prediction(inference.to_event())

    return hook


def _log_hook(log: Log) -> Callable[[Inference], Promise | None]:
    def hook(inference: Inference) -> Promise | None:
        taken = log.submit(inference.to_event())
        return None if isinstance(taken, bool) else taken

    return hook


def _is_nonblocking(on_prediction: OnPrediction) -> bool:
    return bool(getattr(getattr(on_prediction, "__self__", on_prediction), "nonblocking", False))


def _add_middleware(app: Flask, state: ServerState) -> None:
    """Watch the store, give every request a context, check what HTTP servers leave open and the key; record answers."""
    limits = state.service.limits

    @app.before_request
    def begin() -> Response | None:
        if state.watched is not None:
            watch(state.watched)
        environ = request.environ  # used at every request, and faster than request.headers
        g.context = RequestContext.begin(environ.get("HTTP_X_REQUEST_ID", ""))
        if not environ.get("HTTP_HOST") and environ.get("SERVER_PROTOCOL") == "HTTP/1.1":
            raise BadRequest("The request has no Host header.", "HTTP/1.1 requires one.")
        if len(environ) > limits.headers and len(request.headers) > limits.headers:  # counting them takes time
            message = f"The request has {len(request.headers)} headers; the limit is headers={limits.headers}."
            raise TooLarge(message, "Send fewer.", code="too_many_headers")
        if state.allowed_origins and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ and request.method == "OPTIONS":
            preflight = preflight_headers(state.allowed_origins, environ.get("HTTP_ORIGIN", ""))
            if preflight is not None:  # a preflight request bears no key
                return Response(status=204, headers=preflight)
        if state.keys and request.endpoint not in state.open_endpoints:
            state.keys.check(environ.get("HTTP_AUTHORIZATION", ""), environ.get("HTTP_X_API_KEY", ""))
        return None

    @app.after_request
    def end(response: Response) -> Response:
        context: RequestContext = g.get("context") or RequestContext.begin()
        context.finish()
        traceparent = request.environ.get("HTTP_TRACEPARENT", "")
        response.headers.extend(common_headers(context, traceparent))
        if state.allowed_origins:
            response.headers.extend(cors_headers(state.allowed_origins, request.environ.get("HTTP_ORIGIN", "")))
        rule, received, sent = request.url_rule, request.content_length or 0, response.content_length or 0
        exchange = Exchange(
            request.method, rule.rule if rule else None, request.path, response.status_code, received, sent, traceparent
        )
        state.record(exchange, context)
        name = (request.view_args or {}).get("name")
        if name and request.blueprint == "tfserving":
            verb = request.path.rpartition(":")[2] if request.method == "POST" else ""
            state.tfserving_metrics.count(name, verb, "REST", response.status_code, context.elapsed())
        return response


def _add_operations(app: Flask, state: ServerState) -> None:
    registry = state.registry

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/readyz")
    def readyz() -> dict[str, Any]:
        # The route needs no key; where the server has some, it lists nothing without one.
        authorized = state.keys.open(request.headers.get("Authorization", ""), request.headers.get("X-API-Key", ""))
        if state.draining:
            raise Unavailable("The server is draining.", "Send the request to another one.", code="draining")
        if not registry.is_ready():
            why = f": {registry.unavailable() or 'none is loaded'}" if authorized else ""
            raise Unavailable(f"There is no model to answer with{why}.", "Publish one.")
        store_problem = registry.store_problem()
        if not authorized:
            return {"status": "ready", **({"store": "Changes on disk are not seen."} if store_problem else {})}
        unavailable = registry.unavailable()
        beside = {
            **({"failed": unavailable} if unavailable else {}),
            **({"store": store_problem} if store_problem else {}),
        }
        details = {name: describe() for name, describe in state.details.items()}
        return {"status": "ready", "models": registry.listing(), **beside, **details}

    @app.get("/metrics")
    def metrics() -> Response:
        content, kind = state.expose(request.headers.get("Accept", ""))
        return Response(content, content_type=kind)

    @app.get(tfserving_metrics.PATH)
    def tfserving_text() -> Response:
        if not state.single_process:
            raise errors.one_of_several()
        return Response(state.tfserving_metrics.text(), content_type="text/plain")
