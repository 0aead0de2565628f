"""Every error of the Flask application as JSON, and the nearest route for a path that is none."""

from __future__ import annotations

from flask import Flask, Response, current_app, g, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from mlops_lab.errors import BadRequest, LabError, MethodNotAllowed, UnknownRoute
from mlops_lab.serve.codecs.body import too_large
from mlops_lab.serve.core.limits import Limits
from mlops_lab.serve.rest.reply import error_reply, internal_error
from mlops_lab.serve.rest.route_hints import nearest_route


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
        explained = internal_error(error, _request_id())
        return _to_response(explained, explained.status)


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
        return UnknownRoute(f"There is no route {path!r}.", nearest_route(path, _is_route))
    if error.code == 405:
        allowed = ", ".join(sorted(getattr(error, "valid_methods", None) or []))
        return MethodNotAllowed(f"{path!r} does not accept {request.method[:20]}.", f"It accepts {allowed}.")
    return BadRequest(f"{error.name}: {error.description}", "", code=error.name.lower().replace(" ", "_"))


def one_of_several() -> UnknownRoute:
    """Return the error for metrics that only a server of one process has."""
    message = "The server has several processes, and TensorFlow Serving's metrics are of one."
    return UnknownRoute(message, "Scrape /metrics.")


def _is_route(path: str) -> bool:
    """Return whether a path is a route of the application by GET or POST."""
    routes = current_app.url_map.bind("")
    for method in ("GET", "POST"):
        try:
            endpoint, _ = routes.match(path, method)
        except HTTPException:
            continue
        if endpoint != "tfserving.malformed":  # which matches whatever is under /v1/
            return True
    return False
