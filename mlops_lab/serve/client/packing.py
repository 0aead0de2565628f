"""Images into the body of a request: what ``codec`` undoes on the other side."""

from __future__ import annotations

import io
from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab import image
from mlops_lab.errors import BadImage, LabError, WrongUsage


def pack(images: Any) -> tuple[dict[str, Any], list[NDArray[Any]] | None]:
    """Return what ``requests`` is to send for one image or several, and the images for drawing.

    Examples
    --------
    >>> options, images = pack(np.zeros((28, 28), np.uint8))
    >>> options["headers"], len(images)
    ({'Content-Type': 'image/png'}, 1)
    """
    if isinstance(images, np.ndarray) and images.dtype == np.uint8 and not _is_batch(images):
        return _raw(image.encode_png(images)), [images]
    # What is not pixels for sure goes as it is, and the server judges it: a PNG would hide fractions and large numbers.
    if isinstance(images, np.ndarray) and images.dtype != object:
        return _npy(images), list(images) if _is_batch(images) else [images]
    if isinstance(images, bytes | str | PathLike):
        data = read_file(images)
        return _raw(data), _decoded([data])
    images = _several(images)
    if all(isinstance(item, np.ndarray) for item in images) and len({item.shape for item in images}) == 1:
        return _npy(np.stack(images)), images
    files = [image.encode_png(item) if isinstance(item, np.ndarray) else read_file(item) for item in images]
    return {"files": [("image", ("image", data)) for data in files]}, _decoded(files)


def _several(images: Any) -> list[Any]:
    kinds = (np.ndarray, bytes, str, PathLike)
    items = list(images) if isinstance(images, Iterable) else [images]
    wrong = [item for item in items if not isinstance(item, kinds)]
    if wrong or not items:
        received = f"A {type(wrong[0]).__name__} is no image" if wrong else "There is no image to send"
        raise WrongUsage(f"{received}.", "Pass arrays of pixels 0–255, the bytes of PNG or JPEG files, or their paths.")
    return items


def _npy(array: NDArray[Any]) -> dict[str, Any]:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return {"data": buffer.getvalue(), "headers": {"Content-Type": "application/x-npy"}}


def read_file(item: bytes | str | PathLike[str]) -> bytes:
    """Return the bytes of an image file, or bytes as they are."""
    if isinstance(item, bytes):
        return item
    try:
        return Path(item).read_bytes()
    except OSError as error:
        raise BadImage(f"The file {item} cannot be read: {error.strerror}.", "Look at the path.") from error


def read_image(path: str | PathLike[str], mode: str) -> NDArray[np.uint8]:
    """Return the pixels of an image file, in ``"grey"`` or ``"rgb"``; an error names the file."""
    data = read_file(path)
    try:
        return image.decode(data, mode)
    except LabError as error:
        raise error.about(str(path)) from error


def _raw(data: bytes) -> dict[str, Any]:
    kind = "image/jpeg" if data[:2] == b"\xff\xd8" else "image/png"
    return {"data": data, "headers": {"Content-Type": kind}}


def _is_batch(array: NDArray[Any]) -> bool:
    """Tell a batch, ``(n, h, w)`` or ``(n, h, w, c)``, from one image, ``(h, w)``, ``(h, w, 1)`` or ``(h, w, 3)``."""
    return array.ndim == 4 or (array.ndim == 3 and array.shape[2] not in (1, 3))


def _decoded(files: list[bytes]) -> list[NDArray[Any]] | None:
    try:
        return [image.decode(data) for data in files]
    except LabError:
        return None  # the server will say what is wrong with it
