"""Converters without their remarks, and their errors in a few words."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_export() -> Iterator[None]:
    """Keep the converters' own remarks off the screen; their errors still come through."""
    logger = logging.getLogger("tensorflow")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


def brief(error: BaseException) -> str:
    """Return an error as one line of at most 200 characters.

    Examples
    --------
    >>> brief(ValueError("no such" + chr(10) + "layer"))
    'ValueError: no such layer'
    """
    words = " ".join(str(error).split())
    return f"{type(error).__name__}: {words}"[:200] if words else type(error).__name__
