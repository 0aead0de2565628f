"""How large an ONNX operator's answer is at least, by the sizes that stand in the file.

A size may be computed in the graph, from constants and from sizes of the input. What is known of it is followed through
the operators that exporters compute sizes with; a size of the input, and whatever is not known, counts as one. So an
honest model is not taken for a giant.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from math import prod

from mlops_lab.store.safety.protobuf import Message

Sizes = tuple[float, ...]
MAX_VALUES = 50_000_000  # of a tensor whose size stands in the file
MAX_NUMBERS = 32  # of a size: the begins and ends of a padding of 16 axes
# Attributes that set the size of an answer.
ATTRIBUTES = {
    "RandomNormal": ("shape",), "RandomUniform": ("shape",), "Pad": ("pads",), "Upsample": ("scales",),
    "ConvTranspose": ("output_shape", "strides", "output_padding"),
}  # fmt: skip
CHOOSING = {"Where", "If"}
KEEPING = {"Identity", "Cast", "Squeeze", "Unsqueeze", "Reshape", "Flatten", "Transpose", "Floor", "Ceil", "Round"}
INTEGERS, FLOATS = {6: (5, 4), 7: (7, 8)}, {1: (4, "f"), 11: (10, "d")}  # kind → field, and width or format


def is_giant(operator: str, places: Sequence[Sizes]) -> bool:
    """Return whether an operator answers with more than ``MAX_VALUES`` values, by what its sizes are at least."""
    if operator == "Range":
        return not _steps(*[place[0] if len(place) == 1 else None for place in places]) <= MAX_VALUES
    total = 1.0
    for factor in _paddings(places[0]) if operator == "Pad" else (number for place in places for number in place):
        total *= min(max(factor, 1), 2.0**64)
        if not total <= MAX_VALUES:
            return True
    return False


def _steps(start: float | None, limit: float | None, delta: float | None) -> float:
    if start is None or limit is None:
        reach = max(abs(start or 0), abs(limit or 0), 1)
        return reach / (abs(delta) if delta else 1)
    return (limit - start) / delta if delta else 0


def _paddings(numbers: Sizes) -> Iterator[float]:
    """Yield what is added to each axis; the largest are taken together, as they may come in any order."""
    ordered = sorted(numbers, reverse=True)
    return (first + second for first, second in list(pairwise([*ordered, 0]))[::2])


def of_attributes(node: Message, operator: str) -> Iterator[Sizes]:
    """Yield the sizes that stand in a node's own attributes."""
    for attribute in node.messages(5) if operator in ATTRIBUTES else ():
        if attribute.text(1) in ATTRIBUTES[operator]:
            yield (*attribute.numbers(8), *_floats(attribute, 7, "f"))


def of_constant(node: Message) -> Sizes:
    """Return the numbers of a ``Constant``, or the number that ``ConstantOfShape`` fills with."""
    for attribute in node.messages(5):
        name = attribute.text(1)
        if name == "value":
            return next((of_tensor(tensor) for tensor in attribute.messages(5)), ())
        if name == "value_int":
            return (attribute.number(3),)
        if name in ("value_ints", "value_float", "value_floats"):
            return (*attribute.numbers(8), *_floats(attribute, 2, "f"), *_floats(attribute, 7, "f"))[:MAX_NUMBERS]
    return ()


def of_tensor(tensor: Message) -> Sizes:
    """Return the numbers of a tensor in the file, where there are few of them."""
    kind = tensor.number(2)
    if prod(tensor.numbers(1)) > MAX_NUMBERS:
        return ()
    raw = b"".join(bytes(part) for part in tensor.parts(9))
    if kind in INTEGERS:
        place, width = INTEGERS[kind]
        pieces = [raw[at : at + width] for at in range(0, len(raw), width)]
        return tuple(int.from_bytes(piece, "little", signed=True) for piece in pieces) or tuple(tensor.numbers(place))
    if kind in FLOATS:
        place, letter = FLOATS[kind]
        return _unpacked(raw, letter) or _floats(tensor, place, letter)
    return ()


def _floats(message: Message, place: int, letter: str) -> Sizes:
    held = [bytes(value) for _, value in message.fields.get(place, []) if isinstance(value, memoryview)]
    return _unpacked(b"".join(held), letter)


def _unpacked(raw: bytes, letter: str) -> Sizes:
    width = struct.calcsize(letter)
    return struct.unpack(f"<{len(raw) // width}{letter}", raw[: len(raw) // width * width])


def computed(operator: str, inputs: Sequence[Sizes]) -> Sizes:
    """Return what is known of the numbers that an operator computes from numbers; empty where nothing is."""
    if not any(inputs):
        return ()
    first, second = (*inputs, (), ())[:2]
    if operator in KEEPING:
        return first
    if operator == "Concat":
        return tuple(number for numbers in inputs for number in numbers)[:MAX_NUMBERS]
    if operator in ELEMENTWISE and len(inputs) == 2:
        return _elementwise(ELEMENTWISE[operator], first, second)
    if operator in CHOOSING:
        return _largest(number for numbers in inputs[1:] for number in numbers)
    if operator == "Gather" and first and second:
        places = [int(place) for place in second if abs(place) < MAX_NUMBERS]
        return tuple(first[place] for place in places if -len(first) <= place < len(first))
    if operator == "Slice" and all(inputs[:3]):
        return _slice(inputs)
    if operator == "ReduceProd" and first:
        return (_limited(prod(_limited(number) for number in first)),)
    if operator in ("Expand", "Tile") and len(first) == 1:
        return first * int(min(prod(max(_limited(number), 1) for number in second), MAX_NUMBERS))
    return _largest(first)


def _largest(numbers: Iterable[float]) -> Sizes:
    found = max((abs(number) for number in numbers), default=None)
    return () if found is None else (found,)


def _slice(inputs: Sequence[Sizes]) -> Sizes:
    numbers, starts, ends = inputs[:3]
    step = inputs[4][0] if len(inputs) > 4 and inputs[4] else 1
    if step < 0 or len(starts) != 1 or len(ends) != 1:  # turned round, or cut along several axes
        return numbers
    return numbers[int(_limited(starts[0])) : int(_limited(ends[0])) : max(int(_limited(step)), 1)]


def _elementwise(function: Callable[[float, float], float], left: Sizes, right: Sizes) -> Sizes:
    left, right = left or (1,), right or (1,)
    many = max(len(left), len(right))
    if min(len(left), len(right)) not in (1, many):
        return (_limited(function(max(left), max(right))),)
    pairs = zip(left * (many // len(left)), right * (many // len(right)), strict=True)
    return tuple(_limited(function(_limited(a), _limited(b))) for a, b in pairs)


def _power(base: float, exponent: float) -> float:
    return float(min(abs(base), 2.0**16) ** min(max(exponent, 0), 32))


ELEMENTWISE: dict[str, Callable[[float, float], float]] = {
    "Add": lambda a, b: a + b,
    "Sub": lambda a, b: a - b,
    "Mul": lambda a, b: a * b,
    "Div": lambda a, b: a / b if b else 0,
    "Max": max,
    "Min": min,
    "Pow": _power,
}


def _limited(number: float) -> float:
    """Return a number that is no larger than any size, so that products of many stay numbers."""
    return min(max(number, -(2.0**64)), 2.0**64) if abs(number) > 2**63 else number
