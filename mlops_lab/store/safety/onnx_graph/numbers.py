"""The numbers that stand in an ONNX file: its tensors and the attributes of its nodes."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from mlops_lab.store.safety.onnx_graph.bounds import (
    MAX_NUMBERS,
    Bound,
    Tensor,
    at_most,
    constant,
    of_numbers,
    sizes,
    tensor,
)
from mlops_lab.store.safety.report import AuditRefusal

if TYPE_CHECKING:
    from mlops_lab.store.safety.protobuf import Message

Attributes: TypeAlias = "Mapping[str, Message]"
Inputs = Sequence[Tensor | None]
UNKNOWN = Tensor()
STRING = 8
# The type of a tensor → its format as raw bytes, and the field of its values otherwise.
RAW = {
    1: "<f4", 2: "u1", 3: "i1", 4: "<u2", 5: "<i2", 6: "<i4", 7: "<i8", 9: "?", 10: "<f2", 11: "<f8", 12: "<u4",
    13: "<u8",
}  # fmt: skip
FLOATS, WHOLE = {1: (4, "<f4"), 11: (10, "<f8")}, {2: 5, 3: 5, 4: 5, 5: 5, 6: 5, 7: 7, 9: 5, 12: 11, 13: 11}
# The largest number of a type that has none below zero: what is subtracted too often begins there again.
UNSIGNED = {2: 255.0, 4: 65535.0, 12: 2.0**32, 13: 2.0**64}
# float16 and narrower: what is too large for them becomes infinite, so that nothing is known of their numbers.
NARROW_FLOATS = {10, 17, 18, 19, 20, 23, 24}
NARROW = {2, 3, 4, 5, 9, 10, 12, 13, 16}  # of which sums are not what they would be of numbers


def of_tensor(message: Message) -> Tensor:
    """Return what is known of a tensor in the file."""
    shape, kind = message.numbers(1), message.number(2)
    dims = tuple(Bound(size) for size in shape)
    if kind == STRING:
        return tensor(dims, width=max([1, *map(len, message.parts(6))]), fixed=True)
    values = _values(message, kind)
    if values is None or values.size != prod(shape):
        return tensor(dims, fixed=True)
    known = _known(values.reshape(shape))
    if kind in NARROW and known.most is not None:
        most = None if kind in NARROW_FLOATS else at_most(max(abs(known.most.most), UNSIGNED.get(kind, 0)))
        return replace(known, numbers=None, most=most, positive=False)
    return known


def _values(message: Message, kind: int) -> np.ndarray | None:
    raw = message.parts(9)
    if raw and kind in RAW:
        return np.frombuffer(raw[-1], RAW[kind]) if len(raw[-1]) % np.dtype(RAW[kind]).itemsize == 0 else None
    if kind in FLOATS:
        number, form = FLOATS[kind]
        return np.frombuffer(_packed(message, number), form)
    return np.array(message.numbers(WHOLE[kind]), np.int64) if kind in WHOLE else None


def _packed(message: Message, number: int) -> bytes:
    """Return the bytes of floating-point values, packed or not."""
    return b"".join(bytes(value) for _, value in message.fields.get(number, []) if isinstance(value, memoryview))


def _known(values: np.ndarray) -> Tensor:
    whole = values.dtype.kind in "iub"
    if values.size <= MAX_NUMBERS:
        grid = np.empty(values.shape, object)
        grid.ravel()[:] = [constant(float(number)) for number in values.ravel().tolist()]
        return replace(of_numbers(grid, whole=whole), fixed=True)
    with np.errstate(invalid="ignore"):
        most = max(abs(float(values.max())), abs(float(values.min())))
    dims = [Bound(size) for size in values.shape]
    return tensor(dims, most=at_most(most), whole=whole, positive=bool(values.min() >= 1), fixed=True)


class Node:
    """A node with its attributes; those that a function takes from its caller are filled in."""

    def __init__(self, message: Message, given: Attributes) -> None:
        self.message = message
        self.operator = message.text(4)
        self.key = (message.text(7), self.operator, message.text(8))
        self.inputs, self.outputs = message.texts(1), message.texts(2)
        self.where = message.text(3) or self.operator
        self.given = given

    @cached_property
    def attributes(self) -> dict[str, Message]:
        """Return the attributes by name."""
        found = {}
        for attribute in self.message.messages(5):
            name, refers = attribute.text(1), attribute.text(21)
            if not refers:
                found[name] = attribute
            elif refers in self.given:
                found[name] = self.given[refers]
        return found

    def graphs(self) -> list[Message]:
        """Return the graphs inside the node."""
        return [graph for each in self.attributes.values() for number in (6, 11) for graph in each.messages(number)]

    def graph(self, name: str) -> Message | None:
        """Return one of the graphs inside the node."""
        return next(self.attributes[name].messages(6), None) if name in self.attributes else None

    def number(self, name: str, default: int = 0) -> int:
        """Return a whole number."""
        return self.attributes[name].number(3) if name in self.attributes else default

    def numbers(self, name: str) -> list[int]:
        """Return a list of whole numbers."""
        return self.attributes[name].numbers(8) if name in self.attributes else []

    def floats(self, name: str) -> list[float]:
        """Return a list of floating-point numbers."""
        raw = _packed(self.attributes[name], 7) if name in self.attributes else b""
        return list(struct.unpack(f"<{len(raw) // 4}f", raw[: len(raw) // 4 * 4]))

    def text(self, name: str) -> str:
        """Return a text."""
        return self.attributes[name].text(4) if name in self.attributes else ""

    def listed(self, names: Iterable[str]) -> int:
        """Return how many values the longest of some lists has."""
        held = [self.attributes[name] for name in names if name in self.attributes]
        return max(
            (max(len(each.numbers(8)), len(each.parts(9)), len(_packed(each, 7)) // 4) for each in held), default=0
        )

    def width(self) -> int:
        """Return the length of the longest text among the attributes."""
        held = self.attributes.values()
        texts = [part for each in held for part in (*each.parts(4), *each.parts(9))]
        texts += [part for each in held for inner in each.messages(5) for part in inner.parts(6)]
        return max(map(len, texts), default=1)

    def constant(self) -> Tensor:
        """Return what ``Constant`` answers."""
        for name, attribute in self.attributes.items():
            for inner in attribute.messages(5):
                return of_tensor(inner)
            if name in ("value_float", "value_floats"):
                held = np.frombuffer(_packed(attribute, 2 if name == "value_float" else 7), "<f4")
                return _known(held[0] if name == "value_float" and held.size else held)
            if name in ("value_int", "value_ints"):
                held = np.array(attribute.numbers(3) if name == "value_int" else attribute.numbers(8), np.int64)
                return _known(held[0] if name == "value_int" and held.size else held)
            if name in ("value_string", "value_strings"):
                return tensor(
                    [Bound(len(attribute.parts(9)))] if name[-1] == "s" else [], width=self.width(), fixed=True
                )
        return tensor([Bound(0)], fixed=True)


def at(inputs: Inputs, place: int) -> Tensor | None:
    """Return an input, if it is there."""
    return inputs[place] if place < len(inputs) else None


def need(inputs: Inputs, place: int = 0) -> Tensor:
    """Return an input that must be there; ONNX Runtime refuses the model where it is not."""
    return at(inputs, place) or UNKNOWN


def stated(node: Node, value: Tensor | None) -> list[Bound]:
    """Return the sizes that a tensor says.

    Raises
    ------
    AuditRefusal
        They come out of the data.
    """
    found = sizes(value)
    if found is None:
        message = f"The size of what {node.operator} answers comes out of the data, so it has no bound."
        raise AuditRefusal("onnx_unbounded", message, node.where)
    return found


def axes_of(node: Node, inputs: Inputs, place: int = 1) -> list[int] | None:
    """Return the axes that an attribute or an input says; None where they come out of the data."""
    if "axes" in node.attributes:
        return node.numbers("axes")
    found = sizes(at(inputs, place))
    if found is None or any(size.number is None for size in found):
        return None
    return [int(size.number or 0) for size in found]
