"""Checks of the images themselves: those of a broken camera are reported, and never trained on."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.summary.window import Window

# Of the model input's range: an image that varies less than this shows nothing.
EMPTY_CONTRAST = 0.01
BROKEN_SHARE = 0.2
# Lines of pixels that are the same in every image while they were not in the data that the model knows.
DEAD_LINES = 0.1
FEWEST = 20


@dataclass(frozen=True)
class SourceFinding:
    """What is wrong with the images themselves; empty where nothing is.

    Parameters
    ----------
    broken
        Whether the source has to be repaired before anything else.
    message
        What was seen, and since when.
    share
        The part of the images that show nothing.
    """

    broken: bool
    message: str = ""
    share: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {"broken": self.broken, "message": self.message, "share": self.share}


def examine_source(
    window: Window, images: NDArray[Any] | None = None, known: NDArray[Any] | None = None
) -> SourceFinding:
    """Return whether the images of a window show nothing, are always the same, or have dead lines.

    Parameters
    ----------
    window
        Predictions, with the statistics of their inputs.
    images
        The newest images ``(n, height, width)``, where the log keeps them: for lines that are dead.
    known
        Images that the model knows, to compare with.
    """
    empty = _empty(window)
    share = float(empty.mean()) if len(empty) else 0.0
    if len(empty) >= FEWEST and share >= BROKEN_SHARE:
        first = time.strftime("%H:%M", time.gmtime(float(window.times[empty][0])))
        kind = _colour(window, empty)
        text = f"{int(empty.sum()):,} of {len(empty):,} images are {kind} since {first} UTC"
        return SourceFinding(True, f"{text}: nothing can be learned from them", share)
    frozen = _frozen(window)
    if frozen >= BROKEN_SHARE and len(window) >= FEWEST:
        text = f"{frozen:.0%} of the images are one and the same: the source is stuck"
        return SourceFinding(True, text, frozen)
    if images is not None and known is not None and len(images) >= FEWEST and images.ndim == known.ndim == 3:
        dead = _dead_lines(images, known)
        if dead >= DEAD_LINES:
            return SourceFinding(True, f"{dead:.0%} of the rows or columns never change: the sensor is damaged", dead)
    return SourceFinding(False)


def _empty(window: Window) -> NDArray[np.bool_]:
    if "contrast" not in window.statistics:
        return np.zeros(len(window), bool)
    empty: NDArray[np.bool_] = window.inputs[:, window.statistics.index("contrast")] < EMPTY_CONTRAST
    return empty


def _colour(window: Window, empty: NDArray[np.bool_]) -> str:
    bright = float(np.median(window.inputs[empty][:, window.statistics.index("brightness")]))
    return "black" if bright < 0.05 else "white" if bright > 0.95 else "of one grey"


def _frozen(window: Window) -> float:
    """Return the share of the most frequent image, by its statistics."""
    if not len(window):
        return 0.0
    _, counts = np.unique(window.inputs, axis=0, return_counts=True)
    return float(counts.max() / len(window))


def _dead_lines(images: NDArray[Any], known: NDArray[Any]) -> float:
    """Return the share of rows, or of columns, that are one value in all images while most known images vary there.

    Only lines between others that live are counted: objects that are farther away leave the rim empty.
    """
    shares = []
    for along in (2, 1):
        constant = images.max(axis=(0, along)) == images.min(axis=(0, along))
        alive = (known.max(axis=along) != known.min(axis=along)).mean(axis=0) >= 0.5
        living = np.flatnonzero(~constant)
        inside = np.zeros(len(constant), bool)
        if len(living):
            inside[living[0] : living[-1]] = True
        shares.append(float((constant & alive & inside).mean()))
    return max(shares)
