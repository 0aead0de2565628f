"""Encode images for a request: as PNG or JPEG files, or as one array in NumPy's ``.npy`` format."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab import image
from mlops_lab.errors import BadImage, BadRequest, LabError, UnsupportedMedia, WrongShape, WrongUsage
from mlops_lab.image import InputSpec


@dataclass(frozen=True, eq=False)
class Payload:
    """Images encoded for a request.

    Parameters
    ----------
    files
        The bytes of one PNG or JPEG file for each image; empty where an array is sent.
    array
        One image, or a batch with the batch first.
    images
        The pixels of each image, for drawing; ``None`` where a file cannot be decoded.
    """

    files: Sequence[bytes] = ()
    array: NDArray[Any] | None = None
    images: Sequence[NDArray[Any]] | None = None

    def request_options(self) -> dict[str, Any]:
        """Return the body and the headers as keyword arguments of ``requests.request``."""
        if self.array is not None:
            buffer = io.BytesIO()
            np.save(buffer, self.array, allow_pickle=False)
            return {"data": buffer.getvalue(), "headers": {"Content-Type": "application/x-npy"}}
        if len(self.files) > 1:
            return {"files": [("image", ("image", data)) for data in self.files]}
        kind = "image/jpeg" if self.files[0][:2] == b"\xff\xd8" else "image/png"
        return {"data": self.files[0], "headers": {"Content-Type": kind}}

    def split(self) -> list[Payload]:
        """Return a payload with one PNG or JPEG file for each image, for a server that takes no batches."""
        if self.array is None:
            return [Payload([data], images=_decode_all([data])) for data in self.files]
        if self.images is None or any(pixels.ndim < 2 for pixels in self.images):
            return [self]  # rows of numbers are not images
        return [Payload([image.encode_png(pixels)], images=[pixels]) for pixels in self.images]

    def decode(self, spec: InputSpec) -> Sequence[NDArray[Any]] | NDArray[Any]:
        """Return the batch of images that a model of this input is given, in the model's mode and size.

        Raises
        ------
        BadRequest
            Or one of its subclasses: a file is damaged, or the array does not have the shape of the model's input.
        """
        if self.array is not None:
            return _as_batch(self.array, spec)
        if spec.size is None:
            raise UnsupportedMedia("This model does not take images.", f"Send arrays of shape {spec.shape}.")
        return [self._decode_file(number, spec) for number in range(len(self.files))]

    def _decode_file(self, number: int, spec: InputSpec) -> NDArray[Any]:
        try:
            return image.fit(image.decode(self.files[number], spec.mode), spec)
        except BadRequest as error:
            if len(self.files) == 1:
                raise
            raise error.about(f"Image {number + 1} of {len(self.files)}") from error


def encode_images(images: Any) -> Payload:
    """Encode one image or several.

    A ``uint8`` image becomes a PNG file. Arrays of other types are sent unchanged, and the server checks their values:
    a PNG would hide fractions and numbers above 255.

    Parameters
    ----------
    images
        Arrays of pixels 0–255, the bytes of PNG or JPEG files, or paths of such files; one or several.

    Raises
    ------
    WrongUsage
        There is no image, or something that is not an image.
    BadImage
        A file cannot be read.

    Examples
    --------
    >>> encode_images(np.zeros((28, 28), np.uint8)).request_options()["headers"]
    {'Content-Type': 'image/png'}
    >>> encode_images(np.zeros((5, 28, 28), np.uint8)).request_options()["headers"]
    {'Content-Type': 'application/x-npy'}
    """
    if isinstance(images, np.ndarray) and images.dtype == np.uint8 and not _is_batch(images):
        return Payload([image.encode_png(images)], images=[images])
    if isinstance(images, np.ndarray) and images.dtype != object:
        return Payload(array=images, images=list(images) if _is_batch(images) else [images])
    items: list[Any] = [images] if isinstance(images, bytes | str | PathLike) else _check_items(images)
    if all(isinstance(item, np.ndarray) for item in items) and len({item.shape for item in items}) == 1:
        return Payload(array=np.stack(items), images=items)
    files = [image.encode_png(item) if isinstance(item, np.ndarray) else read_file(item) for item in items]
    return Payload(files, images=_decode_all(files))


def read_file(item: bytes | str | PathLike[str]) -> bytes:
    """Return the bytes of an image file, or bytes unchanged."""
    if isinstance(item, bytes):
        return item
    try:
        return Path(item).read_bytes()
    except OSError as error:
        raise BadImage(f"The file {item} cannot be read: {error.strerror}.", "Check the path.") from error


def _check_items(images: Any) -> list[Any]:
    kinds = (np.ndarray, bytes, str, PathLike)
    items = list(images) if isinstance(images, Iterable) else [images]
    wrong = [item for item in items if not isinstance(item, kinds)]
    if wrong or not items:
        received = f"A {type(wrong[0]).__name__} is not an image" if wrong else "There is no image to send"
        raise WrongUsage(f"{received}.", "Pass arrays of pixels 0–255, the bytes of PNG or JPEG files, or their paths.")
    return items


def _is_batch(array: NDArray[Any]) -> bool:
    """Tell a batch, ``(n, h, w)`` or ``(n, h, w, c)``, from one image, ``(h, w)``, ``(h, w, 1)`` or ``(h, w, 3)``."""
    return array.ndim == 4 or (array.ndim == 3 and array.shape[2] not in (1, 3))


def _as_batch(array: NDArray[Any], spec: InputSpec) -> NDArray[Any]:
    """Return an array as ``(n, *shape)``, provided that its images have exactly the shape that the model takes."""
    shapes = spec.example_shapes
    batch = array[np.newaxis] if array.shape in shapes else array
    if batch.shape[1:] not in shapes:
        shape = ", ".join(map(str, spec.image_shape or spec.shape))
        received = f"The array has the shape {array.shape}."
        raise WrongShape(received, f"Send an array of shape ({shape}), or of (n, {shape}).")
    return batch.reshape(len(batch), *(spec.image_shape or spec.shape))


def _decode_all(files: list[bytes]) -> list[NDArray[Any]] | None:
    try:
        return [image.decode(data) for data in files]
    except LabError:
        return None  # the server reports what is wrong with it
