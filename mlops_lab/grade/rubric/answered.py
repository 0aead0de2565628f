"""Read a classification out of a JSON answer, however it is arranged."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

INDEX_KEYS = ("class", "class_index", "index", "label_index", "class_id", "prediction", "predicted_class", "label")
DEPTH = 6


@dataclass(frozen=True)
class Classification:
    """What an answer says about one image.

    Parameters
    ----------
    probabilities
        In the order of the labels; empty where there are none.
    name
        The label's name, or empty.
    index
        The label's place, or ``None``.
    """

    probabilities: tuple[float, ...]
    name: str
    index: int | None

    @property
    def best(self) -> int | None:
        """The place of the largest probability."""
        return max(range(len(self.probabilities)), key=self.probabilities.__getitem__) if self.probabilities else None


def read(answer: Any, labels: Sequence[str]) -> Classification:
    """Return the classification in a JSON value: the first list of as many numbers as there are labels, and a label.

    Keys may have any order and names; numbers may be text of equal value; probabilities may be a dict by label.

    Examples
    --------
    >>> read({"predictions": [{"label": "b", "probabilities": ["0.25", 0.75]}]}, ["a", "b"])
    Classification(probabilities=(0.25, 0.75), name='b', index=None)
    """
    names = {label.casefold(): place for place, label in enumerate(labels)}
    probabilities: tuple[float, ...] = ()
    name, index = "", None
    for key, value in _walk(answer):
        if not probabilities:
            probabilities = _numbers(value, names, len(labels))
        if isinstance(value, str) and value.casefold() in names and not name:
            name = labels[names[value.casefold()]]
        if key in INDEX_KEYS and index is None:
            index = _place(value, len(labels))
    return Classification(probabilities, name, index)


def _walk(value: Any, key: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    yield key, value
    if depth >= DEPTH:
        return
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _walk(inner, str(name).lower(), depth + 1)
    elif isinstance(value, list) and not all(isinstance(one, str) for one in value):
        for inner in value[:50]:
            yield from _walk(inner, key, depth + 1)


def _numbers(value: Any, names: dict[str, int], count: int) -> tuple[float, ...]:
    if isinstance(value, dict) and len(value) == count and {str(key).casefold() for key in value} == set(names):
        value = [entry for _, entry in sorted(value.items(), key=lambda item: names[str(item[0]).casefold()])]
    if not isinstance(value, list) or len(value) != count or any(isinstance(one, bool) for one in value):
        return ()
    try:
        numbers = tuple(float(one) for one in value)
    except (TypeError, ValueError):
        return ()
    return numbers if all(math.isfinite(one) for one in numbers) else ()


def _place(value: Any, count: int) -> int | None:
    if isinstance(value, str) and value.isdigit() and len(value) < 6:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value < count else None
