"""Every error of the Flask application as JSON, and the nearest route for a path that is none."""

from __future__ import annotations

import difflib

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from mlops_lab.errors import BadRequest, LabError, MethodNotAllowed, UnknownRoute
from mlops_lab.serve.codecs.body import too_large
from mlops_lab.serve.core.limits import Limits
from mlops_lab.serve.rest.reply import error_reply, internal_error

# The routes that people use; the other protocols' paths hang below the last two.
ROUTES = (
    *("/", "/models", "/models/<name>", "/models/<name>/<version>", "/chains", "/chains/<chain>"),
    *("/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/v1/models/<name>", "/v2/models/<name>"),
)
# How much alike a path and a route are where one is taken for the other: '/model' and '/models', not '/admin'.
CLOSE = 0.75


def add_handlers(app: Flask, limits: Limits) -> None:
    """Turn every error of an application into JSON."""

    @app.errorhandler(LabError)
    def lab_error(error: LabError) -> Response:
        return _to_response(error, error.status)

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response:
        explained = explain(error, limits)
        response = _to_response(explained, error.code or 500)
        if isinstance(explained, MethodNotAllowed) and (allowed := getattr(error, "valid_methods", None)):
            response.headers["Allow"] = ", ".join(sorted(allowed))
        return response

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> Response:
        return _to_response(internal_error(error, _request_id()), 500)


def _request_id() -> str:
    context = g.get("context")
    return context.request_id if context is not None else ""


def _to_response(error: LabError, status: int) -> Response:
    reply = error_reply(error, _request_id(), status)
    return Response(reply.body, reply.status, reply.headers)


def explain(error: HTTPException, limits: Limits) -> LabError:
    """Return one of Werkzeug's errors as one of ours."""
    if isinstance(error, RequestEntityTooLarge):
        return too_large(request.content_length, limits)
    path = request.path[:200]
    if error.code == 404:
        return UnknownRoute(f"There is no route {path!r}.", nearest_route(path))
    if error.code == 405:
        allowed = ", ".join(sorted(getattr(error, "valid_methods", None) or []))
        return MethodNotAllowed(f"{path!r} does not accept {request.method[:20]}.", f"It accepts {allowed}.")
    return BadRequest(f"{error.name}: {error.description}", "", code=error.name.lower().replace(" ", "_"))


def one_of_several() -> UnknownRoute:
    """Return the error for metrics that only a server of one process has."""
    message = "The server has several processes, and TensorFlow Serving's metrics are of one."
    return UnknownRoute(message, "Scrape /metrics.")


def nearest_route(path: str) -> str:
    """Return a hint that names the routes, the nearest one first, with the parts of the path filled in."""
    parts = path.rstrip("/").split("/")
    filled = [
        "/".join(given if "<" in part else part for part, given in zip(route, parts, strict=True))
        for route in (route.split("/") for route in ROUTES)
        if len(route) == len(parts)
    ]
    close = difflib.get_close_matches(path, filled, n=1, cutoff=CLOSE)
    guess = f"Did you mean {close[0]!r}? " if close else ""
    return f"{guess}There are: {', '.join(ROUTES)}."
