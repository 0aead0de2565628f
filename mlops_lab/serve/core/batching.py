"""Dynamic batching: requests of one version that arrive together are computed together; optional, with a bounded queue.

There is no batching thread. A request that arrives while the engine is idle becomes the leader: it waits a moment for
others, takes as many as fit, calls the engine once for all of them, and hands the lead to the first request that
arrived meanwhile. So a version that is unloaded leaves nothing behind, and under load batches fill while the engine
computes, without any waiting.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from mlops_lab.errors import DeadlineExceeded, Unavailable, WrongUsage
from mlops_lab.predict import Engine, Predictor
from mlops_lab.serve.core import timing
from mlops_lab.serve.core.limits import Limits


@dataclass(frozen=True)
class Batching:
    """Settings of dynamic batching.

    Parameters
    ----------
    size
        Largest number of examples in one batch; a request that has more is a batch of its own.
    milliseconds
        Time the first request of a batch waits for others, unless the last batch was a single request. With 0 it never
        waits, and a batch is what arrived while the engine computed.
    queue
        Number of requests of each version that wait to be computed; the next one is refused.
    buckets
        Batches are padded to one of these lengths, the largest being ``size``; for an engine that is compiled anew for
        every length, as under XLA. Without buckets nothing is padded.

    Raises
    ------
    WrongUsage
        The numbers make no sense.

    Examples
    --------
    >>> Batching(size=8, milliseconds=0, buckets=(1, 2, 4, 8)).size
    8
    """

    size: int = 32
    milliseconds: float = 0.0
    queue: int = 64
    buckets: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 1 or self.queue < 1 or not 0 <= self.milliseconds < float("inf"):
            raise WrongUsage(f"{self} makes no batches.", "size and queue are at least 1, milliseconds at least 0.")
        rising = sorted({max(1, bucket) for bucket in self.buckets})
        if self.buckets and (list(self.buckets) != rising or rising[-1] != self.size):
            raise WrongUsage(f"The buckets are {self.buckets}.", f"Let them rise, and end with size={self.size}.")

    def wrap(self, limits: Limits) -> Callable[[Predictor], Predictor]:
        """Return a function that makes a predictor compute in batches.

        A request waits ``limits.request_seconds`` at most. Every bucket is tried once, so that what has to be compiled
        is compiled before the first request. A model with several inputs or outputs, or with other answers than
        probabilities, computes each request alone.
        """

        def batched(predictor: Predictor) -> Predictor:
            if not predictor.signature.is_classifier:
                return predictor
            spec = predictor.input
            for length in self.buckets:
                predictor.engine.predict(spec.zeros(length))
            return replace(predictor, engine=BatchingEngine(predictor.engine, self, limits.request_seconds))

        return batched


@dataclass(slots=True)
class BatchCounts:
    """Number of batches computed, and of examples in them."""

    calls: int = 0
    examples: int = 0


def _closed() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


@dataclass(slots=True, eq=False)
class PendingRequest:
    """One request in the queue: its inputs, and its result once it was computed."""

    inputs: NDArray[np.float32]
    arrived: float = field(default_factory=time.perf_counter)
    # Released when the request becomes the leader, is answered, or its batch is full.
    signal: threading.Lock = field(default_factory=_closed)
    is_leader: bool = False
    began: float = 0.0
    rows: NDArray[np.float32] | None = None
    error: BaseException | None = None


class BatchingEngine:
    """An engine that computes several requests in one call of another engine.

    Parameters
    ----------
    engine
        The engine that computes.
    batching
        The settings.
    seconds
        A request that has waited this long is given up.

    Attributes
    ----------
    batch_counts
        Number of calls of the engine, and of examples in them.

    Examples
    --------
    >>> from mlops_lab.engines.python import PythonEngine
    >>> engine = BatchingEngine(PythonEngine(lambda inputs: 2 * inputs), Batching())
    >>> engine.predict(np.ones((1, 2), np.float32))
    array([[2., 2.]], dtype=float32)
    """

    def __init__(self, engine: Engine, batching: Batching, seconds: float = Limits.request_seconds) -> None:
        self.batch_counts = BatchCounts()
        self._engine = engine
        self._batching = batching
        self._seconds = seconds
        self._lock = threading.Lock()
        # The leader stays in front until it takes its batch.
        self._waiting: deque[PendingRequest] = deque()
        self._has_leader = False
        self._gathering: PendingRequest | None = None
        self._was_single = False  # the last batch was one request: no others to wait for

    def predict(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return ``(n, classes)``, computed together with other requests that arrive at the same time.

        Raises
        ------
        Unavailable
            Too many requests wait.
        DeadlineExceeded
            The request's time ran out before its batch began.
        """
        pending = self._enter(PendingRequest(inputs))
        if not pending.is_leader:
            self._wait(pending)
        if pending.is_leader:
            self._lead(pending)
        context = timing.current.get()
        if context is not None:
            context.record_stage("queue", pending.began)
        if pending.rows is None:
            raise pending.error or RuntimeError("a batch was left without an answer")
        return pending.rows

    def interrupter(self, thread: int) -> Callable[[], object] | None:
        """Return a function that ends the batch which a thread computes; None where it computes none, or cannot be."""
        find = getattr(self._engine, "interrupter", None)
        return find(thread) if find is not None else None

    def _enter(self, pending: PendingRequest) -> PendingRequest:
        with self._lock:
            if len(self._waiting) >= self._batching.queue:
                message = f"{len(self._waiting)} requests wait for a batch; the limit is queue={self._batching.queue}."
                hint = "Try again in 1 s, or raise the limit in the server's Batching."
                raise Unavailable(message, hint, code="overloaded")
            self._waiting.append(pending)
            pending.is_leader, self._has_leader = not self._has_leader, True
            if self._gathering is not None and self._full():
                self._gathering.signal.release()
                self._gathering = None
        return pending

    def _full(self) -> bool:
        """Return whether more requests would not fit in the batch, or would be refused."""
        examples = sum(len(pending.inputs) for pending in self._waiting)
        return examples >= self._batching.size or len(self._waiting) >= self._batching.queue

    def _wait(self, pending: PendingRequest) -> None:
        """Wait until the request is answered, or becomes the leader."""
        context = timing.current.get()
        if pending.signal.acquire(timeout=max(0.0, self._seconds - (context.elapsed() if context else 0.0))):
            return
        with self._lock:
            if pending in self._waiting and not pending.is_leader:
                self._waiting.remove(pending)
                raise DeadlineExceeded(
                    f"The request waited for a batch longer than request_seconds={self._seconds:g}.",
                    "Try again later, or send fewer requests at a time.",
                )
        pending.signal.acquire()  # it was taken into a batch at the last moment

    def _lead(self, pending: PendingRequest) -> None:
        """Compute a batch, hand over the lead, and release the other requests of the batch."""
        self._gather(pending)
        batch = self._take()
        self._answer(batch)
        with self._lock:
            self._has_leader = bool(self._waiting)
            if self._has_leader:
                self._waiting[0].is_leader = True
                self._waiting[0].signal.release()
        for other in batch[1:]:
            other.signal.release()

    def _gather(self, pending: PendingRequest) -> None:
        """Wait for others, unless there are none, the batch is full or the leader has waited enough."""
        patience = pending.arrived + self._batching.milliseconds / 1000 - time.perf_counter()
        with self._lock:
            if patience <= 0 or self._full() or (self._was_single and len(self._waiting) == 1):
                return
            self._gathering = pending
        pending.signal.acquire(timeout=patience)
        with self._lock:
            self._gathering = None

    def _take(self) -> list[PendingRequest]:
        with self._lock:
            batch = [self._waiting.popleft()]
            left = self._batching.size - len(batch[0].inputs)
            while self._waiting and len(self._waiting[0].inputs) <= left:
                batch.append(self._waiting.popleft())
                left -= len(batch[-1].inputs)
            self._was_single = len(batch) == 1
        return batch

    def _answer(self, batch: list[PendingRequest]) -> None:
        """Compute all together; where that fails, each alone, so that no request spoils the answer of another."""
        began = time.perf_counter()
        for pending in batch:
            pending.began = began
        if len(batch) == 1 or not self._answer_together(batch):
            for pending in batch:
                try:
                    pending.rows = self._compute(pending.inputs)
                except BaseException as error:  # whatever an engine raises belongs to this request
                    pending.error = error

    def _answer_together(self, batch: list[PendingRequest]) -> bool:
        ends = np.cumsum([len(pending.inputs) for pending in batch])
        try:
            rows = self._compute(np.concatenate([pending.inputs for pending in batch]))
        except BaseException:  # each request gets its own error when it is computed alone
            return False
        if len(rows) != ends[-1]:
            return False
        for pending, part in zip(batch, np.split(rows, ends[:-1]), strict=True):
            pending.rows = part
        return True

    def _compute(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Call the engine, in the lengths it is compiled for if there are any."""
        self.batch_counts.calls += 1
        self.batch_counts.examples += len(inputs)
        if not self._batching.buckets:
            return self._engine.predict(inputs)
        size = self._batching.size
        parts = [self._padded(inputs[start : start + size]) for start in range(0, len(inputs), size)]
        return np.concatenate(parts)

    def _padded(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        length = next(bucket for bucket in self._batching.buckets if bucket >= len(inputs))
        # Pad with the last example, not with zeros: the model has an answer to it.
        places = np.minimum(np.arange(length), len(inputs) - 1)
        return self._engine.predict(inputs[places])[: len(inputs)]
