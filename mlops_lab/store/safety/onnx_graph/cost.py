"""Bound what a run of an ONNX graph can cost: ONNX is a program, and a small one can run for ever or fill the memory.

Every tensor is followed through the graph with what its size and its numbers can be at most (``bounds``), by a rule for
each operator (``operators``). Refused are loops whose number of steps comes out of the data, tensors whose size comes
out of the data, and values, held at once or one after the other, that are too many for each value of the input. Sizes
that come from the *shape* of the input stay, as exporters write them for a free batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce

from mlops_lab.store.safety.onnx_graph import operators
from mlops_lab.store.safety.onnx_graph.bounds import (
    ONE,
    UNIT,
    ZERO,
    Bound,
    Tensor,
    add,
    at_most,
    constant,
    join,
    multiply,
    symbol,
    tensor,
)
from mlops_lab.store.safety.onnx_graph.numbers import Node, of_tensor
from mlops_lab.store.safety.protobuf import Message
from mlops_lab.store.safety.report import AuditRefusal

MAX_STEPS = 10_000  # of a loop
MAX_NODES = 100_000  # of all functions and loops written out
MAX_VALUES = 2**26  # of a tensor, for each value of the input
MAX_HELD = 2**29  # of all tensors that are held at once
MAX_WORK = 1e13  # additions and multiplications
MAX_DEGREE = 8  # of products of sizes of the input
SIGNED = (6, 7)  # int32 and int64
ROUNDS = 5  # until what a loop carries must have settled
Key = tuple[str, str, str]
Functions = Mapping[Key, Message]
Known = dict[str, Tensor | None]


@dataclass
class _Run:
    """The bounds on the work, memory and time of a run."""

    functions: Functions
    nodes: int = 0
    followed: int = 0
    held: float = 0.0
    work: Bound = ZERO
    calling: list[Key] = field(default_factory=list)
    bodies: dict[Key, list[Message]] = field(default_factory=dict)

    def body(self, key: Key) -> list[Message]:
        """Return the nodes of a function, which are parsed once."""
        if key not in self.bodies:
            self.bodies[key] = list(self.functions[key].messages(7))
        return self.bodies[key]

    def count(self, times: int) -> None:
        self.nodes += times
        self.followed += 1
        if self.nodes > MAX_NODES or self.followed > MAX_NODES:
            message = f"Functions and loops come to more than {MAX_NODES:,} operators."
            raise AuditRefusal("onnx_unbounded", message)

    def hold(self, value: Tensor, sign: int = 1) -> None:
        self.held += sign * value.values


@dataclass(frozen=True)
class _Times:
    """How often the nodes of a graph are computed."""

    steps: int = 1
    bound: Bound = ONE


def judge(graph: Message, functions: Functions) -> None:
    """Refuse a graph whose cost has no bound."""
    given: Known = {value.text(1): _declared(value) for value in graph.messages(11)}
    _graph(graph, given, {}, _Run(functions), _Times())


def _declared(value: Message) -> Tensor:
    """Return what is known of an input; each of its free sizes is one of its own, whatever it is called."""
    for kind in value.messages(2):
        for held in kind.messages(1):
            for shape in held.messages(2):
                dims = list(shape.messages(1))
                names = [f"{value.text(1)}.{axis}" for axis in range(len(dims))]
                sizes = [
                    constant(dim.number(1)) if 1 in dim.fields else symbol(name)
                    for dim, name in zip(dims, names, strict=True)
                ]
                return tensor(sizes, whole=held.number(1) in SIGNED)
    return tensor(None, at_most(1, 1))


def _graph(graph: Message, given: Known, outer: Known, run: _Run, times: _Times) -> list[Tensor]:
    """Follow a graph, and return what it answers."""
    known = {**outer, **given, **{held.text(8): of_tensor(held) for held in graph.messages(5)}}
    outputs = [value.text(1) for value in graph.messages(12)]
    return _nodes(list(graph.messages(1)), known, outputs, run, times, {})


def _nodes(
    nodes: Sequence[Message],
    known: Known,
    outputs: Sequence[str],
    run: _Run,
    times: _Times,
    attributes: Mapping[str, Message],
) -> list[Tensor]:
    """Follow nodes, and return what they answer. What no later node asks for is let go."""
    last = {name: place for place, node in enumerate(nodes) for name in _asked(node)}
    last.update(dict.fromkeys(outputs, len(nodes)))
    mine: dict[str, Tensor] = {}
    for place, message in enumerate(nodes):
        node = Node(message, attributes)
        run.count(times.steps)
        inputs = [known.get(name) if name else None for name in node.inputs]
        for name, answer in zip(node.outputs, _answers(node, inputs, known, run, times), strict=False):
            if name:
                _check(node, answer)
                run.hold(answer)
                known[name] = mine[name] = answer
        if run.held > MAX_HELD:
            message_ = f"The values that are held at once are more than {MAX_HELD:,}."
            raise AuditRefusal("onnx_giant", message_, node.where)
        for name in {*node.inputs, *node.outputs} & mine.keys():
            if last.get(name, place) <= place and not mine[name].fixed:
                run.hold(mine.pop(name), -1)
    for name in mine:
        run.hold(mine[name], -1)
    return [known.get(name) or Tensor() for name in outputs]


def _asked(node: Message) -> Iterator[str]:
    """Yield the names that a node asks for, and those that the graphs inside it ask for."""
    yield from node.texts(1)
    for attribute in node.messages(5):
        for number in (6, 11):
            for graph in attribute.messages(number):
                yield from (value.text(1) for value in graph.messages(12))
                for inner in graph.messages(1):
                    yield from _asked(inner)


def _check(node: Node, answer: Tensor) -> None:
    if answer.count.degree > MAX_DEGREE:
        message = f"The size of what {node.operator} answers is a power of its input."
        raise AuditRefusal("onnx_unbounded", message, node.where)
    if answer.values > MAX_VALUES:
        each = " for each value of the input" if answer.count.degree else ""
        message = f"{node.operator} may answer with more than {MAX_VALUES:,} values{each}."
        raise AuditRefusal("onnx_giant", message, node.where)


def _answers(node: Node, inputs: Sequence[Tensor | None], known: Known, run: _Run, times: _Times) -> Sequence[Tensor]:
    if node.key in run.functions:
        return _call(node, inputs, run, times)
    if node.operator in operators.CONTROL:
        return CONTROLS[node.operator](node, inputs, known, run, times)
    try:
        answers = operators.answers_of(node, inputs)
    except (IndexError, ValueError, ZeroDivisionError, OverflowError):
        message = f"The inputs or settings of {node.operator} do not fit each other."
        raise AuditRefusal("onnx_structure", message, node.where) from None
    for answer in answers:
        _check(node, answer)
    steps = multiply(operators.steps_of(node, inputs, answers), times.bound)
    run.work = add(run.work, steps.loose)
    if run.work.most > MAX_WORK:
        message = f"A run may take more than {MAX_WORK:.0e} steps for each value of the input."
        raise AuditRefusal("onnx_unbounded", message, node.where)
    fixed = not node.operator.startswith("Random") and all(value.fixed for value in inputs if value is not None)
    return [replace(answer, fixed=fixed, width=max(answer.width, 1)) for answer in answers]


def _call(node: Node, inputs: Sequence[Tensor | None], run: _Run, times: _Times) -> Sequence[Tensor]:
    """Write a function out in the place of its call."""
    if node.key in run.calling:
        raise AuditRefusal("onnx_cycle", "A function of the model calls itself.", node.operator)
    function = run.functions[node.key]
    known: Known = dict(zip(function.texts(4), inputs, strict=False))
    defaults = {attribute.text(1): attribute for attribute in function.messages(11)}
    run.calling.append(node.key)
    found = _nodes(run.body(node.key), known, function.texts(5), run, times, {**defaults, **node.attributes})
    run.calling.pop()
    return found


def _if(node: Node, inputs: Sequence[Tensor | None], known: Known, run: _Run, times: _Times) -> Sequence[Tensor]:
    branches = [_graph(graph, {}, known, run, times) for graph in node.graphs()]
    return [reduce(join, answers) for answers in zip(*branches, strict=False)]


def _loop(node: Node, inputs: Sequence[Tensor | None], known: Known, run: _Run, times: _Times) -> Sequence[Tensor]:
    steps, body = _steps(node, inputs), node.graph("body")
    counter = tensor((), most=at_most(steps), whole=True)
    condition = tensor((), most=UNIT, whole=True)
    inner = _Times(times.steps * steps, multiply(times.bound, constant(steps)))
    states, answers = _settle(node, body, [counter, condition], list(inputs[2:]), [], known, run, inner, 1)
    return [*states, *[_stacked(answer, constant(steps), 0) for answer in answers]]


def _scan(node: Node, inputs: Sequence[Tensor | None], known: Known, run: _Run, times: _Times) -> Sequence[Tensor]:
    given = list(inputs[1:] if node.inputs[:1] == [""] else inputs)
    many = min(max(node.number("num_scan_inputs", 1), 0), len(given))
    scanned, axes = given[len(given) - many :], node.numbers("scan_input_axes") or [0] * many
    rows, length = [], ONE
    for value, axis in zip(scanned, axes, strict=False):
        if value is None or not value.dims:
            rows.append(tensor(None, value.count if value else ONE))
            length = value.count.loose if value else ONE
        else:
            place = axis % len(value.dims)
            length = value.dims[place]
            rows.append(value.sized([*value.dims[:place], *value.dims[place + 1 :]]))
    if length.most > MAX_STEPS:
        raise AuditRefusal("onnx_unbounded", f"A loop takes more than {MAX_STEPS:,} steps.", node.where)
    inner = _Times(times.steps * max(int(length.most), 1), multiply(times.bound, length))
    states, answers = _settle(node, node.graph("body"), [], given[: len(given) - many], rows, known, run, inner, 0)
    places = node.numbers("scan_output_axes") or [0] * len(answers)
    return [*states, *[_stacked(answer, length, axis) for answer, axis in zip(answers, places, strict=False)]]


def _settle(
    node: Node,
    body: Message | None,
    first: list[Tensor],
    states: list[Tensor | None],
    rows: list[Tensor],
    known: Known,
    run: _Run,
    times: _Times,
    skipped: int,
) -> tuple[list[Tensor], list[Tensor]]:
    """Follow a loop's body until what it carries from step to step stays as it is; refuse what grows."""
    if body is None:
        return [], []
    names, carried = [value.text(1) for value in body.messages(11)], [value or Tensor() for value in states]
    nodes, work = run.nodes, run.work
    for _ in range(ROUNDS):
        run.nodes, run.work = nodes, work
        given: Known = dict(zip(names, [*first, *carried, *rows], strict=False))
        answers = _graph(body, given, known, run, times)[skipped:]
        after = [join(before, value) for before, value in zip(carried, answers, strict=False)]
        if after == carried[: len(after)]:
            return carried, answers[len(carried) :]
        carried = [_widened(before, value) for before, value in zip(carried, after, strict=False)]
    message = f"{node.operator} may let a value grow from step to step."
    raise AuditRefusal("onnx_unbounded", message, node.where)


def _widened(before: Tensor, after: Tensor) -> Tensor:
    """Return what is known of a carried value whose numbers change from step to step: its size."""
    same = (before.most, before.numbers) == (after.most, after.numbers)
    return after if same else replace(after, most=None, numbers=None)


def _steps(node: Node, inputs: Sequence[Tensor | None]) -> int:
    """Return how often a loop runs at most: a number that must stand in the file."""
    most = inputs[0].numbers if inputs and inputs[0] is not None else None
    number = most[0].number if most is not None and len(most) == 1 else None
    if number is None or not 0 <= number <= MAX_STEPS:
        message = f"The number of steps of a loop does not stand in the file, or is more than {MAX_STEPS:,}."
        raise AuditRefusal("onnx_unbounded", message, node.where)
    return max(int(number), 1)


def _stacked(answer: Tensor, many: Bound, axis: int) -> Tensor:
    """Return the answers of all steps side by side."""
    if answer.dims is None:
        return answer.sized(None, multiply(answer.count, many))
    place = axis % (len(answer.dims) + 1)
    return answer.sized([*answer.dims[:place], many.loose, *answer.dims[place:]])


def _map(node: Node, inputs: Sequence[Tensor | None], known: Known, run: _Run, times: _Times) -> Sequence[Tensor]:
    raise AuditRefusal("onnx_unbounded", "SequenceMap runs as often as the data says.", node.where)


CONTROLS = {"If": _if, "Loop": _loop, "Scan": _scan, "SequenceMap": _map}
