"""Admission control: per-model concurrency limits with bounded queues, in order of arrival."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from mlops_lab.errors import DeadlineExceeded, Unavailable
from mlops_lab.serve.core.limits import Limits


@dataclass(slots=True, eq=False)
class Ticket:
    """The place of one request: in flight once ``granted``, until then in its model's queue."""

    model: str
    on_grant: Callable[[], object]
    granted: bool = False


@dataclass(slots=True)
class ModelQueue:
    """The requests of one model: how many are in flight, and those that wait, first come first served.

    ``overdue`` of those in flight are past their deadline, and compute on in an engine that cannot be interrupted.
    """

    in_flight: int = 0
    overdue: int = 0
    waiting: deque[Ticket] = field(default_factory=deque)


class AdmissionController:
    """Admits a bounded number of requests of each model; the others wait in a bounded queue, or are refused.

    Parameters
    ----------
    limits
        ``in_flight``, ``queue`` and ``queue_seconds`` hold for each model. One of the ``threads`` is always left to
        health checks.

    Examples
    --------
    >>> admission = AdmissionController(Limits(in_flight=1, queue=0))
    >>> with admission.admit("clothes"):
    ...     admission.queue("clothes").in_flight
    1
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._queues: dict[str, ModelQueue] = {}
        self._total = 0
        self._maximum = max(1, limits.threads - 1)

    def queue(self, model: str) -> ModelQueue:
        """Return the queue of a model; the caller knows that there is such a model."""
        return self._queues.get(model) or self._queues.setdefault(model, ModelQueue())

    def enter(self, model: str, on_grant: Callable[[], object] = lambda: None) -> Ticket:
        """Take a place in flight if one is free, else in the queue; every ticket must be left or withdrawn.

        Parameters
        ----------
        model
            The name of a model that exists.
        on_grant
            Called once when a queued ticket is granted, by the thread that made room for it.

        Raises
        ------
        Unavailable
            Too many requests are in flight and waiting.
        """
        queue, limits = self.queue(model), self._limits
        with self._lock:
            if self._total >= self._maximum:
                raise _full("The server", self._total, "threads", limits.threads)
            ticket = Ticket(model, on_grant)
            if queue.in_flight < limits.in_flight:
                queue.in_flight += 1
                ticket.granted = True
            elif len(queue.waiting) >= limits.queue:
                held = queue.in_flight + len(queue.waiting)
                raise _full(f"The model {model!r}", held, f"in_flight={limits.in_flight} and queue", limits.queue)
            else:
                queue.waiting.append(ticket)
            self._total += 1
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """Give the place to the request that has waited longest, or free it."""
        queue = self.queue(ticket.model)
        with self._lock:
            self._total -= 1
            if not queue.waiting:
                queue.in_flight -= 1
                return
            successor = queue.waiting.popleft()
            successor.granted = True
        successor.on_grant()

    def withdraw(self, ticket: Ticket) -> bool:
        """Take a ticket out of its queue; return False where it was granted in the meantime."""
        with self._lock:
            if ticket.granted:
                return False
            self.queue(ticket.model).waiting.remove(ticket)
            self._total -= 1
        return True

    @contextmanager
    def admit(self, model: str, elapsed: float = 0.0) -> Iterator[None]:
        """Hold a place in flight, and block until there is one.

        Parameters
        ----------
        model
            The name of a model that exists.
        elapsed
            Seconds since the head of the request arrived.

        Raises
        ------
        Unavailable
            Too many requests are in flight and waiting, or this one has waited longer than ``queue_seconds``.
        DeadlineExceeded
            The deadline of the request passed while it waited.
        """
        turn = threading.Lock()
        turn.acquire()
        ticket = self.enter(model, turn.release)
        if not ticket.granted and not turn.acquire(timeout=self._patience(elapsed)) and self.withdraw(ticket):
            raise self._expired(model)
        try:
            yield
        finally:
            self.leave(ticket)

    async def wait(self, model: str, elapsed: float = 0.0) -> Ticket:
        """Return a granted ticket without blocking the event loop; the errors are those of :meth:`admit`."""
        loop = asyncio.get_running_loop()
        ticket = self.enter(model, lambda: loop.call_soon_threadsafe(lambda: turn.set()))
        if ticket.granted:
            return ticket
        turn = asyncio.Event()  # before the loop can call what is granted from another thread
        try:
            await asyncio.wait_for(turn.wait(), self._patience(elapsed))
        except TimeoutError:
            if self.withdraw(ticket):
                raise self._expired(model) from None
        except BaseException:  # the client is gone, or the loop ends
            if not self.withdraw(ticket):
                self.leave(ticket)
            raise
        return ticket

    def _patience(self, elapsed: float) -> float:
        return max(0.0, min(self._limits.queue_seconds, self._limits.request_seconds) - elapsed)

    def _expired(self, model: str) -> Unavailable:
        limits, hint = self._limits, "Try again later, or send fewer requests at a time."
        waited = f"The request waited for the model {model!r} longer than"
        if limits.request_seconds <= limits.queue_seconds:
            return DeadlineExceeded(f"{waited} request_seconds={limits.request_seconds:g}.", hint)
        return Unavailable(f"{waited} queue_seconds={limits.queue_seconds:g}.", hint, code="overloaded")


def _full(who: str, held: int, setting: str, value: int) -> Unavailable:
    message = f"{who} has {held} requests in flight or waiting; its limit is {setting}={value}."
    return Unavailable(message, "Try again in 1 s, or raise the limit in the server's Limits.", code="overloaded")
