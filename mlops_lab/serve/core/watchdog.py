"""Deadlines of calls that are being computed: a thread of its own looks at them, so that they hold on the loop as well.

At its deadline a call fails for the client that waits for it, and an engine that can be interrupted is. One that cannot
goes on, and keeps its place until it returns.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from mlops_lab.errors import DeadlineExceeded
from mlops_lab.predict import Predictor
from mlops_lab.serve.core.admission import ModelQueue

POLL_SECONDS = 0.1
IDLE_POLLS = 20  # after so many looks without a call the thread sleeps until there is one

OnDeadline = Callable[[BaseException], object]
# Set where another thread waits for the call that this one computes: called at the deadline.
on_deadline: ContextVar[OnDeadline | None] = ContextVar("mlops_lab_give_up", default=None)


@dataclass(slots=True, eq=False)
class Call:
    """One call of an engine that is under way.

    Parameters
    ----------
    predictor
        The version that computes.
    queue
        Where its model's calls past their deadline are counted.
    deadline
        By ``time.perf_counter``.
    seconds
        The limit behind the deadline.
    on_deadline
        Called with the error at the deadline, where another thread waits for the call.
    thread
        The thread that computes.
    overdue
        Whether the deadline has passed.
    """

    predictor: Predictor
    queue: ModelQueue
    deadline: float
    seconds: float
    on_deadline: OnDeadline | None = None
    thread: int = field(default_factory=threading.get_ident)
    overdue: bool = False

    def error(self) -> DeadlineExceeded:
        """Return the error that the client gets."""
        message = f"The model {self.predictor.name!r} computed longer than request_seconds={self.seconds:g}."
        return DeadlineExceeded(message, "Send fewer examples at a time, or try again later.")


class Watchdog:
    """A thread that ends calls at their deadlines; it starts with the first call.

    Attributes
    ----------
    calls
        The calls under way. A thread that computes adds its call, and removes it under ``lock``: in place, since each
        request of one image does so.
    sleeping
        Whether the thread sleeps, so that :meth:`wake` must be called.

    Examples
    --------
    >>> Watchdog().longest_overdue()
    0.0
    """

    def __init__(self) -> None:
        self.calls: dict[int, Call] = {}
        self.sleeping = True
        self._wake = threading.Event()
        self.lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """Wake the thread, so that it checks the calls."""
        with self.lock:
            if self._thread is None or not self._thread.is_alive():  # a forked child has lost it
                self._thread = threading.Thread(target=self._run, name="mlops-lab-watchdog", daemon=True)
                self._thread.start()
        self.sleeping = False
        self._wake.set()

    @contextmanager
    def watching(self, predictor: Predictor, seconds: float) -> Iterator[None]:
        """Watch what is computed for nobody who waits, such as a shadow.

        Raises
        ------
        DeadlineExceeded
            It took longer than so many seconds, and was interrupted; a call that returns late raises nothing.
        """
        call = Call(predictor, ModelQueue(), time.perf_counter() + seconds, seconds)
        self.calls[id(call)] = call
        if self.sleeping:
            self.wake()
        try:
            yield
        except Exception as error:
            if call.overdue:
                raise call.error() from error
            raise
        finally:
            with self.lock:
                del self.calls[id(call)]

    def longest_overdue(self) -> float:
        """Return for how many seconds the oldest call has been past its deadline."""
        deadlines = [call.deadline for call in list(self.calls.values()) if call.overdue]
        return time.perf_counter() - min(deadlines) if deadlines else 0.0

    def end(self, seconds: float) -> bool:
        """Give up every call that is under way, and return whether none is left within so many seconds."""
        ended = time.monotonic() + seconds
        while self.calls and time.monotonic() < ended:
            for key, call in list(self.calls.items()):
                self._expire(key, call)
            time.sleep(0.01)
        return not self.calls

    def _run(self) -> None:
        quiet = 0
        while True:
            time.sleep(POLL_SECONDS)
            quiet = 0 if self.calls else quiet + 1
            if quiet > IDLE_POLLS:
                self._wake.clear()
                self.sleeping = True
                if not self.calls:  # one that came before it could see that we sleep
                    self._wake.wait()
                quiet = 0
            self._look()

    def _look(self) -> None:
        now = time.perf_counter()
        for key, call in list(self.calls.items()):
            if now > call.deadline:
                self._expire(key, call)

    def _expire(self, key: int, call: Call) -> None:
        find = getattr(call.predictor.engine, "interrupter", None)
        interrupt = find(call.thread) if find is not None else None
        with self.lock:
            if self.calls.get(key) is not call:  # it has ended: what was found may belong to the next one
                return
            if not call.overdue:
                call.overdue = True
                call.queue.overdue += 1
        if interrupt is not None:
            interrupt()
        if call.on_deadline is not None:
            call.on_deadline(call.error())
            call.on_deadline = None


WATCHDOG = Watchdog()
