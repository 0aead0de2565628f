"""Components of ``/openapi.json`` that all routes share: operations, answers, errors and headers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Json = dict[str, Any]

ERRORS = {
    400: ("BadRequest", "The body is not what the route accepts."),
    401: ("Unauthorized", "There is no API key in the request, or a wrong one."),
    404: ("NotFound", "No such model, version or route; the message names those there are."),
    405: ("MethodNotAllowed", "The route is there, but not for this method."),
    413: ("TooLarge", "Something is larger than its limit, which the message names."),
    415: ("UnsupportedMediaType", "A content type that is not supported."),
    500: ("Internal", "An error inside the server; its log has the request id."),
    503: ("Unavailable", "Too many requests at a time, or no model, or the server is draining."),
    504: ("DeadlineExceeded", "The request reached its deadline while it waited."),
}
HEADERS = {
    "X-Request-Id": {"description": "Identifies the request in the server's log.", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds after which to try again.", "schema": {"type": "integer", "minimum": 0}},
    "Server-Timing": {"description": "Milliseconds in each stage.", "schema": {"type": "string"}},
    "WWW-Authenticate": {"description": "How to send a key.", "schema": {"type": "string"}},
    "Allow": {"description": "The methods that the route accepts.", "schema": {"type": "string"}},
}
OWN_HEADERS = {401: "WWW-Authenticate", 405: "Allow", 503: "Retry-After", 504: "Retry-After"}


def get(name: str, tag: str, summary: str, content: Json, *errors: int) -> Json:
    """Return a GET operation."""
    good = {"description": "OK", "headers": headers("X-Request-Id"), "content": content}
    responses = {"200": good} | {str(status): error(status) for status in (400, *errors, 413, 500)}
    return {"operationId": name, "tags": [tag], "summary": summary, "responses": responses}


def post(name: str, tag: str, summary: str, body: Json, content: Json) -> Json:
    """Return a POST operation."""
    timed = ["Server-Timing"] if "application/json" in content else []
    good = {"description": "OK", "headers": headers("X-Request-Id", *timed), "content": content}
    responses = {"200": good} | {str(status): error(status) for status in (400, 404, 413, 415, 500, 503, 504)}
    return {"operationId": name, "tags": [tag], "summary": summary, "requestBody": body, "responses": responses}


def in_json(schema: Json | str) -> Json:
    """Return the content of an answer in JSON, by its schema or the name of one."""
    return {"application/json": {"schema": ref(schema) if isinstance(schema, str) else schema}}


def in_path(name: str, words: Iterable[str], description: str) -> Json:
    """Return a path parameter with the values it can have."""
    schema = {"type": "string", "enum": list(words)}
    return {"name": name, "in": "path", "required": True, "description": description, "schema": schema}


def ref(name: str) -> Json:
    """Return a reference to a schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def headers(*names: str) -> Json:
    """Return references to headers of an answer."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def error(status: int) -> Json:
    """Return a reference to an answer that is an error."""
    return {"$ref": f"#/components/responses/{ERRORS[status][0]}"}


def error_responses(secured: bool) -> Json:
    """Return the answers that are errors, by the words that :func:`error` refers to."""
    return {
        word: {
            "description": meaning,
            "headers": headers("X-Request-Id", *([OWN_HEADERS[status]] if status in OWN_HEADERS else [])),
            "content": in_json("Error"),
        }
        for status, (word, meaning) in ERRORS.items()
        if secured or status != 401
    }
