"""JSON schemas of images, predictions and errors on the wire."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from mlops_lab.image import InputSpec, describe, encode_png
from mlops_lab.predict import Predictor
from mlops_lab.serve.core.limits import Limits
from mlops_lab.serve.core.registry import ModelEntry
from mlops_lab.serve.openapi.components import Json

TEXT: Json = {"type": "string"}
COUNT: Json = {"type": "integer", "minimum": 0}
VERSION: Json = {"type": "string", "pattern": "^v[1-9][0-9]{0,5}$"}
BASE64: Json = {
    "type": "string",
    "format": "image",
    # How every PNG and JPEG file begins, in base64.
    "pattern": "^(data:image/(png|jpeg);base64,)?(iVBORw0KGgo|/9j/)",
    "contentEncoding": "base64",
    "contentMediaType": "image/png",
    "description": "A PNG or JPEG file in base64.",
}
# The description of a version; a predictor that was made in Python may have fewer of these keys.
FACTS: Json = {
    "name": TEXT,
    "version": VERSION,
    "description": TEXT,
    "framework": TEXT,
    "engine": TEXT,
    "versions": {"type": "object", "additionalProperties": TEXT},
    "input": {"type": "object"},
    "labels": {"type": "array", "items": TEXT},
    "number_of_parameters": COUNT,
    "trainable_parameters": COUNT,
    "optimizer_parameters": COUNT,
    "metrics": {"type": "object"},
    "created": TEXT,
    "tensorflow_version": {"type": ["string", "null"]},
    "keras_version": {"type": ["string", "null"]},
}


def shared() -> Json:
    """Return the schemas that do not depend on a model."""
    listed = record(name=TEXT, versions=array(VERSION), aliases={"type": "object", "additionalProperties": VERSION})
    return {
        "Error": record(error=TEXT, code=TEXT, hint=TEXT, request_id={"type": ["string", "null"]}),
        "Models": record(models=array(listed)),
        "Traffic": record(model=TEXT, default={"type": ["string", "null"]}, state=TEXT),
        "Chains": record(chains=array(record(name=TEXT, description=TEXT, state=TEXT))),
        "Chain": record(name=TEXT, description=TEXT, state=TEXT, links=array({"type": "object"})),
        "ChainAnswer": record(chain=TEXT, answer={"type": ["string", "array"]}, links=array({"type": "object"})),
        "Alive": record(status={"const": "alive"}),
        "Ready": record(status={"const": "ready"}, models=array(listed)),
    }


def of_models(models: Mapping[str, ModelEntry], limits: Limits) -> Json:
    """Return the schemas of each model: its description, input and answer."""
    found: Json = {}
    for name, entry in models.items():
        predictors = list(entry.loaded.values())
        facts = _facts(predictors)
        found[f"{name}.Version"] = facts
        found[f"{name}.Model"] = _extended(
            facts,
            versions=array(VERSION),
            aliases={"type": "object", "additionalProperties": VERSION},
            states={"type": "object", "additionalProperties": TEXT},
        )
        found[f"{name}.Image"] = any_of([_image(spec) for spec in specs(predictors)])
        found[f"{name}.Images"] = _images(name, limits)
        found[f"{name}.Prediction"] = _prediction(predictors)
        predictions = {**array({"$ref": f"#/components/schemas/{name}.Prediction"}), "minItems": 1}
        found[f"{name}.Answer"] = record(model={"const": name}, version=VERSION, predictions=predictions)
    return found


def request_body(name: str, spec: InputSpec, limits: Limits) -> Json:
    """Return every way in which images can be sent to a model."""
    content = _files(limits.batch) if spec.size else {}
    schema = {"$ref": f"#/components/schemas/{name}.Images"}
    content["application/json"] = {"schema": schema, "example": {"image": _blank(spec)}}
    content["application/x-npy"] = {"schema": binary("application/x-npy")}
    return {"required": True, "description": f"Takes {describe(spec)}.", "content": content}


def chain_body() -> Json:
    """Return the ways in which one image can be sent to a chain."""
    content = _files(1) | {"application/json": {"schema": closed(image=BASE64)}}
    return {"required": True, "description": "Takes one image.", "content": content}


def _files(most: int) -> Json:
    images = {"type": "array", "items": binary("image/png"), "minItems": 1, "maxItems": most}
    form = {"type": "object", "properties": {"image": images}, "required": ["image"]}
    return {
        "image/png": {"schema": binary("image/png")},
        "image/jpeg": {"schema": binary("image/jpeg")},
        "multipart/form-data": {"schema": form, "encoding": {"image": {"contentType": "image/png, image/jpeg"}}},
    }


def binary(kind: str) -> Json:
    """Return the schema of a body, or a field, that is a file."""
    return {"type": "string", "format": "binary", "contentMediaType": kind}


def _facts(predictors: Iterable[Predictor]) -> Json:
    described = [set(predictor.about()) for predictor in predictors]
    known = {key: schema for key, schema in FACTS.items() if any(key in keys for keys in described)}
    return {
        "type": "object",
        "properties": known,
        "required": [key for key in known if all(key in keys for keys in described)],
    }


def _extended(facts: Json, **more: Json) -> Json:
    required = [*dict.fromkeys([*facts["required"], *more])]
    return {"type": "object", "properties": {**facts["properties"], **more}, "required": required}


def specs(predictors: Iterable[Predictor]) -> list[InputSpec]:
    """Return the distinct inputs of the versions of a model."""
    return list(dict.fromkeys(predictor.input for predictor in predictors))


def _image(spec: InputSpec) -> Json:
    """Return the forms in which JSON can hold one image, or one array for a model that takes no images."""
    if spec.size is None:
        return nested(spec.least_shape, number(spec.dtype))
    # Whole numbers: fractions up to 1 are taken for pixels that were divided by 255 already, and refused.
    pixel = {"type": "integer", "minimum": 0, "maximum": 255}
    shapes = dict.fromkeys(tuple(side or 1 for side in shape) for shape in spec.example_shapes)
    return any_of([BASE64, *(nested(shape, pixel) for shape in shapes)])


def number(dtype: str) -> Json:
    """Return the range of a number of a type: beyond its largest, and half a step, it would become infinite."""
    if dtype not in ("float16", "float32"):
        return {"type": "number"}
    largest = np.finfo(dtype).max
    step = float(largest) - float(np.nextafter(largest, largest.dtype.type(0)))
    edge = float(largest) + step / 2
    return {"type": "number", "exclusiveMinimum": -edge, "exclusiveMaximum": edge}


def _images(name: str, limits: Limits) -> Json:
    image = {"$ref": f"#/components/schemas/{name}.Image"}
    several = {**array(image), "minItems": 1, "maxItems": limits.batch}
    return {"oneOf": [closed(image=image), closed(images=several)]}


def _prediction(predictors: Iterable[Predictor]) -> Json:
    labels = [predictor.labels for predictor in predictors]
    most, least = max(map(len, labels)), min(map(len, labels))
    return record(
        label={"type": "string", "enum": [*dict.fromkeys(label for names in labels for label in names)]},
        **{"class": {"type": "integer", "minimum": 0, "exclusiveMaximum": most}},
        confidence={"type": "number"},
        probabilities={**array({"type": "number"}), "minItems": least, "maxItems": most},
    )


def _blank(spec: InputSpec) -> Any:
    if spec.size is None:
        return np.zeros(spec.least_shape).tolist()
    return base64.b64encode(encode_png(np.zeros(spec.image_shape, np.uint8))).decode()


def nested(shape: tuple[int, ...], item: Json) -> Json:
    """Return the schema of nested lists of a shape."""
    for side in reversed(shape):
        item = {**array(item), "minItems": side, "maxItems": side}
    return item


def array(items: Json) -> Json:
    """Return the schema of a list."""
    return {"type": "array", "items": items}


def any_of(schemas: list[Json]) -> Json:
    """Return the schema of a value that fits at least one of several schemas."""
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


def record(**properties: Json) -> Json:
    """Return the schema of an object that has these keys, and perhaps others."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def closed(**properties: Json) -> Json:
    """Return the schema of an object that has just these keys."""
    return {**record(**properties), "additionalProperties": False}
