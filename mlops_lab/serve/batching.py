"""Requests of one version that come together are computed together: optional, with a bounded queue.

There is no thread for it. A request that finds nobody computing leads: it waits a moment for others, takes as many as
fit, asks the engine once for all of them, and hands the lead to the first of those that came meanwhile. So a version
that is unloaded leaves nothing behind, and under load batches fill while the engine computes, without any waiting.
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
from mlops_lab.serve.limits import Limits
from mlops_lab.serve.operations import laps


@dataclass(frozen=True)
class Batching:
    """How requests become batches.

    Parameters
    ----------
    size
        Examples in one batch, at most; a request that has more is a batch of its own.
    milliseconds
        How long the first request of a batch waits for others, unless it was alone the last time. 0: it never waits,
        and batches are what came while the engine computed.
    queue
        Requests that wait to be computed, of each version; the next one is refused.
    buckets
        Batches are filled up to one of these lengths, the largest being ``size``; for an engine that is compiled anew
        for every length, as under XLA. Empty: a batch is as long as it is.

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
        """Return what makes a predictor compute in batches; a request waits ``limits.request_seconds`` at most.

        Every bucket is tried once, so that what has to be compiled is compiled before the first request.
        """

        def batched(predictor: Predictor) -> Predictor:
            spec = predictor.input
            for length in self.buckets:
                predictor.engine.predict(np.zeros((length, *spec.shape), spec.dtype))
            return replace(predictor, engine=Batched(predictor.engine, self, limits.request_seconds))

        return batched


def _closed() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


@dataclass(slots=True, eq=False)
class Turn:
    """One request among those that wait: what it asks, and what came of it."""

    inputs: NDArray[np.float32]
    arrived: float = field(default_factory=time.perf_counter)
    signal: threading.Lock = field(default_factory=_closed)  # opened when it leads, is answered, or its batch is full
    leads: bool = False
    began: float = 0.0
    rows: NDArray[np.float32] | None = None
    error: BaseException | None = None


class Batched:
    """An engine that asks another one for several requests at a time.

    Parameters
    ----------
    engine
        What computes.
    batching
        How.
    seconds
        A request that has waited so long is given up.

    Attributes
    ----------
    calls, examples
        How often the engine was asked, and for how many examples.

    Examples
    --------
    >>> from mlops_lab.engines.python import PythonEngine
    >>> engine = Batched(PythonEngine(lambda inputs: 2 * inputs), Batching())
    >>> engine.predict(np.ones((1, 2), np.float32))
    array([[2., 2.]], dtype=float32)
    """

    def __init__(self, engine: Engine, batching: Batching, seconds: float = Limits.request_seconds) -> None:
        self.calls = 0
        self.examples = 0
        self._engine = engine
        self._batching = batching
        self._seconds = seconds
        self._lock = threading.Lock()
        # The leader stands in front until it takes its batch.
        self._waiting: deque[Turn] = deque()
        self._led = False
        self._gathering: Turn | None = None
        self._alone = False  # the last batch was one request, so that there is nobody to wait for

    def predict(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return ``(n, classes)``, computed together with whoever asks at the same time.

        Raises
        ------
        Unavailable
            Too many requests wait.
        DeadlineExceeded
            The request's time ran out before its batch began.
        """
        turn = self._enter(Turn(inputs))
        if not turn.leads:
            self._wait(turn)
        if turn.leads:
            self._lead(turn)
        watch = laps.current()
        if watch is not None:
            watch.lap("queue", turn.began)
        if turn.rows is None:
            raise turn.error or RuntimeError("a batch was left without an answer")
        return turn.rows

    def _enter(self, turn: Turn) -> Turn:
        with self._lock:
            if len(self._waiting) >= self._batching.queue:
                message = f"{len(self._waiting)} requests wait for a batch; the limit is queue={self._batching.queue}."
                hint = "Try again in 1 s, or raise the limit in the server's Batching."
                raise Unavailable(message, hint, code="overloaded")
            self._waiting.append(turn)
            turn.leads, self._led = not self._led, True
            if self._gathering is not None and self._full():
                self._gathering.signal.release()
                self._gathering = None
        return turn

    def _full(self) -> bool:
        """Tell whether it makes no sense to wait for more: they would not fit in the batch, or be refused."""
        examples = sum(len(turn.inputs) for turn in self._waiting)
        return examples >= self._batching.size or len(self._waiting) >= self._batching.queue

    def _wait(self, turn: Turn) -> None:
        """Wait until somebody has answered, or hands over the lead."""
        watch = laps.current()
        if turn.signal.acquire(timeout=max(0.0, self._seconds - (watch.elapsed() if watch else 0.0))):
            return
        with self._lock:
            if turn in self._waiting and not turn.leads:
                self._waiting.remove(turn)
                raise DeadlineExceeded(
                    f"The request waited for a batch longer than request_seconds={self._seconds:g}.",
                    "Try again later, or send fewer requests at a time.",
                )
        turn.signal.acquire()  # its turn came in the very last moment

    def _lead(self, turn: Turn) -> None:
        """Compute a batch, hand on the lead, and tell the others of the batch."""
        self._gather(turn)
        batch = self._take()
        self._answer(batch)
        with self._lock:
            self._led = bool(self._waiting)
            if self._led:
                self._waiting[0].leads = True
                self._waiting[0].signal.release()
        for other in batch[1:]:
            other.signal.release()

    def _gather(self, turn: Turn) -> None:
        """Wait for others, unless there are none, the batch is full already or the leader has waited enough."""
        patience = turn.arrived + self._batching.milliseconds / 1000 - time.perf_counter()
        with self._lock:
            if patience <= 0 or self._full() or (self._alone and len(self._waiting) == 1):
                return
            self._gathering = turn
        turn.signal.acquire(timeout=patience)
        with self._lock:
            self._gathering = None

    def _take(self) -> list[Turn]:
        with self._lock:
            batch = [self._waiting.popleft()]
            left = self._batching.size - len(batch[0].inputs)
            while self._waiting and len(self._waiting[0].inputs) <= left:
                batch.append(self._waiting.popleft())
                left -= len(batch[-1].inputs)
            self._alone = len(batch) == 1
        return batch

    def _answer(self, batch: list[Turn]) -> None:
        """Compute all together; where that fails, each alone, so that no request spoils another's answer."""
        began = time.perf_counter()
        for turn in batch:
            turn.began = began
        if len(batch) == 1 or not self._answer_together(batch):
            for turn in batch:
                try:
                    turn.rows = self._compute(turn.inputs)
                except BaseException as error:  # whatever an engine raises belongs to who asked
                    turn.error = error

    def _answer_together(self, batch: list[Turn]) -> bool:
        ends = np.cumsum([len(turn.inputs) for turn in batch])
        try:
            rows = self._compute(np.concatenate([turn.inputs for turn in batch]))
        except BaseException:  # each hears its own reason, when it is asked alone
            return False
        if len(rows) != ends[-1]:
            return False
        for turn, part in zip(batch, np.split(rows, ends[:-1]), strict=True):
            turn.rows = part
        return True

    def _compute(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Ask the engine, in the lengths it is compiled for if there are any."""
        self.calls += 1
        self.examples += len(inputs)
        if not self._batching.buckets:
            return self._engine.predict(inputs)
        size = self._batching.size
        parts = [self._padded(inputs[start : start + size]) for start in range(0, len(inputs), size)]
        return np.concatenate(parts)

    def _padded(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        length = next(bucket for bucket in self._batching.buckets if bucket >= len(inputs))
        # The last example again, and not zeros: what the model has an answer to.
        places = np.minimum(np.arange(length), len(inputs) - 1)
        return self._engine.predict(inputs[places])[: len(inputs)]
