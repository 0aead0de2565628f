"""The conversion of an image file to the size and mode of a model's input, step by step. No widgets here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.client import Client
from mlops_lab.image import InputSpec, decode, fit

# A photo is larger than a server's limits, and is scaled down before it is sent.
MAX_PIXELS, MAX_SIDE = 60_000_000, 12_000
CONTRAST = 40  # grey levels between an object and its background


def fetch_input(client: Client, name: str, version: int | str) -> InputSpec | None:
    """Return the input of a version, or ``None`` where the server does not describe it, as a student's own may not."""
    info = client.info(name, version)
    return InputSpec.from_dict(info["input"]) if "input" in info else None


@dataclass(frozen=True, eq=False)
class PreprocessingStep:
    """The image after one step, with a title and a caption."""

    title: str
    pixels: NDArray[Any]
    caption: str


def has_bright_background(pixels: NDArray[Any]) -> bool:
    """Return whether the edge of a grey image is bright; the training images have a black background.

    Examples
    --------
    >>> has_bright_background(np.full((28, 28), 250, np.uint8))
    True
    """
    return bool(edge(pixels).mean() > 127)


def edge(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return the outermost pixels of an image."""
    return np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])


def trim(pixels: NDArray[Any]) -> NDArray[Any]:
    """Crop the background around the object in a grey image; specks in the background are ignored.

    Examples
    --------
    >>> image = np.zeros((100, 100), np.uint8)
    >>> image[20:50, 30:90] = 200
    >>> trim(image).shape
    (30, 60)
    """
    background = np.median(edge(pixels))
    mask = (pixels < background - CONTRAST) | (pixels > background + CONTRAST)
    rows, columns = (np.flatnonzero(mask.mean(axis=axis) > 0.01) for axis in (1, 0))
    if not len(rows) or not len(columns):
        return pixels
    return pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def steps(file: bytes, spec: InputSpec | None, invert: bool | None = None) -> list[PreprocessingStep]:
    """Return the steps from a PNG or JPEG file to the size and mode of a model; the last image is the one to send.

    Parameters
    ----------
    file
        The bytes of the file.
    spec
        The input of the model; where it is not known, the image is only decoded.
    invert
        Invert the grey levels; by default where the edge of the image is bright.

    Raises
    ------
    BadImage
        The bytes are not an image.

    Examples
    --------
    >>> from mlops_lab.image import encode_png
    >>> taken = steps(encode_png(np.full((60, 40), 255, np.uint8)), InputSpec(shape=(28, 28, 1), size=(28, 28)))
    >>> [step.title for step in taken]
    ['Your image', 'Grey', 'Inverted', 'Small']
    """
    colours = decode(file, "rgb", image_pixels=MAX_PIXELS, image_side=MAX_SIDE)
    height, width = colours.shape[:2]
    found = [PreprocessingStep("Your image", thumbnail(colours), f"{width}×{height} pixels, {len(file):,} bytes")]
    if spec is None:
        return found
    pixels: NDArray[Any] = colours
    if spec.mode == "grey":
        pixels = decode(file, "grey", image_pixels=MAX_PIXELS, image_side=MAX_SIDE)
        found.append(PreprocessingStep("Grey", thumbnail(pixels), "one value per pixel instead of three"))
        if has_bright_background(pixels) if invert is None else invert:
            pixels = 255 - pixels
            found.append(
                PreprocessingStep("Inverted", thumbnail(pixels), "the training images have a black background")
            )
        # The training images were cropped as well. An image that has the model's size already is taken as one of them.
        if pixels.size > math.prod(spec.image_shape) and (cut := trim(pixels)).size < pixels.size:
            pixels = cut
            found.append(PreprocessingStep("Trimmed", thumbnail(pixels), "the object fills the image"))
    small = fit(pixels, spec)
    found.append(
        PreprocessingStep("Small", small, f"{small.shape[1]}×{small.shape[0]}, aspect ratio kept, padded with black")
    )
    return found


def thumbnail(pixels: NDArray[Any], side: int = 280) -> NDArray[Any]:
    """Return an image small enough to display, by dropping pixels."""
    step = max(1, -(-max(pixels.shape[:2]) // side))
    return pixels[::step, ::step]
