"""The messages of the Open Inference Protocol: a request to an array, and probabilities to a response."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from mlops_lab.errors import BadRequest, WrongShape
from mlops_lab.predict import Predictor
from mlops_lab.serve.codecs import tensors
from mlops_lab.serve.core.limits import Limits


@dataclass(frozen=True, eq=False)
class InferRequest:
    """A request for inference.

    Parameters
    ----------
    batch
        The input tensor.
    id
        Returned with the answer.
    binary
        The output is wanted as bytes.
    classes
        The number of best classes to name instead of the probabilities; 0 for the probabilities.
    """

    batch: NDArray[Any]
    id: str | None = None
    binary: bool = False
    classes: int = 0


@dataclass(frozen=True)
class InferResponse:
    """The answer: a JSON message, and the binary tensor after it where there is one."""

    message: dict[str, Any]
    binary: bytes | None = None


def decode(message: dict[str, Any], binary: bytes | memoryview, predictor: Predictor, limits: Limits) -> InferRequest:
    """Return the request in a JSON message and the bytes after it.

    Raises
    ------
    BadRequest
        Or one of its kinds.
    """
    entry = only_input(objects(message.get("inputs"), "inputs"), predictor)
    identity = message.get("id")
    if identity is not None and not isinstance(identity, str):
        raise BadRequest(f"The 'id' is a {type(identity).__name__}.", "Send a string, or none.")
    everything = parameters(message).get("binary_data_output", False)
    as_bytes, classes = decode_outputs(message.get("outputs"), flag(everything, "binary_data_output"), predictor)
    return InferRequest(decode_input(entry, binary, predictor, limits), identity, as_bytes, classes)


def decode_input(
    entry: dict[str, Any], binary: bytes | memoryview, predictor: Predictor, limits: Limits
) -> NDArray[Any]:
    """Return the tensor of an input, from its own ``data`` or from the bytes after the message."""
    spec = predictor.input
    datatype = tensors.check_datatype(entry.get("datatype"), spec)
    shape = tensors.check_shape(entry.get("shape"), spec, limits)
    size = parameters(entry).get("binary_data_size")
    if size is None and binary:
        raise BadRequest(f"There are {len(binary)} bytes after the JSON that no input declares.", _SIZE)
    if size is None:
        return reshaped(tensors.from_lists(entry.get("data"), spec), shape, predictor)
    if "data" in entry:
        raise BadRequest(f"The input {spec.name!r} has both 'data' and 'binary_data_size'.", "Send one of them.")
    if type(size) is not int or size != len(binary):
        raise BadRequest(f"The binary_data_size is {str(size)[:80]}; {len(binary)} bytes were sent.", _SIZE)
    return tensors.from_bytes(binary, datatype, shape)


_SIZE = "Each binary input says its number of bytes in parameters.binary_data_size."


def decode_raw(binary: bytes, predictor: Predictor) -> InferRequest:
    """Return the request in a body without JSON: it is one example, and the answer is binary."""
    spec = predictor.input
    return InferRequest(tensors.from_bytes(binary, tensors.datatype_of(spec), (1, *spec.least_shape)), binary=True)


def reshaped(array: NDArray[Any], shape: tuple[int, ...], predictor: Predictor) -> NDArray[Any]:
    """Return data that came flat, or nested as its shape says, in that shape."""
    if array.shape == shape or (array.ndim == 1 and array.size == shape[0] * tensors.size(predictor.input)):
        return array.reshape(shape)
    name = predictor.input.name
    message = f"The input {name!r} says shape {list(shape)} and has data of shape {list(array.shape)}."
    raise WrongShape(message, "Send the data flat, or nested as the shape says.")


def only_input(entries: list[dict[str, Any]], predictor: Predictor) -> dict[str, Any]:
    """Return the one input that the model has, once just that one was sent."""
    names = [entry.get("name") for entry in entries]
    if names != [predictor.input.name]:
        sent = ", ".join(repr(name)[:80] for name in names[:8]) or "none"
        message = f"The model {predictor.name!r} takes the input {predictor.input.name!r}; the request has {sent}."
        raise BadRequest(message, "Send that one, once.")
    return entries[0]


def decode_outputs(entries: Any, as_bytes: bool, predictor: Predictor) -> tuple[bool, int]:
    """Return whether the output is wanted as bytes, and how many classes of it in words."""
    if entries is None or entries == []:
        return as_bytes, 0
    listed, name = objects(entries, "outputs"), tensors.output_name(predictor)
    if [entry.get("name") for entry in listed] != [name]:
        sent = ", ".join(repr(entry.get("name"))[:80] for entry in listed[:8])
        raise BadRequest(f"The model {predictor.name!r} has the output {name!r}; asked for {sent}.", "Ask for it once.")
    given = parameters(listed[0])
    return flag(given.get("binary_data", as_bytes), "binary_data"), count(given.get("classification", 0))


def objects(entries: Any, what: str) -> list[dict[str, Any]]:
    """Return a list of objects, or raise where it is anything else."""
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise BadRequest(f"'{what}' is not a list of objects.", f'Send {{"{what}": [{{"name": …}}]}}.')
    return entries


def parameters(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ``parameters`` of a message or of one of its tensors."""
    given = entry.get("parameters")
    given = {} if given is None else given
    if not isinstance(given, dict) or not all(isinstance(value, str | int | float) for value in given.values()):
        raise BadRequest("'parameters' is not an object of strings, numbers and booleans.", "Leave it out, or mend it.")
    return given


def flag(value: Any, name: str) -> bool:
    """Return a parameter that is true or false."""
    if not isinstance(value, bool):
        raise BadRequest(f"The parameter {name!r} is {value!r:.80}.", "It is true or false.")
    return value


def count(value: Any) -> int:
    """Return how many classes were asked for."""
    if type(value) is not int or value < 0:
        raise BadRequest(f"The parameter 'classification' is {value!r:.80}.", "It is how many classes to name.")
    return value


def encode(request: InferRequest, rows: NDArray[np.float32], predictor: Predictor) -> InferResponse:
    """Return the response to a request."""
    datatype, shape, values, packed = output(request, rows, predictor)
    entry: dict[str, Any] = {"name": tensors.output_name(predictor), "datatype": datatype, "shape": shape}
    message: dict[str, Any] = {"model_name": predictor.name, "model_version": str(predictor.version)}
    if request.id is not None:
        message["id"] = request.id
    if request.binary:
        return InferResponse(
            {**message, "outputs": [{**entry, "parameters": {"binary_data_size": len(packed)}}]}, packed
        )
    return InferResponse({**message, "outputs": [{**entry, "data": values}]})


def output(
    request: InferRequest, rows: NDArray[np.float32], predictor: Predictor
) -> tuple[str, list[int], list[Any], bytes]:
    """Return the type, shape, values and bytes of the output; values and bytes only if the request wants them."""
    if request.classes:
        words = best(rows, request.classes, predictor)
        flat = [word for row in words for word in row]
        return "BYTES", [len(words), len(words[0])], flat, pack(word.encode() for word in flat)
    packed = rows.astype("<f4", copy=False).tobytes() if request.binary else b""
    return "FP32", list(rows.shape), [] if request.binary else rows.ravel().tolist(), packed


def best(rows: NDArray[np.float32], number: int, predictor: Predictor) -> list[list[str]]:
    """Return the best classes of each row as Triton writes them: ``score:index:label``."""
    order = np.argsort(-rows, axis=1, kind="stable")[:, :number].tolist()
    return [
        [f"{row[place]:f}:{place}:{tensors.label(predictor, place)}" for place in places]
        for row, places in zip(rows.tolist(), order, strict=True)
    ]


def pack(items: Iterable[bytes]) -> bytes:
    r"""Return strings as the protocol lays them in bytes: each behind its length.

    Examples
    --------
    >>> pack([b"ab"])
    b'\x02\x00\x00\x00ab'
    """
    return b"".join(struct.pack("<I", len(item)) + item for item in items)


def dump(message: Any) -> bytes:
    """Return compact JSON."""
    try:
        return orjson.dumps(message)
    except TypeError:  # half a surrogate pair in an id
        return json.dumps(message, separators=(",", ":")).encode()
