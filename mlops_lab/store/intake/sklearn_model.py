"""scikit-learn estimators and pipelines: what they tell of their answers, and the files that they become."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mlops_lab.engines import onnx
from mlops_lab.engines.sklearn import METHODS, SklearnEngine, method_of
from mlops_lab.errors import LabError, MissingPackage
from mlops_lab.inputs import TEXT
from mlops_lab.predict import Predictor
from mlops_lab.signature import Signature
from mlops_lab.store.golden import ask, check_agreement
from mlops_lab.store.golden_arrays import TOLERANCE, Arrays
from mlops_lab.store.intake import trees
from mlops_lab.store.intake.onnx_model import keep_output
from mlops_lab.store.intake.quiet import brief, quiet_export
from mlops_lab.store.intake.source import OutputInfo, Source


def read_sklearn(estimator: Any) -> Source:
    """Return a fitted estimator with what it tells of itself.

    Raises
    ------
    WrongUsage
        It answers nothing.
    """
    ties = without_indices(estimator) is not estimator
    known = output_infos(estimator)
    return Source(
        estimator, "scikit-learn", SklearnEngine(estimator), _writer(estimator), output_infos=known, ties=ties
    )


def output_infos(estimator: Any) -> dict[str, OutputInfo]:
    """Return what an estimator tells of its outputs."""
    from sklearn.base import is_outlier_detector, is_regressor

    method = method_of(estimator)
    name, classes = METHODS[method], getattr(estimator, "classes_", None)
    if method == "predict_proba":
        if isinstance(classes, list):
            return {f"{name}_{place}": _classes("probabilities", part) for place, part in enumerate(classes)}
        return {name: _classes("probabilities", classes)}
    if method == "decision_function":
        if is_outlier_detector(estimator):
            return {name: OutputInfo("score", "anomaly")}
        return {name: _classes("scores", classes)}
    if method == "transform":
        return {name: OutputInfo("vector", "embedding")}
    return {name: OutputInfo("value", "regression")} if is_regressor(estimator) else {}


def _classes(kind: str, classes: Any) -> OutputInfo:
    if classes is None or isinstance(classes, list):
        return OutputInfo(kind)
    array = np.asarray(classes)
    return OutputInfo(kind, classes=tuple(map(str, array.tolist())), named=array.dtype.kind in "UO")


def _writer(estimator: Any) -> Any:
    def write(folder: Path, signature: Signature, examples: Arrays) -> list[str]:
        try:
            from skops import io as skops
        except ModuleNotFoundError as error:
            raise MissingPackage(f"{error.name} is not installed.", "pip install skops skl2onnx") from error

        notes = []
        try:
            skops.dump(without_indices(estimator), folder / "model.skops")
        except OSError:
            raise
        except Exception as error:
            notes.append(f"It has no file of skops: {brief(error)}")
        graph, reason = _onnx(estimator, signature, examples)
        if graph is None:
            notes.append(f"It is served by scikit-learn, for it has no ONNX form: {reason}")
        else:
            (folder / "model.onnx").write_bytes(graph)
        return notes

    return write


def without_indices(estimator: Any) -> Any:
    """Return an estimator of neighbours that searches all examples, where it has a tree of them; others as they are.

    scikit-learn follows the indices of such a tree unchecked, so a file of one is not safe to load.
    """
    from sklearn.base import clone

    steps = getattr(estimator, "steps", None)
    if steps:
        last = without_indices(steps[-1][1])
        if last is steps[-1][1]:
            return estimator
        changed = copy.copy(estimator)
        changed.steps = [*steps[:-1], (steps[-1][0], last)]
        return changed
    if getattr(estimator, "_tree", None) is None or not hasattr(estimator, "_fit_X"):
        return estimator
    plain = clone(estimator).set_params(algorithm="brute")
    truth = getattr(estimator, "_y", None)
    if truth is not None and hasattr(estimator, "classes_") and not isinstance(estimator.classes_, list):
        truth = estimator.classes_[truth]
    return plain.fit(estimator._fit_X) if truth is None else plain.fit(estimator._fit_X, truth)


def _onnx(estimator: Any, signature: Signature, examples: Arrays) -> tuple[bytes | None, str]:
    """Return the first ONNX form that answers as the estimator does, or why there is none."""
    spec = signature.inputs[0]
    if len(signature.inputs) > 1 or spec.dtype == TEXT:
        return None, "it takes text, or columns of several types"
    older = {"": 17, "ai.onnx.ml": 3}
    ways: list[Callable[[], bytes]] = [
        partial(_convert, estimator, signature, dtype, opset, options)
        for options in _options(estimator)
        for dtype, opset in ((spec.dtype, None), ("float32", None), ("float32", older), (spec.dtype, older))
    ]
    if type(estimator).__name__.startswith("HistGradientBoosting"):
        ways = [partial(trees.from_histogram, estimator, signature)]
    answers = ask(Predictor.of(signature, SklearnEngine(estimator)), examples)
    reason = ""
    for convert in ways:
        try:
            with quiet_export():
                graph = convert()
                found = ask(Predictor.of(signature, onnx.load(graph)), examples)
            check_agreement("onnx", answers, found, TOLERANCE)
            return graph, ""
        except ModuleNotFoundError as error:
            raise MissingPackage(f"{error.name} is not installed.", "pip install skops skl2onnx") from error
        except Exception as error:  # skl2onnx and ONNX Runtime raise whatever they like
            reason = reason or (error.message if isinstance(error, LabError) else brief(error))
    return None, reason


def _options(estimator: Any) -> list[dict[str, bool] | None]:
    """Return the options of the converter that give an array of the numbers that are wanted."""
    if not hasattr(estimator, "classes_"):
        return [None]
    # Without zipmap, probabilities are an array and not a list of dictionaries.
    plain: dict[str, bool] | None = {"zipmap": False}
    return [plain, {"raw_scores": True}] if method_of(estimator) == "decision_function" else [plain]


def _convert(estimator: Any, signature: Signature, dtype: str, opset: Any, options: dict[str, bool] | None) -> bytes:
    from skl2onnx import to_onnx

    example = np.zeros((1, int(np.prod(signature.inputs[0].least_shape))), dtype)
    chosen = None if options is None else {id(estimator): options}
    graph = to_onnx(estimator, example, options=chosen, target_opset=opset)
    found = [output.name for output in graph.graph.output]
    name = METHODS[method_of(estimator)]
    wanted = ("scores", "probabilities") if name == "scores" else (name, "variable")
    kept, renamed = next((item for item in wanted if item in found), found[-1]), signature.outputs[0].name
    for node in graph.graph.node:
        node.output[:] = [renamed if item == kept else item for item in node.output]
        node.input[:] = [renamed if item == kept else item for item in node.input]
    keep_output(graph.graph, kept)
    graph.graph.output[0].name = renamed
    return bytes(graph.SerializeToString())
