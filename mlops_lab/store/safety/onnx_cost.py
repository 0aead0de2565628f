"""Bound what a run of an ONNX graph can cost: ONNX is a program, and a small one can run for ever or fill the memory.

Refused are loops whose number of steps comes out of the data, tensors whose size comes out of the data or is too large
in the file, and tensors that double from node to node. What is left costs at most a fixed number of steps for each
value of its input. Sizes that come from the *shape* of the input stay, as exporters write them for a free batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import prod

from mlops_lab.store.safety import onnx_sizes
from mlops_lab.store.safety.protobuf import Message
from mlops_lab.store.safety.report import AuditRefusal

MAX_STEPS = 10_000  # of a loop
MAX_NODES = 100_000  # of all functions and loops written out
MAX_GROWTH = 2**24  # how many times larger than the input a value may become by repeating itself
MAX_DEGREE = 8  # of products of sizes of the input
# Where an operator takes the size of its answer from: the places of its inputs.
SIZED = {
    "ConstantOfShape": (0,), "Expand": (1,), "Tile": (1,), "Range": (0, 1, 2), "Resize": (2, 3), "Upsample": (1,),
    "Pad": (1,), "OneHot": (1,), "CenterCropPad": (1,), "MaxUnpool": (2,), "HannWindow": (0,), "HammingWindow": (0,),
    "BlackmanWindow": (0,), "MelWeightMatrix": (0, 1), "DFT": (1,), "AffineGrid": (1,), "Col2Im": (1,),
    "TensorScatter": (), "STFT": (1,), "Multinomial": (),
}  # fmt: skip
# The answer is a size or a place, so it may set the size of another tensor.
SHAPES = {"Shape", "Size"}
# In a loop these could let a value grow from step to step.
GROWING = SIZED.keys() | {
    "Concat", "ConcatFromSequence", "SequenceInsert", "Reshape", "Unsqueeze", "MatMul", "Gemm", "Einsum", "Loop",
    "ConvTranspose", "StringConcat", "SequenceMap",
}  # fmt: skip
MULTIPLIES = {"Mul", "Pow", "ReduceProd", "CumProd"}


@dataclass(frozen=True)
class Value:
    """What is known of a value: whether it comes out of the data, and how it grows."""

    data: bool = True
    """Whether its numbers depend on the numbers of the input, and not on its shape alone."""
    growth: int = 1
    """How many times more elements than the input it may have by repeating it."""
    degree: int = 1
    """How many sizes of the input are multiplied in its numbers."""
    numbers: tuple[int, ...] | None = None
    """Its numbers, where they stand in the file."""
    least: onnx_sizes.Sizes = ()
    """Its numbers as far as they are known, where a size of the input counts as one."""


CONSTANT = Value(data=False, degree=0)
Key = tuple[str, str, str]
Functions = Mapping[Key, Message]


@dataclass
class _Run:
    """The nodes that a run computes, counted as often as they are computed."""

    functions: Functions
    nodes: int = 0
    calling: list[Key] = field(default_factory=list)
    bodies: dict[Key, list[Message]] = field(default_factory=dict)

    def body(self, key: Key) -> list[Message]:
        """Return the nodes of a function, which are parsed once."""
        if key not in self.bodies:
            self.bodies[key] = list(self.functions[key].messages(7))
        return self.bodies[key]

    def count(self, times: int) -> None:
        self.nodes += times
        if self.nodes > MAX_NODES:
            message = f"Functions and loops come to more than {MAX_NODES:,} operators."
            raise AuditRefusal("onnx_unbounded", message)


def judge(graph: Message, functions: Functions) -> None:
    """Refuse a graph whose cost has no bound."""
    _graph(graph, {}, _Run(functions), 1)


def _graph(graph: Message, outer: Mapping[str, Value], run: _Run, times: int) -> dict[str, Value]:
    known = dict(outer)
    known.update({value.text(1): Value() for value in graph.messages(11)})
    known.update({tensor.text(8): _constant(tensor) for tensor in graph.messages(5)})
    for node in graph.messages(1):
        _node(node, known, run, times)
    return known


def _node(node: Message, known: dict[str, Value], run: _Run, times: int) -> None:
    operator, where = node.text(4), node.text(3) or node.text(4)
    run.count(times)
    inputs = [known.get(name, CONSTANT) for name in node.texts(1)]
    key = (node.text(7), operator, node.text(8))
    if key in run.functions:
        answers = _call(key, inputs, run, times)
    else:
        _sizes(node, operator, inputs, where)
        inner = _inner(node, operator, inputs, known, run, times)
        answers = [_answer(node, operator, [*inputs, *inner], where)] * len(node.texts(2))
    known.update({name: answer for name, answer in zip(node.texts(2), answers, strict=False) if name})


def _call(key: Key, inputs: list[Value], run: _Run, times: int) -> list[Value]:
    """Write a function out in the place of its call."""
    if key in run.calling:
        raise AuditRefusal("onnx_cycle", "A function of the model calls itself.", key[1])
    function = run.functions[key]
    known = dict(zip(function.texts(4), inputs, strict=False))
    run.calling.append(key)
    for inner in run.body(key):
        _node(inner, known, run, times)
    run.calling.pop()
    return [known.get(name, Value()) for name in function.texts(5)]


def _sizes(node: Message, operator: str, inputs: list[Value], where: str) -> None:
    """Refuse an operator whose answer is as large as the data says, or a giant by what the file says."""
    sizes = [inputs[place] if place < len(inputs) else CONSTANT for place in SIZED.get(operator, ())]
    for size in sizes:
        if size.data:
            message = f"The size of what {operator} answers comes out of the data, so it has no bound."
            raise AuditRefusal("onnx_unbounded", message, where)
        if size.degree > MAX_DEGREE:
            raise AuditRefusal("onnx_unbounded", f"The size of what {operator} answers is a power of its input.", where)
    stated = [[size.least for size in sizes], *([least] for least in onnx_sizes.of_attributes(node, operator))]
    if any(onnx_sizes.is_giant(operator, places) for places in stated if any(places)):
        message = f"{operator} would answer with more than {onnx_sizes.MAX_VALUES:,} values."
        raise AuditRefusal("onnx_giant", message, where)


def _inner(
    node: Message, operator: str, inputs: list[Value], known: Mapping[str, Value], run: _Run, times: int
) -> list[Value]:
    """Follow the graphs inside a node, as often as they run, and return what they answer."""
    graphs = [graph for attribute in node.messages(5) for number in (6, 11) for graph in attribute.messages(number)]
    if operator == "Loop":
        times *= _steps(node, inputs)
        grown = {name for graph in graphs for name in _operators(graph)} & GROWING
        if grown:
            message = f"A loop holds {min(grown)}, which may let a value grow from step to step."
            raise AuditRefusal("onnx_unbounded", message, node.text(3) or operator)
    elif operator == "SequenceMap":
        raise AuditRefusal("onnx_unbounded", "SequenceMap runs as often as the data says.", node.text(3) or operator)
    answers = []
    for graph in graphs:
        inner = _graph(graph, known, run, times)
        answers += [inner.get(value.text(1), Value()) for value in graph.messages(12)]
    return answers


def _steps(node: Message, inputs: list[Value]) -> int:
    """Return how often a loop runs at most: a number that must stand in the file."""
    most = inputs[0].numbers if inputs and node.texts(1)[0] else None
    if most is None or len(most) != 1 or not 0 <= most[0] <= MAX_STEPS:
        message = f"The number of steps of a loop does not stand in the file, or is more than {MAX_STEPS:,}."
        raise AuditRefusal("onnx_unbounded", message, node.text(3) or "Loop")
    return max(most[0], 1)


def _operators(graph: Message) -> Iterator[str]:
    for node in graph.messages(1):
        yield node.text(4)
        for attribute in node.messages(5):
            for number in (6, 11):
                for inner in attribute.messages(number):
                    yield from _operators(inner)


def _answer(node: Message, operator: str, inputs: list[Value], where: str) -> Value:
    """Return what is known of a node's answer by what is known of its inputs."""
    if operator == "Constant":
        return _attribute_constant(node)
    if operator in SHAPES:
        return Value(data=False)
    growth = _growth(operator, inputs)
    if growth > MAX_GROWTH:
        raise AuditRefusal("onnx_unbounded", "A value doubles from node to node, without a bound.", where)
    degrees = [value.degree for value in inputs]
    degree = sum(degrees) if operator in MULTIPLIES else max(degrees, default=0)
    if operator == "ConstantOfShape":  # its numbers stand in the file, whatever its size
        many = int(min(prod(max(n, 1) for n in inputs[0].least), onnx_sizes.MAX_NUMBERS)) if inputs else 1
        return Value(data=False, growth=growth, degree=0, least=onnx_sizes.of_constant(node) * many)
    numbers = inputs[0].numbers if operator in ("Identity", "Cast", "Squeeze", "Unsqueeze") and inputs else None
    least = onnx_sizes.computed(operator, [value.least for value in inputs])
    return Value(any(value.data for value in inputs), growth, degree, numbers, least)


def _growth(operator: str, inputs: list[Value]) -> int:
    growths = [value.growth for value in inputs if value.data]
    if operator == "Concat":
        return sum(growths) or 1
    most = max(growths, default=1)
    if operator in ("Tile", "Expand", "Upsample", "Resize") and inputs:
        times = [value.numbers for value in inputs[1:] if value.numbers]
        return most * max((prod(max(n, 1) for n in numbers) for numbers in times if operator == "Tile"), default=1)
    return most


def _constant(tensor: Message) -> Value:
    """Return what is known of a tensor in the file; whole numbers are read where there are few of them."""
    sizes, kind, least = tensor.numbers(1), tensor.number(2), onnx_sizes.of_tensor(tensor)
    if kind not in (6, 7) or prod(sizes) > 16:
        return Value(data=False, degree=0, least=least)
    width = 8 if kind == 7 else 4
    raw = b"".join(bytes(part) for part in tensor.parts(9))
    numbers = tensor.numbers(7 if kind == 7 else 5)
    if raw and len(raw) % width == 0:
        numbers = [int.from_bytes(raw[at : at + width], "little", signed=True) for at in range(0, len(raw), width)]
    return Value(data=False, degree=0, numbers=tuple(numbers), least=least)


def _attribute_constant(node: Message) -> Value:
    least = onnx_sizes.of_constant(node)
    for attribute in node.messages(5):
        if attribute.text(1) == "value":
            for tensor in attribute.messages(5):
                return _constant(tensor)
        if attribute.text(1) == "value_int":
            return Value(data=False, degree=0, numbers=(attribute.number(3),), least=least)
        if attribute.text(1) == "value_ints":
            return Value(data=False, degree=0, numbers=tuple(attribute.numbers(8)), least=least)
    return Value(data=False, degree=0, least=least)
