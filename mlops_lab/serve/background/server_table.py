"""The table of servers behind this kernel, kept outside these modules: reloading them loses no server."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from types import ModuleType
from typing import Any

MODULE = "_mlops_lab_servers"


def servers() -> dict[str, Any]:
    """Return the servers by name, oldest first; the table itself, which callers may change."""
    table: dict[str, Any] = _module().servers
    return table


def next_generation(name: str) -> int:
    """Return how often a server of this name has been started, this time included."""
    generations: dict[str, int] = _module().generations
    generations[name] = generations.get(name, 0) + 1
    return generations[name]


def lock() -> threading.RLock:
    """Return the lock under which a server is replaced: two threads that start the same one leave one behind."""
    held: threading.RLock = _module().lock
    return held


def stop_all() -> None:
    """Stop every server."""
    for server in list(servers().values()):
        server.stop()


def _module() -> Any:
    module = sys.modules.get(MODULE)
    if module is None:
        module = ModuleType(MODULE)
        module.servers, module.generations = {}, {}  # type: ignore[attr-defined]
        _renew_lock(module)
        sys.modules[MODULE] = module
        atexit.register(stop_all)
        if hasattr(os, "register_at_fork"):  # the thread that holds the lock is not in the child
            os.register_at_fork(after_in_child=lambda: _renew_lock(module))
    return module


def _renew_lock(module: Any) -> None:
    module.lock = threading.RLock()
