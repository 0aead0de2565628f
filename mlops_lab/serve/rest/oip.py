"""The Open Inference Protocol (KServe v2) over REST, under ``/v2``, with binary tensors. This file only translates.

Statuses are Triton's: 404 for what does not exist, 400 for nearly everything else that is wrong.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, g, request

import mlops_lab
from mlops_lab.errors import BadRequest, UnknownVersion
from mlops_lab.inputs import InputSpec
from mlops_lab.predict import Predictor
from mlops_lab.serve.codecs import oip, tensors
from mlops_lab.serve.codecs.body import parse_object
from mlops_lab.serve.core.inference import Batch, InferenceService
from mlops_lab.serve.core.limits import Limits
from mlops_lab.serve.core.registry import Registry
from mlops_lab.serve.rest.images import read_content
from mlops_lab.serve.rest.reply import JSON, to_json
from mlops_lab.signature import OutputSpec

HEADER = "Inference-Header-Content-Length"
EXTENSIONS = ("binary_tensor_data", "classification")
PLATFORMS = {"keras": "keras_v3", "scikit-learn": "sklearn_skops", "onnx": "onnx_onnxv1", "pytorch": "onnx_onnxv1"}


def blueprint(service: InferenceService) -> Blueprint:
    """Return the routes over a service."""
    registry, limits = service.registry, service.limits
    routes = Blueprint("oip", __name__)

    @routes.get("/v2")
    @routes.get("/v2/")
    def server() -> dict[str, Any]:
        return about_server()

    @routes.get("/v2/health/live")
    def live() -> dict[str, bool]:
        return {"live": True}

    @routes.get("/v2/health/ready")
    def ready() -> tuple[dict[str, bool], int]:
        # The text of the protocol calls it "live" here too; clients look for either.
        is_ready = registry.is_ready()
        return {"live": True, "ready": is_ready}, 200 if is_ready else 400

    @routes.get("/v2/models")
    def models() -> dict[str, list[str]]:
        return {"models": sorted(registry.entries)}

    @routes.get("/v2/models/<name>")
    @routes.get("/v2/models/<name>/versions/<version>")
    def model(name: str, version: str = "") -> dict[str, Any]:
        return describe(registry, registry.get(name, version))

    @routes.get("/v2/models/<name>/ready")
    @routes.get("/v2/models/<name>/versions/<version>/ready")
    def model_ready(name: str, version: str = "") -> tuple[dict[str, Any], int]:
        is_ready = can_answer(registry, name, version)
        return {"name": name, "ready": is_ready}, 200 if is_ready else 400

    @routes.post("/v2/models/<name>/infer")
    @routes.post("/v2/models/<name>/versions/<version>/infer")
    def infer(name: str, version: str = "") -> Response:
        def decode(predictor: Predictor) -> Batch:
            asked = read(predictor, limits)
            return tensors.to_batch(asked.inputs, predictor, asked)

        found = service.infer(name, version, decode, g.context)
        return to_response(oip.encode(found.batch.message, found))

    @routes.post("/v2/repository/index")
    def index() -> Response:
        content = read_content(limits)
        wanted = parse_object(content, limits).get("ready", False) if content else False
        only_ready = oip.flag(wanted, "ready")
        listed = [item for item in states(registry) if item["state"] == "READY" or not only_ready]
        return Response(to_json(listed, end=b""), content_type=JSON)

    return routes


def read(predictor: Predictor, limits: Limits) -> oip.InferRequest:
    """Return the request that Flask is handling, its tensor as an array."""
    content = read_content(limits)
    declared = request.headers.get(HEADER)
    if declared is None:
        return oip.decode(parse_object(content, limits), b"", predictor, limits)
    if not (declared.isascii() and declared.isdigit() and len(declared) < 20 and int(declared) <= len(content)):
        message = f"{HEADER} is {declared[:80]!r}; the body has {len(content)} bytes."
        raise BadRequest(message, "It is the length of the JSON, in bytes.")
    length = int(declared)
    if length == 0:
        return oip.decode_raw(content, predictor)
    return oip.decode(parse_object(content[:length], limits), memoryview(content)[length:], predictor, limits)


def to_response(answer: oip.InferResponse) -> Response:
    """Return the HTTP response: JSON, with bytes after it where a tensor was asked for in binary."""
    text = to_json(answer.message, end=b"")
    if answer.binary is None:
        return Response(text, content_type=JSON)
    response = Response(text + answer.binary, content_type="application/octet-stream")
    response.headers[HEADER] = str(len(text))
    return response


def about_server() -> dict[str, Any]:
    """Return what this server is and which extensions it has."""
    return {"name": "mlops_lab", "version": mlops_lab.__version__, "extensions": list(EXTENSIONS)}


def describe(registry: Registry, predictor: Predictor) -> dict[str, Any]:
    """Return the metadata of a model."""
    return {
        "name": predictor.name,
        "versions": [str(number) for number in registry.entry(predictor.name).versions()],
        "platform": PLATFORMS.get(str(predictor.info.get("framework")), "python_callable"),
        "inputs": [_tensor(spec) for spec in predictor.signature.inputs],
        "outputs": [_tensor(spec) for spec in tensors.outputs_of(predictor)],
    }


def _tensor(spec: InputSpec | OutputSpec) -> dict[str, Any]:
    sides = [-1 if side is None else side for side in spec.shape]
    return {"name": spec.name, "datatype": tensors.datatype_of(spec), "shape": [-1, *sides]}


def can_answer(registry: Registry, name: str, version: str = "") -> bool:
    """Return whether a version answers; one that was published but could not be loaded does not.

    Raises
    ------
    UnknownModel, UnknownVersion
        There never was such a version.
    """
    failed = {word for number in registry.entry(name).failed for word in (str(number), f"v{number}")}
    try:
        registry.get(name, version)
    except UnknownVersion:
        if version and version not in failed:
            raise
        return False
    return True


def states(registry: Registry) -> list[dict[str, str]]:
    """Return every version there is, whether it answers, and why not."""
    return [
        {
            "name": name,
            "version": str(number),
            "state": "READY" if number in entry.versions() else "UNAVAILABLE",
            "reason": "" if number in entry.versions() else entry.failed[number],
        }
        for name, entry in sorted(registry.entries.items())
        for number in sorted({*entry.versions(), *entry.failed})
    ]
