"""The metadata of PNG and JPEG files: texts, colour profiles, Exif data.

None of it changes a pixel but the orientation, so none of it is handed to a decoder: a note of any size, or a damaged
one, keeps no image from being read. Everything here works on bytes, and nothing is unpacked.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
JPEG_START, JPEG_END = b"\xff\xd8", b"\xff\xd9"
JPEG_SCAN = b"\xff\xda"
# The chunks that make the pixels; of an animation the first image.
PIXEL_CHUNKS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
# Segments beside the pixels: APP1 to APP15 and comments. APP0 (JFIF) and APP14 (Adobe) say how colours are stored.
JPEG_NOTES = frozenset({*range(0xE1, 0xF0), 0xFE} - {0xEE})
JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD8)})  # markers without a length
ORIENTATION, SHORT, UPRIGHT = 0x0112, 3, 1
MAX_ENTRIES = 512


class PixelFile(NamedTuple):
    """An image file without its metadata, and the orientation that they named: 1 to 8, as Exif numbers them."""

    data: bytes
    orientation: int


def strip_metadata(data: bytes) -> PixelFile:
    r"""Return an image file without what stands beside its pixels.

    A file that is neither PNG nor JPEG comes back as it is, and so does everything from the first place on where the
    structure of a file ends: its decoder says what is wrong there.

    Examples
    --------
    >>> strip_metadata(b"\xff\xd8\xff\xfe\x00\x06note\xff\xda...")
    PixelFile(data=b'\xff\xd8\xff\xda...', orientation=1)
    """
    if data.startswith(PNG_SIGNATURE):
        return _strip_png(data)
    return _strip_jpeg(data) if data.startswith(JPEG_START) else PixelFile(data, UPRIGHT)


def _strip_png(data: bytes) -> PixelFile:
    parts, orientation, place = [PNG_SIGNATURE], UPRIGHT, len(PNG_SIGNATURE)
    while place + 8 <= len(data):
        kind = data[place + 4 : place + 8]
        end = place + 12 + int.from_bytes(data[place : place + 4], "big")
        if kind in PIXEL_CHUNKS:
            parts.append(data[place:end])
        elif kind == b"eXIf":
            orientation = read_orientation(data[place + 8 : end - 4])
        if kind == b"IEND":
            break
        place = end
    return PixelFile(b"".join(parts), orientation)


def _strip_jpeg(data: bytes) -> PixelFile:
    parts, orientation, place = [JPEG_START], 0, 2
    for start, end in _segments(data):
        marker = data[start + 1]
        if marker not in JPEG_NOTES:
            parts.append(data[start:end])
        elif marker == 0xE1 and not orientation and data.startswith(b"Exif\0\0", start + 4):
            orientation = read_orientation(data[start + 10 : end])
        place = end
    parts.append(data[place:])
    return PixelFile(b"".join(parts), orientation or UPRIGHT)


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield where each segment before the first scan begins and ends."""
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF:  # a byte that only fills
            end = place + 1
        elif marker in JPEG_BARE:
            end = place + 2
        else:
            length = int.from_bytes(data[place + 2 : place + 4], "big")
            end = place + 2 + length
            if marker in (JPEG_SCAN[1], JPEG_END[1]) or length < 2 or end > len(data):
                return
        yield place, end
        place = end


def read_orientation(exif: bytes) -> int:
    r"""Return the orientation in Exif data, which are a TIFF file; 1 (upright) where there is none to be read.

    Examples
    --------
    >>> read_orientation(b"MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0\6\0\0")
    6
    >>> read_orientation(b"a damaged note")
    1
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return UPRIGHT
    try:
        (first,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, first)
        for number in range(min(count, MAX_ENTRIES)):
            tag, kind, values, value = struct.unpack_from(f"{order}HHIH", exif, first + 2 + 12 * number)
            if (tag, kind, values) == (ORIENTATION, SHORT, 1):
                return value if UPRIGHT <= value <= 8 else UPRIGHT
    except struct.error:  # cut off, or a place outside
        pass
    return UPRIGHT


def lacks_end(data: bytes) -> bool:
    r"""Return whether a JPEG file has a scan with no end marker behind it.

    Examples
    --------
    >>> lacks_end(b"\xff\xd8\xff\xda...")
    True
    """
    scan = data.rfind(JPEG_SCAN) if data.startswith(JPEG_START) else -1
    return scan >= 0 and data.find(JPEG_END, scan) < 0
