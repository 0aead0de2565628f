"""ONNX Runtime: the fastest way to serve a small model, whichever framework trained it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.errors import DamagedArtifact, MissingPackage, WrongUsage

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, RunOptions

# ONNX Runtime's names for types, and NumPy's.
DTYPES = {
    "tensor(float)": "float32", "tensor(double)": "float64", "tensor(float16)": "float16", "tensor(bool)": "bool",
    "tensor(string)": "str", "tensor(uint8)": "uint8", "tensor(uint16)": "uint16", "tensor(uint32)": "uint32",
    "tensor(uint64)": "uint64", "tensor(int8)": "int8", "tensor(int16)": "int16", "tensor(int32)": "int32",
    "tensor(int64)": "int64",
}  # fmt: skip


class OnnxEngine:
    """A session of ONNX Runtime on one thread; the server's own threads give the parallelism."""

    def __init__(self, session: InferenceSession) -> None:
        from onnxruntime import RunOptions

        self.session = session
        self._make_options = RunOptions
        self._running: dict[int, RunOptions] = {}
        self._inputs = [(item.name, DTYPES.get(item.type, "float32")) for item in session.get_inputs()]
        if not self._inputs:
            raise WrongUsage("The ONNX model has no input.", "Export it with the tensor that it takes as an input.")
        self._input, dtype = self._inputs[0]
        self._dtype = np.dtype("O" if dtype == "str" else dtype)
        outputs = [(item.name, DTYPES.get(item.type, item.type)) for item in session.get_outputs()]
        # A classifier's probabilities are its only floating-point output; scikit-learn's labels are whole numbers or
        # text, and its ZipMap makes dictionaries of the probabilities.
        floats = [name for name, kind in outputs if kind.startswith("float")]
        self._outputs = (floats or [name for name, kind in outputs if kind.startswith("seq(map")])[:1]
        self._names = [name for name, _ in outputs]

    def predict(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return ``(n, classes)``."""
        if inputs.dtype != self._dtype:
            inputs = inputs.astype(self._dtype)
        answer = self._run(self._outputs, {self._input: inputs})[0]
        if isinstance(answer, list):
            answer = from_zipmap(answer)
        probabilities: NDArray[np.float32] = answer if answer.dtype == np.float32 else answer.astype(np.float32)
        return probabilities

    def run(self, inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return every output by its name in the graph; inputs are taken by name, or else in order."""
        given = dict(zip((name for name, _ in self._inputs), inputs.values(), strict=True))
        given |= {name: array for name, array in inputs.items() if name in given}
        fed = {
            name: given[name] if dtype == "str" else np.ascontiguousarray(given[name], dtype)
            for name, dtype in self._inputs
        }
        answers = self._run(self._names, fed)
        return {
            name: from_zipmap(answer) if isinstance(answer, list) else answer
            for name, answer in zip(self._names, answers, strict=True)
        }

    def _run(self, names: list[str], fed: dict[str, NDArray[Any]]) -> list[Any]:
        thread = threading.get_ident()
        options = self._running[thread] = self._make_options()
        try:
            answers: list[Any] = self.session.run(names, fed, options)
        finally:
            del self._running[thread]
        return answers

    def interrupter(self, thread: int) -> Callable[[], object] | None:
        """Return a function that ends the run which a thread is in; None where it is in none."""
        options = self._running.get(thread)
        return partial(setattr, options, "terminate", True) if options is not None else None


def from_zipmap(rows: list[dict[Any, float]]) -> NDArray[np.float32]:
    """Return the probabilities that scikit-learn's ZipMap made a dictionary of, in the order of its keys.

    Examples
    --------
    >>> from_zipmap([{"no": 0.25, "yes": 0.75}])
    array([[0.25, 0.75]], dtype=float32)
    """
    return np.array([list(row.values()) for row in rows], np.float32)


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
