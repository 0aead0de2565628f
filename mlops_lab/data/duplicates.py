"""Find equal images among many: by a 64-bit hash of each, and then by their pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

PIECE = 1024  # rows that are hashed at a time: what is computed of them stays in the processor's cache


def repeated(rows: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which rows are equal to an earlier row.

    Examples
    --------
    >>> repeated(np.array([[1, 2], [3, 4], [1, 2]])).tolist()
    [False, False, True]
    """
    first = _first_equal(rows)
    found: NDArray[np.bool_] = first != np.arange(len(rows))
    return found


def contained(rows: NDArray[Any], others: Sequence[NDArray[Any]]) -> NDArray[np.bool_]:
    """Return which rows are equal to a row of other arrays.

    Examples
    --------
    >>> contained(np.array([[1, 2], [3, 4]]), [np.array([[3, 4]])]).tolist()
    [False, True]
    """
    before = sum(map(len, others))
    if not before:
        return np.zeros(len(rows), bool)
    found: NDArray[np.bool_] = _first_equal(np.concatenate([*others, rows]))[before:] < before
    return found


def contradicted(rows: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which rows are equal to a row with another label.

    Examples
    --------
    >>> contradicted(np.array([[1, 2], [3, 4], [1, 2]]), np.array([0, 0, 1])).tolist()
    [True, False, True]
    """
    first = _first_equal(rows)
    differs = labels != labels[first]
    return np.isin(first, first[differs])


def _first_equal(rows: NDArray[Any]) -> NDArray[np.int64]:
    """Return for each row the place of the first row that is equal to it."""
    places = np.arange(len(rows))
    _, first, inverse = np.unique(_hashes(rows), return_index=True, return_inverse=True)
    candidate = first[inverse]
    suspects = np.flatnonzero(candidate != places)
    same = (rows[suspects] == rows[candidate[suspects]]).all(axis=1)
    places[suspects[same]] = candidate[suspects[same]]
    return places


def _hashes(rows: NDArray[Any]) -> NDArray[np.uint64]:
    """Return a number for each row that equal rows share and others hardly ever do."""
    if rows.dtype.kind == "f":
        rows = rows + 0.0  # minus zero equals zero, and so must its bytes
    raw = np.ascontiguousarray(rows).view(np.uint8).reshape(len(rows), -1)
    if raw.shape[1] % 8:
        raw = np.pad(raw, ((0, 0), (0, -raw.shape[1] % 8)))
    words = raw.view(np.uint64)
    factors = np.random.default_rng(0).integers(1, 2**63, words.shape[1], dtype=np.uint64) | np.uint64(1)
    found = np.empty(len(words), np.uint64)
    for start in range(0, len(words), PIECE):
        mixed = words[start : start + PIECE] * factors
        mixed ^= mixed >> np.uint64(29)
        mixed.sum(axis=1, dtype=np.uint64, out=found[start : start + PIECE])
    return found
