"""The servers that run behind this kernel, in a place that outlives these modules: reloading them loses no server."""

from __future__ import annotations

import atexit
import sys
from types import ModuleType
from typing import Any

PLACE = "_mlops_lab_servers"


def servers() -> dict[str, Any]:
    """Return the servers by name, oldest first; changing it changes what is known."""
    known: dict[str, Any] = _place().servers
    return known


def next_generation(name: str) -> int:
    """Return how often a server of this name has been started, this time included."""
    generations: dict[str, int] = _place().generations
    generations[name] = generations.get(name, 0) + 1
    return generations[name]


def stop_all() -> None:
    """Stop every server."""
    for server in list(servers().values()):
        server.stop()


def _place() -> Any:
    place = sys.modules.get(PLACE)
    if place is None:
        place = ModuleType(PLACE)
        place.servers, place.generations = {}, {}  # type: ignore[attr-defined]
        sys.modules[PLACE] = place
        atexit.register(stop_all)
    return place
