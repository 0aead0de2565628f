"""Infer the outputs of a model from its answers to its examples, and from what its framework tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.errors import LabError, WrongUsage
from mlops_lab.inputs import fits
from mlops_lab.signature import WITH_CLASSES, Activation, OutputSpec, Role, Task
from mlops_lab.store.intake.source import OutputInfo

# What rounding may add to a probability.
ROUNDING = 1e-3
Labels = Sequence[str] | Mapping[str, Sequence[str]] | None


def output_spec(
    name: str, array: NDArray[Any], info: OutputInfo, labels: Sequence[str] | None = None, task: Task | None = None
) -> tuple[OutputSpec, list[str]]:
    """Return an output and what a reader of the card should know about it.

    Parameters
    ----------
    name
        Its name.
    array
        The model's answers to its examples.
    info
        What the framework tells of it.
    labels
        The names of its classes, where the user gives them.
    task
        Its task, where the user gives it.

    Raises
    ------
    WrongUsage
        The labels are not those of its classes, or its task cannot be told.

    Examples
    --------
    >>> spec, notes = output_spec("y", np.array([[3.0, -1.0]]), OutputInfo("linear"), ["cat", "dog"])
    >>> spec.activation, notes
    ('softmax', ["'y' is logits: the softmax is applied when it answers"])
    """
    declared = info.shape if info.shape is not None and fits(array.shape[1:], info.shape) else array.shape[1:]
    dtype = "str" if array.dtype == object else array.dtype.name
    found = task or info.task or _task(array, info, labels)
    if found in WITH_CLASSES:
        return _classes(name, array, info, labels, found)
    if labels and found != "segmentation":
        message = f"The output {name!r} is of the task {found}, which has no classes; {len(labels)} labels were given."
        raise WrongUsage(message, "Leave the labels out, or pass task='classification'.")
    if found == "segmentation":
        return _segmentation(name, array, declared, info, labels)
    roles: dict[Task, Role] = {"regression": "value", "embedding": "vector", "anomaly": "score", "other": "tensor"}
    return OutputSpec(name, found, tuple(declared), dtype, roles[found]), []


def _task(array: NDArray[Any], info: OutputInfo, labels: Sequence[str] | None) -> Task:
    """Return the most plausible task of an output of which the framework tells none."""
    width = array.shape[1] if array.ndim == 2 else 1
    if array.ndim > 3 or (array.ndim == 3 and array.dtype.kind in "iub" and labels):
        return "segmentation" if labels or info.kind in ("softmax", "sigmoid") else "other"
    if array.dtype.kind != "f" or array.ndim > 2:
        return "other"
    if info.kind == "sigmoid":
        return "binary" if width == 1 else "multilabel"
    if info.kind == "probabilities" and not sums_to_one(array):
        return "multilabel"
    if info.kind in ("softmax", "probabilities", "scores"):
        return "classification"
    if labels:
        return "binary" if width == 1 else "classification"
    if width == 1:
        return "regression"
    return "classification" if not info.kind and sums_to_one(array) else "embedding"


def _classes(
    name: str, array: NDArray[Any], info: OutputInfo, labels: Sequence[str] | None, task: Task
) -> tuple[OutputSpec, list[str]]:
    if array.ndim not in (1, 2) or array.dtype.kind != "f":
        message = f"The output {name!r} is {array.dtype.name} of shape {array.shape}, which is no row of probabilities."
        raise WrongUsage(message, "Let it answer one number for each class, or pass another task=.")
    width = array.shape[1] if array.ndim == 2 else 1
    if width == 1 and task == "classification":
        task = "binary"
    if width == 2 and task == "binary":
        task = "classification"
    names = _labels(array, 2 if task == "binary" else width, info, labels)
    role, activation, notes = _activation(name, array, info, task)
    if activation == "none" and task == "classification" and not info.kind and not sums_to_one(array):
        role, activation = "logits", "softmax"
        notes = [f"{name!r} does not sum to 1, so it is taken for logits, and the softmax is applied"]
    return OutputSpec(name, task, (width,), array.dtype.name, role, names, activation), notes


def _labels(array: NDArray[Any], number: int, info: OutputInfo, labels: Sequence[str] | None) -> tuple[str, ...]:
    if labels is None:
        return info.classes if len(info.classes) == number else tuple(map(str, range(number)))
    names = tuple(map(str, labels))
    if len(names) != number:
        message = f"The model answers {array.shape} to {len(array)} examples; there are {len(names)} labels."
        raise WrongUsage(message, "Pass one label for each class, in the order of the model's output.")
    if len(set(names)) != len(names):
        raise WrongUsage(f"The labels are not different: {', '.join(names)}.", "Give each class a name of its own.")
    if info.named and names != info.classes and set(names) == set(info.classes):
        message = (
            f"The labels are in another order than the classes of the model: it answers {', '.join(info.classes)}; "
            f"the labels are {', '.join(names)}."
        )
        raise WrongUsage(message, "Leave the labels out: the model knows the names of its classes.")
    return names


def _activation(name: str, array: NDArray[Any], info: OutputInfo, task: Task) -> tuple[Role, Activation, list[str]]:
    """Return the role of the numbers of a classifier, and what makes probabilities of them."""
    wanted: Activation = "softmax" if task == "classification" else "sigmoid"
    if info.kind in ("probabilities", "softmax", "sigmoid"):
        if info.kind == "sigmoid" and task == "classification" and not sums_to_one(array):
            message = f"The output {name!r} ends with a sigmoid, so its classes do not exclude each other."
            raise WrongUsage(message, "Pass task='multilabel', or let it end with a softmax.")
        return "probabilities", "none", []
    if info.kind == "scores":
        note = f"{name!r} is made of decision scores by a {wanted}: its confidences are no calibrated probabilities"
        return "logits", wanted, [note]
    if task == "classification" and sums_to_one(
        array
    ):  # such as a mean of probabilities, whose last operator is linear
        return "probabilities", "none", []
    if info.kind == "linear" or array.min() < -ROUNDING or array.max() > 1 + ROUNDING:
        return "logits", wanted, [f"{name!r} is logits: the {wanted} is applied when it answers"]
    return "probabilities", "none", []


def _segmentation(
    name: str, array: NDArray[Any], shape: Any, info: OutputInfo, labels: Sequence[str] | None
) -> tuple[OutputSpec, list[str]]:
    names = tuple(map(str, labels or ()))
    if array.dtype.kind != "f":
        first = array.ndim == 4 and array.shape[1] == 1 != array.shape[-1]
        mask = OutputSpec(name, "segmentation", tuple(shape), array.dtype.name, "mask", names, classes_first=first)
        return mask, []
    axis = _class_axis(array, names)
    pixels = np.moveaxis(array, axis, -1).reshape(-1, array.shape[axis]) if array.ndim > 3 else array.reshape(-1, 1)
    number = 2 if pixels.shape[1] == 1 else pixels.shape[1]
    if names and len(names) != number:
        message = f"The model answers {array.shape} to {len(array)} examples; there are {len(names)} labels."
        raise WrongUsage(message, "The classes are the last axis, or the first of an example, with one label for each.")
    names = names or tuple(map(str, range(number)))
    alike: Task = "binary" if pixels.shape[1] == 1 else "classification"
    # Of sigmoids, each of which stands for itself, the most probable one is the answer.
    known = replace(info, kind="probabilities") if info.kind == "sigmoid" else info
    role, activation, notes = _activation(name, pixels, known, alike)
    dtype = array.dtype.name
    return OutputSpec(name, "segmentation", tuple(shape), dtype, role, names, activation, axis == 1), notes


def _class_axis(array: NDArray[Any], labels: Sequence[str]) -> int:
    """Return the axis of the classes of a batch of masks: the last one, or 1 where they come first, as in PyTorch.

    It is the one that has as many classes as there are labels, along which probabilities sum to 1, and the shorter one.
    """
    if array.ndim < 4:
        return -1
    axes = sorted((-1, 1), key=lambda axis: array.shape[axis])
    fitting = [axis for axis in axes if len(labels) in (array.shape[axis], 2 if array.shape[axis] == 1 else 0)] or axes
    summed = [axis for axis in fitting if sums_to_one(np.moveaxis(array, axis, -1).reshape(-1, array.shape[axis]))]
    return (summed or fitting)[0]


def sums_to_one(array: NDArray[Any]) -> bool:
    """Return whether each row is a distribution over classes.

    Examples
    --------
    >>> sums_to_one(np.array([[0.25, 0.75]])), sums_to_one(np.array([[0.5, 0.75]]))
    (True, False)
    """
    if array.ndim != 2 or array.dtype.kind != "f":
        return False
    rounding = 2e-2 if array.dtype == np.float16 else ROUNDING
    inside = array.min() >= -rounding and array.max() <= 1 + rounding
    return bool(inside and np.abs(array.astype(np.float64).sum(axis=1) - 1).max() < rounding)


def check_answers(answers: Mapping[str, NDArray[Any]], length: int) -> None:
    """Raise where an output has not one finite row for each example.

    Raises
    ------
    LabError
        With the code ``invalid_output``.
    """
    for name, array in answers.items():
        if array.ndim == 0 or len(array) != length:
            message = f"The model answers the shape {array.shape} as {name!r} to {length} examples."
            raise LabError(message, "Let it answer one row for each example.", code="invalid_output")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            message = f"The model answers NaN or infinity as {name!r} to its examples."
            raise LabError(message, "Look at the examples, and at their scale.", code="invalid_output")
