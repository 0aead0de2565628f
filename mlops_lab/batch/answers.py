"""What a model says about rows: a column for each part of the answer, and the error of each row that has none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.errors import LabError
from mlops_lab.image import InputSpec, to_input
from mlops_lab.predict import Prediction, Predictor, check_rows, from_probabilities
from mlops_lab.serve.codecs.images import check_image, decode_image
from mlops_lab.serve.core.limits import Limits

Column = Sequence[Any] | NDArray[Any]
Columns = Mapping[str, Column]
NAMES = ("label", "class", "confidence", "error")
LIMITS = Limits()


def answer(predictor: Predictor, columns: Columns) -> dict[str, NDArray[Any]]:
    """Return a column for each of :data:`NAMES`; a row without an answer has an error instead.

    Parameters
    ----------
    predictor
        The model.
    columns
        The column of its input: the bytes of PNG or JPEG files, or arrays as the server takes them.

    Examples
    --------
    >>> from mlops_lab.engines.python import PythonEngine
    >>> coin = Predictor("coin", 1, InputSpec((2,), name="x"), ("heads", "tails"), PythonEngine(lambda x: x))
    >>> found = answer(coin, {"x": np.array([[0.25, 0.75], [np.nan, 0]], np.float32)})
    >>> found["label"].tolist(), found["class"].tolist(), found["error"].tolist()[1]
    (['tails', ''], [1, -1], 'The arrays hold NaN or infinity. Send finite numbers.')
    """
    read = [_read(example, predictor.input) for example in columns[predictor.input.name]]
    computed = iter(_compute(predictor, [example for example in read if not isinstance(example, LabError)]))
    outcomes = [example if isinstance(example, LabError) else next(computed) for example in read]
    answers = [
        ("", -1, np.nan, str(one)) if isinstance(one, LabError) else (one.label, one.class_index, one.confidence, "")
        for one in outcomes
    ]
    return {name: np.array(column) for name, column in zip(NAMES, zip(*answers, strict=True), strict=True)}


def _read(example: Any, spec: InputSpec) -> NDArray[Any] | LabError:
    """Return one example as the server reads it from a request, or what is wrong with it."""
    try:
        if isinstance(example, bytes):
            return decode_image(example, spec, LIMITS)
        array = np.asarray(example)
        if spec.size is None and array.shape == (np.prod(spec.shape),):
            array = array.reshape(spec.shape)  # a cell of a table holds a list of one axis
        return check_image(array, spec)
    except LabError as error:
        return error


def _compute(predictor: Predictor, examples: list[NDArray[Any]]) -> list[Prediction | LabError]:
    """Return an answer for each example: of one call of the engine, or, where that fails, of one call for each."""
    if not examples:
        return []
    try:
        inputs = to_input(examples, predictor.input)
        with np.errstate(over="ignore", invalid="ignore"):
            rows = predictor.engine.predict(inputs)
        check_rows(rows, len(inputs), predictor, prepared=False)
    except LabError as error:
        if len(examples) == 1:
            return [error]
        return [one for example in examples for one in _compute(predictor, [example])]
    return list(from_probabilities(rows, predictor.class_names(rows.shape[1])))
