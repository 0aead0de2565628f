"""What a PNG or JPEG file costs and says about itself, read before a pixel is decoded; no pixels here.

A small file may cost much: a JPEG of thousands of scans that each pass over all pixels, a PNG with megabytes of packed
text. So a file is walked through once, part by part, and Pillow gets only the parts that pixels are made of.
"""

from __future__ import annotations

import re
import struct
import zlib
from typing import NamedTuple

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
JPEG_START = b"\xff\xd8\xff"
# More parts than any camera or editor writes: a colour profile takes up to 255 segments.
MAX_SEGMENTS = 1000
# What the pixels depend on. Packed text, colour profiles and animations are left out, and never unpacked.
_PIXEL_CHUNKS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
# Of the application's own segments only those of JFIF and Adobe tell how colours are stored.
_DROPPED = frozenset({0xFE, *range(0xE1, 0xEE), 0xEF})
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_SCAN, _END, _EXIF = 0xDA, 0xD9, 0xE1
# Frames of Huffman codes with 8 bits a sample. Arithmetic codes, which no browser reads, take many times as long.
_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
_OTHER_FRAMES = frozenset(range(0xC0, 0xD0)) - _FRAMES - {0xC4, 0xC8, 0xCC}
_MARKER = re.compile(rb"\xff+([^\x00\xff])")
_MARKER_AFTER_SCAN = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")
_ORIENTATION = 0x0112


class ImageFile(NamedTuple):
    """A file without what its pixels do not need.

    Parameters
    ----------
    data
        The rest of it.
    scans
        How often decoding passes over the pixels.
    orientation
        The rotation that the camera noted, 1–8 as in EXIF; 1 where there is none.
    """

    data: bytes
    scans: int = 1
    orientation: int = 1


def walk(data: bytes) -> ImageFile:
    r"""Walk through the parts of a PNG or JPEG; what is damaged is left for the decoder to find.

    Raises
    ------
    ValueError
        It has too many parts, or a kind of compression that is not decoded here.

    Examples
    --------
    >>> walk(b"\xff\xd8\xff\xda\x00\x02abc\xff\xda\x00\x02\xff\xd9").scans
    2
    """
    return _walk_png(data) if data.startswith(PNG_SIGNATURE) else _walk_jpeg(data)


def _walk_png(data: bytes) -> ImageFile:
    """Keep the chunks of the pixels, with the image data in one chunk: Pillow takes its time over each."""
    place, orientation = len(PNG_SIGNATURE), 1
    kept: list[bytes] = [PNG_SIGNATURE]
    pixels: list[bytes] = []
    while place < len(data):
        kind, length = data[place + 4 : place + 8], int.from_bytes(data[place : place + 4], "big")
        end = place + 12 + length
        if end > len(data):  # cut short: the decoder says so
            kept += [*_joined(pixels), data[place:]]
            pixels = []
            break
        content = data[place + 8 : end - 4]
        if kind == b"IDAT" and zlib.crc32(content, zlib.crc32(kind)) == int.from_bytes(data[end - 4 : end], "big"):
            pixels.append(content)
        elif kind in _PIXEL_CHUNKS:
            kept += [*_joined(pixels), data[place:end]]
            pixels = []
        elif kind == b"eXIf":
            orientation = read_orientation(content)
        place = end
        if kind == b"IEND":
            break
        if len(kept) > MAX_SEGMENTS:
            raise ValueError(f"it has more than {MAX_SEGMENTS} parts")
    return ImageFile(b"".join([*kept, *_joined(pixels)]), 1, orientation)


def _joined(pixels: list[bytes]) -> list[bytes]:
    """Return image data as one chunk."""
    if not pixels:
        return []
    content = b"".join(pixels)
    return [struct.pack(">I4s", len(content), b"IDAT"), content, zlib.crc32(content, zlib.crc32(b"IDAT")).to_bytes(4)]


def _walk_jpeg(data: bytes) -> ImageFile:
    """Count the scans, and leave out what the application that wrote the file noted for itself."""
    place, began, scans, orientation, segments = 2, 0, 0, 1, 0
    kept: list[bytes] = []
    pattern = _MARKER
    while (found := pattern.search(data, place)) is not None:
        marker, start, place = found[1][0], found.start(), found.end()
        segments += 1
        if marker == _END:
            kept.append(data[began:place])
            return ImageFile(b"".join(kept), scans, orientation)
        if segments - scans > MAX_SEGMENTS:  # scans have a limit of their own
            raise ValueError(f"it has more than {MAX_SEGMENTS} segments")
        if marker in _STANDALONE:
            continue
        content, place = place + 2, place + int.from_bytes(data[place : place + 2], "big")
        if marker in _OTHER_FRAMES:
            raise ValueError(f"its compression (SOF{marker - 0xC0}) is not the one of cameras and browsers")
        if marker == _SCAN:
            scans, pattern = scans + 1, _MARKER_AFTER_SCAN
        elif marker in _DROPPED:
            if marker == _EXIF and orientation == 1 and data.startswith(b"Exif\0\0", content):
                orientation = read_orientation(data[content + 6 : place])
            kept.append(data[began:start])
            began = place
    return ImageFile(b"".join([*kept, data[began:]]), scans, orientation)


def read_orientation(exif: bytes) -> int:
    r"""Return the orientation in EXIF data, looking at no more than its first 200 entries; 1 where there is none.

    Examples
    --------
    >>> read_orientation(b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0")
    6
    """
    exif = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", exif, 4)
        (entries,) = struct.unpack_from(f"{order}H", exif, start)
        for place in range(start + 2, start + 2 + 12 * min(entries, 200), 12):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", exif, place)
            if tag == _ORIENTATION:
                return int(value) if kind == 3 and 1 <= value <= 8 else 1
    except struct.error:  # it ends before it says so
        return 1
    return 1
