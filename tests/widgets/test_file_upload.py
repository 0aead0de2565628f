import datetime
import re

import numpy as np
import pytest

from mlops_lab import widgets
from mlops_lab.image import encode_png


def chosen(data):
    now = datetime.datetime.now(tz=datetime.UTC)
    return [
        {"name": "a.png", "type": "image/png", "size": len(data), "content": memoryview(data), "last_modified": now}
    ]


@pytest.fixture
def uploader(server):
    return widgets.upload(server, "light", "v2")


def test_an_image_is_prepared_and_sent(uploader):
    uploader.file.value = chosen(encode_png(np.full((90, 60), 230, np.uint8)))
    assert uploader.answer[0].label == "9"
    assert re.findall(r"(\d) (Your image|Grey|Inverted|Small)<", uploader.result.value) == [
        ("1", "Your image"),
        ("2", "Grey"),
        ("3", "Inverted"),
        ("4", "Small"),
    ]
    assert "✓ 200" in uploader.result.value
    assert all("alt=" in tag for tag in re.findall("<img [^>]*>", uploader.result.value))


def test_inverting_can_be_forbidden(uploader):
    uploader.file.value = chosen(encode_png(np.full((90, 60), 230, np.uint8)))
    uploader.invert.value = False
    assert "Inverted" not in uploader.result.value


def test_a_file_that_is_no_image_is_said(uploader):
    uploader.file.value = chosen(b"plain text")
    assert uploader.answer is None
    assert "✗ error" in uploader.result.value
    assert "not a PNG or JPEG" in uploader.result.value
