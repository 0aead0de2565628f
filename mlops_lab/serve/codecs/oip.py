"""The messages of the Open Inference Protocol: a request to named tensors, and those of an answer to a response."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.errors import BadRequest, WrongShape
from mlops_lab.inputs import TEXT, InputSpec
from mlops_lab.predict import Predictor
from mlops_lab.serve.codecs import tensors
from mlops_lab.serve.core.inference import Inference
from mlops_lab.serve.core.limits import Limits
from mlops_lab.signature import OutputSpec
from mlops_lab.tensors import Tensors, class_rows


@dataclass(frozen=True)
class WantedOutput:
    """An output that a request asks for.

    Parameters
    ----------
    spec
        The output.
    binary
        It is wanted as bytes.
    classes
        The number of best classes to name instead of the numbers; 0 for the numbers.
    """

    spec: OutputSpec
    binary: bool = False
    classes: int = 0


@dataclass(frozen=True, eq=False)
class InferRequest:
    """A request for inference.

    Parameters
    ----------
    inputs
        The tensors by name.
    outputs
        What is asked for.
    id
        Returned with the answer.
    """

    inputs: Tensors
    outputs: Sequence[WantedOutput]
    id: str | None = None


@dataclass(frozen=True)
class InferResponse:
    """The answer: a JSON message, and the binary tensors after it where there are any."""

    message: dict[str, Any]
    binary: bytes | None = None


def decode(message: dict[str, Any], binary: bytes | memoryview, predictor: Predictor, limits: Limits) -> InferRequest:
    """Return the request in a JSON message and the bytes after it.

    Raises
    ------
    BadRequest
        Or one of its kinds.
    """
    entries = by_name(objects(message.get("inputs"), "inputs"), predictor)
    identity = message.get("id")
    if identity is not None and not isinstance(identity, str):
        raise BadRequest(f"The 'id' is a {type(identity).__name__}.", "Send a string, or none.")
    everything = flag(parameters(message).get("binary_data_output", False), "binary_data_output")
    wanted = decode_outputs(message.get("outputs"), everything, predictor)
    parts = split(entries, binary)
    inputs = {
        spec.name: decode_input(entry, part, spec, limits)
        for entry, part, spec in zip(entries, parts, specs_of(entries, predictor), strict=True)
    }
    return InferRequest(inputs, wanted, identity)


def split(entries: list[dict[str, Any]], binary: bytes | memoryview) -> list[memoryview | None]:
    """Return the bytes after the message that belong to each input, in order; None for one that has its own data."""
    parts: list[memoryview | None] = []
    place, rest = 0, memoryview(binary)
    for entry in entries:
        size = parameters(entry).get("binary_data_size")
        if size is None:
            parts.append(None)
            continue
        if "data" in entry:
            raise BadRequest(
                f"The input {entry['name']!r} has both 'data' and 'binary_data_size'.", "Send one of them."
            )
        if (
            type(size) is not int
            or not 0 <= size <= len(rest) - place
            or (entry is entries[-1] and size < len(rest) - place)
        ):
            raise BadRequest(f"The binary_data_size is {str(size)[:80]}; {len(rest) - place} bytes were sent.", _SIZE)
        parts.append(rest[place : place + size])
        place += size
    if place < len(rest):
        raise BadRequest(f"There are {len(rest) - place} bytes after the JSON that no input declares.", _SIZE)
    return parts


def decode_input(entry: dict[str, Any], binary: memoryview | None, spec: InputSpec, limits: Limits) -> NDArray[Any]:
    """Return the tensor of an input, from its own ``data`` or from its bytes after the message."""
    datatype = tensors.check_datatype(entry.get("datatype"), spec)
    shape = tensors.check_shape(entry.get("shape"), spec, limits)
    if binary is None:
        return reshaped(tensors.from_lists(entry.get("data"), spec), shape, spec)
    return tensors.from_bytes(binary, datatype, shape)


_SIZE = "Each binary input says its number of bytes in parameters.binary_data_size."


def decode_raw(binary: bytes, predictor: Predictor) -> InferRequest:
    """Return the request in a body without JSON: it is one example, and the answer is binary."""
    specs = predictor.signature.inputs
    wanted = [WantedOutput(spec, binary=True) for spec in tensors.outputs_of(predictor)]
    if len(specs) > 1 or specs[0].shape.count(None) > 1:
        message = f"The model {predictor.name!r} takes several inputs, or one with several free sides."
        raise BadRequest(message, "Send JSON before the bytes, and its length in the header.")
    spec = specs[0]
    if spec.dtype == TEXT:
        return InferRequest({spec.name: tensors.texts([binary], (1, *spec.least_shape))}, wanted)
    datatype = tensors.datatype_of(spec)
    shape = list(spec.least_shape)
    if None in spec.shape:
        item = np.dtype(tensors.DATATYPES[datatype]).itemsize
        shape[spec.shape.index(None)] = len(binary) // (item * math.prod(shape))
    return InferRequest({spec.name: tensors.from_bytes(binary, datatype, (1, *shape))}, wanted)


def reshaped(array: NDArray[Any], shape: tuple[int, ...], spec: InputSpec) -> NDArray[Any]:
    """Return data that came flat, or nested as its shape says, in that shape."""
    if array.shape == shape or (array.ndim == 1 and array.size == math.prod(shape)):
        return array.reshape(shape)
    message = f"The input {spec.name!r} says shape {list(shape)} and has data of shape {list(array.shape)}."
    raise WrongShape(message, "Send the data flat, or nested as the shape says.")


def by_name(entries: list[dict[str, Any]], predictor: Predictor) -> list[dict[str, Any]]:
    """Return the inputs of a request, once each of the model's was sent once."""
    known = [spec.name for spec in predictor.signature.inputs]
    names = [entry.get("name") for entry in entries]
    if sorted(map(str, names)) != sorted(known):
        sent = ", ".join(repr(name)[:80] for name in names[:8]) or "none"
        several = "s" if len(known) > 1 else ""
        wanted = ", ".join(map(repr, known))
        message = f"The model {predictor.name!r} takes the input{several} {wanted}; the request has {sent}."
        raise BadRequest(message, "Send each of them, once." if several else "Send that one, once.")
    return entries


def specs_of(entries: list[dict[str, Any]], predictor: Predictor) -> list[InputSpec]:
    """Return the input that each entry is for."""
    known = {spec.name: spec for spec in predictor.signature.inputs}
    return [known[entry["name"]] for entry in entries]


def decode_outputs(entries: Any, as_bytes: bool, predictor: Predictor) -> list[WantedOutput]:
    """Return the outputs that are asked for, all of them where none is named."""
    known = {spec.name: spec for spec in tensors.outputs_of(predictor)}
    if entries is None or entries == []:
        return [WantedOutput(spec, as_bytes) for spec in known.values()]
    listed = objects(entries, "outputs")
    names = [entry.get("name") for entry in listed]
    if len({*map(str, names)}) != len(names) or not all(isinstance(name, str) and name in known for name in names):
        sent = ", ".join(repr(name)[:80] for name in names[:8])
        several = "s" if len(known) > 1 else ""
        message = (
            f"The model {predictor.name!r} has the output{several} {', '.join(map(repr, known))}; asked for {sent}."
        )
        raise BadRequest(message, "Ask for each once." if several else "Ask for it once.")
    wanted = []
    for entry in listed:
        given = parameters(entry)
        classes = count(given.get("classification", 0))
        wanted.append(
            WantedOutput(known[entry["name"]], flag(given.get("binary_data", as_bytes), "binary_data"), classes)
        )
    return wanted


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


def encode(request: InferRequest, found: Inference) -> InferResponse:
    """Return the response to a request."""
    predictor, arrays = found.predictor, tensors.named_outputs(found)
    message: dict[str, Any] = {"model_name": predictor.name, "model_version": str(predictor.version)}
    if request.id is not None:
        message["id"] = request.id
    entries, after = [], []
    for wanted in request.outputs:
        datatype, shape, values, packed = output(wanted, arrays[wanted.spec.name])
        entry: dict[str, Any] = {"name": wanted.spec.name, "datatype": datatype, "shape": shape}
        if wanted.binary:
            after.append(packed)
            entries.append({**entry, "parameters": {"binary_data_size": len(packed)}})
        else:
            entries.append({**entry, "data": values})
    return InferResponse({**message, "outputs": entries}, b"".join(after) if after else None)


def output(wanted: WantedOutput, array: NDArray[Any]) -> tuple[str, list[int], list[Any], bytes]:
    """Return the type, shape, values and bytes of an output; values and bytes only if the request wants them."""
    if wanted.classes:
        words = best(array, wanted.classes, wanted.spec)
        flat = [word for row in words for word in row]
        return "BYTES", [len(words), len(words[0])], flat, tensors.pack(word.encode() for word in flat)
    shape = list(array.shape)
    if array.dtype.kind not in "fiub":
        flat = [str(item) for item in array.ravel().tolist()]
        return "BYTES", shape, flat, tensors.pack(item.encode() for item in flat) if wanted.binary else b""
    datatype = tensors.NAMES[array.dtype.name]
    packed = array.astype(tensors.DATATYPES[datatype], copy=False).tobytes() if wanted.binary else b""
    return datatype, shape, [] if wanted.binary else array.ravel().tolist(), packed


def is_half(array: NDArray[Any]) -> bool:
    """Return whether an array is of half-precision numbers."""
    return array.dtype.name == "float16"


def best(array: NDArray[Any], number: int, spec: OutputSpec) -> list[list[str]]:
    """Return the best classes of each row as Triton writes them: ``score:index:label``."""
    if array.dtype.kind not in "fiu":
        raise BadRequest(f"The output {spec.name!r} has no scores to rank.", "Ask for it without 'classification'.")
    rows = class_rows(array.reshape(len(array), -1), spec)
    order = np.argsort(-rows, axis=1, kind="stable")[:, :number].tolist()
    return [
        [f"{row[place]:f}:{place}:{tensors.label(spec, place)}" for place in places]
        for row, places in zip(rows.tolist(), order, strict=True)
    ]
