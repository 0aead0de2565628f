"""Threads for calls that would hold up the event loop, with a bound on how many calls there are."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

from mlops_lab.errors import Unavailable
from mlops_lab.serve.core.watchdog import on_deadline

Result = TypeVar("Result")


class Dispatcher:
    """Runs calls in daemon threads for an event loop; threads are started when they are needed.

    The threads are daemons, unlike those of ``concurrent.futures``, so that a call that never returns does not keep the
    process from ending.

    Parameters
    ----------
    threads
        The largest number of calls at the same time.

    Attributes
    ----------
    pending
        The number of calls that have not returned. One that was given up counts: its thread is taken.
    """

    def __init__(self, threads: int) -> None:
        self._maximum = threads
        self._calls: SimpleQueue[tuple[Callable[[], Any], asyncio.AbstractEventLoop, asyncio.Future[Any]] | None]
        self._calls = SimpleQueue()
        self._threads = 0
        self.pending = 0

    def check(self) -> None:
        """Raise where every thread is taken; for requests that may be refused.

        Raises
        ------
        Unavailable
            The message names the limit.
        """
        if self.pending >= self._maximum:
            message = f"The server has {self.pending} requests in hand; its limit is threads={self._maximum}."
            raise Unavailable(
                message, "Try again in 1 s, or raise the limit in the server's Limits.", code="overloaded"
            )

    async def run(self, call: Callable[[], Result]) -> Result:
        """Return what a call returns, or raise what it raises, without blocking the event loop.

        Raises
        ------
        DeadlineExceeded
            The watchdog has given the call up; it goes on in its thread.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self.pending += 1
        self._calls.put((call, loop, future))
        if self._threads < min(self.pending, self._maximum):
            self._threads += 1
            threading.Thread(target=self._work, name="mlops-lab-worker", daemon=True).start()
        return await future

    def stop(self) -> None:
        """End the idle threads; one that is busy ends after its call."""
        for _ in range(self._threads):
            self._calls.put(None)

    def _work(self) -> None:
        while (item := self._calls.get()) is not None:
            call, loop, future = item
            settle: Callable[[Any], None]
            on_deadline.set(partial(_abandon, loop, future))
            try:
                value, settle = call(), future.set_result
            except BaseException as error:  # whatever it is, it belongs to the caller
                value, settle = error, future.set_exception
            on_deadline.set(None)
            with suppress(RuntimeError):  # the loop has ended, and nobody waits
                loop.call_soon_threadsafe(self._finish, future, settle, value)
            del item, call, future, settle, value  # an idle thread must not keep a version in memory

    def _finish(self, future: asyncio.Future[Any], settle: Callable[[Any], None], value: Any) -> None:
        self.pending -= 1
        _settle(future, settle, value)


def _abandon(loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any], error: BaseException) -> None:
    """Fail the caller that waits for a call which has been given up; from any thread."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(_settle, future, future.set_exception, error)


def _settle(future: asyncio.Future[Any], settle: Callable[[Any], None], value: Any) -> None:
    if not future.done():
        settle(value)
