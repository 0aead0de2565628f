"""Recognise the framework of a model: of an object, or of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlops_lab.errors import WrongUsage
from mlops_lab.store import safety
from mlops_lab.store.intake.source import Source
from mlops_lab.store.trial import trial_load

KINDS = "a Keras model, a scikit-learn, XGBoost or LightGBM estimator, a function, or a .onnx, .keras or .skops file"


def recognised(model: Any, *, trust: bool = False, framework: str = "") -> Source:
    """Return a model with what its framework tells of it.

    Parameters
    ----------
    model
        An object of Keras, scikit-learn, XGBoost or LightGBM, a function, a class of one's own with ``predict``, or
        the path of a file.
    trust
        Whether you know who made the file: spares the trial in a limited child process.
    framework
        The framework, where it is known.

    Raises
    ------
    WrongUsage
        It is nothing that can be published.
    UnsafeFile
        The file does more than hold a model, or failed its trial.
    """
    if isinstance(model, str | Path):
        return _file(Path(model), trust)
    if isinstance(model, bytes):
        safety.audit(model, max_bytes=safety.HARD_LIMIT)
        return _onnx(model, framework == "onnx" or trust)
    package = type(model).__module__.split(".")[0]
    bases = {base.__module__.split(".")[0] for base in type(model).__mro__}
    if package in ("xgboost", "lightgbm"):
        from mlops_lab.store.intake.boosting import read_booster

        return read_booster(model)
    if framework == "keras" or "keras" in bases:
        from mlops_lab.store.intake.keras_model import read_keras

        return read_keras(model)
    if framework == "scikit-learn" or "sklearn" in bases or hasattr(model, "get_params"):
        from mlops_lab.store.intake.sklearn_model import read_sklearn

        return read_sklearn(model)
    if not isinstance(model, type) and (callable(model) or callable(getattr(model, "predict", None))):
        from mlops_lab.store.intake.code import read_code

        return read_code(model)
    message = f"A {type(model).__name__} alone cannot be published: its input, labels and examples are not known."
    raise WrongUsage(message, f"Pass {KINDS}; or what train.fit returned.")


def _file(path: Path, trust: bool) -> Source:
    if path.suffix == ".py":
        from mlops_lab.store.intake.code import read_code_file

        return read_code_file(path)
    source = safety.read(path, max_bytes=safety.HARD_LIMIT)
    report = safety.audit(source, max_bytes=safety.HARD_LIMIT)
    if report.format == "onnx":
        return _onnx(source.data, trust)
    if report.format == "skops":
        from mlops_lab.engines import sklearn
        from mlops_lab.store.intake.sklearn_model import read_sklearn

        return read_sklearn(sklearn.load(source.data).estimator)
    if path.suffix in (".keras", ".h5"):
        from mlops_lab.store.intake.keras_model import read_keras
        from mlops_lab.store.keras_file import load_keras

        return read_keras(load_keras(path, trust=trust))
    raise WrongUsage(f"{path} is {report.format}, which cannot be published.", f"Pass {KINDS}.")


def _onnx(data: bytes, trust: bool) -> Source:
    """Return an ONNX model that was audited, once it has passed its trial."""
    from mlops_lab.store.intake.onnx_model import read_onnx

    if not trust:
        trial_load(data, format="onnx").require_passed()
    return read_onnx(data)
