"""Images that checks ask about, with known answers, and what each mistake would say to them."""

from __future__ import annotations

import gzip
import io
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlops_lab.data.sources import FASHION_CLASSES, FASHION_MNIST
from mlops_lab.engines import onnx
from mlops_lab.grade.fingerprints import prepared
from mlops_lab.image import encode_png

LABELS = FASHION_CLASSES
MATERIAL = Path(__file__).parents[1] / "material"


@cache
def all_tested() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the 10,000 images that the shipped model was not trained on, and their labels."""
    pixels = gzip.decompress((FASHION_MNIST / "t10k-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((FASHION_MNIST / "t10k-labels-idx1-ubyte.gz").read_bytes())
    return np.frombuffer(pixels, np.uint8, offset=16).reshape(-1, 28, 28), np.frombuffer(labels, np.uint8, offset=8)


@cache
def model(name: str = "clothes") -> onnx.OnnxEngine:
    """Return a shipped model, loaded once."""
    return onnx.load((MATERIAL / f"{name}.onnx").read_bytes())


def garments(rng: np.random.Generator, count: int, *, held_out: bool) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return images ``(count, 28, 28)`` and their labels.

    Held-out ones are new bytes: moved by a pixel or not, made a little darker, and disturbed, so that no table of the
    shipped test images knows them.
    """
    pixels, labels = all_tested()
    chosen = rng.permutation(len(pixels) if held_out else 500)[:count]
    images = pixels[chosen].copy()
    if held_out:
        images = np.stack([_disturbed(one, rng) for one in images])
    return images, labels[chosen]


def _disturbed(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    moved = np.roll(image, tuple(rng.integers(-1, 2, 2)), axis=(0, 1)).astype(np.float64)
    noise = rng.integers(-6, 7, image.shape)
    changed: NDArray[np.uint8] = np.clip(moved * rng.uniform(0.9, 1.0) + noise, 0, 255).astype(np.uint8)
    return changed


def answers(
    images: NDArray[np.uint8], name: str = "clothes", only: tuple[str, ...] = ()
) -> dict[str, NDArray[np.float32]]:
    """Return what the shipped model says to images by each preparation: ``right`` and others, or ``only`` some."""
    return {how: model(name).predict(batch) for how, batch in prepared(images, only).items()}


@dataclass(frozen=True)
class Sent:
    """One image as it is sent.

    Parameters
    ----------
    data
        The file's bytes.
    kind
        Its media type.
    pixels
        What a reader gets out of it: for a JPEG, after Pillow's decoding.
    """

    data: bytes
    kind: str
    pixels: NDArray[np.uint8]


def png(pixels: NDArray[np.uint8]) -> Sent:
    """Return an image as a PNG."""
    return Sent(encode_png(pixels), "image/png", pixels)


def jpeg(pixels: NDArray[np.uint8], quality: int = 90) -> Sent:
    """Return an image as a JPEG."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="JPEG", quality=quality)
    decoded = np.asarray(Image.open(io.BytesIO(buffer.getvalue())))
    return Sent(buffer.getvalue(), "image/jpeg", decoded)
