"""Processes that each hold the model and answer pieces of a batch; the answers come back in order."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import Any

from mlops_lab.batch.answers import Columns, answer
from mlops_lab.batch.sources import Rows
from mlops_lab.errors import ServerError, WrongUsage
from mlops_lab.predict import Predictor

Load = Callable[[], Predictor]
Answered = Generator[tuple[Rows, Columns], None, None]
# Pieces that are on their way for each process: one that it computes, and some that wait for it.
PIECES = 3
_own: list[Predictor] = []


def answer_in(processes: int, load: Load, pieces: Iterator[Rows]) -> Answered:
    """Yield pieces and their answers in order, computed by processes that end with this one, even if it is killed.

    Raises
    ------
    WrongUsage
        ``load`` cannot be sent to another process.
    ServerError
        A process was killed.
    """
    try:
        pickle.dumps(load)
    except Exception as error:  # pickle raises what the object does
        message = f"The model cannot be loaded in another process: {error}."
        raise WrongUsage(message, "Pass functools.partial(models.load, name, version), or processes=1.") from error
    executor = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _begin, (load,))
    waiting: deque[tuple[Rows, Future[Columns]]] = deque()
    try:
        for rows in pieces:
            waiting.append((rows, executor.submit(_answer, rows.inputs)))
            if len(waiting) >= PIECES * processes:
                yield _first(waiting)
        while waiting:
            yield _first(waiting)
    except BrokenProcessPool as error:
        message = "A process that computed answers ended before its time; perhaps memory ran out."
        raise ServerError(message, "Run it again with fewer processes: it goes on where it stopped.") from error
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _first(waiting: deque[tuple[Rows, Future[Columns]]]) -> tuple[Rows, Columns]:
    rows, future = waiting.popleft()
    return rows, future.result()


def _begin(load: Load) -> None:
    """Load the model; called once in each process."""
    parent: Any = multiprocessing.parent_process()
    # The pool's processes wait for work for ever, even from a parent that was killed.
    threading.Thread(target=lambda: (wait([parent.sentinel]), os._exit(1)), daemon=True).start()
    _own.append(load())


def _answer(columns: Columns) -> Columns:
    return answer(_own[0], columns)
