"""Tensors on the wire to arrays and back, for the protocols that carry tensors and not images.

Nothing here looks at single numbers in Python: lists become an array in one step, and bytes are one already.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.errors import BadRequest, WrongShape
from mlops_lab.image import InputSpec
from mlops_lab.predict import Predictor
from mlops_lab.serve.core.inference import check_length
from mlops_lab.serve.core.limits import Limits

DEFAULT_SIGNATURE = "serving_default"
# The Open Inference Protocol's names for types, as they lie in bytes.
DATATYPES = {
    "BOOL": "<?",
    "UINT8": "<u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "INT8": "<i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "BF16": "<u2",  # NumPy has no such type: the upper half of an FP32
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}


def output_name(predictor: Predictor) -> str:
    """Return what a model's output is called: as TensorFlow Serving would say it, were it to serve the same folder.

    Examples
    --------
    >>> output_name(Predictor("m", 1, InputSpec((2,)), (), engine=None, info={"framework": "keras"}))
    'output_0'
    """
    named = predictor.info.get("output")
    if isinstance(named, str) and named:
        return named
    return "output_0" if predictor.info.get("framework") == "keras" else "probabilities"


def signature_names(predictor: Predictor) -> tuple[str, ...]:
    """Return the names of the signature of a model: Keras exports it under two."""
    return (DEFAULT_SIGNATURE, "serve") if predictor.info.get("framework") == "keras" else (DEFAULT_SIGNATURE,)


def classes(predictor: Predictor) -> int | None:
    """Return how many probabilities a model answers, where its labels tell."""
    return len(predictor.labels) or None


def size(spec: InputSpec) -> int:
    """Return how many numbers one example has."""
    return math.prod(spec.least_shape)


def label(predictor: Predictor, place: int) -> str:
    """Return the name of a class, or its number where it has no name."""
    return predictor.labels[place] if place < len(predictor.labels) else str(place)


def check_shape(shape: Any, spec: InputSpec, limits: Limits) -> tuple[int, ...]:
    """Return a declared shape, batch first, once it is one that the model takes; nothing is allocated before that."""
    if not isinstance(shape, list) or not all(type(side) is int for side in shape):
        raise BadRequest("The shape of an input is not a list of whole numbers.", f"Send {wanted(spec)}.")
    if tuple(shape[1:]) != spec.shape or shape[0] < 0:
        shown = f"{shape}" if len(shape) <= 8 else f"{len(shape)} axes"
        raise WrongShape(f"The input {spec.name!r} has the shape {shown[:200]}.", f"Send {wanted(spec)}.")
    check_length(shape[0], limits)
    return tuple(shape)


def wanted(spec: InputSpec) -> str:
    """Return what a model takes, in words."""
    sides = ", ".join(map(str, spec.shape))
    scaled = f", scaled to {spec.low:g}–{spec.high:g}" if spec.size else ""
    return f"{spec.dtype} of shape [n, {sides}]{scaled}"


def from_lists(data: Any, spec: InputSpec) -> NDArray[Any]:
    """Return nested lists of numbers as an array of the model's type.

    Examples
    --------
    >>> from_lists([[1, 2.5]], InputSpec((2,)))
    array([[1. , 2.5]], dtype=float32)
    """
    try:
        # As objects first: NumPy would read a number in a string, and make one long string widen every number.
        items = np.array(data, dtype=object)
    except ValueError as error:
        raise _ragged(spec) from error
    flat = items.ravel().tolist()
    kinds = set(map(type, flat))
    if list in kinds:
        raise _ragged(spec)
    if not kinds <= {int, float}:
        odd = ", ".join(sorted(kind.__name__ for kind in kinds - {int, float}))
        raise BadRequest(f"The input {spec.name!r} holds {odd} where there should be numbers.", f"Send {wanted(spec)}.")
    try:
        with np.errstate(over="ignore"):
            return np.array(flat, dtype=spec.dtype).reshape(items.shape)
    except OverflowError as error:
        raise BadRequest(f"The input {spec.name!r} holds a number too large for {spec.dtype}.", "Scale it.") from error


def _ragged(spec: InputSpec) -> WrongShape:
    message = f"Encountered list at unexpected size: the lists of the input {spec.name!r} differ in length."
    return WrongShape(message, f"Send {wanted(spec)}.")


def from_bytes(data: bytes | memoryview, datatype: str, shape: Sequence[int]) -> NDArray[Any]:
    """Return little-endian bytes, row after row, as an array; without a copy.

    Examples
    --------
    >>> from_bytes(bytes([0, 0, 128, 63]), "FP32", [1, 1])
    array([[1.]], dtype=float32)
    """
    dtype = np.dtype(DATATYPES[datatype])
    declared = math.prod(shape) * dtype.itemsize
    if len(data) != declared:
        message = f"A {datatype} tensor of shape {list(shape)} has {declared} bytes; {len(data)} were sent."
        raise BadRequest(message, "Send the numbers little-endian, row after row.")
    array = np.frombuffer(data, dtype)
    return (_widened(array) if datatype == "BF16" else array).reshape(shape)


def _widened(halves: NDArray[np.uint16]) -> NDArray[np.float32]:
    return (halves.astype(np.uint32) << 16).view(np.float32)


def check_datatype(datatype: Any, spec: InputSpec) -> str:
    """Return the name of a type once the model takes it.

    Whole numbers are refused where the model takes images: they would be pixels 0–255, and the model takes tensors
    that are scaled already.
    """
    taken = datatypes(spec)
    if not isinstance(datatype, str) or datatype not in taken:
        message = f"The input {spec.name!r} has the datatype {str(datatype)[:80]!r}; the model takes {wanted(spec)}."
        raise BadRequest(message, f"Send one of: {', '.join(taken)}.")
    return datatype


def datatypes(spec: InputSpec) -> list[str]:
    """Return the names of the types that a model takes.

    Examples
    --------
    >>> datatypes(InputSpec((2, 2), size=(2, 2)))
    ['BF16', 'FP16', 'FP32', 'FP64']
    """
    kinds = "f" if spec.size else "fiu"
    return [name for name, code in DATATYPES.items() if np.dtype(code).kind in kinds or name == "BF16"]


def datatype_of(spec: InputSpec) -> str:
    """Return the protocol's name for a model's type.

    Examples
    --------
    >>> datatype_of(InputSpec((2,)))
    'FP32'
    """
    return f"FP{8 * np.dtype(spec.dtype).itemsize}"
