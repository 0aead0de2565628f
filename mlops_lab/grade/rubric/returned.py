"""Read what a student's function returns, however it is arranged: a dict by name, or a tuple in the order asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.grade.cases import Case
from mlops_lab.grade.exercises import Hint

SHAPE = {
    "shape": Hint("{what} is not in what you returned.", "Return a dict with {keys}, or a tuple in that order."),
}  # fmt: skip


def fields(case: Case, value: Any, names: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return the parts of a result by the names asked for, or fail the check.

    Parameters
    ----------
    case
        Of the check.
    value
        What was returned.
    names
        What is asked for, in order, each with other names that mean the same.

    Examples
    --------
    >>> fields(Case("validate-1"), {"Half-width": 0.1, "acc": 1}, {"accuracy": ("acc",), "half_width": ()})
    {'accuracy': 1, 'half_width': 0.1}
    """
    keys = ", ".join(names)
    if isinstance(value, Mapping):
        given = {_plain(key): one for key, one in value.items()}
        found = {}
        for name, others in names.items():
            known = next((word for word in map(_plain, (name, *others)) if word in given), None)
            case.expect(known is not None, f"There is no {name!r} in what was returned.", hint="shape", what=repr(name),
                        keys=keys, expected=keys, received=", ".join(map(str, value)))  # fmt: skip
            found[name] = given[known or ""]
        return found
    right = isinstance(value, tuple | list) and len(value) == len(names)
    case.expect(right, "What was returned cannot be read.", hint="shape", what="What is asked for", keys=keys,
                expected=f"a dict with {keys}, or a tuple in that order", received=value)  # fmt: skip
    return dict(zip(names, value, strict=True))


def _plain(key: Any) -> str:
    return "".join(letter for letter in str(key).lower() if letter.isalnum())


def array(case: Case, value: Any, what: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return numbers as an array of a shape, or fail the check; a dict of numbers is read in its order."""
    if isinstance(value, Mapping):
        value = list(value.values())
    try:
        found = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        found = np.empty(0)
    case.expect(found.shape == shape, f"{what} has another shape.", hint="shape", what=what, keys="as asked",
                expected=str(shape), received=str(found.shape) if found.size else value)  # fmt: skip
    return found


def table(case: Case, value: Any, what: str) -> NDArray[Any]:
    """Return numbers as an array of whatever shape and type they have, or fail the check.

    Examples
    --------
    >>> table(Case("data-6"), [3, 1], "suspects").dtype.kind
    'i'
    >>> table(Case("data-6"), [[3], [1, 2]], "suspects")
    Traceback (most recent call last):
    mlops_lab.grade.cases.Failed: suspects gives no array of numbers.
    """
    try:
        found = np.asarray(value)
    except (TypeError, ValueError):  # rows of different lengths
        found = np.empty(0, object)
    case.expect(found.dtype.kind in "biuf", f"{what} gives no array of numbers.", hint="ragged",
                expected="an array of numbers", received=value)  # fmt: skip
    return found


def single(case: Case, value: Any, what: str) -> Any:
    """Return a value as it is, or fail the check where it is an array of several: that is neither true nor false.

    Examples
    --------
    >>> single(Case("train-3"), 14, "The epoch"), single(Case("train-3"), np.array([14]), "The epoch")
    (14, array([14]))
    """
    several = isinstance(value, np.ndarray) and value.size != 1
    case.expect(not several, f"{what} is not one value.", expected="one value", received=value)
    return value


def number(case: Case, value: Any, what: str) -> float:
    """Return one number, or fail the check."""
    return float(array(case, value, what, ()))
