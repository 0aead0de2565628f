"""JSON schemas of what a model takes and answers on the course's routes, by its signature."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

import numpy as np

from mlops_lab.image import encode_png
from mlops_lab.inputs import TEXT as TEXT_TYPE
from mlops_lab.inputs import InputSpec
from mlops_lab.predict import Predictor
from mlops_lab.serve.core.limits import Limits
from mlops_lab.serve.openapi.components import Json
from mlops_lab.serve.openapi.primitives import TEXT, any_of, array, batch, closed, nested, number, record
from mlops_lab.signature import OutputSpec, Signature

BASE64: Json = {
    "type": "string",
    "format": "image",
    # How every PNG and JPEG file begins, in base64.
    "pattern": "^(data:image/(png|jpeg);base64,)?(iVBORw0KGgo|/9j/)",
    "contentEncoding": "base64",
    "contentMediaType": "image/png",
    "description": "A PNG or JPEG file in base64.",
}


def specs(predictors: Iterable[Predictor]) -> list[InputSpec]:
    """Return the distinct inputs of the versions of a model."""
    return list(dict.fromkeys(predictor.input for predictor in predictors))


def image(spec: InputSpec) -> Json:
    """Return the forms in which JSON can hold one image, or one array for a model that takes no images."""
    if spec.size is None:
        return nested(spec.least_shape, number(spec.dtype))
    # Whole numbers: fractions up to 1 are taken for pixels that were divided by 255 already, and refused.
    pixel = {"type": "integer", "minimum": 0, "maximum": 255}
    shapes = dict.fromkeys(tuple(side or 1 for side in shape) for shape in spec.example_shapes)
    return any_of([BASE64, *(nested(shape, pixel) for shape in shapes)])


def example(spec: InputSpec) -> Json:
    """Return the forms in which ``inputs`` can hold one example of an input."""
    if spec.size:
        return image(spec)
    value = number(spec.dtype)
    forms = [nested(spec.shape, value)]
    if spec.shape == (1,):
        forms.append(value)
    if spec.columns:
        forms.append(closed(**dict.fromkeys(spec.columns, value)))
    return any_of(forms)


def inputs(signature: Signature, limits: Limits) -> Json:
    """Return the schema of ``inputs``: a list of examples, or the lists of each input by its name."""
    kinds = {spec.name: example(spec) for spec in signature.inputs}
    rows = closed(**kinds) if len(kinds) > 1 else next(iter(kinds.values()))
    return any_of([batch(rows, limits), closed(**{name: batch(one, limits) for name, one in kinds.items()})])


def takes_images(predictor: Predictor) -> bool:
    """Return whether images, or the arrays of a plain classifier, can be sent as ``image`` and ``images``."""
    return predictor.signature.is_classifier or (len(predictor.signature.inputs) == 1 and bool(predictor.input.size))


def takes_inputs(predictor: Predictor) -> bool:
    """Return whether examples can be sent as ``inputs``."""
    return not (predictor.signature.is_classifier and predictor.input.size)


def request(name: str, predictors: Iterable[Predictor], limits: Limits) -> Json:
    """Return the schema of a request in JSON."""
    forms = []
    predictors = list(predictors)
    if any(map(takes_images, predictors)):
        one = {"$ref": f"#/components/schemas/{name}.Image"}
        forms += [closed(image=one), closed(images=batch(one, limits))]
    signatures = dict.fromkeys(predictor.signature for predictor in predictors if takes_inputs(predictor))
    if signatures:
        forms.append(closed(inputs=any_of([inputs(signature, limits) for signature in signatures])))
    return {"oneOf": forms}


def blank(predictor: Predictor) -> Any:
    """Return a request in JSON that a model answers: black images, zeros and empty texts."""
    if predictor.signature.is_classifier:
        return {"image": _blank(predictor.input)}
    return {"inputs": {spec.name: [_blank(spec)] for spec in predictor.signature.inputs}}


def _blank(spec: InputSpec) -> Any:
    if spec.size is None:
        return spec.zeros()[0].tolist() if spec.shape or spec.dtype != TEXT_TYPE else ""
    return base64.b64encode(encode_png(np.zeros(spec.image_shape, np.uint8))).decode()


def answer(signature: Signature) -> Json:
    """Return the schema of one entry of ``predictions``."""
    found = {spec.name: _answer(spec) for spec in signature.outputs}
    return next(iter(found.values())) if len(found) == 1 else record(outputs=record(**found))


def _answer(spec: OutputSpec) -> Json:
    numbers = array({"type": "number"})
    if spec.task in ("classification", "binary"):
        label = {"type": "string", **({"enum": list(spec.labels)} if spec.labels else {})}
        place = {"type": "integer", "minimum": 0}
        return record(label=label, **{"class": place}, confidence={"type": "number"}, probabilities=numbers)
    if spec.task == "multilabel":
        return record(labels=array(TEXT), probabilities=numbers)
    if spec.task == "regression":
        return record(value={"type": "number"} if spec.shape in ((), (1,)) else {"type": ["number", "array"]})
    if spec.task == "embedding":
        return record(vector=numbers)
    if spec.task == "segmentation":
        return record(mask=array({"type": "array"}))
    if spec.task == "anomaly":
        return record(score={"type": "number"}, outlier={"type": "boolean"})
    return record(tensor={})
