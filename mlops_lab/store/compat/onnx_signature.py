"""The signature of an ONNX file: its inputs and outputs, and what is unusual about them for a server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mlops_lab.filetype import printable
from mlops_lab.store.compat.formats import fields

# ONNX's numbers for types, in NumPy's words.
TYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "text", 9: "bool",
    10: "float16", 11: "float64", 12: "uint32", 13: "uint64", 16: "bfloat16",
}  # fmt: skip
GRAPH, INITIALIZER, INPUT, OUTPUT = 7, 5, 11, 12  # fields of the model and of its graph
NAME, TYPE, INITIALIZER_NAME = 1, 2, 8
TENSOR, SEQUENCE = 1, 4
MAX_SHOWN = 6
FREE = "n"


@dataclass(frozen=True)
class OnnxTensor:
    """One input or output of a graph.

    Parameters
    ----------
    name
        Its name.
    dtype
        NumPy's name for the type of a number; ``"list of dictionaries"`` for what ZipMap answers.
    shape
        Its sides, the batch first: a number, or a word for one that is free; None where the file states none.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...] | None = None

    def __str__(self) -> str:
        sides = "" if self.shape is None else f" of shape [{', '.join(map(str, self.shape))}]"
        return f"{printable(self.name, 40)!r}: {self.dtype}{sides}"


def read_signature(model: memoryview) -> tuple[list[OnnxTensor], list[OnnxTensor]]:
    """Return the inputs and outputs of an ONNX file; weights that are listed as inputs are none.

    Raises
    ------
    ValueError
        The bytes are not an ONNX file.
    """
    inputs, outputs, weights = [], [], set()
    for part in _parts(model, GRAPH):
        for number, value in fields(part):
            if not isinstance(value, memoryview):
                continue
            if number == INPUT:
                inputs.append(_tensor(value))
            elif number == OUTPUT:
                outputs.append(_tensor(value))
            elif number == INITIALIZER:
                weights |= {bytes(name).decode("utf-8", "replace") for name in _parts(value, INITIALIZER_NAME)}
    return [item for item in inputs if item.name not in weights], outputs


def describe_signature(model: memoryview) -> tuple[str, ...]:
    """Return sentences on what a model takes and answers, and on what is unusual about it for a publisher.

    Examples
    --------
    >>> describe_signature(memoryview(b""))
    ()
    """
    inputs, outputs = read_signature(model)
    if not inputs or not outputs:
        return ()
    return (f"It takes {_listed(inputs)}, and answers {_listed(outputs)}.", *_remarks(inputs, outputs))


def _remarks(inputs: list[OnnxTensor], outputs: list[OnnxTensor]) -> Iterator[str]:
    for item in inputs:
        if item.shape and isinstance(item.shape[0], int):
            examples = "one example" if item.shape[0] == 1 else f"exactly {item.shape[0]} examples"
            yield (
                f"Its input {item.name[:40]!r} takes {examples} at a time: the first axis, the batch, is fixed."
                " Export it with a free one (dynamic_axes or dynamic_shapes in PyTorch) to answer many together."
            )
        if item.shape and item.dtype not in ("float32", "text"):
            yield f"Its input {item.name[:40]!r} takes {item.dtype}, not float32: give its numbers that type."
    for item in outputs:
        if item.dtype == "list of dictionaries":
            yield (
                f"Its output {item.name[:40]!r} is a list of dictionaries, as ZipMap makes it: export with"
                " options={'zipmap': False} for an array of probabilities."
            )
    floats = [item for item in outputs if item.dtype.startswith("float")]
    if len(floats) > 1:
        names = ", ".join(repr(item.name[:40]) for item in floats[:MAX_SHOWN])
        yield f"It has {len(floats)} outputs of numbers: {names}. Say which of them is meant when you publish it."


def _listed(tensors: list[OnnxTensor]) -> str:
    more = f" and {len(tensors) - MAX_SHOWN} more" if len(tensors) > MAX_SHOWN else ""
    return ", ".join(map(str, tensors[:MAX_SHOWN])) + more


def _parts(message: memoryview, number: int) -> list[memoryview]:
    return [value for found, value in fields(message) if found == number and isinstance(value, memoryview)]


def _tensor(value: memoryview) -> OnnxTensor:
    name = "".join(bytes(part).decode("utf-8", "replace") for part in _parts(value, NAME)[-1:])
    for kind in _parts(value, TYPE)[-1:]:
        for tensor in _parts(kind, TENSOR)[-1:]:
            number = dict(fields(tensor)).get(1)
            return OnnxTensor(name, TYPES.get(number if isinstance(number, int) else 0, "another type"), _shape(tensor))
        if _parts(kind, SEQUENCE):
            return OnnxTensor(name, "list of dictionaries")
    return OnnxTensor(name, "another type")


def _shape(tensor: memoryview) -> tuple[int | str, ...] | None:
    """Return the sides of a tensor; a side without a number is free, and its name says nothing of its size."""
    for shape in _parts(tensor, 2)[-1:]:
        sides = []
        for place, dim in enumerate(_parts(shape, 1)):
            size = dict(fields(dim)).get(1)
            sides.append(size if isinstance(size, int) and size > 0 else FREE if place == 0 else "?")
        return tuple(sides)
    return None
