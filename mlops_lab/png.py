"""Plain PNG files, decoded by libspng: five times as fast as Pillow, which decodes all others.

A file is plain when it is 8-bit grey or RGB, and every chunk is whole and has no influence on the pixels. Both
libraries decode such a file to the same pixels; all other files, and whatever is wrong, are left to Pillow.
"""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB = 0, 2
_PLAIN_CHUNKS = frozenset({b"IHDR", b"IDAT", b"IEND", b"gAMA", b"cHRM", b"sRGB", b"pHYs", b"tIME", b"bKGD", b"sBIT"})


class Header(NamedTuple):
    """The header of a plain PNG file: width and height, and the colour type."""

    size: tuple[int, int]
    colour: int


def read_size(data: bytes) -> tuple[int, int] | None:
    """Return width and height from the header of a PNG file; None where it is not one.

    Examples
    --------
    >>> from mlops_lab.image import encode_png
    >>> read_size(encode_png(np.zeros((2, 3), np.uint8)))
    (3, 2)
    """
    if not data.startswith(SIGNATURE) or len(data) < 33 or data[12:16] != b"IHDR":
        return None
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


def read_plain_header(data: bytes) -> Header | None:
    """Return the header of a plain PNG file; None for any other."""
    size = read_size(data)
    if size is None or 0 in size or data[24] != 8 or data[25] not in (GREY, RGB):
        return None
    place, kind = len(SIGNATURE), b""
    while kind != b"IEND":
        kind = data[place + 4 : place + 8]
        end = place + 12 + int.from_bytes(data[place : place + 4], "big")
        if kind not in _PLAIN_CHUNKS or end > len(data):
            return None
        if zlib.crc32(data[place + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            return None
        place = end
    return Header(size, data[25])


def decode_plain(data: bytes, header: Header, mode: str) -> NDArray[np.uint8] | None:
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
