"""``/openapi.json``: OpenAPI 3.1 of all routes, made from the models that are loaded at the moment.

Every model has paths of its own, so that the document can say which versions it has, which shape its images have and
how many probabilities it answers. The schemas of images and predictions are in ``schemas.py``; ``tensor_paths.py``
has the protocols that carry tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from flask import Blueprint, request

import mlops_lab
from mlops_lab.serve.core.inference import InferenceService
from mlops_lab.serve.core.limits import Limits
from mlops_lab.serve.core.registry import ModelEntry, Registry
from mlops_lab.serve.observability.tfserving_metrics import PATH as TFSERVING_METRICS_PATH
from mlops_lab.serve.openapi import log_paths, schemas, tensor_paths
from mlops_lab.serve.openapi.components import HEADERS, Json, error, error_responses, get, in_json, in_path, post


def make_document(
    registry: Registry,
    limits: Limits,
    *,
    chains: Sequence[str] = (),
    secured: bool = False,
    logged: bool = False,
    root: str = "",
) -> Json:
    """Return the description of a server.

    Parameters
    ----------
    registry
        The models.
    limits
        The limits of the server.
    chains
        The names of the chains.
    secured
        Whether the server requires an API key.
    logged
        Whether predictions are logged.
    root
        The path under which a proxy publishes the server.

    Examples
    --------
    >>> list(make_document(Registry(), Limits())["paths"])[:3]
    ['/models', '/chains', '/healthz']
    """
    models = {name: entry for name, entry in sorted(registry.entries.items()) if entry.loaded}
    paths = {"/models": {"get": get("listModels", "models", "All models", in_json("Models"))}}
    for name, entry in models.items():
        paths |= _model_paths(name, entry, limits)
    paths |= _chain_paths(chains)
    if logged:
        paths |= log_paths.paths(models)
    answer: Json = {
        "openapi": "3.1.0",
        "info": {
            "title": "mlops-lab inference server",
            "version": mlops_lab.__version__,
            "description": "Answers with the models that are loaded now.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        **({"servers": [{"url": root}]} if root else {}),
        "tags": [
            {"name": "models", "description": "The models that are loaded, and their predictions for an image."},
            {"name": "operations", "description": "For operators of the server."},
            *tensor_paths.TAGS,
        ],
        "paths": paths | _operations() | tensor_paths.paths(models),
        "components": {
            "headers": HEADERS,
            "responses": error_responses(secured),
            "requestBodies": tensor_paths.bodies(models, limits),
            "schemas": schemas.shared() | schemas.of_models(models, limits) | tensor_paths.answers(),
        },
    }
    return _with_keys(answer) if secured else answer


def _model_paths(name: str, entry: ModelEntry, limits: Limits) -> Json:
    predictors = list(entry.loaded.values())
    version = in_path("version", sorted(filter(None, entry.by_version)), "A version, an alias, or latest.")
    body = schemas.request_body(name, predictors[0], limits)
    about = predictors[0].info.get("description") or (
        f"Classify with {name}" if predictors[0].signature.is_classifier else f"Ask {name}"
    )
    facts, answer = in_json(f"{name}.Version"), in_json(f"{name}.Answer")
    model = in_json(f"{name}.Model")
    paths: Json = {
        f"/models/{name}": {
            "get": get(f"{name}.model", "models", f"What {name} is, by its default version", model),
            "post": post(f"{name}.classify", "models", f"{about}, by the default version", body, answer),
        },
        f"/models/{name}/{{version}}": {
            "parameters": [version],
            "get": get(f"{name}.version", "models", f"What a version of {name} is", facts, 404),
            "post": post(f"{name}.classifyBy", "models", about, body, answer),
        },
    }
    shares = in_json("Traffic")
    paths[f"/models/{name}/traffic"] = {"get": get(f"{name}.traffic", "models", f"Who answers for {name}", shares)}
    if all(predictor.input.size and len(predictor.signature.inputs) == 1 for predictor in predictors):
        png = {"image/png": {"schema": schemas.binary("image/png")}}
        seen = post(
            f"{name}.see", "models", f"What {name} sees of the first image, as it is given to the model", body, png
        )
        paths[f"/models/{name}/{{version}}/input"] = {"parameters": [version], "post": seen}
    return paths


def _chain_paths(chains: Sequence[str]) -> Json:
    listed = in_json("Chains")
    paths: Json = {"/chains": {"get": get("listChains", "models", "All chains of models", listed)}}
    if chains:
        name = in_path("chain", chains, "The name of a chain.")
        about, answer = in_json("Chain"), in_json("ChainAnswer")
        paths["/chains/{chain}"] = {
            "parameters": [name],
            "get": get("chain", "models", "What a chain is made of", about, 404, 503),
            "post": post("runChain", "models", "Send one image through a chain", schemas.chain_body(), answer),
        }
    return paths


def _operations() -> Json:
    html = {"text/html": {"schema": {"type": "string"}}}
    text = {"text/plain": {"schema": {"type": "string"}}}
    paths = {
        "/healthz": get("alive", "operations", "Whether the server is alive", in_json("Alive")),
        "/readyz": get("ready", "operations", "Whether it answers, and which models do not", in_json("Ready"), 503),
        "/metrics": get("metrics", "operations", "Counts and times, for Prometheus", text),
        TFSERVING_METRICS_PATH: get(
            "tfMetrics", "operations", "Counts and times as TensorFlow Serving names them", text, 404
        ),
        "/openapi.json": get("openapi", "operations", "This document", in_json({"type": "object"})),
        "/docs": get("docs", "operations", "A page that lists the routes and sends requests", html),
        "/": get("home", "operations", "A page to draw on", html),
    }
    for path in ("/healthz", "/readyz", "/docs", "/"):
        paths[path]["security"] = []
    return {path: {"get": operation} for path, operation in paths.items()}


def _with_keys(answer: Json) -> Json:
    """Add the security scheme, and the error 401 to every route that requires a key."""
    answer["components"]["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    }
    answer["security"] = [{"bearer": []}, {"header": []}]
    for path in answer["paths"].values():
        for operation in (path[verb] for verb in ("get", "post") if verb in path):
            if operation.get("security") != []:
                operation["responses"]["401"] = error(401)
    return answer


def blueprint(
    service: InferenceService,
    *,
    chains: Callable[[], Sequence[str]] = tuple,
    secured: bool = False,
    logged: bool = False,
) -> Blueprint:
    """Return the route of the document; ``chains`` names the chains there are at the moment."""
    routes = Blueprint("openapi", __name__)

    @routes.get("/openapi.json")
    def openapi() -> Json:
        root = request.script_root
        now = chains()
        return make_document(service.registry, service.limits, chains=now, secured=secured, logged=logged, root=root)

    return routes
