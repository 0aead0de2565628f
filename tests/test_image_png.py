"""What libspng decodes must be what Pillow decodes: every kind of PNG, and every damage to one."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from mlops_lab import image
from mlops_lab.errors import LabError

RNG = np.random.default_rng(5)
SIDES = [(1, 1), (28, 28), (7, 33)]
MODES = ["1", "L", "P", "RGB", "RGBA", "LA", "I;16"]


def written(mode, size, **options):
    """Return a PNG file of random pixels by Pillow."""
    height, width = size
    kinds = {"RGB": 3, "RGBA": 4, "LA": 2}
    shape = (height, width, kinds[mode]) if mode in kinds else (height, width)
    if mode == "I;16":
        picture = Image.fromarray(RNG.integers(0, 65536, shape, np.uint16))
    elif mode in ("1", "P"):
        picture = Image.fromarray(RNG.integers(0, 256, shape, np.uint8)).convert(mode)
    else:
        picture = Image.fromarray(RNG.integers(0, 256, shape, np.uint8))
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", **options)
    return buffer.getvalue()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def built(depth, colour, interlace=0, size=(9, 6), extra=b"", filters=True):
    """Return a PNG file of any depth, colour type and interlacing, with every filter, written by hand."""
    height, width = size
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]

    def rows(height, width):
        line = (width * channels * depth + 7) // 8
        return b"".join(
            bytes([number % 5 if filters else 0]) + RNG.integers(0, 256, line, np.uint8).tobytes()
            for number in range(height if width else 0)
        )

    if interlace:
        passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
        data = b"".join(rows(-(-(height - y) // dy), -(-(width - x) // dx)) for x, y, dx, dy in passes)
    else:
        data = rows(height, width)
    palette = chunk(b"PLTE", RNG.integers(0, 256, 3 * min(256, 2**depth), np.uint8).tobytes()) if colour == 3 else b""
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    body = chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    return image.PNG_SIGNATURE + chunk(b"IHDR", head) + extra + palette + body


DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
EXTRAS = {
    "gamma": chunk(b"gAMA", struct.pack(">I", 45455)),
    "background": chunk(b"bKGD", b"\0\7"),
    "time": chunk(b"tIME", bytes([7, 234, 11, 30, 1, 2, 3])),
    "pixels": chunk(b"pHYs", bytes(9)),
    "text": chunk(b"tEXt", b"Title\0x"),
    "transparency": chunk(b"tRNS", b"\0\7"),
    "profile": chunk(b"iCCP", b"p\0\0" + zlib.compress(b"x" * 200)),
    "unknown": chunk(b"prVt", b"x"),
    "turned": chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"),
}
CORPUS = {
    **{f"{mode} {size}": written(mode, size) for mode in MODES for size in SIDES},
    **{f"level {level}": written("L", (28, 28), compress_level=level) for level in (0, 1, 9)},
    **{
        f"depth {depth} colour {colour} interlace {interlace}": built(depth, colour, interlace)
        for colour, depths in DEPTHS.items()
        for depth in depths
        for interlace in (0, 1)
    },
    **{name: built(8, 0, extra=extra) for name, extra in EXTRAS.items()},
    "two data chunks": (
        lambda plain: (
            plain[:33]
            + chunk(b"IDAT", plain[41:50])
            + chunk(b"IDAT", plain[50 : plain.index(b"IEND") - 8])
            + chunk(b"IEND", b"")
        )
    )(built(8, 0)),
    "bytes after the end": built(8, 0) + b"more",
}


def outcome(data, mode, monkeypatch, *, by_pillow):
    """Return the pixels, or the error, with libspng or without it."""
    with monkeypatch.context() as patched:
        if by_pillow:
            patched.setattr(image, "read_plain_png", lambda data: None)
        try:
            return image.decode(data, mode)
        except LabError as error:
            return str(error)


def same(one, other):
    if isinstance(one, str) or isinstance(other, str):
        return isinstance(one, str) and isinstance(other, str) and one == other
    return one.dtype == other.dtype and np.array_equal(one, other)


def test_the_corpus_is_large_enough_and_half_of_it_is_decoded():
    assert len(CORPUS) >= 40
    assert sum(image.read_plain_png(data) is not None for data in CORPUS.values()) >= 15


@pytest.mark.parametrize("mode", ["grey", "rgb"])
@pytest.mark.parametrize("name", CORPUS)
def test_pixels_are_pillows(name, mode, monkeypatch):
    data = CORPUS[name]
    found = outcome(data, mode, monkeypatch, by_pillow=False)
    assert same(found, outcome(data, mode, monkeypatch, by_pillow=True)), found


@pytest.mark.parametrize("mode", ["grey", "rgb"])
def test_what_is_damaged_is_judged_by_pillow(mode, monkeypatch):
    good = [CORPUS["L (28, 28)"], CORPUS["RGB (28, 28)"], built(8, 0, 1), built(8, 2)]
    rng, refused = np.random.default_rng(8), 0
    for number in range(1500):
        data = bytearray(good[number % len(good)])
        for _ in range(rng.integers(1, 4)):
            data[rng.integers(8, len(data))] = rng.integers(0, 256)
        if number % 3 == 0:
            data = data[: rng.integers(8, len(data))]
        forged = number % 5 == 0
        if forged:  # the checksum of the chunk is made to fit
            place = bytes(data).find(b"IDAT")
            length = int.from_bytes(data[place - 4 : place], "big")
            if place > 0 and place + 8 + length <= len(data):
                data[place + 4 + length : place + 8 + length] = struct.pack(
                    ">I", zlib.crc32(data[place : place + 4 + length])
                )
        found = outcome(bytes(data), mode, monkeypatch, by_pillow=False)
        judged = outcome(bytes(data), mode, monkeypatch, by_pillow=True)
        # Of a forged file libspng does not check the inner checksum of zlib, and gives pixels where Pillow gives none.
        assert same(found, judged) or (forged and isinstance(judged, str)), (number, found)
        refused += isinstance(found, str)
    assert refused > 500


def test_without_libspng_pillow_decodes_all(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyspng", None)
    header = image.read_plain_png(CORPUS["L (28, 28)"])
    assert image.decode_plain_png(CORPUS["L (28, 28)"], header, "grey") is None
    assert image.decode(CORPUS["L (28, 28)"]).shape == (28, 28)


def test_the_limits_hold_before_a_pixel_is_decoded(monkeypatch):
    import pyspng

    monkeypatch.setattr(pyspng, "load", lambda data: pytest.fail("it was decoded"))
    with pytest.raises(LabError, match="image_side=10"):
        image.decode(CORPUS["L (28, 28)"], image_side=10)
    with pytest.raises(LabError, match="image_pixels=100"):
        image.decode(CORPUS["L (28, 28)"], image_pixels=100)
