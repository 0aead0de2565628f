"""Find the handwritten digits in one image, and cut each out as the digits model knows them: light on black, centred.

Only NumPy and Pillow, because a container that serves has little else. A digit is a connected patch of ink; pieces that
stand above each other belong together; what is much smaller than the largest digit is dirt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from mlops_lab import show
from mlops_lab.image import check_pixels, encode_png

WORKING_SIDE = 768  # larger images are shrunk first: no model takes so many pixels, and the time stays bounded
FAINTEST = 30  # levels between ink and paper; less is a blank sheet
MOST_PATCHES = 300  # more than any batch; so the time stays bounded on a sheet of confetti


class Box(NamedTuple):
    """Where a digit is, in pixels of the image."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True, eq=False)
class Digit:
    """One digit that was found.

    Parameters
    ----------
    box
        Where it is in the image.
    pixels
        The digit, light on black, in the middle of a square.
    """

    box: Box
    pixels: NDArray[np.uint8] = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return where it is."""
        return {"box": list(self.box)}

    def _repr_html_(self) -> str:
        return show.image(encode_png(self.pixels), f"A digit cut out at {tuple(self.box)}", width=56, pixelated=True)


def find_digits(image: NDArray[Any], margin: float = 0.0) -> list[Digit]:
    """Return the digits of an image, from left to right.

    Parameters
    ----------
    image
        Grey, ``(height, width)``, values 0–255; dark on light or light on dark.
    margin
        The empty border around each digit, as a share of its size. The digits model was trained on digits that
        touch the border (0); MNIST leaves a fifth.

    Examples
    --------
    >>> sheet = np.full((40, 90), 240, np.uint8)
    >>> sheet[8:32, 20:24] = sheet[8:32, 60:64] = 30
    >>> [digit.box for digit in find_digits(sheet)]
    [Box(left=20, top=8, width=4, height=24), Box(left=60, top=8, width=4, height=24)]
    """
    sheet = check_pixels(image).astype(np.uint8)
    if 0 in sheet.shape:
        return []
    factor = -(-max(sheet.shape) // WORKING_SIDE)
    small = Image.fromarray(sheet).reduce(factor)
    ink, noise = lift_ink(np.asarray(small), np.asarray(small.filter(ImageFilter.MedianFilter(3))))
    if not ink.any():
        return []
    strongest = float(ink.max())
    marks = label_patches(bridge(ink > max(0.2 * strongest, 3 * noise)))
    groups = group_patches(marks, ink > 0.5 * strongest)
    levels = np.minimum(255, ink * (255 / strongest)).astype(np.uint8)
    return [_cut(levels, marks, group, box, factor, sheet.shape, margin) for box, group in groups]


def lift_ink(sheet: NDArray[np.uint8], smooth: NDArray[np.uint8]) -> tuple[NDArray[np.float32], float]:
    """Return how much each pixel differs from the paper in the direction of the ink, and the noise of the paper.

    Without ink, all zeros. The strength of the ink is taken from the smoothed sheet, where a speck does not count; only
    strokes of one pixel, which smoothing wipes out, make us look at the sheet itself.
    """
    paper = float(np.median(np.concatenate([sheet[0], sheet[-1], sheet[:, 0], sheet[:, -1]])))
    noise = 1.4826 * float(np.median(np.abs(sheet.astype(np.float32) - paper)))
    for looked_at, doubt in ((smooth, 5), (sheet, 7)):
        darker, lighter = paper - float(looked_at.min()), float(looked_at.max()) - paper
        strength = max(darker, lighter)
        if strength >= max(FAINTEST, doubt * noise):
            direction = -1.0 if darker > lighter else 1.0
            return np.clip(direction * (sheet.astype(np.float32) - paper), 0, strength), noise
    return np.zeros(sheet.shape, np.float32), noise


def bridge(ink: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return ink without the gaps of one pixel, such as a scratch leaves.

    Examples
    --------
    >>> bridge(np.array([[1, 0, 1, 0, 0, 1]], bool)).astype(int).tolist()
    [[1, 1, 1, 0, 0, 1]]
    """
    whole = ink.copy()
    whole[:, 1:-1] |= ink[:, :-2] & ink[:, 2:]
    whole[1:-1] |= ink[:-2] & ink[2:]
    return whole


def label_patches(ink: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the number of the connected patch (corners connect too) that each pixel belongs to; 0 is paper.

    Examples
    --------
    >>> label_patches(np.array([[1, 0, 1], [0, 1, 0], [0, 0, 0], [1, 1, 0]], bool)).tolist()
    [[1, 0, 1], [0, 1, 0], [0, 0, 0], [2, 2, 0]]
    """
    steps = np.diff(np.pad(ink, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    # Runs of ink, row after row: where each begins and ends (one past it), counted through the rows.
    row, start = np.nonzero(steps == 1)
    end = np.nonzero(steps == -1)[1]
    stride = ink.shape[1] + 2
    first, last = row * stride + start, row * stride + end
    # A run touches the runs of the next row that begin no later than its end, and end no sooner than its start.
    low = np.searchsorted(last, first + stride, side="left")
    high = np.searchsorted(first, last + stride, side="right")
    above = np.repeat(np.arange(len(row)), high - low)
    below = np.arange(len(above)) - np.repeat(np.cumsum(high - low) - (high - low), high - low) + low[above]
    numbers = np.unique(_roots(len(row), above, below), return_inverse=True)[1] + 1
    labels = np.zeros(ink.shape, np.int64)
    labels[ink] = np.repeat(numbers, end - start)
    return labels


def _roots(count: int, one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each of ``count`` things the smallest that is joined to it, by pairs that touch."""
    roots = np.arange(count)
    while True:
        smaller = np.minimum(roots[one], roots[other])
        before = roots.copy()
        # Hang the roots of both below the smaller one, then let every thing point at its root's root.
        np.minimum.at(roots, before[one], smaller)
        np.minimum.at(roots, before[other], smaller)
        roots = roots[roots]
        if np.array_equal(roots, before):
            return roots


def group_patches(marks: NDArray[np.int64], strong: NDArray[np.bool_]) -> list[tuple[Box, list[int]]]:
    """Return where each digit is and which patches make it, from left to right.

    Parameters
    ----------
    marks
        From :func:`label_patches`.
    strong
        Where the ink is beyond doubt; a patch without any is a smudge.
    """
    areas = np.bincount(marks.ravel())
    areas[0] = 0
    inked = np.bincount(marks[strong], minlength=len(areas)) > 0
    numbers = np.flatnonzero(inked & (areas >= max(3, 0.03 * areas.max())))
    numbers = numbers[np.argsort(-areas[numbers], kind="stable")[:MOST_PATCHES]]
    bounds = _bounds(marks, len(areas))
    boxes = {int(number): Box(*bounds[number].tolist()) for number in numbers}
    groups: list[list[int]] = []
    for number in sorted(boxes, key=lambda one: boxes[one].left):
        mates = [group for group in groups if any(_stacked(boxes[number], boxes[mate]) for mate in group)]
        joined = [number, *(mate for group in mates for mate in group)]
        groups = [group for group in groups if group not in mates] + [joined]
    whole = [(_around([boxes[number] for number in group]), group) for group in groups]
    tallest = max((box.height for box, _ in whole), default=0)
    standing = [(box, group) for box, group in whole if box.height >= 0.4 * tallest]
    return sorted(standing, key=lambda pair: 2 * pair[0].left + pair[0].width)


def _stacked(one: Box, other: Box) -> bool:
    """Return whether one piece stands above the other, as the halves of a broken digit do, or inside it.

    Two slanted digits share columns as well, but stand beside each other: they share their rows.
    """
    columns = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
    rows = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
    width, height = min(one.width, other.width), min(one.height, other.height)
    return columns >= 0.9 * width or (columns >= 0.5 * width and rows <= 0.5 * height)


def _bounds(marks: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return left, top, width and height of every patch in one pass over the pixels."""
    rows, columns = np.nonzero(marks)
    owner = marks[rows, columns]
    least, most = np.full((count, 2), max(marks.shape)), np.zeros((count, 2), np.int64)
    for axis, places in enumerate((columns, rows)):
        np.minimum.at(least[:, axis], owner, places)
        np.maximum.at(most[:, axis], owner, places)
    return np.hstack([least, most - least + 1])


def _around(boxes: Sequence[Box]) -> Box:
    left, top = min(box.left for box in boxes), min(box.top for box in boxes)
    right, bottom = max(box.left + box.width for box in boxes), max(box.top + box.height for box in boxes)
    return Box(left, top, right - left, bottom - top)


def _cut(
    levels: NDArray[np.uint8],
    marks: NDArray[np.int64],
    group: list[int],
    box: Box,
    factor: int,
    shape: tuple[int, ...],
    margin: float,
) -> Digit:
    """Return one digit in a square: nothing of its neighbours, its centre of mass in the middle from left to right."""
    window = np.s_[box.top : box.top + box.height, box.left : box.left + box.width]
    pixels = np.where(np.isin(marks[window], group), levels[window], 0)
    side = round(max(box.height, box.width) * (1 + 2 * margin))
    middle = float(pixels.sum(axis=0) @ (np.arange(box.width) + 0.5)) / max(1, int(pixels.sum()))
    left = min(max(round(side / 2 - middle), 0), side - box.width)
    square = np.zeros((side, side), np.uint8)
    top = (side - box.height) // 2
    square[top : top + box.height, left : left + box.width] = pixels
    width = min(box.width * factor, shape[1] - box.left * factor)
    height = min(box.height * factor, shape[0] - box.top * factor)
    return Digit(Box(box.left * factor, box.top * factor, width, height), square)
