"""scikit-learn: an estimator that skops saved, without pickle, so loading it runs no code."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.errors import MissingPackage, UnsafeFile, WrongUsage

# Plain containers of numbers that skops does not list yet: the optimizer inside a fitted MLPClassifier.
_OPTIMIZERS = "sklearn.neural_network._stochastic_optimizers"
TRUSTED = (f"{_OPTIMIZERS}.AdamOptimizer", f"{_OPTIMIZERS}.SGDOptimizer")


# The methods that answer, the best first, and the names of what they answer.
METHODS = {"predict_proba": "probabilities", "decision_function": "scores", "predict": "value", "transform": "vector"}


class SklearnEngine:
    """A fitted estimator: a classifier, regressor, detector of outliers or transformer.

    A classifier answers ``predict_proba``, or its ``decision_function`` where it has none; a detector of outliers its
    ``decision_function``; a regressor ``predict``; a transformer ``transform``.
    """

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator
        self.method = method_of(estimator)

    def predict(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return ``(n, classes)``."""
        if inputs.ndim != 2:
            inputs = inputs.reshape(len(inputs), -1)
        return np.asarray(self.estimator.predict_proba(inputs), dtype=np.float32)

    def run(self, inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the answer by its name, or by numbered names where each target has its own probabilities."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a model fitted on a table with names is given an array
            answer = getattr(self.estimator, self.method)(self._examples(inputs))
        name = METHODS[self.method]
        if isinstance(answer, list):
            return {f"{name}_{place}": np.asarray(part, np.float32) for place, part in enumerate(answer)}
        if hasattr(answer, "toarray"):
            answer = answer.toarray()
        array = np.asarray(answer)
        if self.method == "predict_proba":
            return {name: array.astype(np.float32)}
        return {name: array.astype(object) if array.dtype.kind == "U" else array}

    @staticmethod
    def _examples(inputs: dict[str, NDArray[Any]]) -> Any:
        if len(inputs) > 1:
            import pandas

            return pandas.DataFrame(inputs)
        (array,) = inputs.values()
        return array.reshape(len(array), -1) if array.ndim > 2 else array


def method_of(estimator: Any) -> str:
    """Return the method of an estimator that answers.

    Raises
    ------
    WrongUsage
        It has none.
    """
    from sklearn.base import is_outlier_detector, is_regressor

    if is_regressor(estimator):
        return "predict"
    wanted = ("decision_function", "predict") if is_outlier_detector(estimator) else METHODS
    found = next((method for method in wanted if hasattr(estimator, method)), None)
    if found is None:
        message = f"A {type(estimator).__name__} answers nothing: it has none of {', '.join(METHODS)}."
        raise WrongUsage(message, "Publish a fitted estimator or pipeline.")
    return found


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
