"""Small changes of an image that should not change the answer, and large ones that should make it less sure.

Amounts are shares of the image's side, so that they mean the same for 8×8 and for 224×224 pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]
Change = Callable[[Images], Images]
STEP = 1 / 28


def moved(images: Images, down: float, right: float) -> Images:
    """Return images moved by shares of their sides; what comes in is the ground, 0."""
    from scipy.ndimage import shift

    height, width = images.shape[1:3]
    offset = (0.0, down * height, right * width, *([0.0] * (images.ndim - 3)))
    return _pixels(shift(images.astype(np.float32), offset, order=1))


def rotated(images: Images, degrees: float) -> Images:
    """Return images turned about their middle."""
    from scipy.ndimage import rotate

    return _pixels(rotate(images.astype(np.float32), degrees, axes=(2, 1), reshape=False, order=1))


def noisy(images: Images, deviation: float, seed: int = 0) -> Images:
    """Return images with normal noise; ``deviation`` is a share of 255."""
    noise = np.random.default_rng(seed).normal(0, 255 * deviation, images.shape)
    return _pixels(images + noise)


def blurred(images: Images, width: float) -> Images:
    """Return images blurred by a Gaussian whose deviation is a share of their sides, and at least 0.3 pixels."""
    from scipy.ndimage import gaussian_filter

    sides = [max(width * side, 0.3) for side in images.shape[1:3]]
    return _pixels(gaussian_filter(images.astype(np.float32), (0, *sides, *([0] * (images.ndim - 3)))))


def scaled(images: Images, factor: float) -> Images:
    """Return images of another contrast: each value is multiplied."""
    return _pixels(images * np.float32(factor))


def dotted(images: Images, row: float, column: float) -> Images:
    """Return images with one pixel lit, at shares of their sides; less where a pixel is a large part of the image."""
    changed = images.copy()
    height, width = images.shape[1:3]
    level = round(255 * min(1.0, min(height, width) * STEP))
    place = changed[:, min(int(row * height), height - 1), min(int(column * width), width - 1)]
    np.maximum(place, level, out=place)
    return changed


def hidden(images: Images, top: float, left: float, height: float, width: float) -> Images:
    """Return images of which a rectangle, in shares of their sides, is covered with the ground, 0."""
    changed = images.copy()
    rows, columns = images.shape[1:3]
    low, high = round(top * rows), round((top + height) * rows)
    start, end = round(left * columns), round((left + width) * columns)
    changed[:, low : max(high, low + 1), start : max(end, start + 1)] = 0
    return changed


def _pixels(values: NDArray[Any]) -> Images:
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)


DIRECTIONS = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}
CORNERS = {"top left": (0.0, 0.0), "top right": (0.0, 1.0), "bottom left": (1.0, 0.0), "bottom right": (1.0, 1.0)}
SPOTS = {**CORNERS, "middle of the top": (0.0, 0.5), "middle of a side": (0.5, 0.0), "middle": (0.5, 0.5)}
# For each kind, changes so small that a person would not hesitate.
SMALL: Mapping[str, Mapping[str, Change]] = {
    "move": {name: partial(moved, down=STEP * y, right=STEP * x) for name, (y, x) in DIRECTIONS.items()},
    "rotation": {f"{angle}°": partial(rotated, degrees=angle) for angle in (-5, 5)},
    "noise": {f"seed {seed}": partial(noisy, deviation=0.03, seed=seed) for seed in (1, 2)},
    "blur": {"slight": partial(blurred, width=0.5 * STEP)},
    "contrast": {f"× {factor:g}": partial(scaled, factor=factor) for factor in (0.8, 1.2)},
    "one pixel": {name: partial(dotted, row=row, column=column) for name, (row, column) in SPOTS.items()},
    "occlusion": {
        name: partial(hidden, top=row * 0.9, left=column * 0.9, height=0.1, width=0.1)
        for name, (row, column) in CORNERS.items()
    },
}
# The parts of an image that a model should look at: covering each must matter to some images.
PARTS: Mapping[str, Change] = {
    "upper half": partial(hidden, top=0.0, left=0.0, height=0.5, width=1.0),
    "lower half": partial(hidden, top=0.5, left=0.0, height=0.5, width=1.0),
    "left half": partial(hidden, top=0.0, left=0.0, height=1.0, width=0.5),
    "right half": partial(hidden, top=0.0, left=0.5, height=1.0, width=0.5),
}
NOISE_LEVELS = (0.0, 0.1, 0.3, 0.6)
