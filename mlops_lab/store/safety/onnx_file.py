"""Judge an ONNX file: standard operators, every weight inside the file, a graph that runs forwards.

A model may define functions of its own, as PyTorch's exporter does: each is judged as a graph. ``onnx_graph`` bounds
what a run can cost.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from mlops_lab.filetype import printable
from mlops_lab.store.safety import allowed
from mlops_lab.store.safety.onnx_graph import cost
from mlops_lab.store.safety.protobuf import Message
from mlops_lab.store.safety.report import AuditFinding, AuditRefusal

MAX_NODES = 50_000
MAX_ELEMENTS = 50_000_000
MAX_DEPTH = 8
MODEL_FIELDS = {1, 2, 3, 4, 5, 6, 7, 8, 14, 25}  # 20 describes a training and 26 devices
Functions = dict[tuple[str, str, str], Message]
WIDTHS = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8, 14: 8, 15: 16, 16: 2}
TYPED = {1: (4, 4), 6: (5, 0), 7: (7, 0), 9: (5, 0), 10: (5, 0), 11: (10, 8), 12: (11, 0), 13: (11, 0)}
STRING = 8
GRAPH, GRAPHS, TENSOR, TENSORS, SPARSE = 6, 11, 5, 10, {22, 23}


def judge_onnx(data: bytes) -> list[AuditFinding]:
    """Return what is wrong with an ONNX file."""
    model = Message(data, "model.onnx")
    extra = model.fields.keys() - MODEL_FIELDS
    if extra:
        raise AuditRefusal("onnx_structure", f"The model has the unusual fields {sorted(extra)}.")
    graphs = list(model.messages(7))
    if len(graphs) != 1:
        raise AuditRefusal("onnx_structure", f"The model has {len(graphs)} graphs instead of one.")
    functions = _functions(model)
    for function in functions.values():
        _function(function, functions)
    _graph(graphs[0], frozenset(), 0, functions)
    cost.judge(graphs[0], functions)
    return []


def _functions(model: Message) -> Functions:
    """Return the functions that a model defines by domain, name and overload; a standard operator stays what it is."""
    found: Functions = {}
    for function in model.messages(25):
        key = (function.text(10), function.text(1), function.text(13))
        if key in found or not key[1] or _domain(key[0]) in allowed.parts("onnx"):
            message = "A function of the model is defined twice, or in the place of a standard operator."
            raise AuditRefusal("onnx_structure", message, key[1])
        found[key] = function
    return found


def _function(function: Message, functions: Functions) -> None:
    """Judge the body of a function as a graph, whose inputs its caller gives."""
    known = {name for name in function.texts(4) if name}
    for value in function.messages(12):
        _value(value)
    for attribute in function.messages(11):
        _attribute(attribute, frozenset(known), 0, functions)
    _nodes(list(function.messages(7)), known, 0, functions)
    for name in function.texts(5):
        if name and name not in known:
            raise AuditRefusal("onnx_undefined", "Nothing computes an output of a function.", name)


def _domain(domain: str) -> str:
    return "" if domain == "ai.onnx" else domain


def _operator(node: Message, functions: Functions) -> None:
    """Refuse an operator that is neither standard nor a function of the model."""
    where, name = node.text(3) or node.text(4), node.text(4)
    domain = _domain(node.text(7))
    if (node.text(7), name, node.text(8)) in functions:
        return
    if domain not in allowed.parts("onnx"):
        message = f"The operator {printable(name)!r} of {printable(domain)!r} is not standard."
        raise AuditRefusal("onnx_domain", message, where)
    if name not in allowed.names("onnx", domain):
        raise AuditRefusal("onnx_operator", f"{printable(name)!r} is not a standard operator.", where)


def _graph(graph: Message, outer: frozenset[str], depth: int, functions: Functions) -> None:
    if depth > MAX_DEPTH:
        raise AuditRefusal("onnx_structure", f"Graphs are nested deeper than {MAX_DEPTH} levels.")
    if graph.fields.keys() & {14, 15}:
        raise AuditRefusal("onnx_structure", "The graph has sparse or quantized weights, which are not read here.")
    known = set(outer)
    for tensor in graph.messages(5):
        _tensor(tensor)
        known.add(tensor.text(8))
    for value in (*graph.messages(11), *graph.messages(12), *graph.messages(13)):
        _value(value)
    known.update(value.text(1) for value in graph.messages(11))
    _nodes(list(graph.messages(1)), known, depth, functions)
    for value in graph.messages(12):
        if value.text(1) not in known:
            raise AuditRefusal("onnx_undefined", "Nothing computes an output of the graph.", value.text(1))


def _nodes(nodes: list[Message], known: set[str], depth: int, functions: Functions) -> None:
    if len(nodes) > MAX_NODES:
        raise AuditRefusal("onnx_structure", f"The graph has {len(nodes):,} nodes; the limit is {MAX_NODES:,}.")
    later = {name for node in nodes for name in node.texts(2)}
    for node in nodes:
        where = node.text(3) or node.text(4)
        _operator(node, functions)
        for name in node.texts(1):
            if name and name not in known:
                code = "onnx_cycle" if name in later else "onnx_undefined"
                raise AuditRefusal(code, f"The node needs {printable(name)!r} before anything has computed it.", where)
        for attribute in node.messages(5):
            _attribute(attribute, frozenset(known), depth, functions)
        known.update(name for name in node.texts(2) if name)


def _attribute(attribute: Message, known: frozenset[str], depth: int, functions: Functions) -> None:
    if attribute.fields.keys() & SPARSE:
        raise AuditRefusal(
            "onnx_structure", "An attribute holds a sparse tensor, which is not read here.", attribute.text(1)
        )
    for tensor in (*attribute.messages(TENSOR), *attribute.messages(TENSORS)):
        _tensor(tensor)
    for graph in (*attribute.messages(GRAPH), *attribute.messages(GRAPHS)):
        _graph(graph, known, depth + 1, functions)


def _value(value: Message) -> None:
    """Check the declared sizes of an input, output or intermediate value."""
    for kind in value.messages(2):
        for tensor in kind.messages(1):
            for shape in tensor.messages(2):
                _dims((d.number(1) for d in shape.messages(1) if 1 in d.fields), value.text(1))


def _dims(dims: Iterable[int], where: str) -> int:
    sizes = list(dims)
    if any(size < 0 for size in sizes):
        raise AuditRefusal("onnx_dims", f"A tensor has the negative size {min(sizes)}.", where)
    total = prod(sizes)
    if total > MAX_ELEMENTS or len(sizes) > 16:
        raise AuditRefusal("onnx_giant", f"A tensor would have {total:,} values; the limit is {MAX_ELEMENTS:,}.", where)
    return total


def _tensor(tensor: Message) -> None:
    where = tensor.text(8)
    if tensor.number(14) or tensor.parts(13):
        raise AuditRefusal("onnx_external", "The weights are to be read from another file.", where)
    total, kind = _dims(tensor.numbers(1), where), tensor.number(2)
    if 3 in tensor.fields:
        raise AuditRefusal("onnx_structure", "A tensor comes in segments.", where)
    if kind == STRING:
        held = len(tensor.parts(6))
    elif 9 in tensor.fields:
        raw = tensor.parts(9)[-1]
        if kind not in WIDTHS:
            raise AuditRefusal("onnx_dtype", f"Data type {kind} is not read here.", where)
        held = len(raw) // WIDTHS[kind] if len(raw) % WIDTHS[kind] == 0 else -1
        _finite(raw, kind, where)
    else:
        held = _typed(tensor, kind, where)
    if held != total:
        raise AuditRefusal("onnx_length", f"A tensor declares {total:,} values and holds another number.", where)


def _typed(tensor: Message, kind: int, where: str) -> int:
    if kind not in TYPED:
        raise AuditRefusal("onnx_dtype", f"Data type {kind} is not read here.", where)
    number, width = TYPED[kind]
    if not width:
        return len(tensor.numbers(number))
    held = 0
    for _, value in tensor.fields.get(number, []):
        if isinstance(value, memoryview):
            _finite(value, kind, where)
            held += len(value) // width
    return held


def _finite(raw: memoryview, kind: int, where: str) -> None:
    """Refuse NaN; infinities stay, because masks use them."""
    if kind not in (1, 10, 11) or len(raw) % WIDTHS[kind]:
        return
    import numpy as np

    values = np.frombuffer(raw, {1: "<f4", 10: "<f2", 11: "<f8"}[kind])
    if np.isnan(values).any():
        raise AuditRefusal("onnx_not_finite", "The weights hold NaN.", where)
