"""Tables, text and named inputs as the JSON that the routes of ``serve`` take."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mlops_lab.client.encoding import encode_images
from mlops_lab.errors import WrongUsage
from mlops_lab.image import decode, encode_png, fit, to_input
from mlops_lab.inputs import TEXT, InputSpec, fits


def read_inputs(info: Mapping[str, Any]) -> tuple[InputSpec, ...]:
    """Return the inputs of a model from its description; none where it does not tell.

    Examples
    --------
    >>> read_inputs({"input": InputSpec((4,), name="flower").to_dict()})[0].name
    'flower'
    """
    entries = info.get("inputs") or ([info["input"]] if "input" in info else [])
    return tuple(map(InputSpec.from_dict, entries))


def read_labels(info: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the names of the classes of each output by its name; of a model with one output under the empty name too.

    Examples
    --------
    >>> read_labels({"labels": ["cat", "dog"]})
    {'': ('cat', 'dog')}
    """
    found = {entry["name"]: tuple(entry.get("labels", ())) for entry in info.get("outputs", ())}
    only = next(iter(found.values())) if len(found) == 1 else ()
    return {**found, "": tuple(info.get("labels", ())) or only}


def encode_inputs(examples: Any, specs: Sequence[InputSpec]) -> dict[str, list[Any]]:
    """Return examples as the lists of each input, which JSON can hold.

    Parameters
    ----------
    examples
        For a model with one input: one example or several, as an array, nested lists, texts, or a table with named
        columns. For several inputs: an object with the examples of each.
    specs
        The inputs of the model.

    Raises
    ------
    WrongUsage
        An input is missing, or there is one that the model does not have.

    Examples
    --------
    >>> encode_inputs([5.1, 3.5], [InputSpec((2,), name="flower")])
    {'flower': [[5.1, 3.5]]}
    >>> encode_inputs("free money", [InputSpec((), name="text", dtype="str")])
    {'text': ['free money']}
    """
    names = [spec.name for spec in specs]
    named = examples if isinstance(examples, Mapping) else {}
    if len(specs) == 1 and sorted(named) != names:
        return {names[0]: _encode(examples, specs[0])}
    if sorted(named) != sorted(names):
        received = ", ".join(map(str, named)) or f"a {type(examples).__name__}"
        hint = f"Pass an object: {{{', '.join(f'{name!r}: …' for name in names)}}}."
        raise WrongUsage(f"The model takes the inputs {', '.join(names)}; received {received}.", hint)
    return {spec.name: _encode(named[spec.name], spec) for spec in specs}


def encode_tensors(examples: Any, specs: Sequence[InputSpec]) -> dict[str, list[Any]]:
    """Return examples as the tensors of each input, for a server that does not prepare them.

    Examples
    --------
    >>> encode_tensors([{"a": 1, "b": 2}], [InputSpec((2,), name="row", columns=("a", "b"))])
    {'row': [[1, 2]]}
    """
    found = encode_inputs(examples, specs)
    for spec in specs:
        if spec.size:
            pixels = [fit(decode(base64.b64decode(item), spec.mode), spec) for item in found[spec.name]]
            found[spec.name] = to_input(pixels, spec).tolist()
        elif spec.columns:
            rows = found[spec.name]
            found[spec.name] = [[row[name] for name in spec.columns] if isinstance(row, dict) else row for row in rows]
    return found


def _encode(examples: Any, spec: InputSpec) -> list[Any]:
    """Return the examples of one input, the batch first."""
    if spec.size:
        payload = encode_images(examples)
        files = payload.files or [encode_png(pixels) for pixels in payload.images or ()]
        return [base64.b64encode(file).decode() for file in files]
    if isinstance(examples, str):
        return [examples] if spec.shape in ((), (1,)) else [[examples]]
    if isinstance(examples, Mapping) and set(examples) == set(spec.columns):
        columns = {name: _plain(column) for name, column in examples.items()}
        if not any(isinstance(column, list) for column in columns.values()):
            return [columns]  # one row
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    if hasattr(examples, "to_dict") and hasattr(examples, "columns"):  # a table of pandas or polars
        records = examples.to_dict("records") if hasattr(examples, "iloc") else examples.to_dicts()
        if set(map(str, examples.columns)) == set(spec.columns):
            return [{name: _plain(value) for name, value in row.items()} for row in records]
        examples = examples.to_numpy()
    found = _plain(examples)
    if not isinstance(found, list):
        return [found]
    return [found] if spec.dtype != TEXT and _is_one(found, spec) else found


def _is_one(values: list[Any], spec: InputSpec) -> bool:
    """Return whether values are one example, and not a batch."""
    if not spec.shape or any(isinstance(value, dict | str) for value in values):
        return False
    try:
        shape = np.shape(values)
    except ValueError:  # lists that differ in length: the server says so
        return False
    return spec.shape != (1,) and fits(shape, spec.shape)


def _plain(value: Any) -> Any:
    """Return arrays and their numbers as lists and numbers of Python."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
