import base64
import io

import numpy as np
import pytest
from PIL import Image

from mlops_lab.errors import BadImage
from mlops_lab.image import encode_png
from mlops_lab.serve.codecs.spellings import decode_base64, media_type

PNG = encode_png(np.random.default_rng(3).integers(0, 256, (28, 28), np.uint8))
TEXT = base64.b64encode(PNG).decode()
URLSAFE = base64.urlsafe_b64encode(PNG).decode()
assert "+" in TEXT and "/" in TEXT and "=" in TEXT, "choose an image whose text has all that can be spelled otherwise"


def webp():
    buffer = io.BytesIO()
    Image.new("L", (9, 9)).save(buffer, "WEBP")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        TEXT, f"{TEXT}\n", f"  {TEXT}\r\n", TEXT.rstrip("="), URLSAFE, URLSAFE.rstrip("="),
        base64.encodebytes(PNG).decode(), base64.encodebytes(PNG).decode().replace("\n", "\r\n"),
        base64.encodebytes(PNG).decode().replace("\n", " "), f"data:image/png;base64,{TEXT}",
        f"data:image/jpg;base64,{TEXT}", f"data:;base64,{TEXT}", f"DATA:image/png;charset=utf-8;BASE64,{TEXT}\n",
        f"data:image/png;base64,{TEXT.rstrip('=')}", f"data:image/png;base64,{TEXT.replace('=', '%3D')}",
        f"data:application/octet-stream;base64,{URLSAFE}", f"data:image/png;base64, {base64.encodebytes(PNG).decode()}",
    ],
    ids=str.__len__,
)  # fmt: skip
def test_base64_in_any_spelling(text):
    assert decode_base64(text) == PNG


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"b'{TEXT}'", "Python's text of bytes"),
        (f'b"{TEXT}"', "Python's text of bytes"),
        (str(PNG), "Python's text of bytes"),
        ("https://example.org/boot.png", "an address; the server fetches none"),
        ("/home/ada/boot.png", "the name of a file"),
        ("boot.jpeg", "the name of a file"),
        ("data:image/svg+xml,<svg/>", "is not in base64"),
        (f"{TEXT.rstrip('=')}AAA"[: 4 * 20 + 1], "is not base64"),
        ("no base64 at all!", "is not base64"),
        ("ïmage", "is not base64"),
        ("A", "is not base64"),
        (TEXT[:8] + "=" + TEXT[8:], "is not base64"),
    ],
    ids=range(12),
)
def test_what_is_no_base64_is_told_by_its_name(text, told):
    with pytest.raises(BadImage, match=told) as caught:
        decode_base64(text)
    assert len(str(caught.value)) < 300 and caught.value.hint


@pytest.mark.parametrize("kind", ["image/jpg", "image/pjpeg", "image/x-png", "image/webp", "image/*", "image/"])
def test_of_any_image_the_bytes_decide(kind):
    assert media_type(kind, b"") == "image/jpeg"


@pytest.mark.parametrize("kind", ["", "application/octet-stream", "binary/octet-stream"])
def test_untyped_bytes_are_known_by_their_start(kind):
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    assert media_type(kind, PNG) == media_type(kind, webp()) == "image/jpeg"
    assert media_type(kind, buffer.getvalue()) == "application/x-npy"
    assert {media_type(kind, body) for body in (b"", b"{}", b"text", b"PK\x03\x04", bytes(9))} == {kind}


@pytest.mark.parametrize("kind", ["text/plain", "application/pdf", "multipart/mixed", "imag/png"])
def test_other_types_stay_what_they_are(kind):
    assert media_type(kind, PNG) == kind
