"""Recognise a mistake by what it would have answered.

A check computes the answers of the likely mistakes and compares, so a hint is for *that* mistake and not a guess.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

TOLERANCE = 1e-4


def match(received: ArrayLike, candidates: Mapping[str, ArrayLike], tolerance: float = TOLERANCE) -> str:
    """Return the name of the candidate that an answer equals, or an empty string.

    Parameters
    ----------
    received
        The answer, an array of numbers.
    candidates
        What each mistake would have answered.
    tolerance
        The largest difference of a number.

    Examples
    --------
    >>> match([0.2, 0.8], {"right": [0.9, 0.1], "swapped": [0.2, 0.8]})
    'swapped'
    """
    try:
        array = np.asarray(received, dtype=np.float64)
    except (TypeError, ValueError):
        return ""
    for name, candidate in candidates.items():
        other = np.asarray(candidate, dtype=np.float64)
        if other.shape == array.shape and np.allclose(array, other, rtol=0, atol=tolerance, equal_nan=True):
            return name
    return ""


def _crop(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    from PIL import Image

    large = [Image.fromarray(one).resize((32, 32), Image.Resampling.BILINEAR) for one in images]
    return np.stack([np.asarray(one)[2:30, 2:30] for one in large]) if large else images


def _standardised(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    flat = images.reshape(len(images), -1).astype(np.float64)
    scaled = (flat - flat.mean(axis=1, keepdims=True)) / np.maximum(flat.std(axis=1, keepdims=True), 1e-9)
    standard: NDArray[np.float64] = scaled.reshape(images.shape)
    return standard


# What pixels 0–255 of shape (n, 28, 28) become by each way to prepare them. ``right`` is the one that is taught.
PREPARATIONS: dict[str, Callable[[NDArray[np.uint8]], NDArray[Any]]] = {
    "right": lambda images: images / 255,
    "not-divided": lambda images: images * 1.0,
    "divided-twice": lambda images: images / 255 / 255,
    "whole-numbers": lambda images: images // 255,
    "transposed": lambda images: images.transpose(0, 2, 1) / 255,
    "inverted": lambda images: 1 - images / 255,
    "inverted-not-divided": lambda images: 255.0 - images,
    "mirrored": lambda images: images[:, :, ::-1] / 255,
    "upside-down": lambda images: images[:, ::-1] / 255,
    "minus-one-to-one": lambda images: images / 127.5 - 1,
    "standardised": _standardised,
    "own-maximum": lambda images: images / np.maximum(images.max(axis=(1, 2), keepdims=True), 1),
    "black-and-white": lambda images: (images > 127) * 1.0,
    "cropped": lambda images: _crop(images) / 255,
}


def prepared(images: NDArray[np.uint8], only: Collection[str] = ()) -> dict[str, NDArray[np.float32]]:
    """Return what each preparation, or ``only`` some, makes of images: arrays ``(n, 28, 28, 1)``.

    Examples
    --------
    >>> prepared(np.full((2, 28, 28), 255, np.uint8), only=("not-divided",))["not-divided"].max()
    np.float32(255.0)
    """
    wanted = {name: make for name, make in PREPARATIONS.items() if not only or name in only}
    return {name: make(images).astype(np.float32)[..., np.newaxis] for name, make in wanted.items()}
