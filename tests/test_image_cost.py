import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from mlops_lab import image
from mlops_lab.errors import BadImage
from mlops_lab.image_cost import MAX_PARTS, count_parts

GRADIENT = np.arange(16 * 12, dtype=np.uint8).reshape(16, 12)


def written(kind, **options):
    buffer = io.BytesIO()
    Image.fromarray(GRADIENT).save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + zlib.crc32(kind + data).to_bytes(4)


@pytest.mark.parametrize("progressive", [False, True])
def test_scans_are_counted_in_the_pixels_and_not_in_the_notes(progressive):
    data = written("JPEG", progressive=progressive, comment=b"a note \xff\xda\0\2 about scans")
    assert count_parts(data + b"\xff\xda\0\2").scans == data.count(b"\xff\xda") - 1
    assert count_parts(data).parts == count_parts(data + b"after the end").parts


def test_chunks_are_counted():
    data = written("PNG")
    assert count_parts(data) == (2, 1)
    assert count_parts(data[:33] + chunk(b"tEXt", b"a\0b") + data[33:]) == (3, 1)
    assert count_parts(data[:20]) == (1, 1)


@pytest.mark.parametrize("marker", [b"\xff\xfe\0\x02", b"\xff\xe5\0\x02", b"\xff\xdb\0\x02"])
def test_a_jpeg_of_thousands_of_segments_is_refused(marker):
    data = written("JPEG")
    with pytest.raises(BadImage, match=f"more than {MAX_PARTS} segments"):
        image.decode(data[:2] + marker * (MAX_PARTS + 1) + data[2:])


def test_a_png_of_thousands_of_chunks_is_refused():
    data = written("PNG")
    with pytest.raises(BadImage, match=f"more than {MAX_PARTS} chunks"):
        image.decode(data[:33] + chunk(b"tEXt", b"") * (MAX_PARTS + 1) + data[33:])


@pytest.mark.parametrize("frame", [0xC3, 0xC9, 0xCA])
def test_other_compressions_of_jpeg_are_refused(frame):
    data = bytearray(written("JPEG"))
    data[data.index(b"\xff\xc0") + 1] = frame
    with pytest.raises(BadImage, match="SOF"):
        image.decode(bytes(data))
