"""What exercises of several stages share."""

from __future__ import annotations

from typing import Any

from mlops_lab.grade.exercises import Hint

RAISES = {
    "raises": Hint("Your function stopped with an error.", "The error says what, and the line in brackets says where."),
    "library": Hint("This is a function of the library.", "It would pass, and you would have learned its name."),
    "ragged": Hint("What came back is no table of numbers.", "Its rows differ in length, or hold something else."),
    "missing": Hint("There is nothing of that name.", "Look at the name in the exercise, and run its cell again."),
}


def of_a_persons_size(value: Any, most: int = 5000) -> bool:
    """Return whether what a YAML file holds is of a size that a person writes: aliases can make it grow without end.

    Examples
    --------
    >>> endless = []
    >>> endless.append(endless)
    >>> of_a_persons_size({"a": [1, 2]}), of_a_persons_size(endless)
    (True, False)
    """
    waiting, seen = [value], 0
    while waiting:
        one = waiting.pop()
        seen += 1
        if seen > most:
            return False
        waiting += one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
    return True
