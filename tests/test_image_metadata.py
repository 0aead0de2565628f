"""Notes beside the pixels, of any size and however damaged, keep no image from being read."""

import io
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mlops_lab.errors import BadImage
from mlops_lab.image import decode, encode_png
from mlops_lab.image_metadata import lacks_end, read_orientation, strip_metadata

FIELD = Path(__file__).parent / "data" / "field"
PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30), np.uint8)
PNG = encode_png(PIXELS)
TURNED = b"MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"


def chunk(name, data, *, good=True):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data) ^ (not good))


def beside(*chunks):
    """Return the PNG with chunks behind its header."""
    return PNG[:33] + b"".join(chunks) + PNG[33:]


def jpeg(pixels=PIXELS, **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def segment(marker, data):
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data


NOTES = {
    "a long text": chunk(b"tEXt", b"Comment\0" + b"x" * 1_500_000),
    "many texts": b"".join(chunk(b"tEXt", b"Comment\0" + bytes([65 + place % 26]) * 50_000) for place in range(20)),
    "a packed text": chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"x" * 2_000_000)),
    "a text that was packed otherwise": chunk(b"zTXt", b"Comment\0\0not zlib"),
    "a text packed by another method": chunk(b"zTXt", b"Comment\0\7" + zlib.compress(b"x")),
    "an international text": chunk(b"iTXt", b"Comment\0\1\0en\0\0\xff\xfe"),
    "a text without a name": chunk(b"tEXt", b""),
    "a profile": chunk(b"iCCP", b"sRGB\0\0" + zlib.compress(b"x" * 200)),
    "a damaged profile": chunk(b"iCCP", b"sRGB\0\0not zlib"),
    "a profile of another method": chunk(b"iCCP", b"sRGB\0\7" + zlib.compress(b"x")),
    "an empty profile": chunk(b"iCCP", b""),
    "a damaged note": chunk(b"eXIf", b"nothing of a TIFF file"),
    "an empty note": chunk(b"eXIf", b""),
    "a note that points outside": chunk(b"eXIf", b"MM\0*\xff\xff\xff\xff"),
    "a note that points at itself": chunk(b"eXIf", b"II*\0\x08\0\0\0\xff\xff"),
    "a wrong checksum": chunk(b"tEXt", b"Comment\0x", good=False),
    "a short date": chunk(b"tIME", b""),
    "a short resolution": chunk(b"pHYs", b"\0"),
    "a chunk nobody knows": chunk(b"prVt", b"x" * 100),
}


@pytest.mark.parametrize("name", NOTES)
def test_no_note_in_a_png_is_in_the_way(name):
    assert np.array_equal(decode(beside(NOTES[name])), PIXELS)


def test_a_note_behind_the_pixels_that_was_cut_off_is_not_missed():
    data = PNG[:-12] + chunk(b"tEXt", b"Comment\0x")[:-7]
    assert np.array_equal(decode(data), PIXELS)


@pytest.mark.parametrize("name", [b"zTXt", b"iCCP", b"iTXt"])
def test_a_text_bomb_is_not_unpacked(name):
    head = b"x\0\1\0\0\0" if name == b"iTXt" else b"x\0\0"
    data = beside(chunk(name, head + zlib.compress(bytes(50_000_000), 9)))
    tracemalloc.start()
    assert np.array_equal(decode(data), PIXELS)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 5_000_000


@pytest.mark.parametrize(
    "note",
    [
        segment(0xE1, b"Exif\0\0nothing of a TIFF file"),
        segment(0xE1, b"Exif\0\0"),
        segment(0xE1, b"Exif\0\0MM\0*\xff\xff\xff\xff"),
        segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta"),
        segment(0xE2, b"ICC_PROFILE\0\x01\x02" + b"x" * 50_000),
        segment(0xE2, b"MPF\0nothing"),
        segment(0xED, b"Photoshop 3.0\x008BIM\x03"),
        segment(0xFE, b"a comment" * 5000) * 20,
    ],
)
def test_no_note_in_a_jpeg_is_in_the_way(note):
    data = jpeg()
    assert np.array_equal(decode(data[:2] + note + data[2:]), decode(data))
    place = data.index(b"\xff\xdb")
    assert np.array_equal(decode(data[:place] + note + data[place:]), decode(data))


def test_how_colours_are_stored_is_not_taken_for_a_note():
    colours = np.random.default_rng(1).integers(0, 256, (16, 16, 3), np.uint8)
    for options in ({}, {"keep_rgb": True}):
        data = jpeg(colours, quality=95, subsampling=0, **options)
        assert np.array_equal(decode(data, "rgb"), np.asarray(Image.open(io.BytesIO(data))))
    buffer = io.BytesIO()
    Image.fromarray(colours).convert("CMYK").save(buffer, "JPEG", quality=95)
    assert b"Adobe" in strip_metadata(buffer.getvalue()).data
    assert np.abs(decode(buffer.getvalue(), "rgb").astype(int) - colours).mean() < 12


def test_an_orientation_is_found_between_damaged_notes():
    turned = decode(beside(NOTES["a damaged profile"], chunk(b"eXIf", TURNED), NOTES["a wrong checksum"]))
    assert np.array_equal(turned, np.rot90(PIXELS, -1))
    data = jpeg()
    turned = decode(data[:2] + segment(0xE1, b"Exif\0\0" + TURNED) + data[2:])
    assert np.array_equal(turned, np.rot90(decode(data), -1))


@pytest.mark.parametrize("order", ["II", "MM"])
@pytest.mark.parametrize("value", [0, 1, 3, 8, 9, 65535])
def test_an_orientation_in_either_byte_order(order, value):
    exif = Image.Exif()
    exif.endian = "<" if order == "II" else ">"
    exif[0x010E], exif[0x0112] = "a description", value
    written = exif.tobytes().removeprefix(b"Exif\0\0")
    assert written.startswith(order.encode())
    assert read_orientation(written) == (value if 1 <= value <= 8 else 1)


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=60), start=st.sampled_from([b"", b"II*\0", b"MM\0*", TURNED]))
def test_any_note_has_an_orientation(data, start):
    assert 1 <= read_orientation(start + data) <= 8


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", b"\xff\xd8\xff", b"\xff\xd8\xff\xe1", PNG[:8], PNG[:20], b"GIF89a"])
def test_what_is_no_image_comes_back_as_it_is(data):
    assert data.startswith(strip_metadata(data).data)


def test_damaged_pixels_are_still_an_error():
    place = PNG.index(b"IDAT") + 10
    with pytest.raises(BadImage, match="damaged"):
        decode(beside(NOTES["a long text"])[:-40])
    with pytest.raises(BadImage, match="damaged"):
        decode(PNG[:place] + bytes([PNG[place] ^ 255]) + PNG[place + 1 :])


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
@pytest.mark.parametrize("missing", [1, 2, 10])
def test_a_jpeg_without_its_end_marker_is_refused_with_that_reason(missing, options):
    data = jpeg(exif=_thumbnail(), **options)
    assert not lacks_end(data) and not lacks_end(data + b"more behind it")
    with pytest.raises(BadImage, match="has no end marker"):
        decode(data[:-missing])


def _thumbnail():
    """Return Exif data with a whole JPEG file in them, as cameras write."""
    exif = Image.Exif()
    exif[0x010E] = "\xff\xd8\xff\xda \xff\xd9"
    return b"Exif\0\0" + TURNED + jpeg()


def test_files_from_the_field_show_the_same_garment():
    long, bad = (decode((FIELD / name).read_bytes()) for name in ("long-comment.png", "bad-exif.png"))
    assert np.array_equal(long, bad) and bad.shape == (112, 112)
