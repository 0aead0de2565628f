"""The named tensors that a model is given and gives: checked against its signature in one place, for every protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.errors import BadRequest, LabError, WrongShape
from mlops_lab.inputs import InputSpec
from mlops_lab.predict import Predictor
from mlops_lab.signature import OutputSpec

Tensors = dict[str, NDArray[Any]]


def run(predictor: Predictor, inputs: Mapping[str, NDArray[Any]]) -> Tensors:
    """Return the named outputs of a model, activations applied, for named inputs that are model input already.

    Parameters
    ----------
    predictor
        The model; its engine's ``run`` is called where it has one, else ``predict`` with the only input.
    inputs
        ``(n, *shape)`` each, ``n`` the same in all.

    Raises
    ------
    BadRequest
        An input is missing, unknown, of another type or not finite.
    WrongShape
        An input has another shape, or another length than the first.
    LabError
        The engine did not answer one finite row for each example.

    Examples
    --------
    >>> from mlops_lab.engines.python import PythonEngine
    >>> twice = Predictor("twice", 1, InputSpec((2,), name="x"), ("a", "b"), PythonEngine(lambda x: 2 * x))
    >>> run(twice, {"x": np.ones((1, 2), np.float32)})
    {'probabilities': array([[2., 2.]], dtype=float32)}
    """
    checked = check_inputs(inputs, predictor)
    length = len(next(iter(checked.values())))
    step = predictor.signature.max_batch
    if step is None or length == step:
        return check_outputs(_call(predictor, checked), length, predictor)
    parts = [_call_padded(predictor, checked, start, step) for start in range(0, length, step)]
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return check_outputs(joined, length, predictor)


def check_inputs(inputs: Mapping[str, NDArray[Any]], predictor: Predictor) -> Tensors:
    """Return the inputs in the order and the types of the signature, once they are what it says."""
    specs = predictor.signature.inputs
    wanted = [spec.name for spec in specs]
    if sorted(inputs) != sorted(wanted):
        received = ", ".join(sorted(name[:40] for name in inputs)) or "none"
        message = f"The model {predictor.name!r} takes the inputs {', '.join(wanted)}; received {received}."
        raise BadRequest(message, "Send each of them once, by its name.")
    checked = {spec.name: _check_input(np.asarray(inputs[spec.name]), spec) for spec in specs}
    lengths = {name: len(array) for name, array in checked.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise WrongShape(f"The inputs differ in their number of examples: {told}.", "The first axis is the batch.")
    return checked


def _check_input(array: NDArray[Any], spec: InputSpec) -> NDArray[Any]:
    if array.ndim != len(spec.shape) + 1 or not _fits(array.shape[1:], spec.shape):
        sides = ", ".join("any" if side is None else str(side) for side in spec.shape)
        message = f"The input {spec.name!r} has the shape (n, {sides}); received {array.shape}."
        raise WrongShape(message, "The first axis is the batch.")
    if spec.dtype == "str":
        if array.dtype.kind not in "UO" or not all(type(item) is str for item in array.ravel().tolist()):
            raise BadRequest(f"The input {spec.name!r} takes text; received {array.dtype.name}.", "Send strings.")
        return array.astype(object)
    if array.dtype.kind not in "fiub":
        raise BadRequest(f"The input {spec.name!r} takes {spec.dtype}; received {array.dtype.name}.", "Send numbers.")
    with np.errstate(over="ignore", invalid="ignore"):
        converted = np.ascontiguousarray(array, dtype=spec.dtype)
    if converted.dtype.kind == "f":
        if not np.isfinite(converted).all():
            raise BadRequest("The tensor holds NaN, infinity or numbers too large.", "Send finite numbers.")
    elif not np.array_equal(converted, array):
        message = f"The input {spec.name!r} takes {spec.dtype}; received numbers that this type does not hold."
        raise BadRequest(message, "Send whole numbers in its range.")
    return converted


def _fits(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(shape) == len(wanted) and all(side in (None, has) for side, has in zip(wanted, shape, strict=True))


def _call(predictor: Predictor, inputs: Tensors) -> Tensors:
    """Ask the engine; the answers have the names of the signature, in its order."""
    engine, outputs = predictor.engine, predictor.signature.outputs
    with np.errstate(over="ignore", invalid="ignore"):
        if hasattr(engine, "run"):
            answers = engine.run(inputs)
            return {spec.name: answers[spec.name] for spec in outputs}
        return {outputs[0].name: engine.predict(next(iter(inputs.values())))}


def _call_padded(predictor: Predictor, inputs: Tensors, start: int, step: int) -> Tensors:
    """Ask for one part of a batch, its last example repeated to the only length that the model takes."""
    parts = {name: array[start : start + step] for name, array in inputs.items()}
    length = len(next(iter(parts.values())))
    padded = {name: part[np.minimum(np.arange(step), length - 1)] for name, part in parts.items()}
    return {name: array[:length] for name, array in _call(predictor, padded).items()}


def check_outputs(outputs: Tensors, length: int, predictor: Predictor) -> Tensors:
    """Return the outputs, activations applied, once each has one finite row of the signature's shape for each example."""
    return {
        spec.name: _check_output(outputs[spec.name], length, spec, predictor) for spec in predictor.signature.outputs
    }


def _check_output(array: NDArray[Any], length: int, spec: OutputSpec, predictor: Predictor) -> NDArray[Any]:
    subject = f"The output {spec.name!r} of {predictor.name} v{predictor.version}"
    if array.ndim == 0 or len(array) != length:
        message = f"{subject} has the shape {array.shape} for {length} examples."
        raise LabError(message, "An engine answers one row for each example.", code="invalid_output")
    if spec.shape == (1,) and array.ndim == 1:
        array = array[:, np.newaxis]
    if not _fits(array.shape[1:], spec.shape):
        message = f"{subject} has the shape {array.shape}; its signature says (n, {', '.join(map(str, spec.shape))})."
        raise LabError(message, "Publish the version again.", code="invalid_output")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        message = f"{subject} holds NaN or infinity."
        raise LabError(message, "Publish a version that answers finite numbers.", code="invalid_output")
    return activate(array, spec)


def activate(array: NDArray[Any], spec: OutputSpec) -> NDArray[Any]:
    """Return probabilities where an output is logits, and the numbers themselves elsewhere.

    Examples
    --------
    >>> activate(np.array([[0.0, 0.0]]), OutputSpec("y", "classification", (2,), role="logits", activation="softmax"))
    array([[0.5, 0.5]])
    """
    if spec.activation == "softmax":
        powers = np.exp(array - array.max(axis=-1, keepdims=True))
        softmax: NDArray[Any] = powers / powers.sum(axis=-1, keepdims=True)
        return softmax
    if spec.activation == "sigmoid":
        return np.asarray(0.5 * (1 + np.tanh(0.5 * array)), dtype=array.dtype)
    return array
