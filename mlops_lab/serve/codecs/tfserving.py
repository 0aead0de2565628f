"""The messages of TensorFlow Serving's REST interface: named tensors in rows or columns, examples, and the answers."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from mlops_lab.answers import label_names
from mlops_lab.errors import BadRequest, WrongShape
from mlops_lab.inputs import TEXT, InputSpec, fits
from mlops_lab.predict import Predictor
from mlops_lab.serve.codecs import tensors
from mlops_lab.serve.core.inference import Inference, check_length
from mlops_lab.serve.core.limits import Limits
from mlops_lab.signature import OutputSpec
from mlops_lab.tensors import Tensors, class_rows

NO_CLASSES = (
    "Expected classification signature method_name to be tensorflow/serving/classify. Was: tensorflow/serving/predict"
)
NO_REGRESSION = (
    "Expected regression signature method_name to be tensorflow/serving/regress. Was: tensorflow/serving/predict"
)


def decode(message: dict[str, Any], predictor: Predictor, limits: Limits) -> tuple[str, Tensors]:
    """Return the batch in a message, and whether it came as rows (``instances``) or as columns (``inputs``)."""
    given = [key for key in ("instances", "inputs") if key in message]
    if len(given) != 1:
        raise BadRequest(
            "Both 'instances' and 'inputs' are given." if given else "Missing 'inputs' or 'instances' key.",
            "Send one of them: rows in 'instances', or a whole batch in 'inputs'.",
        )
    key, specs = given[0], predictor.signature.inputs
    read = decode_rows if key == "instances" else decode_columns
    columns = read(message[key], specs, limits)
    return key, {spec.name: tensors.from_lists(as_text(columns[spec.name], spec), spec) for spec in specs}


def decode_rows(items: Any, specs: Sequence[InputSpec], limits: Limits) -> dict[str, list[Any]]:
    """Return the examples in ``instances`` by input: plain values of the only one, or objects that name each."""
    names, wanted = [spec.name for spec in specs], "; ".join(map(tensors.wanted, specs))
    if not isinstance(items, list) or not items:
        raise BadRequest("'instances' is not a list with something in it.", f"Send examples of {wanted}.")
    check_length(len(items), limits)
    objects = [isinstance(item, dict) and not _is_b64(item, specs[0]) for item in items]
    if len(specs) == 1 and not any(objects):
        return {names[0]: items}
    if not all(objects) or any(item.keys() != set(names) for item in items):
        message = "The objects in 'instances' do not have just the inputs of the signature."
        each = ", ".join(f'"{name}": …' for name in names)
        raise BadRequest(message, f"Every one is {{{each}}}" + (", or none is an object." if len(specs) == 1 else "."))
    return {name: [item[name] for item in items] for name in names}


def decode_columns(content: Any, specs: Sequence[InputSpec], limits: Limits) -> dict[str, Any]:
    """Return the batch in ``inputs`` by input: a plain value for the only one, or an object that names each."""
    if len(specs) == 1 and (not isinstance(content, dict) or _is_b64(content, specs[0])):
        return {specs[0].name: content}
    missing = [spec.name for spec in specs if not isinstance(content, dict) or spec.name not in content]
    if missing:
        each = ", ".join(f'"{spec.name}": …' for spec in specs)
        raise BadRequest(f"'inputs' has no {', '.join(map(repr, missing))}.", f'Send {{"inputs": {{{each}}}}}.')
    return {spec.name: content[spec.name] for spec in specs}


def as_text(data: Any, spec: InputSpec) -> Any:
    """Return nested lists with each ``{"b64": …}`` in them as the text that it holds, where the input is text."""
    if spec.dtype != TEXT:
        return data
    if isinstance(data, list):
        return [as_text(item, spec) for item in data]
    if _is_b64(data, spec):
        try:
            return base64.b64decode(data["b64"], validate=True).decode()
        except (ValueError, TypeError) as error:
            raise BadRequest(f"A 'b64' of the input {spec.name!r} is no text: {error}.", "Encode UTF-8.") from error
    return data


def _is_b64(data: Any, spec: InputSpec) -> bool:
    return spec.dtype == TEXT and isinstance(data, dict) and data.keys() == {"b64"}


def decode_examples(message: dict[str, Any], predictor: Predictor, limits: Limits) -> Tensors:
    """Return the batch in ``examples``: features by name, each a flat list, what they share in ``context``."""
    specs = predictor.signature.inputs
    items, context = message.get("examples"), message.get("context", {})
    named = ", ".join(f'"{spec.name}": [{"texts" if spec.dtype == TEXT else "numbers"}]' for spec in specs)
    if not isinstance(items, list) or not items or not isinstance(context, dict):
        raise BadRequest("'examples' is not a list with something in it.", f"Send [{{{named}}}, …].")
    check_length(len(items), limits)
    return {spec.name: _feature(items, context, spec, named) for spec in specs}


def _feature(items: list[Any], context: dict[str, Any], spec: InputSpec, named: str) -> NDArray[Any]:
    if not all(isinstance(item, dict) and spec.name in {**context, **item} for item in items):
        raise BadRequest(f"An example has no feature {spec.name!r}.", f"Every one is {{{named}}}.")
    features = [as_text({**context, **item}[spec.name], spec) for item in items]
    rows = [feature if isinstance(feature, list) else [feature] for feature in features]
    return fold(tensors.from_lists(rows, spec), spec)


def fold(rows: NDArray[Any], spec: InputSpec) -> NDArray[Any]:
    """Return flat features, one row for each example, in the model's shape; a free side is as long as it has to be."""
    flat, size = (rows.size // max(1, len(rows)),), tensors.size(spec.shape)
    if fits(rows.shape[1:], spec.shape):
        return rows
    step = math.prod(spec.least_shape)
    fitting = flat[0] == size if size is not None else spec.shape.count(None) == 1 and flat[0] % step == 0
    if rows.shape[1:] not in (flat, ()) or not fitting:
        message = f"An example has a feature {spec.name!r} of shape {rows.shape[1:]}."
        raise WrongShape(message, f"Send {size if size is not None else f'a multiple of {step}'} numbers.")
    return rows.reshape(len(rows), *(flat[0] // step if side is None else side for side in spec.shape))


def predictions(found: Inference) -> dict[str, Any]:
    """Return the answer of ``:predict``: rows as they came in rows, columns as they came in columns."""
    arrays = {name: array.tolist() for name, array in tensors.named_outputs(found).items()}
    only = next(iter(arrays.values())) if len(arrays) == 1 else None
    if found.batch.message != "instances":
        return {"outputs": arrays if only is None else only}
    if only is not None:
        return {"predictions": only}
    return {"predictions": [dict(zip(arrays, each, strict=True)) for each in zip(*arrays.values(), strict=True)]}


def scored_output(predictor: Predictor) -> OutputSpec:
    """Return the output that ``:classify`` answers, or raise :class:`BadRequest` where there is none."""
    found = tensors.scored(predictor)
    if found is None:
        raise BadRequest(NO_CLASSES, "Ask :predict, or :regress where the model gives a number.")
    return found


def value_output(predictor: Predictor) -> OutputSpec:
    """Return the output that ``:regress`` answers, or raise :class:`BadRequest` where there is none."""
    found = tensors.valued(predictor)
    if found is None:
        raise BadRequest(NO_REGRESSION, "Ask :predict or :classify.")
    return found


def classes_of(found: Inference, output: OutputSpec) -> list[list[list[Any]]]:
    """Return the label and the score of every class, for each example."""
    array = tensors.named_outputs(found)[output.name]
    rows = class_rows(array.reshape(len(array), -1), output)
    names = label_names(output, rows.shape[1])
    return [[list(pair) for pair in zip(names, row, strict=True)] for row in rows.tolist()]


def values_of(found: Inference, output: OutputSpec) -> list[float]:
    """Return the number for each example."""
    numbers: list[float] = tensors.named_outputs(found)[output.name].ravel().tolist()
    return numbers
