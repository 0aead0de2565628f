"""A sprite sheet of thumbnails, and the style that shows a part of it on each button.

A hundred image widgets take the kernel 150 ms and the browser a second. One row of toggle buttons and one sprite sheet
take a few milliseconds, and toggle buttons work with the keyboard and have their label as text.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mlops_lab.image import encode_png

COLUMNS = 10


def sheet(images: NDArray[np.uint8], columns: int = COLUMNS) -> NDArray[np.uint8]:
    """Return images of one size, grey or in colour, arranged in rows, as one image.

    Examples
    --------
    >>> sheet(np.ones((3, 8, 8), np.uint8), columns=2).shape
    (16, 16)
    """
    count, height, width = images.shape[:3]
    rows = max(1, math.ceil(count / columns))
    channels = images.shape[3:]
    cells = np.zeros((rows * columns, height, width, *channels), np.uint8)
    cells[:count] = images
    grid = cells.reshape(rows, columns, height, width, *channels).swapaxes(1, 2)
    return grid.reshape(rows * height, columns * width, *channels)


def stylesheet(name: str, images: NDArray[np.uint8], *, size: int = 56, columns: int = COLUMNS) -> str:
    """Return a ``<style>`` that puts each image above the text of its button.

    Parameters
    ----------
    name
        The CSS class of the toggle buttons.
    images
        ``(n, height, width)``, or with three colours last; one for each button.
    size
        The size of a thumbnail, in CSS pixels.

    Examples
    --------
    >>> ".shoes button:nth-child(2)::before" in stylesheet("shoes", np.zeros((2, 8, 8), np.uint8))
    True
    """
    if not len(images):
        return ""
    data = base64.b64encode(encode_png(sheet(images, columns))).decode()
    rows = math.ceil(len(images) / columns)
    places = "".join(
        f".{name} button:nth-child({index + 1})::before "
        f"{{background-position: -{index % columns * size}px -{index // columns * size}px}}\n"
        for index in range(len(images))
    )
    return f"""<style>
.{name} {{height: auto; max-height: none; overflow: visible}}
.{name} > div {{display: flex; flex-wrap: wrap; gap: 4px}}
.{name} button {{display: flex; flex-direction: column; align-items: center; justify-content: flex-start;
  width: {size + 40}px; min-height: {size + 40}px; height: auto; margin: 0; padding: 6px 2px 2px; line-height: 1.15;
  font-size: 11px; white-space: normal; border-radius: 6px; background: transparent; box-shadow: none;
  overflow: hidden;
  color: var(--jp-content-font-color1, inherit); border: 2px solid transparent}}
.{name} button::before {{content: ""; flex: none; width: {size}px; height: {size}px; margin-bottom: 4px;
  border-radius: 4px; background-image: url(data:image/png;base64,{data});
  background-size: {columns * size}px {rows * size}px; image-rendering: pixelated}}
.{name} button:hover {{background: var(--jp-layout-color2, #eeeeee); color: var(--jp-content-font-color1, inherit)}}
.{name} button.mod-active {{background: var(--jp-layout-color2, #eeeeee); font-weight: 600; box-shadow: none;
  color: var(--jp-content-font-color1, inherit); border-color: var(--jp-brand-color1, #1976d2)}}
.{name} button:focus-visible {{outline: 2px solid var(--jp-brand-color1, #1976d2); outline-offset: 1px}}
{places}</style>"""


def tooltips(captions: Sequence[str]) -> list[str]:
    """Return the tooltip of each image.

    Examples
    --------
    >>> tooltips(["#17 Bag"])
    ['test image #17 Bag']
    """
    return [f"test image {caption}" for caption in captions]
