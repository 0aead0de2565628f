"""Saliency by occlusion: cover a small square of the image at every place, and measure how the answer changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab import show
from mlops_lab.errors import WrongUsage
from mlops_lab.image import encode_png
from mlops_lab.validate.answers import Model, asker

FINEST = 14


@dataclass(frozen=True, eq=False)
class Saliency:
    """The importance of each part of an image for the answer.

    Parameters
    ----------
    image
        The image.
    heat
        ``(height, width)``: how much the confidence falls where a square around there is covered; negative where
        covering makes the answer surer.
    answer, confidence
        The most probable class and its probability.
    """

    image: NDArray[np.uint8] = field(repr=False)
    heat: NDArray[np.float64] = field(repr=False)
    answer: int
    confidence: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {"answer": self.answer, "confidence": self.confidence, "heat": self.heat.round(4).tolist()}

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self}>"

    def __str__(self) -> str:
        row, column = np.unravel_index(self.heat.argmax(), self.heat.shape)
        most = f"row {row}, column {column} matters most: {self.heat.max():+.2f}"
        return f"class {self.answer} ({self.confidence:.2f}); {most}"

    def _repr_html_(self) -> str:
        strength = np.clip(self.heat / max(self.heat.max(), 1e-9), 0, 1)
        rest = self.image * (1 - strength)
        warm = np.stack([np.maximum(self.image, 255 * strength), rest, rest], axis=-1).astype(np.uint8)
        plain = show.image(encode_png(self.image), "The image", width=140, pixelated=True)
        drawn = show.image(encode_png(warm), f"The same, red where it matters: {self}", width=140, pixelated=True)
        side_by_side = f'<div style="display: flex; gap: 12px">{plain}{drawn}</div>'
        return show.card(f"Where the model looks: {self}", side_by_side)


def explain(model: Model, image: NDArray[np.uint8], *, size: float = 0.2) -> Saliency:
    """Return where a model looks in a grey image, by occlusion.

    Parameters
    ----------
    model
        A loaded version, a version on disk, the address of a server, or a function from images to probabilities.
    image
        ``(height, width)``, 0–255.
    size
        The side of the square that covers, as a share of the image's.

    Examples
    --------
    >>> corner = lambda images: np.stack([images[:, 0, 0] / 255.0, 1 - images[:, 0, 0] / 255.0], axis=1)
    >>> explain(corner, np.full((8, 8), 255, np.uint8)).heat.argmax()
    np.int64(0)
    """
    if image.ndim != 2:
        raise WrongUsage(f"One grey image is explained; received the shape {image.shape}.", "Pass images[0].")
    height, width = image.shape
    side = max(1, round(size * min(height, width)))
    step = max(1, min(height, width) // FINEST // 2)
    corners = [(row, column) for row in range(1 - side, height, step) for column in range(1 - side, width, step)]
    covered = np.repeat(image[np.newaxis], len(corners) + 1, axis=0)
    for place, (row, column) in enumerate(corners, start=1):
        covered[place, max(row, 0) : row + side, max(column, 0) : column + side] = 0
    rows = asker(model, (covered, np.zeros(len(covered), int)))(covered)
    answer = int(rows[0].argmax())
    falls = rows[0, answer] - rows[1:, answer]
    total, count = np.zeros((height, width)), np.zeros((height, width))
    for fall, (row, column) in zip(falls, corners, strict=True):
        area = slice(max(row, 0), row + side), slice(max(column, 0), column + side)
        total[area] += fall
        count[area] += 1
    return Saliency(image, total / count, answer, float(rows[0, answer]))
