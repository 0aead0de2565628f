"""Images of numbers for serve-6, and the digits model that a student's server asks about each digit."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.errors import LabError
from mlops_lab.grade.rubric.versions import DIGITS, digit_answers, digit_pixels
from mlops_lab.image import decode

GAP = 2  # the fewest empty columns between two digits


@cache
def clear_digits() -> dict[int, list[NDArray[np.uint8]]]:
    """Return digits that are read rightly when put in the middle: without empty columns, 8 pixels high."""
    from sklearn.datasets import load_digits

    found: dict[int, list[NDArray[np.uint8]]] = {digit: [] for digit in range(10)}
    for image, label in zip(digit_pixels()[:600], load_digits().target[:600].tolist(), strict=True):
        ink = np.flatnonzero(image.any(axis=0))
        cut = image[:, ink[0] : ink[-1] + 1]
        if len(ink) == cut.shape[1] and all(int(row.argmax()) == label for row in digit_answers(_framed(cut))):
            found[label].append(cut)
    return found


def _framed(cut: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the ways in which a digit is brought to 8×8 as it was trained: in the middle, or fitted."""
    empty = 8 - cut.shape[1]
    padded = [np.pad(cut, ((0, 0), (left, empty - left))) for left in {empty // 2, empty - empty // 2}]
    return np.stack([*padded, _fitted(cut)]).astype(np.uint8)


def _fitted(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return an image in the model's size, in proportion, on black: what a server of it does with any image."""
    from PIL import Image, ImageOps

    return np.asarray(ImageOps.pad(Image.fromarray(image), (8, 8), method=Image.Resampling.BOX))


def number(rng: np.random.Generator, length: int) -> tuple[NDArray[np.uint8], str]:
    """Return an image of a number, 8 pixels high, and its digits."""
    digits = [int(one) for one in rng.integers(0, 10, length)]
    if len(set(digits)) == 1:
        digits[-1] = (digits[-1] + 1) % 10  # so that the order can be told
    parts = [np.zeros((8, 3), np.uint8)]
    for digit in digits:
        known = clear_digits()[digit]
        gap = np.zeros((8, GAP + int(rng.integers(0, 4))), np.uint8)
        parts += [known[int(rng.integers(len(known)))], gap]
    return np.concatenate(parts, axis=1), "".join(map(str, digits))


def digits_model(body: bytes) -> tuple[int, bytes]:
    """Answer as a server of the digits model does."""
    try:
        image = _fitted(decode(body))
    except LabError as error:
        return 400, json.dumps({"error": str(error)}).encode()
    row = digit_answers(image[np.newaxis].astype(np.uint8))[0]
    best = int(row.argmax())
    one: dict[str, Any] = {"label": DIGITS[best], "class": best, "confidence": float(row[best]),
                           "probabilities": row.astype(float).tolist()}  # fmt: skip
    return 200, json.dumps({"model": "digits", "version": "v1", **one, "predictions": [one]}).encode()


def numbers_in(answer: Any, depth: int = 0) -> list[str]:
    """Return everything in a JSON answer that can be read as a number: text, whole numbers, lists of digits.

    Examples
    --------
    >>> numbers_in({"number": "14", "digits": ["1", "4"]})
    ['14', '14', '1', '4']
    """
    if depth > 4 or isinstance(answer, bool):
        return []
    if isinstance(answer, dict):
        return [one for value in answer.values() for one in numbers_in(value, depth + 1)]
    if isinstance(answer, list):
        inner = [one for value in answer[:20] for one in numbers_in(value, depth + 1)]
        joined = "".join(inner)
        return [joined, *inner] if inner and len(inner) == len(answer) else inner
    text = str(answer) if isinstance(answer, int | str) else ""
    return [text] if text.isdigit() and len(text) < 12 else []
