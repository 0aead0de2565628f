"""The named tensors that a model is given and gives: checked against its signature in one place, for every protocol."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mlops_lab.errors import BadRequest, LabError, WrongShape
from mlops_lab.inputs import TEXT, InputSpec, convert, fits, sides
from mlops_lab.signature import OutputSpec, Signature

Tensors = dict[str, NDArray[Any]]


class Model(Protocol):
    """The interface of a model: :class:`mlops_lab.predict.Predictor` is one."""

    @property
    def name(self) -> str:
        """The name of the model."""

    @property
    def version(self) -> int:
        """The number of its version."""

    @property
    def engine(self) -> Any:
        """The engine."""

    @property
    def signature(self) -> Signature:
        """Its inputs and outputs."""


def run(model: Model, inputs: Mapping[str, NDArray[Any]], *, prepared: bool = True) -> Tensors:
    """Return the named outputs of a model, activations applied, for named inputs that are model input already.

    Parameters
    ----------
    model
        The model; its engine's ``run`` is called where it has one and the model is not a plain classifier, else its
        ``predict`` with the only input.
    inputs
        ``(n, *shape)`` each, ``n`` the same in all.
    prepared
        Whether the client prepared the tensors itself, so that numbers out of range are its own.

    Returns
    -------
    dict
        For each output of the signature, in its order, ``(n, *shape)``.

    Raises
    ------
    BadRequest
        An input is missing, unknown, of another type or not finite, or the model has no finite answer to it.
    WrongShape
        An input has another shape, or another length than the first.
    LabError
        The engine did not answer one row for each example.

    Examples
    --------
    >>> from mlops_lab.engines.python import PythonEngine
    >>> from mlops_lab.predict import Predictor
    >>> twice = Predictor("twice", 1, InputSpec((2,), name="x"), ("a", "b"), PythonEngine(lambda x: 2 * x))
    >>> run(twice, {"x": np.ones((1, 2), np.float32)})
    {'probabilities': array([[2., 2.]], dtype=float32)}
    """
    return run_checked(model, check_inputs(inputs, model), prepared=prepared)


def run_checked(model: Model, inputs: Tensors, *, prepared: bool = True) -> Tensors:
    """Return what :func:`run` does for inputs that :func:`check_inputs` returned."""
    length = len(next(iter(inputs.values())))
    outputs = in_batches(partial(compute, model), inputs, model.signature.max_batch)
    return check_outputs(outputs, length, model, prepared=prepared)


def check_inputs(inputs: Mapping[str, NDArray[Any]], model: Model) -> Tensors:
    """Return the inputs in the order and the types of the signature, once they are what it says.

    Raises
    ------
    BadRequest, WrongShape
        See :func:`run`.
    """
    specs = model.signature.inputs
    wanted = [spec.name for spec in specs]
    if sorted(inputs) != sorted(wanted):
        received = ", ".join(sorted(name[:40] for name in inputs)) or "none"
        message = f"The model {model.name!r} takes the inputs {', '.join(wanted)}; received {received}."
        raise BadRequest(message, "Send each of them once, by its name.")
    checked = {spec.name: _check_input(np.asarray(inputs[spec.name]), spec, model) for spec in specs}
    lengths = {name: len(array) for name, array in checked.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise WrongShape(f"The inputs differ in their number of examples: {listed}.", "The first axis is the batch.")
    return checked


def check_tensor(tensor: NDArray[Any], model: Model) -> NDArray[Any]:
    """Return a tensor in the type of the model's first input, once its shape fits and its numbers are finite.

    Raises
    ------
    WrongShape
        The tensor is not ``(n, *input.shape)``.
    BadRequest
        It holds NaN, infinity, or numbers too large for the type of the model.
    """
    return _check_input(tensor, model.signature.inputs[0], model)


def _check_input(array: NDArray[Any], spec: InputSpec, model: Model) -> NDArray[Any]:
    if array.ndim == 0 or not fits(array.shape[1:], spec.shape):
        several = f" as {spec.name!r}" if len(model.signature.inputs) > 1 else ""
        message = f"The model {model.name!r} takes tensors of shape {sides(spec.shape)}{several}; "
        raise WrongShape(f"{message}received {array.shape}.", "The first axis is the batch.")
    return convert(array, spec)


def compute(model: Model, inputs: Tensors) -> Tensors:
    """Ask the engine for one batch of checked inputs; the answers have the names of the signature, in its order.

    Raises
    ------
    LabError
        The engine's answer lacks an output.
    """
    engine, signature = model.engine, model.signature
    with np.errstate(over="ignore", invalid="ignore"):
        if signature.is_classifier or not hasattr(engine, "run"):
            return {signature.outputs[0].name: engine.predict(next(iter(inputs.values())))}
        answers = engine.run(inputs)
    if len(answers) == len(signature.outputs) == 1:  # whatever a converter called it
        return {signature.outputs[0].name: np.asarray(next(iter(answers.values())))}
    missing = [spec.name for spec in signature.outputs if spec.name not in answers]
    if missing:
        message = f"The engine of {model.name} v{model.version} did not answer {', '.join(missing)}."
        raise LabError(message, "An engine answers each output of the signature by its name.", code="invalid_output")
    return {spec.name: np.asarray(answers[spec.name]) for spec in signature.outputs}


def in_batches(ask: Callable[[Tensors], Tensors], inputs: Tensors, size: int | None) -> Tensors:
    """Return the answers to a batch of any length where only one length may be asked; with ``None``, any may be.

    Examples
    --------
    >>> in_batches(lambda inputs: {"y": inputs["x"] + len(inputs["x"])}, {"x": np.arange(3)}, 2)
    {'y': array([2, 3, 4])}
    """
    length = len(next(iter(inputs.values())))
    if size is None or length == size:
        return ask(inputs)
    parts = [_part(ask, inputs, start, size) for start in range(0, length, size)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _part(ask: Callable[[Tensors], Tensors], inputs: Tensors, start: int, size: int) -> Tensors:
    """Ask for one part of a batch, its last example repeated to the only length that may be asked."""
    parts = {name: array[start : start + size] for name, array in inputs.items()}
    length = len(next(iter(parts.values())))
    padded = {name: part[np.minimum(np.arange(size), length - 1)] for name, part in parts.items()}
    return {name: array[:length] for name, array in ask(padded).items()}


def check_outputs(outputs: Tensors, length: int, model: Model, *, prepared: bool) -> Tensors:
    """Return the outputs, activations applied, once each has one finite row of the signature's shape for each example.

    Raises
    ------
    BadRequest, LabError
        See :func:`run`.
    """
    checked = {}
    for spec in model.signature.outputs:
        array = outputs[spec.name]
        if array.ndim == 1 and len(spec.shape) == 1 and spec.shape[0] in (1, None):
            array = array[:, np.newaxis]
        elif array.ndim == 2 and spec.shape == () and array.shape[1] == 1:
            array = array[:, 0]
        check_rows(array, length, model, prepared=prepared, spec=spec)
        # Engines differ in the precision of what they answer; the signature has the only one that is promised.
        converted = array if spec.dtype == TEXT else array.astype(spec.dtype, copy=False)
        checked[spec.name] = activate(converted, spec)
    return checked


def check_rows(
    rows: NDArray[Any], length: int, model: Model, *, prepared: bool, spec: OutputSpec | None = None
) -> None:
    """Raise where an engine did not answer one row of finite numbers for each example.

    Parameters
    ----------
    rows
        The numbers of one output.
    length
        The number of examples.
    model
        Whose engine answered.
    prepared
        Whether the client prepared the tensors itself, so that numbers out of range are its own.
    spec
        The output; by default the first of the signature.

    Raises
    ------
    BadRequest
        The client's own numbers have no finite answer.
    LabError
        The shape is not that of the signature, or the answer is not finite.
    """
    spec = spec or model.signature.outputs[0]
    if rows.ndim == 0 or len(rows) != length or not fits(rows.shape[1:], spec.shape):
        message = f"The engine of {model.name} v{model.version} answered shape {rows.shape} to {length} examples."
        hint = f"An engine answers one row for each example; here {spec.name!r} is {sides(spec.shape)}."
        raise LabError(message, hint, code="invalid_output")
    if rows.dtype.kind == "f" and not np.isfinite(rows).all():
        if prepared:
            raise BadRequest("The model has no finite answer to these numbers.", "Scale them as in its training.")
        message = f"{model.name} v{model.version} answered NaN or infinity."
        raise LabError(message, "Publish a version that answers finite numbers.", code="invalid_output")


def activate(array: NDArray[Any], spec: OutputSpec) -> NDArray[Any]:
    """Return probabilities where an output is logits, and the numbers themselves elsewhere.

    Examples
    --------
    >>> activate(np.array([[0.0, 0.0]]), OutputSpec("y", "classification", (2,), role="logits", activation="softmax"))
    array([[0.5, 0.5]])
    """
    if spec.activation == "softmax":
        axis = spec.class_axis
        powers = np.exp(array - array.max(axis=axis, keepdims=True))
        softmax: NDArray[Any] = powers / powers.sum(axis=axis, keepdims=True)
        return softmax
    if spec.activation == "sigmoid":
        return np.asarray(0.5 * (1 + np.tanh(0.5 * array)), dtype=array.dtype)
    return array


def class_rows(array: NDArray[Any], spec: OutputSpec) -> NDArray[Any]:
    """Return one probability for each class: one sigmoid unit, the probability of the second class, becomes two.

    Examples
    --------
    >>> class_rows(np.array([[0.25]]), OutputSpec("y", "binary", (1,), labels=("no", "yes")))
    array([[0.75, 0.25]])
    """
    if spec.task == "binary" and array.shape[-1] == 1:
        return np.concatenate([1 - array, array], axis=-1)
    return array
