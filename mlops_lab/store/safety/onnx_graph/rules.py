"""What ONNX operators answer, by what is known of their inputs: how many values, and how large their numbers can be.

``windows`` has the operators that slide or resize, ``values`` those that only calculate.
"""

from __future__ import annotations

from dataclasses import replace

from mlops_lab.store.safety.onnx_graph.bounds import (
    ONE,
    UNIT,
    ZERO,
    Tensor,
    add,
    at_most,
    broadcast,
    constant,
    multiply,
    product,
    sizes,
    tensor,
    union,
    union_of,
)
from mlops_lab.store.safety.onnx_graph.numbers import Inputs, Node, at, need, stated
from mlops_lab.store.safety.report import AuditRefusal


def same(node: Node, inputs: Inputs) -> Tensor:
    """Answer with as many values as the first input has."""
    x = need(inputs)
    return tensor(x.dims, x.count, whole=x.whole and node.operator in ("CumProd", "CumSum", "Dropout"), width=x.width)


def some(node: Node, inputs: Inputs) -> Tensor:
    """Answer with some of the values of the first input."""
    x = replace(need(inputs), positive=False)  # Trilu puts zeros among them
    return x.sized(None if x.dims is None else [size.loose for size in x.dims], x.count)


def scattered(node: Node, inputs: Inputs) -> Tensor:
    """Answer with the first input, in which some numbers are replaced."""
    x, updates = need(inputs), need(inputs, 1 if node.operator == "TensorScatter" else 2)
    known = x.most is not None and updates.most is not None and node.text("reduction") in ("", "none")
    most = union(x.most, updates.most) if known and x.most and updates.most else None
    return tensor(x.dims, x.count, most=most, whole=x.whole and updates.whole, width=max(x.width, updates.width))


def one_hot(node: Node, inputs: Inputs) -> Tensor:
    """Answer with one axis more, as long as an input says."""
    x, depth, values = need(inputs), (stated(node, at(inputs, 1)) or [ONE])[0], need(inputs, 2)
    if x.dims is None:
        return tensor(None, multiply(x.count, depth.loose), most=values.most)
    axis = node.number("axis", -1)
    place = axis if axis >= 0 else len(x.dims) + 1 + axis
    return tensor([*x.dims[:place], depth, *x.dims[place:]], most=values.most, whole=values.whole)


def non_zero(node: Node, inputs: Inputs) -> Tensor:
    """Answer with at most every place."""
    x = need(inputs)
    rank = constant(max(len(x.dims), 1)) if x.dims is not None else at_most(16)
    return tensor([rank, x.count.loose], most=x.count.loose, whole=True)


def top(node: Node, inputs: Inputs) -> list[Tensor]:
    """Answer with the largest values and their places."""
    x, many = need(inputs), sizes(at(inputs, 1)) if len(inputs) > 1 else [constant(node.number("k", 1))]
    if not x.dims:
        return [x.sized(None, x.count), tensor(None, x.count, most=x.count.loose, whole=True)]
    axis = node.number("axis", -1) % len(x.dims)
    kept = many[0] if many and many[0].exact is not None else x.dims[axis].loose
    dims = [kept if place == axis else size for place, size in enumerate(x.dims)]
    return [x.sized(dims), tensor(dims, most=x.dims[axis].loose, whole=True)]


def chosen(node: Node, inputs: Inputs) -> list[Tensor]:
    """Answer ``Compress`` and ``Unique``: some of the values, and where they were."""
    x = need(inputs)
    flat = "axis" not in node.attributes or x.dims is None
    dims = [x.count.loose] if flat else [size.loose for size in x.dims or ()]
    return [x.sized(dims, x.count), *[tensor([x.count.loose], most=x.count.loose, whole=True)] * 3]


def random(node: Node, inputs: Inputs) -> Tensor:
    """Answer with random numbers, in sizes of the file."""
    return tensor(map(constant, node.numbers("shape")))


def texts(node: Node, inputs: Inputs) -> list[Tensor]:
    """Answer ``StringSplit``: as many pieces as a text has characters, at most."""
    x = need(inputs)
    pieces = at_most(x.width, 1)
    dims = None if x.dims is None else [*x.dims, pieces]
    return [tensor(dims, multiply(x.count, pieces), width=x.width), tensor(x.dims, x.count, most=pieces, whole=True)]


def joined_texts(node: Node, inputs: Inputs) -> Tensor:
    """Answer with texts as long as all together."""
    given = [value for value in inputs if value is not None]
    return replace(broadcast(given), width=sum(value.width for value in given))


def sequence(node: Node, inputs: Inputs) -> Tensor:
    """Answer with the values of the first input, as a sequence or a member of one."""
    x = need(inputs)
    return x.sized(None, x.count)


def inserted(node: Node, inputs: Inputs) -> Tensor:
    """Answer with a sequence that is longer by one."""
    x, more = need(inputs), need(inputs, 1)
    return tensor(None, add(x.count, more.count), most=union_of([x, more]), width=max(x.width, more.width))


def nothing(node: Node, inputs: Inputs) -> Tensor:
    """Answer with an empty sequence."""
    return tensor(None, ZERO, most=ZERO)


def one(node: Node, inputs: Inputs) -> Tensor:
    """Answer with one value."""
    return tensor((), most=UNIT if node.operator == "OptionalHasElement" else None, whole=True)


def anything(node: Node, inputs: Inputs) -> Tensor:
    """Answer with anything up to the product of all inputs: operators that ONNX Runtime hardly knows."""
    return tensor(None, product(value.count for value in inputs if value is not None))


def refused(node: Node, inputs: Inputs) -> Tensor:
    """Refuse an operator that answers with as much as the data says."""
    message = f"How much {node.operator} answers comes out of the data, so it has no bound."
    raise AuditRefusal("onnx_unbounded", message, node.where)
