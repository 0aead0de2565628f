import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from mlops_lab import image
from mlops_lab.errors import BadImage
from mlops_lab.imagefile import MAX_SEGMENTS, PNG_SIGNATURE, read_orientation, walk

GRADIENT = np.arange(16 * 12, dtype=np.uint8).reshape(16, 12)


def written(kind, **options):
    buffer = io.BytesIO()
    Image.fromarray(GRADIENT).save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + zlib.crc32(kind + data).to_bytes(4)


def test_image_data_in_many_chunks_becomes_one():
    data = written("PNG")
    header, pixels = data[8:33], zlib.compress(b"".join(b"\0" + bytes(row) for row in GRADIENT))
    parts = b"".join(chunk(b"IDAT", pixels[place : place + 1]) for place in range(len(pixels)))
    split = PNG_SIGNATURE + header + chunk(b"tEXt", b"a\0b") + parts + chunk(b"IEND", b"")
    walked = walk(split).data
    assert walked.count(b"IDAT") == 1
    assert b"tEXt" not in walked
    assert np.array_equal(image.decode(split), GRADIENT)


def test_a_chunk_with_a_wrong_checksum_is_left_as_it_is_for_the_decoder():
    data = bytearray(written("PNG"))
    data[data.index(b"IDAT") + 10] ^= 1
    assert walk(bytes(data)).data == bytes(data)


@pytest.mark.parametrize("progressive", [False, True])
def test_scans_are_counted_and_notes_left_out(progressive):
    data = written("JPEG", progressive=progressive, comment=b"a note", exif=Image.Exif())
    found = walk(data + b"bytes after the end")
    assert found.scans == data.count(b"\xff\xda")
    assert b"a note" not in found.data
    assert b"after the end" not in found.data
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(found.data))), np.asarray(Image.open(io.BytesIO(data))))


@pytest.mark.parametrize("marker", [b"\xff\xfe\0\x02", b"\xff\xe5\0\x02", b"\xff\xdb\0\x02"])
def test_a_jpeg_of_thousands_of_segments_is_refused(marker):
    data = written("JPEG")
    with pytest.raises(BadImage, match=f"more than {MAX_SEGMENTS} segments"):
        image.decode(data[:2] + marker * 2000 + data[2:])


def test_a_png_of_thousands_of_parts_is_refused():
    data = written("PNG")
    with pytest.raises(BadImage, match=f"more than {MAX_SEGMENTS} parts"):
        image.decode(data[:33] + chunk(b"tRNS", b"\0\0") * 2000 + data[33:])


@pytest.mark.parametrize("frame", [0xC3, 0xC9, 0xCA])
def test_other_compressions_of_jpeg_are_refused(frame):
    data = bytearray(written("JPEG"))
    data[data.index(b"\xff\xc0") + 1] = frame
    with pytest.raises(BadImage, match="SOF"):
        image.decode(bytes(data))


def test_of_a_long_list_of_tags_only_the_start_is_read():
    entry = struct.pack("<HHIHH", 1, 3, 1, 0, 0)
    turned = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)
    head = b"II*\0\x08\0\0\0"
    assert read_orientation(b"Exif\0\0" + head + struct.pack("<H", 3) + entry * 2 + turned) == 6
    assert read_orientation(head + struct.pack("<H", 5001) + entry * 5000 + turned) == 1
    assert read_orientation(head + b"\xff") == read_orientation(b"") == 1
