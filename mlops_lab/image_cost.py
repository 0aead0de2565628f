"""The cost of decoding a PNG or JPEG file beside its pixels, counted before any of it is decoded.

A small file may cost much: a JPEG of thousands of scans, each of which passes over all pixels, or a file of a hundred
thousand empty parts, each of which a decoder looks at.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from mlops_lab.image_metadata import PNG_SIGNATURE

# More than any camera or editor writes: a colour profile takes up to 255 segments, and 2 MB of pixels 256 chunks.
MAX_PARTS = 20_000
_SCAN, _END = 0xDA, 0xD9
_BARE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a length
# Frames of Huffman codes with 8 bits a sample. Arithmetic codes, which no browser reads, take many times as long.
_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
_OTHER_FRAMES = frozenset(range(0xC0, 0xD0)) - _FRAMES - {0xC4, 0xC8, 0xCC}
_MARKER = re.compile(rb"\xff+([^\x00\xff])")
_MARKER_AFTER_SCAN = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")


class Parts(NamedTuple):
    """The number of chunks or segments of a file, and how often decoding it passes over the pixels."""

    parts: int
    scans: int


def count_parts(data: bytes) -> Parts:
    r"""Count the parts of a PNG or JPEG; what is damaged is left for the decoder to find.

    Raises
    ------
    ValueError
        It has too many, or a kind of compression that is not decoded here.

    Examples
    --------
    >>> count_parts(b"\xff\xd8\xff\xda\x00\x02abc\xff\xda\x00\x02\xff\xd9").scans
    2
    """
    return _count_png(data) if data.startswith(PNG_SIGNATURE) else _count_jpeg(data)


def _count_png(data: bytes) -> Parts:
    place, parts = len(PNG_SIGNATURE), 0
    while place + 8 <= len(data) and data[place + 4 : place + 8] != b"IEND":
        place += 12 + int.from_bytes(data[place : place + 4], "big")
        parts += 1
        if parts > MAX_PARTS:
            raise ValueError(f"it has more than {MAX_PARTS} chunks")
    return Parts(parts, 1)


def _count_jpeg(data: bytes) -> Parts:
    place, parts, scans, pattern = 2, 0, 0, _MARKER
    while (found := pattern.search(data, place)) is not None and found[1][0] != _END:
        marker, place = found[1][0], found.end()
        parts += 1
        if parts > MAX_PARTS:
            raise ValueError(f"it has more than {MAX_PARTS} segments")
        if marker in _OTHER_FRAMES:
            raise ValueError(f"its compression (SOF{marker - 0xC0}) is not the one of cameras and browsers")
        if marker == _SCAN:
            scans, pattern = scans + 1, _MARKER_AFTER_SCAN
        if marker not in _BARE:
            place += int.from_bytes(data[place : place + 2], "big")
    return Parts(parts, scans)
