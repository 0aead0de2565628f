"""A photo on its way to what a model takes, step by step. No widgets here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.image import InputSpec, decode, fit

# A photo from a telephone is larger than what a server takes, and is made small before it is sent.
MAX_PIXELS, MAX_SIDE = 60_000_000, 12_000
CONTRAST = 40  # grey levels by which a thing differs from its ground


@dataclass(frozen=True, eq=False)
class Step:
    """One image on the way, and what was done."""

    title: str
    pixels: NDArray[Any]
    words: str


def on_bright(pixels: NDArray[Any]) -> bool:
    """Tell whether the edge of a grey image is bright: a thing on white, where the model knows things on black.

    Examples
    --------
    >>> on_bright(np.full((28, 28), 250, np.uint8))
    True
    """
    return bool(edge(pixels).mean() > 127)


def edge(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return the outermost pixels of a image."""
    return np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])


def trim(pixels: NDArray[Any]) -> NDArray[Any]:
    """Cut off the ground around the thing in a grey image; specks on the ground do not count.

    Examples
    --------
    >>> image = np.zeros((100, 100), np.uint8)
    >>> image[20:50, 30:90] = 200
    >>> trim(image).shape
    (30, 60)
    """
    ground = np.median(edge(pixels))
    thing = (pixels < ground - CONTRAST) | (pixels > ground + CONTRAST)
    rows, columns = (np.flatnonzero(thing.mean(axis=axis) > 0.01) for axis in (1, 0))
    if not len(rows) or not len(columns):
        return pixels
    return pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def steps(file: bytes, spec: InputSpec, invert: bool | None = None) -> list[Step]:
    """Return the way of a PNG or JPEG file to the size and colours of a model; the last step is what to send.

    Parameters
    ----------
    file
        The bytes of the file.
    spec
        What the model takes.
    invert
        Swap bright and dark; by default where the edge of the image is bright.

    Raises
    ------
    BadImage
        The bytes are not a image.

    Examples
    --------
    >>> from mlops_lab.image import encode_png
    >>> way = steps(encode_png(np.full((60, 40), 255, np.uint8)), InputSpec(shape=(28, 28, 1), size=(28, 28)))
    >>> [step.title for step in way]
    ['Your image', 'Grey', 'Inverted', 'Small']
    """
    colours = decode(file, "rgb", image_pixels=MAX_PIXELS, image_side=MAX_SIDE)
    height, width = colours.shape[:2]
    found = [Step("Your image", thumbnail(colours), f"{width}×{height} pixels, {len(file):,} bytes")]
    pixels: NDArray[Any] = colours
    if spec.mode == "grey":
        pixels = decode(file, "grey", image_pixels=MAX_PIXELS, image_side=MAX_SIDE)
        found.append(Step("Grey", thumbnail(pixels), "one number for each pixel, not three"))
        if on_bright(pixels) if invert is None else invert:
            pixels = 255 - pixels
            found.append(Step("Inverted", thumbnail(pixels), "the model knows things on black"))
        # So were the models' own examples made. What has the model's size already is one of them.
        if pixels.size > math.prod(spec.image_shape) and (cut := trim(pixels)).size < pixels.size:
            pixels = cut
            found.append(Step("Trimmed", thumbnail(pixels), "the thing fills the image"))
    small = fit(pixels, spec)
    found.append(Step("Small", small, f"{small.shape[1]}×{small.shape[0]}, in proportion, the rest black"))
    return found


def thumbnail(pixels: NDArray[Any], side: int = 280) -> NDArray[Any]:
    """Return an image small enough to show, by leaving out pixels."""
    step = max(1, -(-max(pixels.shape[:2]) // side))
    return pixels[::step, ::step]
