"""The course's routes for every other model than a plain classifier: tables, text, several inputs; answers by task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab import image
from mlops_lab.errors import BadRequest, UnsupportedMedia
from mlops_lab.inputs import InputSpec
from mlops_lab.predict import Predictor
from mlops_lab.serve.codecs import images, tensors
from mlops_lab.serve.core.inference import Batch, check_length
from mlops_lab.serve.core.limits import Limits
from mlops_lab.tensors import Tensors


def decode(kind: str, body: bytes | images.Form, predictor: Predictor, limits: Limits) -> Batch:
    """Return the examples in a body of any content type; a form holds images for the model's only input.

    Raises
    ------
    BadRequest
        Or one of its kinds: what is wrong, what was received, and what to send.
    """
    specs = predictor.signature.inputs
    if kind == "application/json" and isinstance(body, bytes):
        return decode_json(body, predictor, limits)
    if len(specs) == 1 and specs[0].size:
        return Batch(images.decode(kind, body, specs[0], limits))
    if isinstance(body, images.Form):
        raise UnsupportedMedia(f"{predictor.name} takes no form.", f"Send application/json: {form(predictor)}")
    if len(specs) == 1 and kind == "application/x-npy" and specs[0].dtype != "str":
        array = images.read_npy(body, specs[0])
        one = array.ndim == len(specs[0].shape) and specs[0].shape != (1,)
        return Batch(inputs={specs[0].name: array[np.newaxis] if one else with_batch(array, specs[0])})
    received = f"The content type {kind[:100]!r} is not what {predictor.name} takes." if kind else "No content type."
    raise UnsupportedMedia(received, f"Send application/json: {form(predictor)}")


def decode_json(body: bytes, predictor: Predictor, limits: Limits) -> Batch:
    """Return the examples in ``{"inputs": …}``, or the images in ``{"image": …}`` and ``{"images": …}``."""
    message = images.parse_json(body, limits)
    specs = predictor.signature.inputs
    if isinstance(message, dict) and list(message) == ["inputs"]:
        return Batch(inputs=named_inputs(message["inputs"], predictor, limits), decoded=True)
    if len(specs) == 1 and specs[0].size:
        return Batch(images.decode_json(body, specs[0], limits))
    keys = ", ".join(sorted(key[:40] for key in message)[:8]) if isinstance(message, dict) else ""
    received = f"an object with {keys or 'nothing in it'}" if isinstance(message, dict) else type(message).__name__
    raise BadRequest(f"The JSON body is {received}.", f"Send {form(predictor)}")


def form(predictor: Predictor) -> str:
    """Return the JSON that a model takes, in words.

    Examples
    --------
    >>> from mlops_lab.image import InputSpec
    >>> form(Predictor("price", 1, InputSpec((3,), name="house"), (), engine=None))
    '{"inputs": [ … ]}, each float32 of shape (3).'
    """
    specs = predictor.signature.inputs
    if len(specs) == 1:
        return f'{{"inputs": [ … ]}}, each {tensors.one(specs[0])}.'
    named = ", ".join(f'"{spec.name}": [ … ]' for spec in specs)
    return f'{{"inputs": {{{named}}}}}: {"; ".join(f"{spec.name} {tensors.one(spec)}" for spec in specs)}.'


def named_inputs(content: Any, predictor: Predictor, limits: Limits) -> Tensors:
    """Return the examples in ``inputs`` as arrays by the names of the model's inputs.

    Parameters
    ----------
    content
        A list of examples: values for the only input, or objects that name each of several; or an object with the list
        of each input.
    """
    specs = predictor.signature.inputs
    names = [spec.name for spec in specs]
    if len(specs) == 1:
        columns = {names[0]: images.only_rows(content, specs[0])}
    elif isinstance(content, dict):
        columns = content
    else:
        columns = _by_name(content, names, predictor)
    if sorted(columns) != sorted(names):
        sent = ", ".join(sorted(name[:40] for name in columns)[:8]) or "none"
        message = f"The model {predictor.name!r} takes the inputs {', '.join(names)}; received {sent}."
        raise BadRequest(message, f"Send {form(predictor)}")
    budget = images.PixelBudget(limits)
    return {spec.name: to_array(columns[spec.name], spec, limits, budget) for spec in specs}


def _by_name(rows: Any, names: list[str], predictor: Predictor) -> dict[str, list[Any]]:
    if not isinstance(rows, list) or not all(isinstance(row, dict) and sorted(row) == sorted(names) for row in rows):
        message = f"The model {predictor.name!r} takes several inputs; 'inputs' does not have each of them by its name."
        raise BadRequest(message, f"Send {form(predictor)}")
    return {name: [row[name] for row in rows] for name in names}


def to_array(items: Any, spec: InputSpec, limits: Limits, budget: images.PixelBudget | None = None) -> NDArray[Any]:
    """Return the examples of one input as the model takes them; the budget is that of the whole request."""
    if not isinstance(items, list):
        message = f"The input {spec.name!r} is a {type(items).__name__}, and not a list of examples."
        raise BadRequest(message, f"Send a list, each {tensors.one(spec)}.")
    check_length(len(items), limits)
    if spec.size:
        return image.to_input(images.read_images(items, spec, limits, budget or images.PixelBudget(limits)), spec)
    if spec.columns and all(isinstance(item, dict) for item in items):
        items = [_in_order(item, spec) for item in items]
    return with_batch(tensors.from_lists(items, spec), spec)


def _in_order(row: Mapping[str, Any], spec: InputSpec) -> list[Any]:
    """Return the values of a row in the order of the model's columns."""
    if row.keys() != set(spec.columns):
        missing = ", ".join(name for name in spec.columns if name not in row) or "none"
        unknown = ", ".join(name[:40] for name in row if name not in spec.columns)[:200] or "none"
        message = f"A row has not just the columns of {spec.name!r}: {missing} missing, {unknown} unknown."
        raise BadRequest(message, f"The columns are {', '.join(spec.columns)}.")
    return [row[name] for name in spec.columns]


def with_batch(array: NDArray[Any], spec: InputSpec) -> NDArray[Any]:
    """Return an array whose examples are single values in the shape of the input: ``(n,)`` and ``(n, 1)`` are alike.

    Examples
    --------
    >>> with_batch(np.array([1.0, 2.0]), InputSpec((1,))).shape
    (2, 1)
    """
    if array.ndim == 1 and spec.shape == (1,):
        return array[:, np.newaxis]
    if array.ndim == 2 and array.shape[1] == 1 and spec.shape == ():
        return array[:, 0]
    return array


def encode(predictor: Predictor, answers: Sequence[Any]) -> dict[str, Any]:
    """Return the answer to a request: one entry of ``predictions`` for each example.

    Examples
    --------
    >>> from mlops_lab.answers import Value
    >>> encode(Predictor("price", 1, InputSpec((2,)), (), engine=None), [Value(23.4)])
    {'model': 'price', 'version': 'v1', 'predictions': [{'value': 23.4}]}
    """
    predictions = [answer.to_dict() for answer in answers]
    return {"model": predictor.name, "version": f"v{predictor.version}", "predictions": predictions}
