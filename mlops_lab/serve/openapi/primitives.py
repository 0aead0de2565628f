"""The pieces that JSON schemas are made of."""

from __future__ import annotations

import numpy as np

from mlops_lab.serve.core.limits import Limits
from mlops_lab.serve.openapi.components import Json

TEXT: Json = {"type": "string"}


def nested(shape: tuple[int | None, ...], item: Json) -> Json:
    """Return the schema of nested lists of a shape; a side that is ``None`` may have any length."""
    for side in reversed(shape):
        item = array(item) if side is None else {**array(item), "minItems": side, "maxItems": side}
    return item


def batch(one: Json, limits: Limits) -> Json:
    """Return the schema of a list of examples."""
    return {**array(one), "minItems": 1, "maxItems": limits.batch}


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


def number(dtype: str) -> Json:
    """Return the values of a type: of a fraction, beyond its largest and half a step, it would become infinite."""
    if dtype in ("str", "bool"):
        return {"type": "string" if dtype == "str" else "boolean"}
    if dtype.startswith(("int", "uint")):
        range_ = np.iinfo(dtype)
        return {"type": "integer", "minimum": int(range_.min), "maximum": int(range_.max)}
    if dtype not in ("float16", "float32"):
        return {"type": "number"}
    largest = np.finfo(dtype).max
    step = float(largest) - float(np.nextafter(largest, largest.dtype.type(0)))
    edge = float(largest) + step / 2
    return {"type": "number", "exclusiveMinimum": -edge, "exclusiveMaximum": edge}
