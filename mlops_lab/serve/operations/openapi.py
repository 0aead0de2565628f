"""``/openapi.json``: OpenAPI 3.1 of the course's routes and the operations, made from what is loaded at the moment.

Every model has paths of its own, so that the document can say which versions it has, which shape its pictures have and
how many probabilities it answers. What pictures and predictions look like is in ``schemas.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from flask import Blueprint, request

import mlops_lab
from mlops_lab.serve.limits import Limits
from mlops_lab.serve.operations import schemas
from mlops_lab.serve.registry import Entry, Registry

Json = dict[str, Any]

ERRORS = {
    400: ("BadRequest", "The body is not what the route takes."),
    401: ("Unauthorized", "There is no API key in the request, or a wrong one."),
    404: ("NotFound", "No such model, version or route; the message names those there are."),
    405: ("MethodNotAllowed", "The route is there, but not for this method."),
    413: ("TooLarge", "Something is larger than its limit, which the message names."),
    415: ("UnsupportedMediaType", "A content type that is not read here."),
    500: ("Internal", "A fault of the server's own; its log has the request id."),
    503: ("Unavailable", "Too many requests at a time, or no model, or the server is draining."),
    504: ("DeadlineExceeded", "The request waited too long for its turn."),
}
HEADERS = {
    "X-Request-Id": {"description": "Name this when you ask about a request.", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds after which to try again.", "schema": {"type": "integer", "minimum": 0}},
    "Server-Timing": {"description": "Milliseconds in each stage.", "schema": {"type": "string"}},
    "WWW-Authenticate": {"description": "How to send a key.", "schema": {"type": "string"}},
    "Allow": {"description": "The methods that the route takes.", "schema": {"type": "string"}},
}
OWN_HEADERS = {401: "WWW-Authenticate", 405: "Allow", 503: "Retry-After", 504: "Retry-After"}


def document(
    registry: Registry, limits: Limits, *, chains: Sequence[str] = (), secured: bool = False, root: str = ""
) -> Json:
    """Return the description of a server.

    Parameters
    ----------
    registry
        What is loaded.
    limits
        What the server takes at most.
    chains
        The names of the chains.
    secured
        Whether it asks for an API key.
    root
        The path under which a proxy shows the server.

    Examples
    --------
    >>> list(document(Registry(), Limits())["paths"])[:3]
    ['/models', '/chains', '/healthz']
    """
    models = {name: entry for name, entry in sorted(registry.entries.items()) if entry.ready}
    paths = {"/models": {"get": _get("listModels", "models", "All models", _json({"$ref": _schema("Models")}))}}
    for name, entry in models.items():
        paths |= _model_paths(name, entry, limits)
    paths |= _chain_paths(chains)
    answer: Json = {
        "openapi": "3.1.0",
        "info": {
            "title": "mlops-lab inference server",
            "version": mlops_lab.__version__,
            "description": "Classifies pictures with the models that are loaded now.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        **({"servers": [{"url": root}]} if root else {}),
        "tags": [
            {"name": "models", "description": "What is loaded, and what it says about a picture."},
            {"name": "operations", "description": "For whoever runs the server."},
        ],
        "paths": paths | _operations(),
        "components": {
            "headers": HEADERS,
            "responses": _error_responses(secured),
            "schemas": schemas.shared() | schemas.of_models(models, limits),
        },
    }
    return _with_keys(answer) if secured else answer


def _model_paths(name: str, entry: Entry, limits: Limits) -> Json:
    predictors = list(entry.ready.values())
    version = {
        "name": "version",
        "in": "path",
        "required": True,
        "description": "A version, an alias, or latest.",
        "schema": {"type": "string", "enum": sorted(word for word in entry.words if word)},
    }
    body = schemas.request_body(name, predictors[0].input, limits)
    about = next(iter(predictors)).info.get("description") or f"Classify with {name}"
    facts, answer = _json({"$ref": _schema(f"{name}.Version")}), _json({"$ref": _schema(f"{name}.Answer")})
    model = _json({"$ref": _schema(f"{name}.Model")})
    paths: Json = {
        f"/models/{name}": {
            "get": _get(f"{name}.model", "models", f"What {name} is, by its default version", model),
            "post": _post(f"{name}.classify", f"{about}, by the default version", body, answer),
        },
        f"/models/{name}/{{version}}": {
            "parameters": [version],
            "get": _get(f"{name}.version", "models", f"What a version of {name} is", facts, 404),
            "post": _post(f"{name}.classifyBy", about, body, answer),
        },
    }
    shares = _json({"$ref": _schema("Traffic")})
    paths[f"/models/{name}/traffic"] = {"get": _get(f"{name}.traffic", "models", f"Who answers for {name}", shares)}
    if all(predictor.input.size for predictor in predictors):
        png = {"image/png": {"schema": schemas.binary("image/png")}}
        seen = _post(f"{name}.see", f"What {name} sees of the first picture, as it is given to the model", body, png)
        paths[f"/models/{name}/{{version}}/input"] = {"parameters": [version], "post": seen}
    return paths


def _chain_paths(chains: Sequence[str]) -> Json:
    listed = _json({"$ref": _schema("Chains")})
    paths: Json = {"/chains": {"get": _get("listChains", "models", "All chains of models", listed)}}
    if chains:
        name = {"name": "chain", "in": "path", "required": True, "schema": {"type": "string", "enum": list(chains)}}
        about, answer = _json({"$ref": _schema("Chain")}), _json({"$ref": _schema("ChainAnswer")})
        paths["/chains/{chain}"] = {
            "parameters": [name],
            "get": _get("chain", "models", "What a chain is made of", about, 404, 503),
            "post": _post("runChain", "Send one picture through a chain", schemas.chain_body(), answer),
        }
    return paths


def _operations() -> Json:
    html = {"text/html": {"schema": {"type": "string"}}}
    text = {"text/plain": {"schema": {"type": "string"}}}
    paths = {
        "/healthz": _get("alive", "operations", "Whether the server is alive", _json({"$ref": _schema("Alive")})),
        "/readyz": _get("ready", "operations", "Whether every model answers", _json({"$ref": _schema("Ready")}), 503),
        "/metrics": _get("metrics", "operations", "Counts and times, for Prometheus", text),
        "/openapi.json": _get("openapi", "operations", "This document", _json({"type": "object"})),
        "/docs": _get("docs", "operations", "A page that lists the routes and sends requests", html),
        "/": _get("home", "operations", "A page to draw on", html),
    }
    for path in ("/healthz", "/readyz", "/docs", "/"):
        paths[path]["security"] = []
    return {path: {"get": operation} for path, operation in paths.items()}


def _get(name: str, tag: str, summary: str, content: Json, *errors: int) -> Json:
    good = {"description": "OK", "headers": _headers("X-Request-Id"), "content": content}
    responses = {"200": good} | {str(status): _error(status) for status in (400, *errors, 413, 500)}
    return {"operationId": name, "tags": [tag], "summary": summary, "responses": responses}


def _post(name: str, summary: str, body: Json, content: Json) -> Json:
    headers = _headers("X-Request-Id", "Server-Timing") if "application/json" in content else _headers("X-Request-Id")
    good = {"description": "OK", "headers": headers, "content": content}
    responses = {"200": good} | {str(status): _error(status) for status in (400, 404, 413, 415, 500, 503, 504)}
    return {"operationId": name, "tags": ["models"], "summary": summary, "requestBody": body, "responses": responses}


def _json(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}


def _schema(name: str) -> str:
    return f"#/components/schemas/{name}"


def _headers(*names: str) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _error(status: int) -> Json:
    return {"$ref": f"#/components/responses/{ERRORS[status][0]}"}


def _error_responses(secured: bool) -> Json:
    return {
        word: {
            "description": meaning,
            "headers": _headers("X-Request-Id", *([OWN_HEADERS[status]] if status in OWN_HEADERS else [])),
            "content": _json({"$ref": _schema("Error")}),
        }
        for status, (word, meaning) in ERRORS.items()
        if secured or status != 401
    }


def _with_keys(answer: Json) -> Json:
    """Say that every route without a word of its own asks for a key."""
    answer["components"]["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    }
    answer["security"] = [{"bearer": []}, {"header": []}]
    for path in answer["paths"].values():
        for operation in (path[verb] for verb in ("get", "post") if verb in path):
            if operation.get("security") != []:
                operation["responses"]["401"] = _error(401)
    return answer


def blueprint(
    registry: Registry, limits: Limits, *, chains: Callable[[], Sequence[Json]] = tuple, secured: bool = False
) -> Blueprint:
    """Return the route of the document; ``chains`` lists those there are at the moment."""
    routes = Blueprint("openapi", __name__)

    @routes.get("/openapi.json")
    def openapi() -> Json:
        names = [chain["name"] for chain in chains()]
        return document(registry, limits, chains=names, secured=secured, root=request.script_root)

    return routes
