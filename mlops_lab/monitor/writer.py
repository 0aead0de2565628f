"""A thread that writes what others hand it, many at a time, and never makes them wait for a disk that is full."""

from __future__ import annotations

import asyncio
import atexit
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

_log = logging.getLogger("mlops_lab.monitor")
Item = TypeVar("Item")
Entry = tuple[Item, int, int, "Receipt | None"]  # with its rows and bytes

GROUP = 512  # items in a transaction at most
LINGER = 0.2  # seconds that an item may wait for others before it is written, where nobody waits for it
SHORT_LINGER = 0.005  # the same where somebody waits, and others do
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


class Receipt:
    """Tells whoever waits for an item whether it was written, or False where that takes too long.

    Parameters
    ----------
    writer
        Whose item it is.
    rows
        How many rows the item has.
    patience
        Seconds to wait at most.
    """

    __slots__ = ("_future", "_patience", "_writer", "rows")

    def __init__(self, writer: GroupWriter[Any], rows: int, patience: float) -> None:
        self._writer, self.rows, self._patience = writer, rows, patience
        self._future: Future[bool] = Future()

    def settle(self, written: bool) -> bool:
        """Say what became of the item; return whether nobody had said it before."""
        try:
            self._future.set_result(written)
        except InvalidStateError:
            return False
        return True

    def wait(self) -> bool:
        """Wait in a thread until it is known; return whether the item was written."""
        with suppress(TimeoutError):
            return self._future.result(self._patience)
        return self._result()

    async def wait_on_loop(self) -> bool:
        """Wait as :meth:`wait` does, without holding up the event loop."""
        await asyncio.wait([asyncio.wrap_future(self._future)], timeout=self._patience)
        return self._result()

    def _result(self) -> bool:
        self._writer.give_up(self)
        return self._future.result()


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
    regular
        Wait only until as many items have come as the last group had, because a caller that waited for that group sends
        its next item now. An item that comes alone after another single one is written at once.
    """

    def __init__(
        self,
        write: Callable[[list[Item]], tuple[int, int]],
        errors: tuple[type[Exception], ...],
        *,
        max_items: int,
        max_bytes: int,
        linger: float,
        regular: bool = False,
    ) -> None:
        self._write, self._errors = write, errors
        self._max_items, self.max_bytes, self._linger, self._regular = max_items, max_bytes, linger, regular
        self._wanted = 1 if regular else GROUP  # items that a group is written with at once
        self.counts = WriterCounts()
        self._queue: deque[Entry[Item]] = deque()
        self._bytes = 0
        self._in_hand: list[Entry[Item]] = []
        self._changed = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None

    @property
    def queued(self) -> int:
        """The number of items that were accepted and are neither written nor dropped yet."""
        return len(self._queue) + len(self._in_hand)

    def put(self, item: Item, rows: int, size: int, receipt: Receipt | None = None) -> bool:
        """Take an item of so many rows and bytes.

        Parameters
        ----------
        item, rows, size
            What is written.
        receipt
            For whoever waits until it is.

        Returns
        -------
        bool
            Whether it was taken.
        """
        with self._changed:
            taken = not self._closing and len(self._queue) < self._max_items and self._bytes + size <= self.max_bytes
            if taken:
                self._queue.append((item, rows, size, receipt))
                self._bytes += size
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="mlops-lab-prediction-log", daemon=True)
                    self._thread.start()
                    atexit.register(self.close)
                if len(self._queue) in (1, self._wanted):
                    self._changed.notify_all()
            else:
                self.counts.dropped += rows
        if receipt is not None and not taken:
            receipt.settle(False)
        elif receipt is not None and self.counts.error:  # nobody waits for a disk that fails
            self.give_up(receipt)
        return taken

    def give_up(self, receipt: Receipt) -> None:
        """Count an item as late, unless it is known by now what became of it."""
        if receipt.settle(False):
            with self._changed:
                self.counts.late += receipt.rows

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
            items, rows, _, receipts = zip(*group, strict=True)
            outcomes = self._attempt(list(items), list(rows))
            with self._changed:
                self._in_hand = []
                self._changed.notify_all()
            for receipt, outcome in zip(receipts, outcomes, strict=True):
                if receipt is not None:
                    receipt.settle(outcome)

    def _next_group(self) -> list[Entry[Item]]:
        with self._changed:
            while not self._queue and not self._closing:
                self._changed.wait()
            if len(self._queue) < self._wanted and not self._closing:
                self._changed.wait(self._linger)
            group = [self._queue.popleft() for _ in range(min(GROUP, len(self._queue)))]
            self._bytes -= sum(size for _, _, size, _ in group)
            self._in_hand = group
            self._wanted = len(group) if self._regular else GROUP
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
                self._release_callers()
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

    def _release_callers(self) -> None:
        """Tell every caller that waits that its item is not written yet, because the disk fails."""
        with self._changed:
            waiting = [receipt for *_, receipt in (*self._in_hand, *self._queue) if receipt is not None]
        for receipt in waiting:
            self.give_up(receipt)
