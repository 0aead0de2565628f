"""Keras itself: for comparison, and for a model that could not be exported."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.engines.quiet import import_keras


class KerasEngine:
    """A Keras model as one traced function. Never ``model.predict``: that costs 100 ms a call."""

    def __init__(self, model: Any) -> None:
        import tensorflow as tf

        self.model = model
        self._constant = tf.constant
        spec = _only_input(tf, model)
        self._dtype = None if spec is None or spec.dtype == tf.string else spec.dtype.as_numpy_dtype
        known = {"input_signature": [spec]} if self._dtype is not None else {"reduce_retracing": True}
        self._call = tf.function(lambda inputs: model(inputs, training=False), **known)

    def predict(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return ``(n, classes)``."""
        answer = self._call(self._constant(inputs, dtype=self._dtype))
        if isinstance(answer, dict):
            (answer,) = answer.values()
        elif isinstance(answer, list | tuple):
            (answer,) = answer
        probabilities: NDArray[np.float32] = answer.numpy().astype(np.float32, copy=False)
        return probabilities

    def run(self, inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return every output by its name; inputs are taken by name, or else in order."""
        tensors = {name: self._constant(_plain(array), dtype=self._dtype) for name, array in inputs.items()}
        answer = self._call(self._arguments(tensors))
        names = output_names(self.model, answer)
        parts = (
            answer.values() if isinstance(answer, dict) else answer if isinstance(answer, list | tuple) else [answer]
        )
        return {name: _text(part.numpy()) for name, part in zip(names, parts, strict=True)}

    def _arguments(self, tensors: dict[str, Any]) -> Any:
        """Return the tensors in the structure in which the model takes them: one, a list or a dictionary."""
        structure = getattr(self.model, "_inputs_struct", None)
        if isinstance(structure, dict):
            return {key: tensors[key] for key in structure}
        if len(tensors) == 1 and not isinstance(structure, list | tuple):
            return next(iter(tensors.values()))
        return tensors if structure is None else list(tensors.values())


def _only_input(tf: Any, model: Any) -> Any:
    """Return the only tensor that a model takes, for one trace of every batch; None where it takes a structure."""
    given = list(getattr(model, "inputs", None) or [])
    if len(given) != 1 or isinstance(getattr(model, "_inputs_struct", None), dict | list | tuple):
        return None
    return tf.TensorSpec((None, *given[0].shape[1:]), given[0].dtype)


def output_names(model: Any, answer: Any) -> list[str]:
    """Return the names of a model's outputs: its own for a dictionary or several layers, ``output_0`` for one alone."""
    if isinstance(answer, dict):
        return list(map(str, answer))
    if not isinstance(answer, list | tuple):
        return ["output_0"]
    names = getattr(model, "output_names", None) or []
    return list(names) if len(set(names)) == len(answer) else [f"output_{place}" for place in range(len(answer))]


def _plain(array: NDArray[Any]) -> Any:
    return array.tolist() if array.dtype == object else array


def _text(array: NDArray[Any]) -> NDArray[Any]:
    """Return text as Python's, where TensorFlow has bytes."""
    if array.dtype != object:
        return array
    decoded = np.array([item.decode("utf-8", "replace") for item in array.ravel()], object)
    return decoded.reshape(array.shape)


def load(model: bytes) -> KerasEngine:
    """Return an engine for the bytes of a ``.keras`` file."""
    keras = import_keras()
    with tempfile.TemporaryDirectory(prefix="mlops-lab-") as folder:
        path = Path(folder, "model.keras")
        path.write_bytes(model)
        return KerasEngine(keras.saving.load_model(path, compile=False, safe_mode=True))
