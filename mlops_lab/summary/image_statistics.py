"""Twelve numbers that describe one image: what is kept of it when the image itself is not."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.errors import WrongShape
from mlops_lab.image import InputSpec, to_input

IMAGE_STATISTICS = (
    *("brightness", "contrast", "dark", "bright", "sharpness", "grain"),
    *("border", "centre x", "centre y", "spread", "flat", "levels"),
)
VECTOR_STATISTICS = ("mean", "deviation", "least", "most")
# A pixel below the first counts as dark, one above the second as bright, on a scale from 0 to 1.
DARK, BRIGHT = 0.05, 0.9
# Images at a time, so that what is computed of them stays in the processor's cache; with 128, a server whose heaps are
# trimmed (serve/core/memory.py) would also get its memory anew for each group of logged images.
CHUNK = 64


def names(spec: InputSpec) -> tuple[str, ...]:
    """Return the names of the statistics of a model's inputs, in order."""
    return IMAGE_STATISTICS if spec.size else VECTOR_STATISTICS


def describe_inputs(images: Any, spec: InputSpec) -> NDArray[np.float32]:
    """Return the statistics of a batch, ``(n, statistics)``.

    The images are first turned into model input, so what is described is what the model sees.

    Parameters
    ----------
    images
        Images with values 0–255, or floating-point tensors of the model's own shape.
    spec
        What the model takes.

    Examples
    --------
    >>> spec = InputSpec(shape=(28, 28, 1), size=(28, 28))
    >>> grey = describe_inputs(np.full((2, 28, 28), 51, np.uint8), spec)
    >>> round(float(grey[0, names(spec).index("brightness")]), 2)
    0.2
    """
    tensor = _as_tensor(images, spec)
    if not len(tensor):
        return np.empty((0, len(names(spec))), np.float32)
    if not spec.size:
        flat = tensor.reshape(len(tensor), -1)
        return np.stack([flat.mean(1), flat.std(1), flat.min(1), flat.max(1)], axis=1).astype(np.float32)
    pixels = _as_pixels(tensor, spec)
    return np.concatenate([_describe_pixels(pixels[start : start + CHUNK]) for start in range(0, len(pixels), CHUNK)])


def _as_tensor(images: Any, spec: InputSpec) -> NDArray[np.float32]:
    if isinstance(images, np.ndarray) and images.dtype.kind == "f" and images.shape[1:] == spec.shape:
        return images.astype(np.float32, copy=False)
    return to_input(images, spec)


def _as_pixels(tensor: NDArray[np.float32], spec: InputSpec) -> NDArray[np.float32]:
    """Return ``(n, height, width)`` from 0 to 1; colours are averaged."""
    if spec.channels_first:
        tensor = np.moveaxis(tensor, 1, -1)
    span = (spec.high - spec.low) or 1.0
    pixels: NDArray[np.float32] = ((tensor - spec.low) / span).reshape(len(tensor), *spec.image_shape)
    if pixels.ndim == 4:
        pixels = pixels.mean(axis=-1)
    if pixels.ndim != 3:
        raise WrongShape(f"The input's shape {spec.shape} is not one of images.", "Its manifest should give a size.")
    return pixels


def _describe_pixels(x: NDArray[np.float32]) -> NDArray[np.float32]:
    n, height, width = x.shape
    flat = x.reshape(n, -1)
    # Long rows of numbers, and no new array where an old one will do: this is most of what a logged image costs.
    dx, dy = x[:, :, 1:] - x[:, :, :-1], flat[:, width:] - flat[:, :-width]
    np.abs(dx, out=dx)
    np.abs(dy, out=dy)
    bend = 2 * x[:, :, 1:-1]
    bend -= x[:, :, 2:]
    bend -= x[:, :, :-2]
    np.abs(bend, out=bend)
    frame = max(1, min(height, width) // 14)
    inside = x[:, frame:-frame, frame:-frame].sum(axis=(1, 2))
    total = flat.sum(1)
    border = (total - inside) / (height * width - (height - 2 * frame) * (width - 2 * frame))
    columns, rows = np.linspace(0, 1, width, dtype=np.float32), np.linspace(0, 1, height, dtype=np.float32)
    weight = np.maximum(total, 1e-6)
    across, down = np.ascontiguousarray(x.swapaxes(0, 1)).sum(axis=0), x.sum(axis=2)
    centre_x, centre_y = across @ columns / weight, down @ rows / weight
    spread = np.sqrt(np.maximum(0, across @ columns**2 / weight - centre_x**2 + down @ rows**2 / weight - centre_y**2))
    mean = flat.mean(1, keepdims=True)
    # A few steep edges are the image's own; many small bends are noise.
    grain = np.minimum(bend, 0.1, out=bend).mean(axis=(1, 2))
    columns_of = (
        mean[:, 0],
        flat.std(1, mean=mean),
        _share(flat < DARK),
        _share(flat > BRIGHT),
        dx.mean(axis=(1, 2)) + dy.mean(axis=1),
        grain,
        border,
        centre_x,
        centre_y,
        spread,
        _share(dx < 1e-3),
        _count_levels(flat) / 64,
    )
    return np.stack(columns_of, axis=1).astype(np.float32)


def _share(holds: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the share of each image for which something holds; bits are counted, which is faster than adding."""
    bits = np.packbits(holds.reshape(len(holds), -1), axis=1)
    share: NDArray[np.float64] = np.bitwise_count(bits).sum(axis=1, dtype=np.uint32) / holds[0].size
    return share


def _count_levels(flat: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return how many of 64 levels of grey each image has: each is one bit."""
    levels = (np.clip(flat, 0, 1) * 63).astype(np.uint8).astype(np.uint64)
    seen: NDArray[np.uint64] = np.bitwise_or.reduce(np.left_shift(np.uint64(1), levels, out=levels), axis=1)
    counted: NDArray[np.uint8] = np.bitwise_count(seen)
    return counted
