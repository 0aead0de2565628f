"""The line of requests that wait for a thread: who finds it long is told at once to come back, without a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from waitress.task import ThreadedTaskDispatcher
from waitress.utilities import Error

from mlops_lab.serve.limits import Limits


class Overloaded(Error):  # type: ignore[misc]
    """What waitress is told of a request that nobody has time for."""

    code = 503
    reason = "Service Unavailable"


class Line(ThreadedTaskDispatcher):  # type: ignore[misc]
    """waitress' threads and the line before them, with an end.

    A refusal that waits for a thread takes as long as an answer, and takes time from those who are answered. So the
    loop itself refuses a POST when every thread has a request; whoever asks with GET, whether the server is alive for
    one, may wait.

    Parameters
    ----------
    limits
        As many requests as ``threads`` are in hand at most, and never fewer than one more than ``in_flight``.
    told
        Called for each request that is refused; for the metrics.
    """

    def __init__(self, limits: Limits, told: Callable[[], object] = lambda: None) -> None:
        super().__init__()
        self._most = max(limits.threads, limits.in_flight + 1)
        self._told = told
        self._in_hand = 0
        self.loop: threading.Thread | None = None  # only there can a request be refused without a thread

    def add_task(self, task: Any) -> None:
        """Give a connection's first request to a thread, or mark it as refused; :meth:`done` must follow either."""
        request = task.requests[0]
        with self.lock:
            full = self._in_hand >= self._most
            self._in_hand += 1
        if full and not request.error and request.command == "POST" and threading.current_thread() is self.loop:
            request.error = Overloaded("")
            task.turned_away = True
            self._told()
        else:
            super().add_task(task)

    def done(self) -> None:
        """Note that a request has been answered."""
        with self.lock:
            self._in_hand -= 1
