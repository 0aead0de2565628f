"""The sizes of what ONNX operators answer that slide a window over their input, or fit it to another size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mlops_lab.store.safety.onnx_graph.bounds import (
    ONE,
    Bound,
    Tensor,
    add,
    at_most,
    constant,
    multiply,
    product,
    sizes,
    tensor,
    union,
    union_of,
)
from mlops_lab.store.safety.onnx_graph.numbers import Inputs, Node, at, need, stated


def _each(node: Node, name: str, rank: int, default: int) -> list[int]:
    found = node.numbers(name)
    return found if len(found) == rank else [default] * rank


def _slid(size: Bound, offset: int, stride: int, up: bool) -> Bound:
    """Return (size + offset) / stride, rounded."""
    stride = max(stride, 1)
    if size.number is not None:
        moved = int(size.number) + offset
        slid = constant(max(-(-moved // stride) if up else moved // stride, 0))
        return slid.loose if up else slid  # a window that would begin behind the end is left out
    if stride == 1 and offset == 0:
        return size
    return at_most((size.most + max(offset, 0)) / stride + (1 if up else 0), size.degree)


def slide(node: Node, space: Sequence[Bound], kernel: Sequence[Bound]) -> list[Bound]:
    """Return over how many places a window goes along each axis."""
    rank = len(space)
    strides, dilations, pads = _each(node, "strides", rank, 1), _each(node, "dilations", rank, 1), node.numbers("pads")
    pads = pads if len(pads) == 2 * rank else [0] * 2 * rank
    same, up = node.text("auto_pad").startswith("SAME"), bool(node.number("ceil_mode"))
    found = []
    for axis, (size, reach) in enumerate(zip(space, kernel, strict=False)):
        stride, width = strides[axis], max(int(reach.number or 1), 1)
        if same:
            found.append(_slid(size, 0, stride, True))
        else:
            offset = pads[axis] + pads[axis + rank] - max(dilations[axis], 1) * (width - 1) - 1 + max(stride, 1)
            found.append(_slid(size, offset, stride, up))
    return found


def convolved(node: Node, inputs: Inputs, weights: int = 1, image: int = 0) -> Tensor:
    """Return what a convolution answers."""
    x, w = need(inputs, image), need(inputs, weights)
    if not x.dims or not w.dims or len(x.dims) < 2:
        return tensor(None, multiply(x.count, w.count))
    return tensor([x.dims[0], w.dims[0], *slide(node, x.dims[2:], w.dims[2:])])


def transposed(node: Node, inputs: Inputs) -> Tensor:
    """Return what ``ConvTranspose`` answers."""
    x, w = need(inputs), need(inputs, 1)
    if not x.dims or not w.dims or len(x.dims) < 2 or len(w.dims) < 2:
        return tensor(None, multiply(x.count, multiply(w.count, product(map(constant, node.numbers("output_shape"))))))
    channels = multiply(w.dims[1], constant(max(node.number("group", 1), 1)))
    return tensor([x.dims[0], channels, *_spread(node, x.dims[2:], w.dims[2:], node.numbers("output_shape"))])


def _spread(node: Node, space: Sequence[Bound], kernel: Sequence[Bound], shape: Sequence[int]) -> list[Bound]:
    rank = len(space)
    if shape:
        return [constant(abs(size)) for size in list(shape)[-rank:]]
    strides, dilations = _each(node, "strides", rank, 1), _each(node, "dilations", rank, 1)
    more, pads = _each(node, "output_padding", rank, 0), node.numbers("pads")
    pads = pads if len(pads) == 2 * rank else [0] * 2 * rank
    found = []
    for axis, (size, reach) in enumerate(zip(space, kernel, strict=False)):
        stride, width = max(strides[axis], 1), max(int(reach.number or 1), 1)
        offset = more[axis] + (width - 1) * max(dilations[axis], 1) + 1 - stride
        grown = multiply(size, constant(stride))
        if node.text("auto_pad").startswith("SAME"):
            found.append(add(grown, constant(max(offset, 0))).loose)
            continue
        offset -= pads[axis] + pads[axis + rank]
        found.append(add(grown, constant(offset if grown.number is not None else max(offset, 0))))
    return found


def unpooled(node: Node, inputs: Inputs) -> Tensor:
    """Return what ``MaxUnpool`` answers."""
    x = need(inputs)
    shape = stated(node, at(inputs, 2))
    if shape:
        return tensor(shape)
    kernel = [constant(size) for size in node.numbers("kernel_shape")]
    if not x.dims or len(x.dims) < 2:
        return tensor(None, multiply(x.count, product(kernel)))
    return tensor([*x.dims[:2], *_spread(node, x.dims[2:], kernel, ())])


def pooled(node: Node, inputs: Inputs) -> Tensor:
    """Return what a pooling answers."""
    x = need(inputs)
    if x.dims is None or len(x.dims) < 2:
        return tensor(None, x.count)
    return tensor([*x.dims[:2], *slide(node, x.dims[2:], [constant(size) for size in node.numbers("kernel_shape")])])


def pooled_whole(node: Node, inputs: Inputs) -> Tensor:
    """Return what a pooling over all places answers."""
    x = need(inputs)
    return tensor(None if x.dims is None else [*x.dims[:2], *[ONE] * len(x.dims[2:])], x.count)


def padded(node: Node, inputs: Inputs) -> Tensor:
    """Return what ``Pad`` answers: an attribute says how much, or an input."""
    x, filled = need(inputs), at(inputs, 2)
    most = None if "value" in node.attributes else union_of([x, filled or x])
    x = replace(x, most=most, positive=False)
    pads = [constant(size) for size in node.numbers("pads") or node.numbers("paddings")] or stated(node, at(inputs, 1))
    beginnings, ends = pads[: len(pads) // 2], pads[len(pads) // 2 :]
    more = [add(first, last) for first, last in zip(beginnings, ends, strict=False)]
    axes = None if at(inputs, 3) is None else sizes(at(inputs, 3))
    if x.dims is None:
        return x.sized(None, multiply(x.count, product(add(ONE, size.loose) for size in more)))
    dims = list(x.dims)
    if at(inputs, 3) is None and len(more) == len(dims):
        places = list(range(len(dims)))
    elif axes is not None and all(axis.number is not None for axis in axes):
        places = [int(axis.number or 0) % max(len(dims), 1) for axis in axes]
    else:  # along axes that the data chooses
        count = multiply(x.count, product(add(ONE, size.loose) for size in more))
        return x.sized([union(size, count).loose for size in dims], count)
    for place, size in zip(places, more, strict=False):
        dims[place] = add(dims[place], size)
    return x.sized(dims)


def resized(node: Node, inputs: Inputs) -> Tensor:
    """Return what ``Resize`` or ``Upsample`` answers: to scales or to sizes, of all axes or of some."""
    x = need(inputs)
    scales = [constant(number) for number in node.floats("scales")]
    if node.operator == "Upsample" or len(inputs) == 2:  # the second input of operator set 10 is no region
        scales = scales or stated(node, at(inputs, 1))
        wanted: list[Bound] = []
    else:
        scales, wanted = stated(node, at(inputs, 2)), stated(node, at(inputs, 3))
    region = stated(node, at(inputs, 1)) if node.text("coordinate_transformation_mode") == "tf_crop_and_resize" else []
    if x.dims is None:
        factors = [*scales, *wanted, *region]
        return tensor(None, multiply(x.count, product(union(ONE, size).loose for size in factors)))
    dims, rank = list(x.dims), max(len(x.dims), 1)
    places = [axis % rank for axis in node.numbers("axes")] or list(range(rank))
    if wanted and node.text("keep_aspect_ratio_policy") == "not_smaller":
        most = wanted[0]
        for size in wanted[1:]:
            most = union(most, size)
        wanted = [multiply(dims[place], most).loose for place in places]
    if len(wanted or scales) != len(places):  # ONNX Runtime refuses it; who else reads it is not known
        return tensor(None, multiply(x.count, product(union(ONE, size).loose for size in [*scales, *wanted, *region])))
    for index, place in enumerate(places):
        if wanted:
            dims[place] = wanted[index].loose if node.text("keep_aspect_ratio_policy") else wanted[index]
        else:
            dims[place] = multiply(dims[place], scales[index])
            if region:  # from here to there, of which each is a share of the side
                reach = add(region[index % len(region)].loose, region[(index + len(region) // 2) % len(region)].loose)
                dims[place] = multiply(dims[place].loose, union(reach, ONE))
    return tensor(dims)


def image_columns(node: Node, inputs: Inputs) -> Tensor:
    """Return what ``Col2Im`` answers."""
    x = need(inputs)
    first = [x.dims[0], x.dims[1].loose] if x.dims and len(x.dims) > 1 else [x.count]
    return tensor([*first, *stated(node, at(inputs, 1))])


def cropped(node: Node, inputs: Inputs) -> Tensor:
    """Return what ``CenterCropPad`` answers."""
    x, wanted = need(inputs), stated(node, at(inputs, 1))
    if x.dims is None:
        return tensor(None, multiply(x.count, product(union(ONE, size).loose for size in wanted)))
    dims = list(x.dims)
    places = [axis % max(len(dims), 1) for axis in node.numbers("axes")] or list(range(len(dims)))
    for place, size in zip(places, wanted, strict=False):
        dims[place] = size
    return tensor(dims)


def of_regions(node: Node, inputs: Inputs) -> Tensor:
    """Return what ``RoiAlign`` and ``MaxRoiPool`` answer."""
    x, regions = need(inputs), need(inputs, 1)
    pooled_shape = node.numbers("pooled_shape") or [node.number("output_height", 1), node.number("output_width", 1)]
    channels = x.dims[1] if x.dims and len(x.dims) > 1 else x.count
    many = regions.dims[0] if regions.dims else regions.count
    return tensor([many, channels, *map(constant, pooled_shape)])


def sampled(node: Node, inputs: Inputs) -> Tensor:
    """Return what ``GridSample`` answers."""
    x, grid = need(inputs), need(inputs, 1)
    if not x.dims or not grid.dims or len(x.dims) < 2:
        return tensor(None, multiply(x.count, grid.count))
    return tensor([*x.dims[:2], *grid.dims[1:-1]])


def affine(node: Node, inputs: Inputs) -> Tensor:
    """Return what ``AffineGrid`` answers."""
    wanted = stated(node, at(inputs, 1))
    return tensor([*wanted[:1], *wanted[2:], constant(max(len(wanted) - 2, 1))])


def windowed(node: Node, inputs: Inputs) -> Tensor:
    """Return the windows of signal processing, one-dimensional."""
    return tensor(stated(node, at(inputs, 0))[:1])


def mel(node: Node, inputs: Inputs) -> Tensor:
    """Return what ``MelWeightMatrix`` answers."""
    return tensor([*stated(node, at(inputs, 1))[:1], *stated(node, at(inputs, 0))[:1]])


def transformed(node: Node, inputs: Inputs) -> Tensor:
    """Return what ``DFT`` answers: one axis becomes as long as an input says, and the last is of complex numbers."""
    x, length = need(inputs), stated(node, at(inputs, 1))
    if not x.dims:
        return tensor(None, multiply(x.count, multiply(constant(2), product(union(ONE, size) for size in length))))
    dims = [union(multiply(constant(2), size), length[0] if length else ONE).loose for size in x.dims]
    count = product([x.count, constant(4), *[union(ONE, size) for size in length]])
    return tensor([*dims[:-1], constant(2).loose], count)


def short_transformed(node: Node, inputs: Inputs) -> Tensor:
    """Return what ``STFT`` answers."""
    x, step = need(inputs), stated(node, at(inputs, 1))
    longest = x.dims[1] if x.dims and len(x.dims) > 1 else x.count
    window = at(inputs, 2)
    frame = sizes(at(inputs, 3)) or (list(window.dims[:1]) if window and window.dims else []) or [longest]
    many = step[0].number if step else None
    frames = at_most(longest.most / max(many or 1, 1) + 1, longest.degree)
    first = x.dims[0] if x.dims else x.count
    return tensor([first, frames, frame[0].loose, constant(2)])


def depth_to_space(node: Node, inputs: Inputs) -> Tensor:
    """Return what ``DepthToSpace`` and ``SpaceToDepth`` answer: as many values."""
    x, block = need(inputs), constant(max(node.number("blocksize", 1), 1))
    if not x.dims or len(x.dims) != 4:
        return x.sized(None, x.count)
    n, c, h, w = x.dims
    if node.operator == "DepthToSpace":
        return x.sized([n, c.loose, multiply(h, block), multiply(w, block)], x.count)
    return x.sized([n, multiply(c, multiply(block, block)), h.loose, w.loose], x.count)
