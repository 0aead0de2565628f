"""XGBoost and LightGBM: estimators and native boosters, published as ONNX."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.engines.sklearn import SklearnEngine
from mlops_lab.signature import Signature
from mlops_lab.store.golden_arrays import Arrays
from mlops_lab.store.intake import trees
from mlops_lab.store.intake.sklearn_model import output_infos
from mlops_lab.store.intake.source import OutputInfo, Slot, Source

CONVERTERS: dict[str, Callable[[Any, Signature], bytes]] = {
    "xgboost": trees.from_xgboost,
    "lightgbm": trees.from_lightgbm,
}


class BoosterEngine:
    """A native booster, asked as its own package does it."""

    def __init__(self, booster: Any, package: str) -> None:
        self.booster, self.package = booster, package

    def predict(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return ``(n, classes)``."""
        return next(iter(self.run({"input": inputs}).values())).astype(np.float32)

    def run(self, inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return ``(n, classes)`` probabilities, or ``(n,)`` values."""
        (array,) = inputs.values()
        answer = np.asarray(self._ask(array))
        if self._binary():
            return {"probabilities": np.stack([1 - answer, answer], axis=1).astype(np.float32)}
        return {"probabilities": answer.astype(np.float32)} if answer.ndim == 2 else {"value": answer}

    def _ask(self, array: NDArray[Any]) -> Any:
        if self.package == "lightgbm":
            return self.booster.predict(array)
        import xgboost

        names = self.booster.feature_names
        return self.booster.predict(xgboost.DMatrix(array, feature_names=names))

    def _binary(self) -> bool:
        if self.package == "lightgbm":
            return str(self.booster.dump_model(num_iteration=1)["objective"]).startswith("binary")
        return '"binary:logistic"' in self.booster.save_config()


def read_booster(model: Any) -> Source:
    """Return a model of XGBoost or LightGBM with what it tells of itself."""
    package = type(model).__module__.split(".")[0]
    estimator = hasattr(model, "get_params")
    engine: Any = SklearnEngine(model) if estimator else BoosterEngine(model, package)

    def write(folder: Path, signature: Signature, _: Arrays) -> list[str]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            graph = CONVERTERS[package](_booster(model, package), signature)
        (folder / "model.onnx").write_bytes(graph)
        return []

    # XGBoost works in float32, whatever it is given.
    slots = (Slot("input", None, "float32" if package == "xgboost" else "float64"),)
    booster = {"probabilities": OutputInfo("probabilities"), "value": OutputInfo("value", "regression")}
    known = output_infos(model) if estimator else booster
    return Source(model, package, engine, write, slots, known)


def _booster(model: Any, package: str) -> Any:
    """Return the native booster of an estimator, without the rounds that early stopping leaves out."""
    if package == "lightgbm":
        return getattr(model, "booster_", model)
    booster = model.get_booster() if hasattr(model, "get_booster") else model
    best = booster.attributes().get("best_iteration") if hasattr(model, "get_booster") else None
    return booster if best is None else booster[: int(best) + 1]
