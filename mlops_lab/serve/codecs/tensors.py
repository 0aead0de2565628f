"""Tensors on the wire to arrays and back, for the protocols that carry tensors and not images.

Nothing here looks at single numbers in Python: lists become an array in one step, and bytes are one already.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.errors import BadRequest, WrongShape
from mlops_lab.inputs import TEXT, InputSpec, fits
from mlops_lab.predict import Predictor
from mlops_lab.serve.core.inference import Batch, Inference, check_length
from mlops_lab.serve.core.limits import Limits
from mlops_lab.signature import PROBABILITIES, WITH_CLASSES, OutputSpec

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
# The protocol's names for NumPy's types.
NAMES = {np.dtype(code).name: name for name, code in DATATYPES.items() if name != "BF16"} | {TEXT: "BYTES"}


def output_name(predictor: Predictor) -> str:
    """Return what a classifier's output is called: as TensorFlow Serving would say it, were it to serve the folder.

    Examples
    --------
    >>> output_name(Predictor("m", 1, InputSpec((2,)), (), engine=None, info={"framework": "keras"}))
    'output_0'
    """
    named = predictor.info.get("output")
    if isinstance(named, str) and named:
        return named
    if predictor.signature.outputs[0].name != PROBABILITIES:
        return predictor.signature.outputs[0].name
    return "output_0" if predictor.info.get("framework") == "keras" else PROBABILITIES


def outputs_of(predictor: Predictor) -> list[OutputSpec]:
    """Return the outputs of a model under their names on the wire."""
    outputs = predictor.signature.outputs
    if predictor.signature.is_classifier:
        return [replace(outputs[0], name=output_name(predictor), shape=(classes(predictor),))]
    return list(outputs)


def scored(predictor: Predictor) -> OutputSpec | None:
    """Return the output that TensorFlow Serving's ``:classify`` answers: the first one with classes, if any."""
    return next((spec for spec in outputs_of(predictor) if spec.task in WITH_CLASSES), None)


def valued(predictor: Predictor) -> OutputSpec | None:
    """Return the output that TensorFlow Serving's ``:regress`` answers: the first that is a single number, if any."""
    tasks, single = ("regression", "anomaly"), ((), (1,))
    return next((spec for spec in outputs_of(predictor) if spec.task in tasks and spec.shape in single), None)


def named_outputs(found: Inference) -> dict[str, NDArray[Any]]:
    """Return the arrays of an answer by their names on the wire, in the types of the signature."""
    specs = outputs_of(found.predictor)
    arrays = {specs[0].name: found.rows} if found.outputs is None else found.outputs
    return {
        spec.name: arrays[spec.name] if spec.dtype == TEXT else arrays[spec.name].astype(spec.dtype, copy=False)
        for spec in specs
    }


def to_batch(arrays: dict[str, NDArray[Any]], predictor: Predictor, message: Any = None) -> Batch:
    """Return named tensors as the examples of a request."""
    if predictor.signature.is_classifier:
        return Batch(tensor=arrays[predictor.input.name], message=message)
    return Batch(inputs=arrays, message=message)


def signature_names(predictor: Predictor) -> tuple[str, ...]:
    """Return the names of the signature of a model: Keras exports it under two."""
    return (DEFAULT_SIGNATURE, "serve") if predictor.info.get("framework") == "keras" else (DEFAULT_SIGNATURE,)


def classes(predictor: Predictor) -> int | None:
    """Return how many probabilities a model answers, where its labels tell."""
    return len(predictor.labels) or None


def size(shape: Sequence[int | None]) -> int | None:
    """Return how many numbers one example has; None where a side is free."""
    return None if None in shape else math.prod(side for side in shape if side is not None)


def label(spec: OutputSpec, place: int) -> str:
    """Return the name of a class, or its number where it has no name."""
    return spec.labels[place] if place < len(spec.labels) else str(place)


def check_shape(shape: Any, spec: InputSpec, limits: Limits) -> tuple[int, ...]:
    """Return a declared shape, batch first, once it is one that the model takes; nothing is allocated before that."""
    if not isinstance(shape, list) or not all(type(side) is int for side in shape):
        raise BadRequest("The shape of an input is not a list of whole numbers.", f"Send {wanted(spec)}.")
    if len(shape) != len(spec.shape) + 1 or min(shape) < 0 or not fits(tuple(shape[1:]), spec.shape):
        shown = f"{shape}" if len(shape) <= 8 else f"{len(shape)} axes"
        raise WrongShape(f"The input {spec.name!r} has the shape {shown[:200]}.", f"Send {wanted(spec)}.")
    check_length(shape[0], limits)
    return tuple(shape)


def side(length: int | None) -> str:
    """Return one side of a shape in words."""
    return "any" if length is None else str(length)


def one(spec: InputSpec) -> str:
    """Return what one example is, in words."""
    if spec.size:
        return "an image: a PNG or JPEG in base64, or nested lists of pixels 0–255"
    kind = "text" if spec.dtype == TEXT else spec.dtype
    return f"{kind} of shape ({', '.join(map(side, spec.shape))})" if spec.shape else kind


def wanted(spec: InputSpec) -> str:
    """Return what a model takes, in words."""
    scaled = f", scaled to {spec.low:g}–{spec.high:g}" if spec.size else ""
    kind = "text" if spec.dtype == TEXT else spec.dtype
    return f"{kind} of shape [{', '.join(['n', *map(side, spec.shape)])}]{scaled}"


def from_lists(data: Any, spec: InputSpec) -> NDArray[Any]:
    """Return nested lists as an array of the model's type.

    Examples
    --------
    >>> from_lists([[1, 2.5]], InputSpec((2,)))
    array([[1. , 2.5]], dtype=float32)
    >>> from_lists(["a", "b"], InputSpec((), dtype="str"))
    array(['a', 'b'], dtype=object)
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
    taken = _kinds(spec)
    if not kinds <= taken:
        odd = ", ".join(sorted(kind.__name__ for kind in kinds - taken))
        there = "text" if spec.dtype == TEXT else "numbers"
        raise BadRequest(f"The input {spec.name!r} holds {odd} where there should be {there}.", f"Send {wanted(spec)}.")
    if spec.dtype == TEXT:
        return items
    if np.dtype(spec.dtype).kind in "iub" and float in kinds:
        check_whole(flat, spec)
    try:
        with np.errstate(over="ignore"):
            return np.array(flat, dtype=spec.dtype).reshape(items.shape)
    except OverflowError as error:
        raise BadRequest(f"The input {spec.name!r} holds a number too large for {spec.dtype}.", "Scale it.") from error


def _kinds(spec: InputSpec) -> set[type]:
    if spec.dtype == TEXT:
        return {str}
    return {bool, int} if spec.dtype == "bool" else {int, float}


def check_whole(numbers: Sequence[float], spec: InputSpec) -> None:
    """Raise where numbers for an input of whole numbers have fractions, which NumPy would cut off."""
    odd = [number for number in numbers if number != number or number % 1]
    if odd:
        raise BadRequest(f"The input {spec.name!r} takes {spec.dtype}; received {odd[0]}.", "Send whole numbers.")


def _ragged(spec: InputSpec) -> WrongShape:
    message = f"Encountered list at unexpected size: the lists of the input {spec.name!r} differ in length."
    return WrongShape(message, f"Send {wanted(spec)}.")


def from_bytes(data: bytes | memoryview, datatype: str, shape: Sequence[int]) -> NDArray[Any]:
    """Return little-endian bytes, row after row, as an array; without a copy, except for text.

    Examples
    --------
    >>> from_bytes(bytes([0, 0, 128, 63]), "FP32", [1, 1])
    array([[1.]], dtype=float32)
    """
    if datatype == "BYTES":
        return texts(unpack(data), shape)
    dtype = np.dtype(DATATYPES[datatype])
    declared = math.prod(shape) * dtype.itemsize
    if len(data) != declared:
        message = f"A {datatype} tensor of shape {list(shape)} has {declared} bytes; {len(data)} were sent."
        raise BadRequest(message, "Send the numbers little-endian, row after row.")
    array = np.frombuffer(data, dtype)
    return (_widened(array) if datatype == "BF16" else array).reshape(shape)


def _widened(halves: NDArray[np.uint16]) -> NDArray[np.float32]:
    return (halves.astype(np.uint32) << 16).view(np.float32)


def unpack(data: bytes | memoryview) -> list[bytes]:
    r"""Return the strings that :func:`pack` laid in bytes.

    Examples
    --------
    >>> unpack(b"\x02\x00\x00\x00ab")
    [b'ab']
    """
    found, place, view = [], 0, memoryview(data)
    while place < len(view):
        end = place + 4 + int.from_bytes(view[place : place + 4], "little")
        if end > len(view) or place + 4 > len(view):
            raise BadRequest("A string of BYTES is longer than its bytes.", "Put its length, 4 bytes, before each.")
        found.append(bytes(view[place + 4 : end]))
        place = end
    return found


def pack(items: Iterable[bytes]) -> bytes:
    r"""Return strings as the Open Inference Protocol lays them in bytes: each behind its length.

    Examples
    --------
    >>> pack([b"ab"])
    b'\x02\x00\x00\x00ab'
    """
    return b"".join(struct.pack("<I", len(item)) + item for item in items)


def texts(items: Sequence[bytes], shape: Sequence[int]) -> NDArray[Any]:
    """Return strings in UTF-8 as an array of text."""
    if len(items) != math.prod(shape):
        message = f"A BYTES tensor of shape {list(shape)} has {math.prod(shape)} strings; {len(items)} were sent."
        raise BadRequest(message, "Send a string for each place.")
    try:
        found = [item.decode() for item in items]
    except UnicodeDecodeError as error:
        raise BadRequest(f"A string is not UTF-8: {error}.", "Encode text in UTF-8.") from error
    array = np.empty(len(found), object)
    array[:] = found
    return array.reshape(shape)


def check_datatype(datatype: Any, spec: InputSpec) -> str:
    """Return the name of a type once the model takes it.

    Whole numbers are refused where the model takes images of fractions: they would be pixels 0–255, and the model takes
    tensors that are scaled already.
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
    >>> datatypes(InputSpec((), dtype="str"))
    ['BYTES']
    """
    if spec.dtype in (TEXT, "bool"):
        return [NAMES[spec.dtype]]
    whole = np.dtype(spec.dtype).kind in "iu"
    kinds = "iu" if whole else "f" if spec.size else "fiu"
    return [
        name
        for name, code in DATATYPES.items()
        if (np.dtype(code).kind in kinds and name != "BF16") or (name == "BF16" and not whole)
    ]


def datatype_of(spec: InputSpec | OutputSpec) -> str:
    """Return the protocol's name for the type of an input or an output.

    Examples
    --------
    >>> datatype_of(InputSpec((2,)))
    'FP32'
    """
    return NAMES[spec.dtype]
