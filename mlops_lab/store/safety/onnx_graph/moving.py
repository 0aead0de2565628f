"""What ONNX operators answer that move, cut, repeat or say sizes; small numbers are followed one by one.

Sizes are computed in graphs, by these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.store.safety.onnx_graph.bounds import (
    ONE,
    ZERO,
    Bound,
    Tensor,
    add,
    at_most,
    broadcast,
    constant,
    divide,
    multiply,
    of_numbers,
    product,
    sizes,
    tensor,
    union,
    union_of,
)
from mlops_lab.store.safety.onnx_graph.numbers import Inputs, Node, at, axes_of, need, of_tensor, stated


def shape(node: Node, inputs: Inputs) -> Tensor:
    """Answer with the sizes of the input, each of which is known."""
    x = need(inputs)
    if x.dims is None:
        return tensor([at_most(16)], most=x.count.loose, whole=True)
    begin, end = node.number("start"), node.number("end") if "end" in node.attributes else None
    found = np.empty(len(x.dims[begin:end]), object)
    found[:] = x.dims[begin:end]
    return of_numbers(found, whole=True)


def size(node: Node, inputs: Inputs) -> Tensor:
    """Answer with the number of values."""
    found = np.empty((), object)
    found[()] = need(inputs).count
    return of_numbers(found, whole=True)


def reshape(node: Node, inputs: Inputs) -> Tensor:
    """Answer with the same values in other sizes, of which one may be left to be computed."""
    x = need(inputs)
    wanted = sizes(at(inputs, 1)) if len(inputs) > 1 else list(map(constant, node.numbers("shape")))
    if wanted is None:
        return x.sized(None, x.count)
    dims: list[Bound | None] = []
    for place, size in enumerate(wanted):
        if size.number == -1:
            dims.append(None)
        elif size.number == 0 and not node.number("allowzero"):
            dims.append(x.dims[place] if x.dims and place < len(x.dims) else x.count.loose)
        else:
            dims.append(size if size.most >= 0 else size.loose)
    others = product(size for size in dims if size is not None)
    rest = divide(x.count, others, positive=True) or x.count.loose
    known = tuple(rest if size is None else size for size in dims)
    if any(wanted_size.exact is None for wanted_size in wanted):  # one of them may be -1
        known = tuple(size if size.exact is not None else union(size, x.count).loose for size in known)
    return _renumbered(x, known)


def _renumbered(x: Tensor, dims: Sequence[Bound]) -> Tensor:
    """Return the same numbers in another shape."""
    found = x.sized(dims, x.count)
    constants = [size.number for size in found.dims or ()]
    if x.numbers is not None and None not in constants and prod(map(int, map(float, constants))) == len(x.numbers):  # type: ignore[arg-type]
        return replace(found, numbers=x.numbers)
    return found


def flatten(node: Node, inputs: Inputs) -> Tensor:
    """Answer with a table."""
    x = need(inputs)
    if x.dims is None:
        return x.sized([x.count.loose, x.count.loose], x.count)
    axis = node.number("axis", 1)
    axis += len(x.dims) if axis < 0 else 0
    return _renumbered(x, [product(x.dims[:axis]), product(x.dims[axis:])])


def squeeze(node: Node, inputs: Inputs) -> Tensor:
    """Answer without axes of one."""
    x, axes = need(inputs), axes_of(node, inputs)
    if x.dims is None or axes is None:
        return x.sized(None, x.count)
    rank = max(len(x.dims), 1)
    gone = {axis % rank for axis in axes}
    if not gone:
        if any(size.number is None for size in x.dims):
            return x.sized(None, x.count)
        gone = {axis for axis, size in enumerate(x.dims) if size == ONE}
    return _renumbered(x, [size for axis, size in enumerate(x.dims) if axis not in gone])


def unsqueeze(node: Node, inputs: Inputs) -> Tensor:
    """Answer with axes of one more."""
    x, axes = need(inputs), axes_of(node, inputs)
    if x.dims is None or axes is None or len(axes) > 16:
        return x.sized(None, x.count)
    rank = len(x.dims) + len(axes)
    new, left = {axis % max(rank, 1) for axis in axes}, list(x.dims)
    dims = [ONE if axis in new or not left else left.pop(0) for axis in range(rank)]
    return _renumbered(x, dims)


def transpose(node: Node, inputs: Inputs) -> Tensor:
    """Answer with the axes in another order."""
    x = need(inputs)
    if x.dims is None:
        return x.sized(None, x.count)
    order = node.numbers("perm") or list(range(len(x.dims)))[::-1]
    if sorted(order) != list(range(len(x.dims))):
        return x.sized(None, x.count)
    grid = x.grid()
    if grid is not None:
        return of_numbers(grid.transpose(order), whole=x.whole)
    return x.sized([x.dims[axis] for axis in order], x.count)


def concat(node: Node, inputs: Inputs) -> Tensor:
    """Answer with the inputs side by side."""
    given = [value for value in inputs if value is not None]
    whole, width = all(value.whole for value in given), max([1.0, *[value.width for value in given]])
    beside = tensor(
        None,
        reduce(add, (value.count for value in given), ZERO),
        most=union_of(given),
        whole=whole,
        positive=all(value.positive for value in given),
        width=width,
    )
    ranks = {None if value.dims is None else len(value.dims) for value in given}
    rank, axis = ranks.pop() if len(ranks) == 1 else None, node.number("axis", 1)
    if not rank or node.operator == "SequenceConstruct":
        return beside
    axis %= rank
    grids = [grid for value in given if (grid := _spread(value)) is not None]
    if len(grids) == len(given) and beside.count.most <= 1024:
        return of_numbers(np.concatenate(grids, axis), whole=whole)
    columns = [[value.dims[place] for value in given if value.dims] for place in range(rank)]
    return beside.sized(reduce(add if place == axis else _agreed, column) for place, column in enumerate(columns))


def _spread(value: Tensor) -> NDArray[Any] | None:
    """Return the numbers of a tensor of few, each with the bound of all where no more is known."""
    shape = [size.number for size in value.dims or ()]
    if value.numbers is not None or value.most is None or value.dims is None or None in shape or value.count.most > 32:
        return value.grid()
    found = np.empty([int(size or 0) for size in shape], object)
    found[...] = value.most.loose
    return found


def _agreed(a: Bound, b: Bound) -> Bound:
    """Return a size of which the file says twice what it is."""
    return a if a.number is not None else b if b.number is not None else union(a, b)


def split(node: Node, inputs: Inputs) -> list[Tensor]:
    """Answer with the pieces of an axis."""
    x, pieces = need(inputs), max(len(node.outputs), 1)
    if x.dims is None or not x.dims:
        return [x.sized(None, x.count)] * pieces
    axis = node.number("axis") % len(x.dims)
    parts = list(map(constant, node.numbers("split"))) or sizes(at(inputs, 1)) or []
    if at(inputs, 1) is not None and len(parts) != pieces:
        parts = [x.dims[axis].loose] * pieces
    elif len(parts) != pieces:
        share = divide(x.dims[axis], constant(node.number("num_outputs", pieces)))
        parts = [share if share is not None and share.exact is not None else x.dims[axis].loose] * pieces
    grid, found, begin = x.grid(), [], 0
    for part in parts:
        if grid is not None and part.number is not None:
            cut = tuple(slice(begin, begin + int(part.number)) if a == axis else slice(None) for a in range(grid.ndim))
            found.append(of_numbers(grid[cut], whole=x.whole))
            begin += int(part.number)
        else:
            found.append(x.sized([part if place == axis else size for place, size in enumerate(x.dims)]))
    return found


def sliced(node: Node, inputs: Inputs) -> Tensor:
    """Answer with a piece of each axis."""
    x = need(inputs)
    if x.dims is None:
        return x.sized(None, x.count)
    if "starts" in node.attributes:
        cuts = [list(map(constant, node.numbers(name))) for name in ("starts", "ends", "axes")] + [[]]
    else:
        cuts = [sizes(at(inputs, place)) or [Bound(0, 0, None)] * bool(at(inputs, place)) for place in (1, 2, 3, 4)]
    begins, ends, axes, steps = [[size.number for size in cut] for cut in cuts]
    axes, steps = axes or list(range(len(begins))), steps or [1] * len(begins)
    dims, grid, known = [size.loose for size in x.dims], x.grid(), True
    whole = list(x.dims)
    for begin, end, axis, step in zip(begins, ends, axes, steps, strict=False):
        known &= None not in (begin, end, axis, step)
        if begin is None or end is None or axis is None or step is None or not step or not x.dims:
            continue
        place = int(axis) % len(x.dims)
        size = x.dims[place].number
        if size is not None:
            cut = slice(int(begin), int(end), int(step))
            if step < 0 and end <= -(2**31):
                cut = slice(int(begin), None, int(step))
            whole[place] = constant(len(range(*cut.indices(int(size)))))
            if grid is not None:
                grid = grid[tuple(cut if axis_ == place else slice(None) for axis_ in range(grid.ndim))]
        elif not (begin == 0 and end >= 2**31 - 1 and step == 1):
            whole[place] = x.dims[place].loose if end < 0 or step < 0 else _piece(x.dims[place], end, begin)
    if not begins or not known or len(begins) != len(ends):
        return x.sized(dims, x.count)
    return of_numbers(grid, whole=x.whole) if grid is not None else x.sized(whole, x.count)


def _piece(size: Bound, end: float, begin: float) -> Bound:
    """Return how long a piece of an axis is that ends at a place of the file."""
    return at_most(end) if begin >= 0 and end < 2**20 else size.loose


def gather(node: Node, inputs: Inputs) -> Tensor:
    """Answer with the values at some places of an axis."""
    x, places = need(inputs), need(inputs, 1)
    if x.dims is None or places.dims is None or not x.dims:
        return x.sized(None, multiply(x.count, places.count))
    axis, grid, index = node.number("axis") % len(x.dims), x.grid(), places.grid()
    if grid is not None and index is not None and all(size.number is not None for size in places.numbers or ()):
        chosen = np.array([int(size.number or 0) for size in places.numbers or ()], np.int64).reshape(index.shape)
        if grid.shape[axis] and (abs(chosen) <= grid.shape[axis]).all():
            return of_numbers(np.asarray(np.take(grid, chosen, axis, mode="wrap"), object), whole=x.whole)
    return x.sized([*x.dims[:axis], *places.dims, *x.dims[axis + 1 :]])


def gather_elements(node: Node, inputs: Inputs) -> Tensor:
    """Answer with as many values as there are places."""
    places = need(inputs, 1)
    return need(inputs).sized(places.dims, places.count)


def gather_nd(node: Node, inputs: Inputs) -> Tensor:
    """Answer with the values at places of several axes."""
    x, places = need(inputs), need(inputs, 1)
    depth, batch = places.dims[-1].number if places.dims else None, node.number("batch_dims")
    if x.dims is None or places.dims is None or depth is None:
        return x.sized(None, multiply(x.count, places.count))
    return x.sized([*places.dims[:-1], *x.dims[batch + int(depth) :]])


def expand(node: Node, inputs: Inputs) -> Tensor:
    """Answer with the input, repeated to sizes."""
    x, wanted = need(inputs), stated(node, at(inputs, 1))
    target = [size if size.most >= 0 else size.loose for size in wanted]
    grown = broadcast([x, Tensor(tuple(target))])
    found = x.sized(grown.dims, multiply(x.count, product(target)) if x.dims is None else grown.count)
    return _repeated(x, found)


def _repeated(x: Tensor, found: Tensor) -> Tensor:
    """Return a few numbers again and again, where each is known."""
    grid = x.grid()
    shape = [size.number for size in found.dims or ()]
    if grid is None or found.dims is None or None in shape or found.count.most > 1024:
        return found
    with_numbers = np.broadcast_to(grid, [int(size or 0) for size in shape])
    return of_numbers(with_numbers, whole=x.whole)


def tile(node: Node, inputs: Inputs) -> Tensor:
    """Answer with the input again and again."""
    x, times = need(inputs), stated(node, at(inputs, 1))
    if x.dims is None or len(times) != len(x.dims):
        return x.sized(None, multiply(x.count, product(union(ONE, size) for size in times)))
    found = x.sized([multiply(size, many) for size, many in zip(x.dims, times, strict=True)])
    grid = x.grid()
    if grid is not None and all(many.number is not None for many in times) and found.count.most <= 1024:
        return of_numbers(np.tile(grid, [int(many.number or 0) for many in times]), whole=x.whole)
    return found


def fill(node: Node, inputs: Inputs) -> Tensor:
    """Answer with one number in all places."""
    dims = stated(node, at(inputs, 0))
    value = (
        next((of_tensor(each) for each in node.attributes["value"].messages(5)), None)
        if "value" in node.attributes
        else None
    )
    most = ZERO if value is None else value.most
    number = None if value is None or not value.numbers else value.numbers[0]
    found = tensor(dims, most=most, whole=value is not None and value.whole, width=node.width())
    if all(size.number is not None for size in dims) and found.count.most <= 1024:
        filled = np.empty([max(int(size.most), 0) for size in dims], object)
        filled[...] = ZERO if value is None else number
        if value is None or number is not None:
            return of_numbers(filled, whole=found.whole)
    return found


def ranged(node: Node, inputs: Inputs) -> Tensor:
    """Answer with numbers from here to there."""
    start, limit, delta = ((stated(node, at(inputs, place)) or [ONE])[0] for place in (0, 1, 2))
    whole = all(need(inputs, place).whole for place in (0, 1, 2))
    reach = add(limit, start, -1)
    many = divide(reach, delta, need(inputs, 2).positive)
    if many is None:
        stated(node, Tensor())  # its steps may be as short as the data says
    if reach.number is not None and delta.number:
        many = constant(max(-(-reach.number // delta.number), 0))
    elif many is not None and not (many.exact is not None and delta == ONE):
        many = at_most(abs(many.most) + 1, many.degree)
    return tensor([many or ONE], most=union(start, limit).loose, whole=whole)
