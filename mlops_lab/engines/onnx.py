"""ONNX Runtime: the fastest way to serve a small model, whichever framework trained it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlops_lab.errors import DamagedArtifact, MissingPackage

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, RunOptions


class OnnxEngine:
    """A session of ONNX Runtime on one thread; the server's own threads give the parallelism."""

    def __init__(self, session: InferenceSession) -> None:
        self._run = session.run
        self._input = session.get_inputs()[0].name
        self.options: RunOptions | None = None
        """Options of each run; setting their ``terminate`` ends one that is under way."""
        # The probabilities are the only floating-point output of two axes; scikit-learn's labels are whole numbers.
        self._outputs = [item.name for item in session.get_outputs() if item.type == "tensor(float)"][:1]

    def predict(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return ``(n, classes)``."""
        answer: NDArray[np.float32] = self._run(self._outputs, {self._input: inputs}, self.options)[0]
        return answer


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
