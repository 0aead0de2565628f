"""The time and the user that histories, journals and manifests record."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime


def utc_now() -> str:
    """Return the time in UTC, to the second, in the format of ISO 8601.

    Examples
    --------
    >>> len(utc_now())
    20
    """
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def user_name() -> str:
    """Return the name of the user, as the operating system knows it; ``"unknown"`` where it has none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return "unknown"
