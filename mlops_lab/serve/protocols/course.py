"""The course's routes: ``/models``, ``/models/<name>`` and ``/models/<name>/<version>``. This file only translates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from flask import Blueprint, request

from mlops_lab.image import InputSpec
from mlops_lab.predict import Prediction, Predictor
from mlops_lab.serve import body, codec
from mlops_lab.serve.limits import Limits
from mlops_lab.serve.operations import laps
from mlops_lab.serve.registry import Registry, describe

Find = Callable[[str, str], Predictor]
OnPrediction = Callable[[Predictor, codec.Images, Sequence[Prediction]], None]


def blueprint(
    registry: Registry, limits: Limits, on_prediction: OnPrediction | None, find: Find | None = None
) -> Blueprint:
    """Return the routes over a registry; ``find`` says who answers a request, by default the registry."""
    find = find or registry.get
    routes = Blueprint("course", __name__)

    @routes.get("/models")
    def models() -> dict[str, Any]:
        return {"models": registry.listing()}

    @routes.get("/models/<name>")
    def model(name: str) -> dict[str, Any]:
        entry = registry.entry(name)
        return {**registry.get(name).about(), **describe(entry), "states": entry.states()}

    @routes.get("/models/<name>/<version>")
    def version(name: str, version: str) -> dict[str, Any]:
        return registry.get(name, version).about()

    @routes.post("/models/<name>")
    @routes.post("/models/<name>/<version>")
    def classify(name: str, version: str = "") -> dict[str, Any]:
        predictor = find(name, version)
        images = read_images(predictor.input, limits)
        laps.lap("decode")
        predictions = predictor.predict(images)
        if on_prediction is not None:
            on_prediction(predictor, images, predictions)
        return codec.encode(predictor.name, predictor.version, predictions)

    return routes


def read_images(spec: InputSpec, limits: Limits) -> codec.Images:
    """Return the images in the body of the current request, of whatever content type."""
    if request.mimetype == "multipart/form-data":
        files = [file.read() for file in request.files.getlist("image")]
        # A part whose header is malformed has no name, and werkzeug gives None for it.
        names = [name or "" for name in (*request.files, *request.form)]
        return codec.decode_form(files, names, spec, limits)
    return codec.decode(request.mimetype, body.read(limits), spec, limits)
