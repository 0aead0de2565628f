"""Strict JSON: UTF-8 only, no NaN or infinity, no key twice in one object.

Two readers that disagree about a document are a hole: one checks the first value of a key, the other uses the last. So
requests, manifests and model files are all parsed here.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any, NoReturn


class DuplicateKeyError(ValueError):
    """A key appears twice in one object."""


class NotFiniteError(ValueError):
    """The document holds NaN or infinity, which are not JSON."""


class NestingError(ValueError):
    """The document is nested deeper than the parser can follow."""


def loads(
    data: bytes,
    *,
    parse_int: Callable[[str], Any] | None = None,
    parse_float: Callable[[str], Any] | None = None,
) -> Any:
    """Parse a JSON document.

    Parameters
    ----------
    data
        The document in UTF-8, without a byte-order mark.
    parse_int, parse_float
        Functions for the numbers, as :func:`json.loads` takes them. Without them numbers are parsed in C.

    Raises
    ------
    ValueError
        The bytes are not strict JSON: :class:`DuplicateKeyError`, :class:`NotFiniteError`, :class:`NestingError`,
        :class:`UnicodeDecodeError` or :class:`json.JSONDecodeError`.

    Examples
    --------
    >>> loads(b'{"a": [1, 2.5]}')
    {'a': [1, 2.5]}
    >>> loads(b'{"a": 1, "a": 2}')
    Traceback (most recent call last):
        ...
    mlops_lab.strict_json.DuplicateKeyError: The key 'a' appears twice in one object.
    """
    try:
        return json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_unique_keys,
            parse_constant=_refuse_constant,
            parse_int=parse_int,
            parse_float=parse_float,
        )
    except RecursionError:
        raise NestingError("The JSON is nested too deeply.") from None


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        twice = next(key for key, number in Counter(key for key, _ in pairs).items() if number > 1)
        raise DuplicateKeyError(f"The key {twice[:80]!r} appears twice in one object.")
    return result


def _refuse_constant(word: str) -> NoReturn:
    raise NotFiniteError(f"{word} is not a JSON number.")
