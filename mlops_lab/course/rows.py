"""Images beside each other, each with its caption, for the cells of the notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlops_lab import show
from mlops_lab.image import encode_png


@dataclass(frozen=True, eq=False)
class Row:
    """Images in a row; in a terminal, their captions."""

    images: NDArray[np.uint8]
    captions: tuple[str, ...]
    size: int = 72

    def __repr__(self) -> str:
        return f"<{len(self.images)} images: {', '.join(self.captions)}>"

    def to_dict(self) -> dict[str, Any]:
        """Return the captions as plain values."""
        return {"captions": list(self.captions)}

    def _repr_html_(self) -> str:
        parts = []
        for pixels, caption in zip(self.images, self.captions, strict=True):
            drawn = show.image(encode_png(pixels), caption, width=self.size, pixelated=True)
            style = f"margin: 2px 8px 6px 0; width: {self.size + 12}px; text-align: center"
            parts.append(f'<figure style="{style}">{drawn}<figcaption>{escape(caption)}</figcaption></figure>')
        frame = f"display: flex; flex-wrap: wrap; {show.FONT}; font-size: 11px; color: {show.TEXT}"
        return f'<div style="{frame}">{"".join(parts)}</div>'


def row(images: ArrayLike, captions: Sequence[object], *, size: int = 72) -> Row:
    """Show images in a row.

    Parameters
    ----------
    images
        ``(n, height, width)``, 0 to 255; floats are rounded.
    captions
        One for each; a screen reader reads it in the place of the image.
    size
        The width of one image, in pixels.

    Examples
    --------
    >>> row(np.zeros((2, 28, 28)), ["Shirt", "Coat"])
    <2 images: Shirt, Coat>
    """
    pixels = np.clip(np.rint(np.asarray(images, np.float64)), 0, 255).astype(np.uint8)
    return Row(pixels, tuple(str(one) for one in captions), size)
