"""The table of servers behind this kernel, kept outside these modules: reloading them loses no server."""

from __future__ import annotations

import atexit
import sys
from types import ModuleType
from typing import Any

MODULE = "_mlops_lab_servers"


def servers() -> dict[str, Any]:
    """Return the servers by name, oldest first; changing it changes what is server_table."""
    table: dict[str, Any] = _module().servers
    return table


def next_generation(name: str) -> int:
    """Return how often a server of this name has been started, this time included."""
    generations: dict[str, int] = _module().generations
    generations[name] = generations.get(name, 0) + 1
    return generations[name]


def stop_all() -> None:
    """Stop every server."""
    for server in list(servers().values()):
        server.stop()


def _module() -> Any:
    module = sys.modules.get(MODULE)
    if module is None:
        module = ModuleType(MODULE)
        module.servers, module.generations = {}, {}  # type: ignore[attr-defined]
        sys.modules[MODULE] = module
        atexit.register(stop_all)
    return module
