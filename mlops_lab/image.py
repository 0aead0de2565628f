"""The one module where pixels change form.

Training, serving, validation and drift all turn pixels into model input through :func:`to_input`, so what a model was
trained on and what it is served cannot drift apart.

An image is an array of whole numbers 0–255: ``(height, width)`` in grey, ``(height, width, 3)`` in colour.
"""

from __future__ import annotations

import io
import math
import struct
import zlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from mlops_lab.errors import BadImage, TooLarge, WrongShape
from mlops_lab.filetype import identify
from mlops_lab.image_cost import Parts, count_parts
from mlops_lab.image_metadata import PNG_SIGNATURE, lacks_end, strip_metadata
from mlops_lab.inputs import MAX_SIDE as MAX_SIDE
from mlops_lab.inputs import InputSpec as InputSpec
from mlops_lab.inputs import convert, fits, sides
from mlops_lab.inputs import describe as describe

MAX_PIXELS = 4_000_000
MAX_SCANS = 32  # a progressive JPEG of three colours has ten, one of four has eighteen
PIXELS_OF_A_PART = 100  # as many pixels take as long as a chunk or segment
GREY, RGB = 0, 2  # colour types
# Chunks that have no influence on the pixels. A PNG file is plain when it is 8-bit grey or RGB, and each chunk is whole
# and one of these. libspng decodes such a file to the pixels of Pillow, five times as fast; Pillow decodes all others.
_PLAIN_CHUNKS = frozenset({b"IHDR", b"IDAT", b"IEND", b"gAMA", b"cHRM", b"sRGB", b"pHYs", b"tIME", b"bKGD", b"sBIT"})


# What Pillow raises on damaged or hostile files; SyntaxError and struct.error come from its PNG and JPEG parsers, and
# a Warning is raised only where warnings are errors.
_PILLOW_ERRORS = (OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, struct.error, zlib.error, Warning)
# Readers by the first bytes of a file. Image.open would warn or raise at limits of its own before ours are looked at.
_READERS = {PNG_SIGNATURE: PngImageFile, b"\xff\xd8\xff": JpegImageFile}
_TO_8_BITS = ((np.arange(65536) + 128) // 257).astype(np.uint8)
_LOOKED_AT = 64 * 1024  # bytes, to say what a file is that is no image
# What undoes each orientation of Exif.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode(
    data: bytes,
    mode: str = "grey",
    *,
    image_pixels: int = MAX_PIXELS,
    image_side: int = MAX_SIDE,
    image_scans: int = MAX_SCANS,
    spend: Callable[[int], object] = lambda pixels: None,
) -> NDArray[np.uint8]:
    """Decode a PNG or JPEG file.

    Size and scans are read from the file and held against the limits before a pixel is decoded. A rotation that a
    camera noted is undone, transparency is laid on black (the background of Fashion-MNIST), 16-bit grey is scaled.
    Texts, profiles and other notes in the file are not read, so none of them can be in the way.

    Parameters
    ----------
    data
        The bytes of the file.
    mode
        ``"grey"`` or ``"rgb"``.
    image_pixels, image_side
        The largest image taken, in pixels.
    image_scans
        The largest number of scans of a JPEG: each passes over all pixels.
    spend
        Called with the number of pixels before they are decoded; it may raise. Each part of a file counts as 100 more.

    Returns
    -------
    numpy.ndarray
        ``(height, width)`` or ``(height, width, 3)``, whole numbers 0–255.

    Raises
    ------
    BadImage
        The bytes are not a PNG or JPEG (the message names what they are), or are damaged or cut off.
    TooLarge
        The image is over a limit.

    Examples
    --------
    >>> decode(encode_png(np.full((2, 3), 7, np.uint8)))
    array([[7, 7, 7],
           [7, 7, 7]], dtype=uint8)
    """
    plain = read_plain_png(data)
    if plain is not None and max(plain.size) <= image_side and math.prod(plain.size) <= image_pixels:
        spend(math.prod(plain.size))
        pixels = decode_plain_png(data, plain, mode)
        if pixels is not None:
            return pixels
    cost = _count(data)
    file = strip_metadata(data)
    image = _open(file.data)
    width, height = image.size
    if max(width, height) > image_side or width * height > image_pixels:
        raise TooLarge(
            f"The image is {width}×{height} pixels; the limits are image_side={image_side} for its longer side and"
            f" image_pixels={image_pixels} in all.",
            "Make it smaller, or raise them in the server's Limits.",
        )
    if cost.scans > image_scans:
        message = f"The JPEG image has {cost.scans} scans; the limit is image_scans={image_scans}."
        raise TooLarge(message, "Save it as a baseline JPEG, which has one.")
    spend(width * height + PIXELS_OF_A_PART * cost.parts)
    if lacks_end(file.data):
        message = f"The JPEG image of {len(data)} bytes has no end marker (FF D9): it was cut off."
        raise BadImage(message, "Send the whole file; if it is whole, open it in an image program and save it again.")
    try:
        return _pixels(image, mode, file.orientation)
    except (*_PILLOW_ERRORS, MemoryError) as error:
        raise BadImage(
            f"The {image.format} image of {len(data)} bytes is damaged: {error}.", "Save it again and send that."
        ) from error


class PngHeader(NamedTuple):
    """The header of a plain PNG file: width and height, and the colour type."""

    size: tuple[int, int]
    colour: int


def read_png_size(data: bytes) -> tuple[int, int] | None:
    """Return width and height from the header of a PNG file; None where it is not one.

    Examples
    --------
    >>> read_png_size(encode_png(np.zeros((2, 3), np.uint8)))
    (3, 2)
    """
    if not data.startswith(PNG_SIGNATURE) or len(data) < 33 or data[12:16] != b"IHDR":
        return None
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


def read_plain_png(data: bytes) -> PngHeader | None:
    """Return the header of a plain PNG file; None for any other."""
    size = read_png_size(data)
    if size is None or 0 in size or data[24] != 8 or data[25] not in (GREY, RGB):
        return None
    place, kind = len(PNG_SIGNATURE), b""
    while kind != b"IEND":
        kind = data[place + 4 : place + 8]
        end = place + 12 + int.from_bytes(data[place : place + 4], "big")
        if kind not in _PLAIN_CHUNKS or end > len(data):
            return None
        if zlib.crc32(data[place + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            return None
        place = end
    return PngHeader(size, data[25])


def decode_plain_png(data: bytes, header: PngHeader, mode: str) -> NDArray[np.uint8] | None:
    """Return the pixels of a plain PNG file in ``"grey"`` or ``"rgb"``; None where libspng does not decode it."""
    try:
        import pyspng
    except ModuleNotFoundError:  # a platform without a wheel
        return None
    try:
        pixels: NDArray[np.uint8] = pyspng.load(data)
    except Exception:  # its exceptions share no base class
        return None
    if mode == "rgb":
        return pixels if header.colour == RGB else np.repeat(pixels[:, :, np.newaxis], 3, axis=2)
    return pixels if header.colour == GREY else np.asarray(Image.fromarray(pixels).convert("L"))


def _count(data: bytes) -> Parts:
    try:
        return count_parts(data)
    except ValueError as error:
        raise BadImage(f"The image of {len(data)} bytes is not decoded: {error}.", "Save it again.") from error


def _open(data: bytes) -> Image.Image:
    """Read the header of a PNG or JPEG."""
    reader = next((reader for start, reader in _READERS.items() if data.startswith(start)), None)
    if reader is None:
        raise _not_an_image(data)
    try:
        image: Image.Image = reader(io.BytesIO(data))
    except _PILLOW_ERRORS as error:
        raise BadImage(
            f"The {reader.format} image of {len(data)} bytes is damaged: its header cannot be read.",
            "Save it again and send that.",
        ) from error
    return image


def _pixels(image: Image.Image, mode: str, orientation: int) -> NDArray[np.uint8]:
    image.load()  # after which a PNG has said all about itself
    turn = _TURNS.get(orientation)
    image = _on_black(image)
    wanted = "RGB" if mode == "rgb" else "L"
    if image.mode != wanted:
        image = image.convert(wanted)
    return np.asarray(image if turn is None else image.transpose(turn), dtype=np.uint8)


def _on_black(image: Image.Image) -> Image.Image:
    """Return an image of 8 bits a channel and without transparency."""
    if image.mode.startswith("I"):
        # 16-bit grey: Pillow's own conversion would clip at 255 instead of scaling.
        levels = np.asarray(image).clip(0, 65535).astype(np.uint16)
        if isinstance(clear := image.info.get("transparency"), int):
            levels[levels == clear] = 0
        return Image.fromarray(_TO_8_BITS[levels])
    if image.has_transparency_data:
        colours = image.convert("RGBA")
        image = Image.new("RGBA", colours.size, (0, 0, 0, 255))
        image.alpha_composite(colours)
    return image


def _not_an_image(data: bytes) -> BadImage:
    if not data:
        return BadImage("The image is empty (0 bytes).", "Send the bytes of a PNG or JPEG file.")
    kind = identify(data[:_LOOKED_AT])
    found = f"they are {kind.title}" if kind.name != "unknown" else f"they start with {data[:8].hex(' ')}"
    hint = kind.hint or "Send the bytes of a PNG or JPEG file."
    return BadImage(f"The {len(data)} bytes are not a PNG or JPEG image: {found}.", hint)


def encode_png(pixels: NDArray[Any]) -> bytes:
    r"""Return an image as the bytes of a PNG file.

    Examples
    --------
    >>> encode_png(np.zeros((28, 28), np.uint8))[:4]
    b'\x89PNG'
    """
    array = check_pixels(pixels)
    buffer = io.BytesIO()
    Image.fromarray(array.astype(np.uint8)).save(buffer, format="PNG")
    return buffer.getvalue()


def to_input(images: Sequence[NDArray[Any]] | NDArray[Any], spec: InputSpec) -> NDArray[np.float32]:
    """Turn images into what a model takes.

    Each image is fitted to the model's size (kept in proportion, the rest filled with black) and its values 0–255
    are scaled to the model's range. A model that does not take images gets its arrays as they are.

    Parameters
    ----------
    images
        A batch: an array ``(n, height, width)``, with channels last if any, or a list of images of any size.
    spec
        What the model takes.

    Returns
    -------
    numpy.ndarray
        ``(n, *spec.shape)`` in ``spec.dtype``.

    Raises
    ------
    WrongShape
        The arrays do not have the shape of an image, or of the model's input.
    BadImage
        Values outside 0–255, or already divided by 255.

    Examples
    --------
    >>> spec = InputSpec(shape=(28, 28, 1), size=(28, 28))
    >>> to_input(np.full((5, 28, 28), 255, np.uint8), spec).shape
    (5, 28, 28, 1)
    """
    if spec.size is None:
        return _as_it_is(images, spec)
    if isinstance(images, np.ndarray) and images.shape == spec.image_shape:
        message = f"Several images are expected; received one, of shape {images.shape}."
        raise WrongShape(message, "Pass [image], or image[np.newaxis].")
    if isinstance(images, np.ndarray) and images.shape[1:] == spec.image_shape:
        batch = check_pixels(images)
    else:
        items = [images] if isinstance(images, np.ndarray) and images.ndim == 0 else list(images)
        fitted = [fit(check_pixels(image), spec) for image in items]
        if len(fitted) == 1:  # without a copy
            batch = fitted[0][np.newaxis]
        else:
            batch = np.stack(fitted) if fitted else np.empty((0, *spec.image_shape), np.uint8)
    scaled = batch.astype(spec.dtype)
    if spec.channels_first:
        scaled = np.ascontiguousarray(np.moveaxis(scaled, -1, 1))
    if (spec.low, spec.high) != (0, 255):
        scaled *= (spec.high - spec.low) / 255
        if spec.low:
            scaled += spec.low
    if spec.mean:
        scaled -= _by_channel(spec.mean, spec)
        scaled /= _by_channel(spec.deviation, spec)
    return scaled.reshape(len(batch), *spec.shape)


def _by_channel(numbers: tuple[float, ...], spec: InputSpec) -> NDArray[Any]:
    """Return one number for each channel, so that they meet the channels of a batch of images."""
    array = np.asarray(numbers, spec.dtype)
    return array[:, np.newaxis, np.newaxis] if spec.channels_first else array


def from_input(batch: NDArray[Any], spec: InputSpec) -> NDArray[Any]:
    """Return the images of which :func:`to_input` makes these tensors, for logs that hold images.

    Examples
    --------
    >>> from_input(np.array([[0, 1]], np.float32), InputSpec((2,), size=(1, 2)))
    array([[[  0, 255]]], dtype=uint8)
    """
    if spec.size is None:
        return batch
    with np.errstate(over="ignore"):
        levels = batch.astype(np.float64)
        if spec.mean:
            shape = (3, *spec.image_shape[:2]) if spec.channels_first else spec.image_shape
            levels = levels.reshape(len(batch), *shape) * _by_channel(spec.deviation, spec)
            levels += _by_channel(spec.mean, spec)
        levels = (levels - spec.low) * (255 / ((spec.high - spec.low) or 1))
    pixels: NDArray[np.uint8] = np.rint(levels.clip(0, 255)).astype(np.uint8)
    if spec.channels_first:
        pixels = np.moveaxis(pixels, 1, -1)
    return pixels.reshape(len(batch), *spec.image_shape)


def _as_it_is(examples: Sequence[NDArray[Any]] | NDArray[Any], spec: InputSpec) -> NDArray[Any]:
    batch = convert(np.asarray(examples), spec)
    if not fits(batch.shape[1:], spec.shape):
        raise WrongShape(
            f"The model takes examples of shape {spec.shape}; received {batch.shape[1:]}.",
            f"Send an array of shape {sides(spec.shape)}.",
        )
    return batch


def check_pixels(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return pixels whose values are 0–255, without a channel axis of one, or raise :class:`BadImage`."""
    array = np.asarray(pixels)
    if array.ndim > 2 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.dtype == np.uint8 or array.size == 0:
        return array
    if array.dtype.kind not in "iuf":
        raise BadImage(f"Pixels are numbers 0–255; received {array.dtype.name} values.", "Send whole numbers.")
    low, high = array.min(), array.max()
    if not (low >= 0 and high <= 255):  # written so that NaN fails too
        raise BadImage(f"Pixels are numbers 0–255; received values from {low} to {high}.", "Scale them to 0–255.")
    if array.dtype.kind == "f" and high <= 1 and (array % 1).any():
        raise BadImage(
            f"Pixels are numbers 0–255; received fractions from {low:.3g} to {high:.3g}, as if divided by 255 already.",
            "Send the pixels as they are; the model's own preprocessing scales them.",
        )
    return array


def fit(image: NDArray[Any], spec: InputSpec) -> NDArray[Any]:
    """Return one image in the model's size, in proportion, on black.

    Raises
    ------
    WrongShape
        The array is not an image of the model's mode.
    """
    if image.shape == spec.image_shape:
        return image
    if image.ndim != len(spec.image_shape) or 0 in image.shape or image.shape[2:] != spec.image_shape[2:]:
        raise WrongShape(
            f"A {spec.mode} image has the shape {spec.image_shape}; received {image.shape}.",
            f"Send {spec.image_shape[0]}×{spec.image_shape[1]} pixels.",
        )
    height, width = spec.image_shape[:2]
    source = Image.fromarray(image.astype(np.uint8))
    return np.asarray(ImageOps.pad(source, (width, height), method=Image.Resampling.BOX))
