"""The Open Inference Protocol (KServe v2) over REST, under ``/v2``, with binary tensors. This file only translates.

Statuses are Triton's: 404 for what does not exist, 400 for nearly everything else that is wrong.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

import mlops_lab
from mlops_lab.errors import BadRequest, UnknownVersion
from mlops_lab.predict import Predictor
from mlops_lab.serve import body
from mlops_lab.serve.limits import Limits
from mlops_lab.serve.protocols import oip_tensors, tensors
from mlops_lab.serve.registry import Registry

HEADER = "Inference-Header-Content-Length"
EXTENSIONS = ("binary_tensor_data", "classification")
PLATFORMS = {"keras": "keras_v3", "scikit-learn": "sklearn_skops", "onnx": "onnx_onnxv1", "pytorch": "onnx_onnxv1"}


def blueprint(
    registry: Registry, limits: Limits, on_prediction: tensors.OnPrediction | None, find: tensors.Find | None = None
) -> Blueprint:
    """Return the routes over a registry; ``find`` says who answers a request, by default the registry."""
    find = find or registry.get
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
        # The protocol's text calls it "live" here too; its clients look for either.
        is_ready = registry.ready()
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
        predictor = find(name, version)
        asked = read(predictor, limits)
        rows = tensors.answer(predictor, asked.batch, limits, on_prediction)
        return respond(oip_tensors.encode(asked, rows, predictor))

    @routes.post("/v2/repository/index")
    def index() -> Response:
        content = body.read(limits)
        wanted = body.parse(content, limits).get("ready", False) if content else False
        only_ready = oip_tensors.flag(wanted, "ready")
        listed = [item for item in states(registry) if item["state"] == "READY" or not only_ready]
        return Response(oip_tensors.dump(listed), content_type="application/json")

    return routes


def read(predictor: Predictor, limits: Limits) -> oip_tensors.Asked:
    """Return what the current request asks, its tensor as an array."""
    content = body.read(limits)
    declared = request.headers.get(HEADER)
    if declared is None:
        return oip_tensors.decode(body.parse(content, limits), b"", predictor, limits)
    if not (declared.isascii() and declared.isdigit() and len(declared) < 20 and int(declared) <= len(content)):
        message = f"{HEADER} is {declared[:80]!r}; the body has {len(content)} bytes."
        raise BadRequest(message, "It is the length of the JSON, in bytes.")
    length = int(declared)
    if length == 0:
        return oip_tensors.decode_raw(content, predictor)
    return oip_tensors.decode(body.parse(content[:length], limits), memoryview(content)[length:], predictor, limits)


def respond(answer: oip_tensors.Answer) -> Response:
    """Return an answer: JSON, or JSON with bytes behind it where a tensor was asked for in binary."""
    text = oip_tensors.dump(answer.message)
    if answer.binary is None:
        return Response(text, content_type="application/json")
    response = Response(text + answer.binary, content_type="application/octet-stream")
    response.headers[HEADER] = str(len(text))
    return response


def about_server() -> dict[str, Any]:
    """Return what this server is and which extensions it has."""
    return {"name": "mlops_lab", "version": mlops_lab.__version__, "extensions": list(EXTENSIONS)}


def describe(registry: Registry, predictor: Predictor) -> dict[str, Any]:
    """Return the metadata of a model."""
    spec = predictor.input
    outputs = [-1, tensors.classes(predictor) or -1]
    return {
        "name": predictor.name,
        "versions": [str(number) for number in sorted(registry.entry(predictor.name).ready)],
        "platform": PLATFORMS.get(str(predictor.info.get("framework")), "python_callable"),
        "inputs": [{"name": spec.name, "datatype": tensors.datatype_of(spec), "shape": [-1, *spec.shape]}],
        "outputs": [{"name": tensors.output_name(predictor), "datatype": "FP32", "shape": outputs}],
    }


def can_answer(registry: Registry, name: str, version: str = "") -> bool:
    """Tell whether a version answers; one that was published but could not be loaded does not.

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
            "state": "READY" if number in entry.ready else "UNAVAILABLE",
            "reason": "" if number in entry.ready else entry.failed[number],
        }
        for name, entry in sorted(registry.entries.items())
        for number in sorted({*entry.ready, *entry.failed})
    ]
