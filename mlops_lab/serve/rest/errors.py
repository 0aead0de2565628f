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

    @app.errorhandler(Exception)
    def report(error: Exception) -> Response:
        context = g.get("context")
        request_id = context.request_id if context is not None else ""
        status = None
        if isinstance(error, HTTPException):
            explained, status = explain(error, limits), error.code or 500
        else:
            explained = error if isinstance(error, LabError) else internal_error(error, request_id)
        reply = error_reply(explained, request_id, status)
        response = Response(reply.body, reply.status, reply.headers)
        if isinstance(explained, MethodNotAllowed) and (allowed := getattr(error, "valid_methods", None)):
            response.headers["Allow"] = ", ".join(sorted(allowed))
        return response


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
