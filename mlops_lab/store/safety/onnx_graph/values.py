"""How large the numbers can be that ONNX operators calculate value by value; sizes are calculated in graphs, too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from math import log2

import numpy as np

from mlops_lab.store.safety.onnx_graph.bounds import (
    EXACT,
    MANY,
    MAX_NUMBERS,
    ONE,
    UNIT,
    ZERO,
    Bound,
    Tensor,
    add,
    at_most,
    broadcast,
    divide,
    multiply,
    of_numbers,
    product,
    tensor,
    union,
)
from mlops_lab.store.safety.onnx_graph.numbers import NARROW_FLOATS, UNSIGNED, Inputs, Node, axes_of, need
from mlops_lab.store.safety.report import AuditRefusal

Calculation = Callable[[Node, list[Bound], bool], Bound | None]
EXACT_TYPES = {1, 6, 7, 11}  # float32, int32, int64 and float64 hold whole numbers below 2 ** 24 as they are
# Of numbers that are one or more, these answer such numbers.
POSITIVE = {"Add", "Sum", "Mul", "Max", "Min", "Identity", "Where", "Floor", "Ceil", "Round", "Abs", "Cast", "Relu"}
FLOATS = {1, 11, 16} | NARROW_FLOATS


def calculated(node: Node, inputs: Inputs) -> Tensor:
    """Return what an operator answers that works value by value."""
    given = [value for value in inputs if value is not None]
    operator = node.operator
    known = given[1:] if operator == "Where" else given
    # Its inputs have one type, but for the exponent of Pow.
    whole = any(value.whole for value in (given[:1] if operator == "Pow" else known))
    if operator == "Cast":
        whole = node.number("to") not in FLOATS
    if operator == "Clip" and len(given) == 3 and whole and given[0].most is None:
        known = given[1:]  # whatever the data says, it is between these, unless it is no number
    found = broadcast(given)
    calculation = CALCULATIONS.get(operator)
    if calculation is None:
        return replace(found, whole=whole)
    positive = bool(given and given[-1].positive)
    if operator == "Div" and len(given) == 2:
        _divided(node, given[0], given[1])
    width = max([1, *[value.width for value in known]])
    grids = [value.grid() for value in known]
    if all(grid is not None for grid in grids) and found.dims is not None and found.count.most <= MAX_NUMBERS:
        shape = [size.number for size in found.dims]
        if None not in shape:
            spread = [np.broadcast_to(g, [int(s or 0) for s in shape]).ravel() for g in grids if g is not None]
            each = [_calculate(calculation, node, list(numbers), positive) for numbers in zip(*spread, strict=True)]
            if all(number is not None for number in each):
                filled = np.empty(len(each), object)
                filled[:] = each
                return of_numbers(filled.reshape([int(s or 0) for s in shape]), whole=whole)
    most = None
    if all(value.most is not None for value in known):
        most = _calculate(calculation, node, [value.most.loose for value in known if value.most], positive)
    stays = operator in POSITIVE and all(value.positive for value in known) and most is not None and most.most <= EXACT
    stays &= operator != "Cast" or node.number("to") in EXACT_TYPES
    most = None if most is None else most.loose
    return tensor(found.dims, found.count, most=most, whole=whole, positive=stays, width=width)


def _calculate(calculation: Calculation, node: Node, given: list[Bound], positive: bool) -> Bound | None:
    """Return a result; of what may be infinite, or no number, nothing is known."""
    return at_most(MANY) if any(bound.most >= MANY for bound in given) else calculation(node, given, positive)


def _divided(node: Node, left: Tensor, right: Tensor) -> None:
    """Refuse to divide the lowest whole number by -1: the processor ends the process."""
    low = left.most is None or left.most.most >= 2.0**31
    if (left.whole or right.whole) and low and not (right.numbers and all(size.number != -1 for size in right.numbers)):
        message = "Whole numbers are divided by -1, or by what may be -1: of the lowest one it ends the process."
        raise AuditRefusal("onnx_division", message, node.where)


def cast_like(node: Node, inputs: Inputs) -> Tensor:
    """Return the first input in a type that is not known here."""
    x, whole = need(inputs), need(inputs, 1).whole
    most = at_most(max(x.most.most, UNSIGNED[13]), x.most.degree) if x.most is not None and whole else None
    return tensor(x.dims, x.count, most=most, whole=whole, width=x.width)


def _sum(node: Node, given: list[Bound], positive: bool) -> Bound | None:
    return reduce(add, given, ZERO)


def _difference(node: Node, given: list[Bound], positive: bool) -> Bound | None:
    return add(given[0], given[1], -1) if len(given) == 2 else None


def _product(node: Node, given: list[Bound], positive: bool) -> Bound | None:
    return reduce(multiply, given, ONE)


def _quotient(node: Node, given: list[Bound], positive: bool) -> Bound | None:
    return divide(given[0], given[1], positive) if len(given) == 2 else None


def _remainder(node: Node, given: list[Bound], positive: bool) -> Bound | None:
    return given[-1].loose if positive or given[-1].number else None


def _largest(node: Node, given: list[Bound], positive: bool) -> Bound | None:
    """Return the larger of numbers, the smaller, or one of them."""
    numbers = [bound.number for bound in given]
    if None not in numbers and node.operator in ("Max", "Min"):
        chosen = (max if node.operator == "Max" else min)(number for number in numbers if number is not None)
        return Bound(chosen)
    return reduce(union, given) if given else None


def _kept(node: Node, given: list[Bound], positive: bool) -> Bound | None:
    return given[0] if given else None


def _positive(node: Node, given: list[Bound], positive: bool) -> Bound | None:
    bound = given[0]
    return bound if bound.exact is not None and bound.most >= 0 else ZERO if bound.number is not None else bound.loose


def _negated(node: Node, given: list[Bound], positive: bool) -> Bound | None:
    return multiply(given[0], Bound(-1)) if given else None


def _magnitude(node: Node, given: list[Bound], positive: bool) -> Bound | None:
    bound = given[0]
    return Bound(abs(bound.most), bound.degree, bound.exact)


def _rounded(node: Node, given: list[Bound], positive: bool) -> Bound | None:
    bound = given[0]
    if bound.exact is not None and bound.most == int(bound.most):
        return bound
    if bound.number is not None:
        return at_most(abs(bound.most) + 1)
    return at_most(bound.most + (0 if node.operator == "Floor" and positive else 1), bound.degree)


def _cast(node: Node, given: list[Bound], positive: bool) -> Bound | None:
    bound = given[0]
    if node.number("to") in NARROW_FLOATS:
        return None
    if node.number("to") in EXACT_TYPES:
        return bound if abs(bound.most) <= EXACT and bound.most == int(bound.most) else bound.loose
    return union(bound, at_most(UNSIGNED.get(node.number("to"), 0))).loose  # below zero they begin again at the end


def _clipped(node: Node, given: list[Bound], positive: bool) -> Bound | None:
    if len(given) < 2:
        return given[0].loose
    limit = union(given[-2], given[-1]).loose
    if len(given) == 2:
        return limit
    return limit if (limit.degree, limit.most) < (given[0].degree, abs(given[0].most)) else given[0].loose


def _root(node: Node, given: list[Bound], positive: bool) -> Bound | None:
    return union(given[0], ONE).loose if positive or (given[0].exact is not None and given[0].most >= 0) else None


def _power(node: Node, given: list[Bound], positive: bool) -> Bound | None:
    exponent = given[-1].number if len(given) == 2 else None
    if exponent is None or not 0 <= exponent <= 64:
        return None
    base = given[0]
    if exponent == int(exponent) and exponent <= 8:
        return reduce(multiply, [base] * int(exponent), ONE)
    largest = max(abs(base.most), 1.0)
    return at_most(largest**exponent if exponent * log2(largest) < log2(MANY) else MANY, base.degree * 64)


def _unit(node: Node, given: list[Bound], positive: bool) -> Bound | None:
    return UNIT


UNITS = (
    "Equal Greater GreaterOrEqual Less LessOrEqual And Or Xor Not Sign IsNaN IsInf Sigmoid Tanh Sin Cos Erf "
    "HardSigmoid Softsign Hardmax Softmax RegexFullMatch"
)
CALCULATIONS: dict[str, Calculation] = {
    **dict.fromkeys(UNITS.split(), _unit),
    **{"Add": _sum, "Sum": _sum, "Sub": _difference, "Mul": _product, "Div": _quotient, "Mod": _remainder},
    **dict.fromkeys(("Max", "Min", "Where", "Mean"), _largest),
    **{"Identity": _kept, "Relu": _positive},
    **{"Neg": _negated, "Abs": _magnitude, "Cast": _cast, "Clip": _clipped, "Sqrt": _root, "Pow": _power},
    **dict.fromkeys(("Floor", "Ceil", "Round"), _rounded),
}


def _most_of(operator: str, value: Tensor) -> Bound | None:
    """Return what bounds the numbers of a reduction."""
    if operator in ("ArgMax", "ArgMin"):
        return value.count.loose
    if value.most is None:
        return None
    if operator != "ReduceSum" and not (value.dims is not None and all(size.number for size in value.dims)):
        return None  # of no values the largest is no number
    if operator in ("ReduceMax", "ReduceMin", "ReduceMean"):
        return value.most.loose
    return multiply(value.most, value.count).loose if operator in ("ReduceSum", "ReduceL1") else None


def reduced(node: Node, inputs: Inputs) -> Tensor:
    """Answer a reduction of some axes or of all."""
    x, keep = need(inputs), node.number("keepdims", 1)
    axes = axes_of(node, inputs) if "axis" not in node.attributes else [node.number("axis")]
    if not node.operator.startswith("Reduce") and not axes:
        axes = [0]  # ArgMax
    most = _most_of(node.operator, x)
    if x.dims is None or axes is None:  # of nothing it is one value
        count = add(x.count, ONE) if x.dims is None else product(union(size, ONE) for size in x.dims)
        return tensor(None, count, most=most, whole=x.whole)
    if not axes and node.number("noop_with_empty_axes"):
        return replace(x, most=most, numbers=None)
    rank = max(len(x.dims), 1)
    gone = {axis % rank for axis in axes} or set(range(rank))
    if node.operator == "ReduceProd" and x.numbers is not None and len(gone) == len(x.dims):
        found = np.empty((1,) * len(x.dims) if keep else (), object)
        found[...] = reduce(multiply, x.numbers, ONE)
        return of_numbers(found, whole=x.whole)
    dims = [ONE if axis in gone else size for axis, size in enumerate(x.dims) if keep or axis not in gone]
    positive = x.positive and most is not None and node.operator in ("ReduceMax", "ReduceMin")
    return tensor(dims, most=most, whole=x.whole or node.operator.startswith("Arg"), positive=positive)
