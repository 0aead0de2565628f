"""The application: one registry, its routes, and one place where an error becomes an answer."""

from __future__ import annotations

import difflib
import logging
import re
import secrets
from collections.abc import Callable, Collection
from os import PathLike
from typing import Any, TextIO

from flask import Flask, Response, g, jsonify, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from mlops_lab.errors import BadRequest, LabError, MethodNotAllowed, TooLarge, Unauthorized, Unavailable, UnknownRoute
from mlops_lab.predict import Predictor
from mlops_lab.serve import pages, traffic
from mlops_lab.serve.batching import Batching
from mlops_lab.serve.chains import served as chaining
from mlops_lab.serve.limits import Limits
from mlops_lab.serve.operations import access, gate, laps, metrics, openapi, tf_metrics
from mlops_lab.serve.protocols import course, oip, tfserving
from mlops_lab.serve.registry import Registry

# Where people go; the other protocols' paths hang below the last two.
ROUTES = (
    *("/", "/models", "/models/<name>", "/models/<name>/<version>", "/chains", "/chains/<chain>"),
    *("/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/v1/models/<name>", "/v2/models/<name>"),
)
# Fields that a form may have beside its images.
FIELDS_BESIDE = 8
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_log = logging.getLogger("mlops_lab.serve")


class _App(Flask):
    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function as it is: ours are plain, and asking each of them every time costs more than metrics."""
        return func


def create_app(
    models: Any,
    *,
    limits: Limits | None = None,
    on_prediction: course.OnPrediction | None = None,
    api_keys: Collection[str] = (),
    access_log: TextIO | None = None,
    chains: Any = None,
    on_shadow: traffic.OnShadow | str | PathLike[str] | None = None,
    batching: Batching | None = None,
) -> Flask:
    """Return the inference server as a WSGI application.

    Parameters
    ----------
    models
        A :class:`~mlops_lab.store.ModelStore`, its folder, or loaded predictors.
    limits
        What the server takes at most.
    on_prediction
        Called with the predictor, the images and the predictions after each answer; for a log.
    api_keys
        Whoever sends none of these is refused, except where the server's health is asked for. By default it is open.
    access_log
        Gets one line of JSON for each request: a file, or ``sys.stdout``.
    chains
        Chains, or the folder of their JSON files; by default the folder ``chains`` beside the one of the models.
    on_shadow
        Gets each comparison of a version with its shadow: a function, or a file that gets one line of JSON each.
    batching
        Computes requests that come together in one call of the engine; by default each is computed alone. Unless
        ``limits`` says otherwise, a whole batch may then be in flight.

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
    app = _App("mlops_lab.serve", static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.config["MAX_CONTENT_LENGTH"] = limits.body_bytes
    app.config["MAX_FORM_MEMORY_SIZE"] = limits.body_bytes
    app.config["MAX_FORM_PARTS"] = limits.batch + FIELDS_BESIDE
    app.extensions["mlops_lab"] = registry
    doors = gate.Gate(limits)
    app.extensions["mlops_lab_metrics"] = counts = metrics.Metrics(registry, doors)
    # Hooks run in this order before a request, and in the opposite order after it.
    if access_log is not None:
        app.register_blueprint(access.blueprint(access_log))
    app.register_blueprint(metrics.blueprint(counts))
    # What the HTTP server refuses before it comes to us is counted all the same.
    app.config["ON_REFUSAL"] = lambda: counts.count("(refused)", "POST", 503, laps.begin())
    _add_guards(app, limits)
    keys, told = gate.Keys(api_keys), metrics.then(counts.predicted, on_prediction)
    app.register_blueprint(gate.blueprint(doors, registry, keys))
    routing = traffic.Traffic(registry, on_shadow)

    def find(name: str, version: str) -> Predictor:
        return routing.find(name, version, g.request_id)

    app.extensions["mlops_lab_traffic"] = routing
    app.extensions["mlops_lab_chains"] = linked = chaining.Chains(registry, chains)
    app.register_blueprint(course.blueprint(registry, limits, told, find))
    app.register_blueprint(traffic.blueprint(routing))
    app.register_blueprint(chaining.blueprint(linked, registry, limits, doors, told, find))
    tf_counts, tf_routes = tf_metrics.TfMetrics(registry), tfserving.blueprint(registry, limits, told, find)
    app.register_blueprint(tf_metrics.blueprint(tf_counts, tf_routes))
    app.register_blueprint(tf_routes)
    app.register_blueprint(oip.blueprint(registry, limits, told, find))
    # gRPC answers on a port of its own, and shares all of this.
    count = metrics.then(counts.count, tf_counts.called)
    shared = {"limits": limits, "gate": doors, "keys": keys, "on_prediction": told, "count": count}

    def find_for_grpc(name: str, version: str) -> Predictor:
        return routing.find(name, version, secrets.token_hex(8))

    app.extensions["mlops_lab_grpc"] = {**shared, "find": find_for_grpc}
    app.register_blueprint(openapi.blueprint(registry, limits, chains=linked.listing, secured=bool(api_keys)))
    app.register_blueprint(pages.blueprint(registry, limits))
    _add_operations(app, registry)
    _add_errors(app)
    return app


def _add_operations(app: Flask, registry: Registry) -> None:
    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/readyz")
    def readyz() -> dict[str, Any]:
        if app.config.get("DRAINING"):
            raise Unavailable("The server is draining.", "Ask another one.", code="draining")
        if not registry.ready():
            failed = {name: one.states() or one.unread for name, one in registry.entries.items() if not one.ready}
            raise Unavailable(f"There is no model to answer with: {failed or 'none is loaded'}.", "Publish one.")
        return {"status": "ready", "models": registry.listing()}


def _add_guards(app: Flask, limits: Limits) -> None:
    """Give every request an id, and close what HTTP servers leave open."""

    @app.before_request
    def guard() -> None:
        environ = request.environ  # asked at every request, and quicker than request.headers
        wanted = environ.get("HTTP_X_REQUEST_ID", "")
        g.request_id = wanted if _REQUEST_ID.fullmatch(wanted) else secrets.token_hex(8)
        if not environ.get("HTTP_HOST") and environ.get("SERVER_PROTOCOL") == "HTTP/1.1":
            raise BadRequest("The request has no Host header.", "HTTP/1.1 asks for one.")
        if len(environ) > limits.headers and len(request.headers) > limits.headers:  # counting them takes time
            message = f"The request has {len(request.headers)} headers; the limit is headers={limits.headers}."
            raise TooLarge(message, "Send fewer.", code="too_many_headers")

    @app.after_request
    def mark(response: Response) -> Response:
        response.headers.add("X-Request-Id", g.get("request_id") or secrets.token_hex(8))
        response.headers.add("X-Content-Type-Options", "nosniff")
        trace = request.environ.get("HTTP_TRACEPARENT")
        if trace and len(trace) <= 64:
            response.headers["traceparent"] = trace
        return response


def _add_errors(app: Flask) -> None:
    """Turn every error into JSON: the only place in the server that knows about statuses."""

    @app.errorhandler(LabError)
    def lab_error(error: LabError) -> Response:
        return _answer(error, error.status)

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response:
        translated = _translate(app, error)
        response = _answer(translated, error.code or 500)
        if isinstance(translated, MethodNotAllowed) and (allowed := getattr(error, "valid_methods", None)):
            response.headers["Allow"] = ", ".join(sorted(allowed))
        return response

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> Response:
        _log.error("request %s failed", g.get("request_id"), exc_info=error)
        return _answer(LabError("Something went wrong inside the server.", "Look into its log.", code="internal"), 500)


def _answer(error: LabError, status: int) -> Response:
    response = jsonify({**error.to_dict(), "request_id": g.get("request_id")})
    response.status_code = status
    if isinstance(error, Unavailable):
        response.headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, Unauthorized):
        response.headers["WWW-Authenticate"] = 'Bearer realm="mlops-lab"'
    return response


def _translate(app: Flask, error: HTTPException) -> LabError:
    """Say Werkzeug's errors in the form of ours."""
    if isinstance(error, RequestEntityTooLarge):
        limit = app.config["MAX_CONTENT_LENGTH"]
        received = request.content_length or "more"
        if request.content_length and request.content_length <= limit:
            parts = app.config["MAX_FORM_PARTS"]
            message = f"The form has more than {parts} parts; the limit is batch={parts - FIELDS_BESIDE}."
            return TooLarge(message, "Send fewer images in one request.")
        return TooLarge(f"The body has {received} bytes; the limit is body_bytes={limit}.", "Send less at a time.")
    if error.code == 404:
        return UnknownRoute(f"There is no route {request.path[:200]!r}.", _nearest_route(request.path[:200]))
    if error.code == 405:
        allowed = ", ".join(sorted(getattr(error, "valid_methods", None) or []))
        message = f"{request.path[:200]!r} does not take {request.method[:20]}."
        return MethodNotAllowed(message, f"It takes {allowed}.")
    return BadRequest(f"{error.name}: {error.description}", "", code=error.name.lower().replace(" ", "_"))


def _nearest_route(path: str) -> str:
    """Name the routes, and first the one that the path comes nearest to, with the path's own words for its names."""
    words = path.rstrip("/").split("/")
    filled = [
        "/".join(given if "<" in part else part for part, given in zip(route, words, strict=True))
        for route in (route.split("/") for route in ROUTES)
        if len(route) == len(words)
    ]
    close = difflib.get_close_matches(path, filled, n=1)
    guess = f"Did you mean {close[0]!r}? " if close else ""
    return f"{guess}There are: {', '.join(ROUTES)}."
