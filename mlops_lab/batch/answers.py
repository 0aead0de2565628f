"""The answers of a model to rows: a column for each part of the answer, and the error of each row that has none."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab import tensors
from mlops_lab.answers import from_outputs
from mlops_lab.errors import LabError
from mlops_lab.image import to_input
from mlops_lab.inputs import TEXT, InputSpec
from mlops_lab.predict import Predictor
from mlops_lab.serve.codecs.images import check_image, decode_image
from mlops_lab.serve.codecs.tasks import to_array
from mlops_lab.serve.core.limits import Limits
from mlops_lab.signature import OutputSpec, Signature

Column = Sequence[Any] | NDArray[Any]
Columns = Mapping[str, Column]
Answer = dict[str, Any]
ERROR = "error"
LIMITS = Limits()


def answer(predictor: Predictor, columns: Columns) -> dict[str, NDArray[Any]]:
    """Return a column for each part of the answers, and ``error``, which is empty where a row has an answer.

    Parameters
    ----------
    predictor
        The model.
    columns
        The columns of its inputs: the bytes of PNG or JPEG files, or values as the server takes them; or of a row of a
        table one column for each of its numbers.

    Raises
    ------
    LabError
        The answers to two rows differ in shape.

    Examples
    --------
    >>> from mlops_lab.engines.python import PythonEngine
    >>> coin = Predictor("coin", 1, InputSpec((2,), name="x"), ("heads", "tails"), PythonEngine(lambda x: x))
    >>> found = answer(coin, {"x": np.array([[0.25, 0.75], [np.nan, 0]], np.float32)})
    >>> found["label"].tolist(), found["class"].tolist(), found["confidence"].tolist()
    (['tails', ''], [1, -1], [0.75, nan])
    >>> found["error"].tolist()[1]
    'The tensor holds NaN, infinity or numbers too large. Send finite numbers.'
    """
    rows = [_read(dict(zip(columns, row, strict=True)), predictor) for row in zip(*columns.values(), strict=True)]
    computed = iter(_compute(predictor, [row for row in rows if not isinstance(row, LabError)]))
    outcomes = [row if isinstance(row, LabError) else next(computed) for row in rows]
    answered = [one for one in outcomes if not isinstance(one, LabError)]
    blank = {name: _blank(value) for name, value in (answered or [_example(predictor.signature)])[0].items()}
    whole = [blank if isinstance(one, LabError) else one for one in outcomes]
    errors = [str(one) if isinstance(one, LabError) else "" for one in outcomes]
    return {**{name: _column(name, [one[name] for one in whole]) for name in blank}, ERROR: np.array(errors)}


def _read(row: Mapping[str, Any], predictor: Predictor) -> tensors.Tensors | LabError:
    """Return one row as the inputs of the model, a batch of one, or what is wrong with it."""
    try:
        inputs = {spec.name: _read_input(row, spec) for spec in predictor.signature.inputs}
        return tensors.check_inputs(inputs, predictor)
    except LabError as error:
        return error


def _read_input(row: Mapping[str, Any], spec: InputSpec) -> NDArray[Any]:
    item: Any = row[spec.name] if spec.name in row else [_plain(row[name]) for name in spec.columns]
    if spec.size:
        pixels = decode_image(item, spec, LIMITS) if isinstance(item, bytes) else check_image(np.asarray(item), spec)
        return to_input([pixels], spec)
    numbers = isinstance(item, np.ndarray) and spec.dtype != TEXT
    array = item[np.newaxis] if numbers else to_array([_plain(item)], spec, LIMITS)
    if array.ndim == 2 and None not in spec.shape and array.shape[1] == math.prod(spec.least_shape):
        array = array.reshape(1, *spec.least_shape)  # a cell of a table holds a list of one axis
    return array


def _plain(item: Any) -> Any:
    return item.tolist() if isinstance(item, np.generic | np.ndarray) else item


def _compute(predictor: Predictor, rows: list[tensors.Tensors]) -> list[Answer | LabError]:
    """Return an answer for each row: of one call of the engine, or, where that fails, of one call for each."""
    if not rows:
        return []
    try:
        if len({tuple(array.shape for array in row.values()) for row in rows}) > 1:
            raise LabError("The rows differ in shape.")  # so they are no batch, and are asked one by one
        inputs = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
        prepared = all(spec.size is None for spec in predictor.signature.inputs)
        outputs = tensors.run_checked(predictor, inputs, prepared=prepared)
        return [_flat(one.to_dict()) for one in from_outputs(outputs, predictor.signature)]
    except LabError as error:
        if len(rows) == 1:
            return [error]
        return [one for row in rows for one in _compute(predictor, [row])]


def _flat(found: Mapping[str, Any]) -> Answer:
    """Return an answer as cells: without the probabilities, several labels as one text, outputs as ``name.key``."""
    if "outputs" in found:
        return {f"{name}.{key}": value for name, one in found["outputs"].items() for key, value in _flat(one).items()}
    cells = {key: value for key, value in found.items() if key != "probabilities"}
    return {key: ", ".join(value) if key == "labels" else value for key, value in cells.items()}


def _example(signature: Signature) -> Answer:
    """Return the answer to some outputs of the right shapes, for its parts and their types."""
    outputs = {
        spec.name: np.zeros((1, *_least(spec)), "U1" if spec.dtype == TEXT else spec.dtype)
        for spec in signature.outputs
    }
    return _flat(from_outputs(outputs, signature)[0].to_dict())


def _least(spec: OutputSpec) -> list[int]:
    return [len(spec.labels) or 1 if side is None else side for side in spec.shape]


def _blank(value: Any) -> Any:
    """Return what stands in a cell of a row without an answer."""
    if isinstance(value, list):
        return [_blank(item) for item in value]
    kinds: dict[type, Any] = {str: "", bool: False, int: -1, float: math.nan}
    return kinds[type(value)]


def _column(name: str, cells: list[Any]) -> NDArray[Any]:
    try:
        return np.array(cells)
    except ValueError as error:
        message = f"The answers differ in the shape of {name!r} from row to row."
        raise LabError(message, "Split the rows by the shape of what the model is given.") from error
