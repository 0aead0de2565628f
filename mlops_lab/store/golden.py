"""Ask a version its golden examples within a limit of time and memory, before anybody else asks it anything."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from mlops_lab import tensors
from mlops_lab.engines.onnx import OnnxEngine
from mlops_lab.errors import DamagedArtifact
from mlops_lab.image import to_input
from mlops_lab.inputs import InputSpec
from mlops_lab.predict import Predictor
from mlops_lab.store.golden_arrays import Arrays
from mlops_lab.store.trial import GIB, resident_bytes


@dataclass(frozen=True)
class GoldenLimits:
    """Limits on the golden check of a version."""

    seconds: float = 60.0
    """Time on the clock."""
    memory_bytes: int = 2 * GIB
    """Memory that the process may grow by, where the system tells how much it holds."""


def inputs_of(specs: Sequence[InputSpec], examples: Arrays) -> Arrays:
    """Return examples as a model of these inputs takes them: images become its input."""
    return {spec.name: to_input(examples[spec.name], spec) for spec in specs}


def ask(predictor: Predictor, examples: Arrays) -> Arrays:
    """Return what a model answers to examples as they come before preprocessing.

    Raises
    ------
    LabError
        It does not answer one finite row for each.
    """
    return tensors.run(predictor, inputs_of(predictor.signature.inputs, examples), prepared=False)


def golden_answers(predictor: Predictor, examples: Arrays, limits: GoldenLimits | None = None) -> Arrays:
    """Return what a model answers to its golden examples.

    ONNX Runtime is interrupted at a limit; another engine runs to its end.

    Raises
    ------
    DamagedArtifact
        A limit was reached.
    """
    engine = predictor.engine
    if not isinstance(engine, OnnxEngine):
        return ask(predictor, examples)
    with _watched(engine, limits or GoldenLimits()) as reached:
        try:
            return ask(predictor, examples)
        except Exception as error:
            if reached:
                message = f"The golden examples of {predictor.name} v{predictor.version} {reached[0]}."
                raise DamagedArtifact(message, "Publish a smaller model, or one with fixed sizes.") from error
            raise


def check_agreement(engine: str, expected: Arrays, received: Arrays, limit: float) -> None:
    """Raise :class:`DamagedArtifact` where an engine answers something else than the model that was trained.

    Parameters
    ----------
    engine
        Its name, for the message.
    expected, received
        The answers, by the names of the outputs.
    limit
        The largest difference: absolute up to 1, relative above.
    """
    worst: float | str = 0.0
    for name, wanted in expected.items():
        found = received[name]
        if wanted.shape != found.shape:
            worst = f"shape {found.shape}"
            break
        if wanted.dtype == object or not wanted.size:
            difference = float((wanted != found).any()) if wanted.size else 0.0
            worst = max(worst, difference)
            continue
        # In float64, where not even the two ends of float32 are too far apart.
        differences = np.abs(wanted.astype(np.float64) - found)
        if not (differences <= limit * np.maximum(1, np.abs(wanted.astype(np.float64)))).all():
            worst = max(worst, float(differences.max()), limit * 2)
    if isinstance(worst, float) and worst <= limit:
        return
    raise DamagedArtifact(
        f"The {engine} engine does not answer as the golden examples say: it differs by {worst}, the limit is {limit}.",
        "Publish the version again; if it happens again, the model cannot be exported faithfully.",
    )


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
