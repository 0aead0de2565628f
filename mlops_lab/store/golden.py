"""Ask a version its golden examples within a limit of time and memory, before anybody else asks it anything."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.engines.onnx import OnnxEngine
from mlops_lab.errors import DamagedArtifact
from mlops_lab.predict import Predictor
from mlops_lab.store.trial import GIB, resident_bytes


@dataclass(frozen=True)
class GoldenLimits:
    """Limits on the golden check of a version."""

    seconds: float = 60.0
    """Time on the clock."""
    memory_bytes: int = 2 * GIB
    """Memory that the process may grow by, where the system tells how much it holds."""


def golden_answers(
    predictor: Predictor, examples: NDArray[Any], limits: GoldenLimits | None = None
) -> NDArray[np.float32]:
    """Return what a model answers to its golden examples.

    ONNX Runtime is told to stop at a limit; another engine runs to its end.

    Raises
    ------
    DamagedArtifact
        A limit was reached.
    """
    engine = predictor.engine
    if not isinstance(engine, OnnxEngine):
        return predictor.probabilities(examples)
    with _watched(engine, limits or GoldenLimits()) as reached:
        try:
            return predictor.probabilities(examples)
        except Exception as error:
            if reached:
                message = f"The golden examples of {predictor.name} v{predictor.version} {reached[0]}."
                raise DamagedArtifact(message, "Publish a smaller model, or one with fixed sizes.") from error
            raise


@contextmanager
def _watched(engine: OnnxEngine, limits: GoldenLimits) -> Iterator[list[str]]:
    """Stop the runs of an engine at a limit; the list then holds the reason."""
    import os

    reached: list[str] = []
    done, asking = threading.Event(), threading.get_ident()
    before, end = resident_bytes(os.getpid()), time.monotonic() + limits.seconds

    def watch() -> None:
        while not done.wait(0.01):
            if not reached and time.monotonic() > end:
                reached.append(f"were not answered within {limits.seconds:g} s")
            elif not reached and resident_bytes(os.getpid()) - before > limits.memory_bytes:
                reached.append(f"needed more than {limits.memory_bytes / GIB:.1f} GiB of memory")
            interrupt = engine.interrupter(asking) if reached else None
            if interrupt is not None:
                interrupt()
                return

    thread = threading.Thread(target=watch, name="golden-watch", daemon=True)
    thread.start()
    try:
        yield reached
    finally:
        done.set()
        thread.join()
