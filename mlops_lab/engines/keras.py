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
        shape = (None, *model.input_shape[1:])
        self._call = tf.function(
            lambda inputs: model(inputs, training=False), input_signature=[tf.TensorSpec(shape, tf.float32)]
        )

    def predict(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return ``(n, classes)``."""
        answer: NDArray[np.float32] = self._call(inputs).numpy()
        return answer


def load(model: bytes) -> KerasEngine:
    """Return an engine for the bytes of a ``.keras`` file."""
    keras = import_keras()
    with tempfile.TemporaryDirectory(prefix="mlops-lab-") as folder:
        path = Path(folder, "model.keras")
        path.write_bytes(model)
        return KerasEngine(keras.saving.load_model(path, compile=False, safe_mode=True))
