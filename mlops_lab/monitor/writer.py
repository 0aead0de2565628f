"""A thread that writes what others hand it, many at a time, and never makes them wait for a disk that is full."""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

_log = logging.getLogger("mlops_lab.monitor")
Item = TypeVar("Item")

GROUP = 512  # items in a transaction at most
LINGER = 0.05  # seconds that an item may wait for others before it is written, where nobody waits for it
PAUSES = (0.05, 0.2, 0.5, 1.0)  # between attempts to write a group that failed


@dataclass
class WriterCounts:
    """The number of items that were written, dropped or failed."""

    written: int = 0
    repeated: int = 0
    dropped: int = 0  # the queue was full
    failed: int = 0  # they could not be written
    late: int = 0  # somebody waited for them to be written, and went on without that
    error: str = ""  # why the last attempt failed; empty while all is well


class GroupWriter(Generic[Item]):
    """A bounded queue and the thread that empties it.

    Parameters
    ----------
    write
        Writes a group in one transaction; returns how many rows that was, and how many were there already.
    errors
        What ``write`` raises when the storage fails: the group is tried again a few times, then counted as failed.
    max_items, max_bytes
        Of the queue. What comes when it is full is dropped and counted.
    linger
        Seconds to wait for more before a group is written.
    """

    def __init__(
        self,
        write: Callable[[list[Item]], tuple[int, int]],
        errors: tuple[type[Exception], ...],
        *,
        max_items: int,
        max_bytes: int,
        linger: float,
    ) -> None:
        self._write, self._errors = write, errors
        self._max_items, self.max_bytes, self._linger = max_items, max_bytes, linger
        self.counts = WriterCounts()
        self._queue: deque[tuple[Item, int, int, Future[bool]]] = deque()
        self._bytes = 0
        self._in_hand = 0
        self._changed = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None

    @property
    def queued(self) -> int:
        """The number of items that were accepted and are neither written nor dropped yet."""
        return len(self._queue) + self._in_hand

    def put(self, item: Item, rows: int, size: int) -> Future[bool]:
        """Take an item of so many rows and bytes; the future tells, once it is decided, whether it was written."""
        future: Future[bool] = Future()
        with self._changed:
            if self._closing or len(self._queue) >= self._max_items or self._bytes + size > self.max_bytes:
                self.counts.dropped += rows
                future.set_result(False)
                return future
            self._queue.append((item, rows, size, future))
            self._bytes += size
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="mlops-lab-prediction-log", daemon=True)
                self._thread.start()
                atexit.register(self.close)
            if len(self._queue) in (1, GROUP):
                self._changed.notify_all()
        return future

    def wait(self, future: Future[bool], rows: int, timeout: float) -> bool:
        """Wait for an item of so many rows to be written, but not for a disk that fails; tell whether it was."""
        with self._changed:
            self._changed.wait_for(lambda: future.done() or self.counts.error, timeout)
            if not future.done():
                self.counts.late += rows
                return False
        return future.result()

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until everything taken so far is written or given up; tell whether that came in time."""
        end = time.monotonic() + timeout
        with self._changed:
            while self.queued:
                self._changed.notify_all()
                if not self._changed.wait(min(0.1, max(0.0, end - time.monotonic()))) and time.monotonic() >= end:
                    return False
        return True

    def close(self, timeout: float = 10.0) -> None:
        """Write what is left, and end the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)
        atexit.unregister(self.close)

    def _run(self) -> None:
        while group := self._next_group():
            outcomes = self._attempt([item for item, *_ in group], [rows for _, rows, *_ in group])
            with self._changed:
                self._in_hand = 0
                for (*_, future), outcome in zip(group, outcomes, strict=True):
                    future.set_result(outcome)
                self._changed.notify_all()

    def _next_group(self) -> list[tuple[Item, int, int, Future[bool]]]:
        with self._changed:
            while not self._queue and not self._closing:
                self._changed.wait()
            if self._linger and len(self._queue) < GROUP and not self._closing:
                self._changed.wait(self._linger)
            group = [self._queue.popleft() for _ in range(min(GROUP, len(self._queue)))]
            self._bytes -= sum(size for _, _, size, _ in group)
            self._in_hand = len(group)
            return group

    def _attempt(self, items: list[Item], rows: list[int]) -> list[bool]:
        """Write a group, and tell of each item whether it was written.

        While the storage fails and has failed before, it is given up at once, so that the queue moves. Where an item
        makes no sense, each of the group is written alone.
        """
        pauses = iter(() if self.counts.error or self._closing else PAUSES)
        while True:
            try:
                written, repeated = self._write(items)
            except self._errors as error:
                self._failed(error)
                pause = next(pauses, None)
                if pause is None:
                    self.counts.failed += sum(rows)
                    return [False] * len(items)
                time.sleep(pause)
            except Exception as error:  # an event that nobody foresaw must not end the thread
                if len(items) > 1:
                    alone = zip(items, rows, strict=True)
                    return [self._attempt([item], [count])[0] for item, count in alone]
                self._failed(error)
                self.counts.failed += sum(rows)
                return [False]
            else:
                self.counts.written += written
                self.counts.repeated += repeated
                self.counts.error = ""
                return [True] * len(items)

    def _failed(self, error: Exception) -> None:
        if not self.counts.error:
            _log.warning("predictions cannot be logged: %s", error)
        with self._changed:
            self.counts.error = f"{type(error).__name__}: {error}".strip()
            self._changed.notify_all()
