"""A version on its way into production, and its evidence as plain values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Candidate:
    """A version that is not in production yet.

    Parameters
    ----------
    number
        Its version, which is reserved for it from its training on.
    digest
        The SHA-256 of its manifest, and so of all its files.
    data
        The checksum of what it was trained and tested on.
    before
        The version in production when it was trained; ``None`` where there was none.
    """

    number: int
    digest: str
    data: str
    before: int | None


def plain(evidence: Mapping[str, Any]) -> dict[str, Any]:
    """Return evidence as JSON keeps it."""
    kept: dict[str, Any] = json.loads(json.dumps(evidence, default=str))
    return kept
