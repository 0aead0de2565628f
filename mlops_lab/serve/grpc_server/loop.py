"""The event loop of gRPC: one thread for all gRPC servers of a process, since grpcio wants one loop in a process.

On a loop a call that has begun and sends nothing costs no thread, so that slow clients take nothing from the others.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

Result = TypeVar("Result")
_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_thread: threading.Thread | None = None


class PendingStop:
    """The shutdown of a server, which can be waited for, as grpcio's own ``stop`` returns it."""

    def __init__(self, future: Future[Any]) -> None:
        self._future = future

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the server has stopped, and return whether it has."""
        try:
            self._future.result(timeout)
        except TimeoutError:
            return False
        return True


def schedule(coroutine: Coroutine[Any, Any, Result]) -> Future[Result]:
    """Run a coroutine on the loop of gRPC."""
    global _loop, _thread
    with _lock:
        if _loop is None or _thread is None or not _thread.is_alive():  # a forked child has lost the thread
            _loop = asyncio.new_event_loop()
            _thread = threading.Thread(target=_loop.run_forever, name="mlops-lab-grpc", daemon=True)
            _thread.start()
    return asyncio.run_coroutine_threadsafe(coroutine, _loop)


def run(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine on the loop of gRPC, and wait for what it returns.

    Examples
    --------
    >>> run(asyncio.sleep(0, "done"))
    'done'
    """
    return schedule(coroutine).result()
