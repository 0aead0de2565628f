"""scikit-learn: an estimator that skops saved, without pickle, so loading it runs no code."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.errors import MissingPackage, UnsafeFile

# Plain containers of numbers that skops does not list yet: the optimizer inside a fitted MLPClassifier.
_OPTIMIZERS = "sklearn.neural_network._stochastic_optimizers"
TRUSTED = (f"{_OPTIMIZERS}.AdamOptimizer", f"{_OPTIMIZERS}.SGDOptimizer")


class SklearnEngine:
    """A fitted classifier with ``predict_proba``."""

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def predict(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return ``(n, classes)``."""
        return np.asarray(self.estimator.predict_proba(inputs.reshape(len(inputs), -1)), dtype=np.float32)


def load(model: bytes) -> SklearnEngine:
    """Return an engine for the bytes of a ``.skops`` file.

    Raises
    ------
    UnsafeFile
        The file holds types that skops does not trust.
    """
    try:
        from skops import io
    except ModuleNotFoundError as error:
        raise MissingPackage("skops is not installed.", "pip install skops scikit-learn") from error

    untrusted = set(io.get_untrusted_types(data=model)) - set(TRUSTED)
    if untrusted:
        raise UnsafeFile(
            f"The skops file holds types that are not trusted: {', '.join(sorted(untrusted))}.",
            "Publish the model as ONNX, or train it with plain scikit-learn estimators.",
            code="untrusted_type",
        )
    return SklearnEngine(io.loads(model, trusted=list(TRUSTED)))
