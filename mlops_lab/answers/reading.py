"""The outputs of a model to answers, one for each example; and answers that came over the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.answers.kinds import (
    THRESHOLD,
    LabelSet,
    Mask,
    NamedAnswers,
    Prediction,
    Score,
    Tensor,
    Value,
    Vector,
    plain_numbers,
)
from mlops_lab.errors import LabError
from mlops_lab.signature import OutputSpec, Signature
from mlops_lab.tensors import class_rows

# What two versions' numbers may differ by, in proportion, and still count as the same answer.
TOLERANCE = 0.001


def from_probabilities(
    rows: NDArray[np.floating[Any]], labels: Sequence[str], images: Sequence[NDArray[Any]] | None = None
) -> list[Prediction]:
    """Return a prediction for each row of probabilities.

    Examples
    --------
    >>> from_probabilities(np.array([[0.25, 0.75]]), ["cat", "dog"])[0].label
    'dog'
    """
    names = tuple(labels)
    best = rows.argmax(axis=1).tolist()
    # Seven decimals are all a float32 holds; more would only be noise in the JSON.
    values = np.round(rows.astype(np.float64), 7).tolist()
    return [
        Prediction(names[top], top, row[top], tuple(row), names, None if images is None else images[place])
        for place, (top, row) in enumerate(zip(best, values, strict=True))
    ]


def from_outputs(
    outputs: Mapping[str, NDArray[Any]], signature: Signature, images: Sequence[NDArray[Any]] | None = None
) -> list[Any]:
    """Return the answer for each example.

    Parameters
    ----------
    outputs
        The named outputs of a model, checked and activated, as :func:`mlops_lab.tensors.run` returns them.
    signature
        That of the model.
    images
        The image of each example, where it is known.

    Raises
    ------
    LabError
        An output has another number of classes than labels.

    Examples
    --------
    >>> from mlops_lab.inputs import InputSpec
    >>> signature = Signature((InputSpec((2,)),), (OutputSpec("price", "regression", (1,), role="value"),))
    >>> from_outputs({"price": np.array([[23.4]], np.float32)}, signature)
    [Value(value=23.4)]
    """
    found = {spec.name: _answers(outputs[spec.name], spec, images) for spec in signature.outputs}
    if len(found) == 1:
        return next(iter(found.values()))
    return [NamedAnswers(dict(zip(found, each, strict=True))) for each in zip(*found.values(), strict=True)]


def _answers(array: NDArray[Any], spec: OutputSpec, images: Sequence[NDArray[Any]] | None) -> list[Any]:
    if spec.task in ("classification", "binary"):
        rows = class_rows(_flat(array), spec)
        return list(from_probabilities(rows, label_names(spec, rows.shape[1]), images))
    if spec.task == "multilabel":
        return _label_sets(array, spec)
    if spec.task == "regression":
        return [Value(item[0] if len(item) == 1 else tuple(item)) for item in plain_numbers(_flat(array))]
    if spec.task == "embedding":
        return [Vector(row) for row in _flat(array)]
    if spec.task == "segmentation":
        masks = masks_of(array, spec)
        pixels = [None] * len(masks) if images is None else images
        return [Mask(mask, spec.labels, image) for mask, image in zip(masks, pixels, strict=True)]
    if spec.task == "anomaly":
        return [Score(item[0], item[0] < 0) for item in plain_numbers(_flat(array))]
    return [Tensor(np.asarray(item)) for item in array]


def summary_rows(outputs: Mapping[str, NDArray[Any]], signature: Signature) -> NDArray[np.float32]:
    """Return one row of numbers for each example, of a model's first output, for logs.

    It is ``(n, classes)`` probabilities, or of a segmentation the share of pixels of each class; for a model without
    classes ``(n, numbers)``, and without columns where the output is text.

    Examples
    --------
    >>> from mlops_lab.inputs import InputSpec
    >>> signature = Signature((InputSpec((2,)),), (OutputSpec("score", "anomaly", (1,), role="score"),))
    >>> summary_rows({"score": np.array([[-0.25]])}, signature)
    array([[-0.25]], dtype=float32)
    """
    spec = signature.outputs[0]
    array = outputs[spec.name]
    if array.dtype.kind not in "fiub":
        return np.zeros((len(array), 0), np.float32)
    if spec.task != "segmentation":
        return class_rows(_flat(array), spec).astype(np.float32, copy=False)
    masks = masks_of(array, spec).reshape(len(array), -1)
    classes = len(spec.labels) or int(masks.max(initial=1)) + 1
    return np.stack([(masks == index).mean(axis=1) for index in range(classes)], axis=1).astype(np.float32)


def label_names(spec: OutputSpec, number: int) -> tuple[str, ...]:
    """Return the names of the classes of an output, or their numbers where they have no names.

    Raises
    ------
    LabError
        There are more classes than names, or fewer.
    """
    if spec.labels and len(spec.labels) != number:
        message = f"The output {spec.name!r} has {number} classes and {len(spec.labels)} labels."
        raise LabError(message, "Publish the version again with a label for each class.", code="invalid_output")
    return spec.labels or tuple(map(str, range(number)))


def _label_sets(array: NDArray[Any], spec: OutputSpec) -> list[LabelSet]:
    rows = _flat(array)
    names = label_names(spec, rows.shape[1])
    values = np.round(rows.astype(np.float64), 7).tolist()
    return [
        LabelSet(tuple(name for name, part in zip(names, row, strict=True) if part > THRESHOLD), tuple(row), names)
        for row in values
    ]


def masks_of(array: NDArray[Any], spec: OutputSpec) -> NDArray[Any]:
    """Return the class of every pixel, ``(n, height, width)``: the most probable one, or the likelier of two.

    Raises
    ------
    LabError
        There are more classes than names, or fewer.

    Examples
    --------
    >>> masks_of(np.array([[[[0.25], [0.75]]]]), OutputSpec("y", "segmentation", (1, 2, 1)))
    array([[[0, 1]]])
    """
    if spec.classes_first:
        array = np.moveaxis(array, 1, -1)
    if spec.role == "mask":
        return array[..., 0] if array.ndim == 4 and array.shape[-1] == 1 else array
    if array.ndim == 4 and array.shape[-1] > 1:
        label_names(spec, array.shape[-1])
        return np.asarray(array.argmax(axis=-1))
    single = array[..., 0] if array.ndim == 4 else array
    return np.asarray(single > THRESHOLD).astype(np.int64)


def _flat(array: NDArray[Any]) -> NDArray[Any]:
    return array.reshape(len(array), -1)


def read(entry: Mapping[str, Any], labels: Mapping[str, Sequence[str]] | None = None, image: Any = None) -> Any:
    """Return the answer in one entry of ``predictions``, by its keys; the inverse of each class's ``to_dict``.

    Parameters
    ----------
    entry
        As a server answered it.
    labels
        The names of the classes by output, where they are known; of a model with one output under the empty name.
    image
        The image it is about, where it is known.

    Raises
    ------
    KeyError, TypeError, ValueError
        It is none of the answers.

    Examples
    --------
    >>> read({"score": -0.2, "outlier": True})
    Score(score=-0.2, outlier=True)
    """
    known = labels or {}
    names = tuple(known.get("", ()))
    if "outputs" in entry:
        parts = entry["outputs"].items()
        return NamedAnswers({name: read(part, {"": known.get(name, ())}, image) for name, part in parts})
    if "value" in entry:
        value = entry["value"]
        return Value(tuple(value) if isinstance(value, list) else value)
    if "vector" in entry:
        return Vector(np.array(entry["vector"]))
    if "mask" in entry:
        return Mask(np.array(entry["mask"]), names, image)
    if "score" in entry:
        return Score(entry["score"], entry["outlier"])
    if "tensor" in entry:
        return Tensor(np.array(entry["tensor"]))
    if "labels" in entry:
        return LabelSet(tuple(entry["labels"]), tuple(entry["probabilities"]), names)
    return Prediction(entry["label"], entry["class"], entry["confidence"], tuple(entry["probabilities"]), names, image)


def classes_of(answer: Any) -> list[str]:
    """Return the names to count an answer under; none for one that is a number.

    Examples
    --------
    >>> classes_of(Score(-0.2, True)), classes_of(Value(1.0))
    (['outlier'], [])
    """
    if isinstance(answer, Prediction):
        return [answer.label]
    if isinstance(answer, LabelSet):
        return list(answer.found)
    if isinstance(answer, Score):
        return ["outlier" if answer.outlier else "usual"]
    return []


def agree(one: Any, other: Any) -> bool:
    """Return whether two answers say the same: the same labels, or numbers that differ by a thousandth at most.

    Examples
    --------
    >>> agree(Value(100.0), Value(100.05)), agree(Value(100.0), Value(101.0))
    (True, False)
    """
    if type(one) is not type(other):
        return False
    if isinstance(one, NamedAnswers):
        same = one.outputs.keys() == other.outputs.keys()
        return same and all(agree(part, other.outputs[name]) for name, part in one.outputs.items())
    if isinstance(one, Prediction | LabelSet):
        return classes_of(one) == classes_of(other)
    left, right = (np.asarray(next(iter(vars(answer).values()))) for answer in (one, other))
    if left.shape != right.shape:
        return False
    if isinstance(one, Mask) or left.dtype.kind not in "fiub":
        return bool((left == right).all())
    return bool(np.allclose(left, right, rtol=TOLERANCE, atol=TOLERANCE * TOLERANCE))
