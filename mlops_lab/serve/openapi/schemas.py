"""JSON schemas of images, predictions and errors on the wire."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mlops_lab.image import describe
from mlops_lab.inputs import TEXT as TEXT_TYPE
from mlops_lab.predict import Predictor
from mlops_lab.serve.core.limits import Limits
from mlops_lab.serve.core.registry import ModelEntry
from mlops_lab.serve.openapi import tasks
from mlops_lab.serve.openapi.components import Json
from mlops_lab.serve.openapi.primitives import TEXT, any_of, array, closed, record
from mlops_lab.serve.openapi.tasks import BASE64

COUNT: Json = {"type": "integer", "minimum": 0}
VERSION: Json = {"type": "string", "pattern": "^v[1-9][0-9]{0,5}$"}
# The description of a version; a predictor that was made in Python may have fewer of these keys.
FACTS: Json = {
    "name": TEXT,
    "version": VERSION,
    "description": TEXT,
    "framework": TEXT,
    "engine": TEXT,
    "versions": {"type": "object", "additionalProperties": TEXT},
    "input": {"type": "object"},
    "task": TEXT,
    "inputs": {"type": "array", "items": {"type": "object"}},
    "outputs": {"type": "array", "items": {"type": "object"}},
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
        "Ready": {
            **record(status={"const": "ready"}),
            "properties": {"status": {"const": "ready"}, "models": array(listed), "store": TEXT},
        },
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
        images = [tasks.image(spec) for spec in tasks.specs(filter(tasks.takes_images, predictors))]
        if images:
            found[f"{name}.Image"] = any_of(images)
        found[f"{name}.Images"] = tasks.request(name, predictors, limits)
        found[f"{name}.Prediction"] = _prediction(predictors)
        predictions = {**array({"$ref": f"#/components/schemas/{name}.Prediction"}), "minItems": 1}
        found[f"{name}.Answer"] = record(model={"const": name}, version=VERSION, predictions=predictions)
    return found


def request_body(name: str, predictor: Predictor, limits: Limits) -> Json:
    """Return every way in which examples can be sent to a model."""
    specs = predictor.signature.inputs
    content = _files(limits.batch) if len(specs) == 1 and specs[0].size else {}
    schema = {"$ref": f"#/components/schemas/{name}.Images"}
    content["application/json"] = {"schema": schema, "example": tasks.blank(predictor)}
    if len(specs) == 1 and specs[0].dtype != TEXT_TYPE:
        content["application/x-npy"] = {"schema": binary("application/x-npy")}
    taken = "; ".join(map(describe, specs))
    return {"required": True, "description": f"Takes {taken}.", "content": content}


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


def _prediction(predictors: Sequence[Predictor]) -> Json:
    if not all(predictor.signature.is_classifier for predictor in predictors):
        return any_of([tasks.answer(one) for one in dict.fromkeys(predictor.signature for predictor in predictors)])
    labels = [predictor.labels for predictor in predictors]
    most, least = max(map(len, labels)), min(map(len, labels))
    return record(
        label={"type": "string", "enum": [*dict.fromkeys(label for names in labels for label in names)]},
        **{"class": {"type": "integer", "minimum": 0, "exclusiveMaximum": most}},
        confidence={"type": "number"},
        probabilities={**array({"type": "number"}), "minItems": least, "maxItems": most},
    )
