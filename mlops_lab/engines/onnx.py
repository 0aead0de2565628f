"""ONNX Runtime: the fastest way to serve a small model, whichever framework trained it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlops_lab.errors import DamagedArtifact, MissingPackage

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, RunOptions


class OnnxEngine:
    """A session of ONNX Runtime on one thread; the server's own threads give the parallelism."""

    def __init__(self, session: InferenceSession) -> None:
        from onnxruntime import RunOptions

        self._make_options = RunOptions
        self._run = session.run
        self._input = session.get_inputs()[0].name
        self._running: dict[int, RunOptions] = {}
        # The probabilities are the only floating-point output of two axes; scikit-learn's labels are whole numbers.
        self._outputs = [item.name for item in session.get_outputs() if item.type == "tensor(float)"][:1]

    def predict(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return ``(n, classes)``."""
        thread = threading.get_ident()
        options = self._running[thread] = self._make_options()
        try:
            answer: NDArray[np.float32] = self._run(self._outputs, {self._input: inputs}, options)[0]
        finally:
            del self._running[thread]
        return answer

    def interrupter(self, thread: int) -> Callable[[], object] | None:
        """Return a function that ends the run which a thread is in; None where it is in none."""
        options = self._running.get(thread)
        return partial(setattr, options, "terminate", True) if options is not None else None


def load(model: bytes) -> OnnxEngine:
    """Return an engine for the bytes of an ``.onnx`` file.

    Raises
    ------
    DamagedArtifact
        ONNX Runtime does not take the file.
    """
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise MissingPackage("ONNX Runtime is not installed.", "pip install onnxruntime") from error

    onnxruntime.disable_telemetry_events()  # its wheels would report use where there is a network
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # errors reach us as exceptions
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions share no base class
        raise DamagedArtifact(f"ONNX Runtime does not take the model: {error}", "Publish the version again.") from error
    return OnnxEngine(session)
