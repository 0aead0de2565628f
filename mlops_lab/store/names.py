"""The names that models and aliases may have, and the numbers that versions may have."""

from __future__ import annotations

import re

from mlops_lab.errors import WrongUsage

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
RESERVED = re.compile(r"latest|v?[0-9]+")


def check_name(name: str, what: str = "a model") -> str:
    """Return the name if it can be one.

    Raises
    ------
    WrongUsage
        Names are small letters, digits, ``-`` and ``_``, at most 64 of them.

    Examples
    --------
    >>> check_name("clothes")
    'clothes'
    """
    if not NAME.fullmatch(name):
        raise WrongUsage(
            f"{name!r} cannot be the name of {what}.",
            "Take small letters, digits, '-' and '_', at most 64, and begin with a letter or digit.",
        )
    return name


def is_version_number(text: str) -> bool:
    """Return whether a text is the number of a version, as the folder of a version bears it.

    Examples
    --------
    >>> is_version_number("12"), is_version_number("012")
    (True, False)
    """
    return text.isascii() and text.isdigit() and not text.startswith("0") and len(text) <= 6


def as_name(text: str) -> str:
    """Return a text, such as the name of a file, as the name of a model: small letters, digits and hyphens.

    Examples
    --------
    >>> as_name("My Model (2)")
    'my-model-2'
    """
    return re.sub("[^a-z0-9]+", "-", text.lower()).strip("-") or "model"
