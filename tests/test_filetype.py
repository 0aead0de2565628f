import io
import pickle
import struct
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from mlops_lab.filetype import TYPES, identify, identify_file


def zipped(*names):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return buffer.getvalue()


def image(format):
    buffer = io.BytesIO()
    Image.new("L", (4, 4)).save(buffer, format)
    return buffer.getvalue()


def npy():
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    return buffer.getvalue()


SAFETENSORS = struct.pack("<Q", 10) + b'{"a": [1]}' + bytes(4)
SAMPLES = [
    (b"", "empty"),
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n", "git-lfs-pointer"),
    (b"/annex/objects/SHA256E-s3--00.keras\n", "git-annex-pointer"),
    (b"\n\n<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>", "web-page"),
    (b"\xef\xbb\xbf<html lang=en>", "web-page"),
    (b"<!-- a comment -->\n<html>", "web-page"),
    (b'<?xml version="1.0"?><!DOCTYPE html PUBLIC ""><html xmlns="">', "web-page"),
    (b"Entry not found", "service-error"),
    (b"Invalid username or password.", "service-error"),
    (b'{"error": "Repository not found"}', "service-error"),
    (b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>', "service-error"),
    (b'<?xml version="1.0"?><note/>', "xml"),
    (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "svg"),
    (b'{"layers": []}', "json"),
    (b'{"cells": [], "nbformat": 4}', "notebook"),
    (b"data:image/png;base64,iVBORw0K", "data-url"),
    (b"iVBORw0KGgoAAAANSUhEUgAAABwAAAAc\nCAAAAABXZoBI\n", "base64-image"),
    (b"/9j/4AAQSkZJRgABAQAAAQABAAD/2wBD", "base64-image"),
    ("eine Notiz mit Umlauten: äöü".encode(), "text"),
    (b"\x89HDF\r\n\x1a\n" + bytes(50), "hdf5"),
    (b"\x08\x08\x12\x07tf2onnx", "onnx"),
    (pickle.dumps({"a": 1}), "pickle"),
    (pickle.dumps([1, 2, 3], protocol=0), "pickle"),
    (SAFETENSORS, "safetensors"),
    (b"\x1c\0\0\0TFL3" + bytes(20), "tflite"),
    (b"GGUF\x03\0\0\0", "gguf"),
    (npy(), "numpy"),
    (zipped("config.json", "metadata.json", "model.weights.h5"), "keras"),
    (zipped("schema.json", "1.npy"), "skops"),
    (zipped("archive/data.pkl", "archive/data/0"), "pytorch"),
    (zipped("[Content_Types].xml", "word/document.xml"), "office"),
    (zipped("arr_0.npy"), "npz"),
    (zipped("keras_model.h5", "labels.txt"), "zip-of-models"),
    (zipped("a.png", "b.jpg"), "zip-of-images"),
    (zipped("notes.txt"), "zip"),
    (b"PK\x03\x04junk", "zip"),
    *((image(format), format.lower()) for format in ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "ICO")),
    (image("PPM"), "netpbm"),
    (b"\0\0\0\x18ftypheic" + bytes(20), "heic"),
    (b"\0\0\0\x1cftypavif" + bytes(20), "avif"),
    (b"\0\0\0\x18ftypmp42" + bytes(20), "video"),
    (b"8BPS\0\x01", "psd"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "jpeg-xl"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "jpeg-2000"),
    (b"%PDF-1.7\n", "pdf"),
    (b"\x7fELF\x02\x01\x01", "program"),
    (b"\x1f\x8b\x08\0", "gzip"),
    (b"BZh91AY", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd\0", "zstandard"),
    (b"\x04\x22\x4d\x18\0", "lz4"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!\x1a\x07\0", "rar"),
    (bytes(257) + b"ustar\0", "tar"),
    (zlib.compress(bytes(100)), "unknown"),
    (bytes(100), "unknown"),
]


@pytest.mark.parametrize(("data", "name"), SAMPLES, ids=[f"{name}-{index}" for index, (_, name) in enumerate(SAMPLES)])
def test_a_file_is_known_by_its_content(data, name, tmp_path):
    path = tmp_path / "model.keras"
    path.write_bytes(data)
    assert identify(data).name == identify_file(path).name == name


def test_every_type_has_a_sample():
    assert {name for _, name in SAMPLES} == TYPES.keys()


def test_the_models_in_an_archive_are_named():
    kind = identify(zipped(*(f"model-{index}.h5" for index in range(9))))
    assert "model-0.h5" in kind.title and "and 4 more" in kind.title
    assert kind.hint == "Unpack it first, and use model-0.h5."


def test_a_name_in_an_archive_cannot_write_on_the_terminal():
    assert "\x1b" not in identify(zipped("\x1b[31m.h5")).title


def test_a_type_has_a_face():
    kind = identify(image("WEBP"))
    assert "a WebP image" in kind._repr_html_() and str(kind) == kind.title
