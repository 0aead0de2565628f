import base64
import re

import numpy as np

from mlops_lab.image import decode
from mlops_lab.widgets import thumbnails


def numbered(count):
    return np.repeat(np.arange(1, count + 1, dtype=np.uint8), 4).reshape(count, 2, 2)


def test_a_sheet_reads_like_a_page():
    page = thumbnails.sheet(numbered(5), columns=3)
    assert page[::2, ::2].tolist() == [[1, 2, 3], [4, 5, 0]]


def test_images_in_colour_stay_so():
    colours = np.zeros((2, 2, 2, 3), np.uint8)
    colours[0, ..., 0] = colours[1, ..., 2] = 255
    found = re.search(r"base64,([^)]+)", thumbnails.stylesheet("rgb", colours, columns=2))[1]
    assert decode(base64.b64decode(found), "rgb")[0, ::2].tolist() == [[255, 0, 0], [0, 0, 255]]


def test_the_style_points_each_button_at_its_image():
    images = numbered(12)
    css = thumbnails.stylesheet("some", images, size=20, columns=5)
    page = decode(base64.b64decode(re.search(r"base64,([^)]+)\)", css)[1]))
    for place in range(12):
        found = re.search(rf"button:nth-child\({place + 1}\)::before {{background-position: -(\d+)px -(\d+)px}}", css)
        x, y = (int(number) // 20 * 2 for number in found.groups())
        assert (page[y : y + 2, x : x + 2] == images[place]).all()


def test_no_images_need_no_style():
    assert thumbnails.stylesheet("some", numbered(0)) == ""


def test_the_style_loads_nothing_from_elsewhere():
    assert "http" not in thumbnails.stylesheet("some", numbered(3))
