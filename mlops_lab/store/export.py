"""Export a training run to the files that each engine reads."""

from __future__ import annotations

import contextlib
import io
import json
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mlops_lab.engines import onnx
from mlops_lab.engines.keras import KerasEngine
from mlops_lab.engines.quiet import import_keras
from mlops_lab.engines.sklearn import SklearnEngine
from mlops_lab.errors import DamagedArtifact, MissingPackage, WrongUsage
from mlops_lab.image import InputSpec
from mlops_lab.predict import Engine
from mlops_lab.store.keras_file import save_keras


class Run(Protocol):
    """The interface that :meth:`ModelStore.publish` needs; :class:`mlops_lab.train.TrainingRun` has it."""

    @property
    def model(self) -> Any:
        """The trained model."""

    @property
    def framework(self) -> str:
        """``"keras"`` or ``"scikit-learn"``."""

    @property
    def input(self) -> InputSpec:
        """The input of the model."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of its classes."""

    @property
    def metrics(self) -> Mapping[str, float]:
        """Its metrics, such as the test accuracy."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """The settings of the training."""

    @property
    def data(self) -> Mapping[str, Any]:
        """The training data and its checksum."""

    @property
    def seed(self) -> int | None:
        """The seed of its random numbers."""

    @property
    def examples(self) -> NDArray[Any]:
        """Example inputs, whose outputs become the golden examples."""


def export_run(run: Run, folder: Path) -> Engine:
    """Write every form of the model and return the engine that the others must agree with."""
    exporters = {"keras": _export_keras, "scikit-learn": _export_sklearn, "onnx": _export_onnx}
    if run.framework not in exporters:
        raise WrongUsage(
            f"A {run.framework!r} model cannot be published.", "Publish a Keras, scikit-learn or ONNX model."
        )
    return exporters[run.framework](run, folder)


def _export_keras(run: Run, folder: Path) -> Engine:
    import_keras()
    save_keras(run.model, folder / "model.keras")
    with quiet_export():
        run.model.export(folder, verbose=False)
        (folder / "assets").rmdir()  # empty, and git would not keep it
        run.model.export(folder / "model.onnx", format="onnx", verbose=False)
    return KerasEngine(run.model)


def _export_sklearn(run: Run, folder: Path) -> Engine:
    try:
        from skl2onnx import to_onnx
        from skops import io as skops
    except ModuleNotFoundError as error:
        raise MissingPackage(f"{error.name} is not installed.", "pip install skops skl2onnx") from error

    skops.dump(run.model, folder / "model.skops")
    example = run.input.zeros()
    # Without zipmap, probabilities are an array and not a list of dictionaries.
    graph = to_onnx(run.model, example, options={id(run.model): {"zipmap": False}})
    (folder / "model.onnx").write_bytes(graph.SerializeToString())
    return SklearnEngine(run.model)


def _export_onnx(run: Run, folder: Path) -> Engine:
    (folder / "model.onnx").write_bytes(run.model)
    return onnx.load(run.model)


@contextlib.contextmanager
def quiet_export() -> Iterator[None]:
    """Keep the converters' own remarks off the screen; their errors still come through."""
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield


def count_parameters(run: Run) -> dict[str, int]:
    """Return the numbers in the saved model, and how many of them training moves.

    Keras prints all of them as ``Total params``: for the trained LeNet-5, 44,426 weights and 88,854 variables of Adam
    (two for each weight, its step counter and its learning rate) make 133,280.
    """
    if run.framework == "keras":
        weights = sum(int(np.prod(weight.shape)) for weight in run.model.weights)
        trainable = sum(int(np.prod(weight.shape)) for weight in run.model.trainable_weights)
        optimizer = getattr(run.model, "optimizer", None)
        state = sum(int(np.prod(variable.shape)) for variable in optimizer.variables) if optimizer else 0
    else:
        weights = trainable = sum(_fitted_numbers(run.model) if run.framework != "onnx" else _initializers(run.model))
        state = 0
    return {
        "number_of_parameters": weights + state,
        "trainable_parameters": trainable,
        "optimizer_parameters": state,
    }


def _initializers(model: bytes) -> list[int]:
    """Return the sizes of an ONNX graph's weights: its constants that are not whole numbers."""
    import onnx as format

    graph = format.load_from_string(model).graph
    floats = {format.TensorProto.FLOAT, format.TensorProto.FLOAT16, format.TensorProto.DOUBLE}
    return [int(np.prod(tensor.dims)) for tensor in graph.initializer if tensor.data_type in floats]


def _fitted_numbers(estimator: Any) -> list[int]:
    """Return the sizes of what a scikit-learn estimator learned: coefficients and intercepts, step by step."""
    steps = [step for _, step in estimator.steps] if hasattr(estimator, "steps") else [estimator]
    learned = [getattr(step, name, None) for step in steps for name in ("coef_", "coefs_", "intercept_", "intercepts_")]
    arrays = [array for item in learned if item is not None for array in (item if isinstance(item, list) else [item])]
    return [int(np.size(array)) for array in arrays]


def check_agreement(engine: str, expected: NDArray[np.float32], received: NDArray[np.float32], limit: float) -> None:
    """Raise :class:`DamagedArtifact` where an engine answers something else than the model that was trained."""
    worst: float | str = f"shape {received.shape}"
    if expected.shape == received.shape:
        # In float64, where not even the two ends of float32 are too far apart.
        worst = float(np.abs(expected.astype(np.float64) - received).max())
        if worst <= limit:
            return
    raise DamagedArtifact(
        f"The {engine} engine does not answer as the golden examples say: it differs by {worst}, the limit is {limit}.",
        "Publish the version again; if it happens again, the model cannot be exported faithfully.",
    )


def card(manifest: Mapping[str, Any]) -> str:
    """Return the version's README: what it is and how to ask it."""
    metrics = "\n".join(f"| {name.replace('_', ' ')} | {value:.4f} |" for name, value in manifest["metrics"].items())
    address = f"/models/{manifest['name']}/v{manifest['version']}"
    return f"""# {manifest["name"]} v{manifest["version"]}

{manifest["description"] or "A classifier."}

Labels: {", ".join(manifest["labels"])}.

| metric | value |
|---|---|
{metrics}

{manifest["number_of_parameters"]:,} parameters, of which {manifest["trainable_parameters"]:,} are weights that training
moves and {manifest["optimizer_parameters"]:,} belong to the optimizer. Trained with {manifest["framework"]} on
{manifest["data"].get("name", "unnamed data")}, seed {manifest["seed"]}: `{json.dumps(manifest["training"])}`.

Ask it: `curl --data-binary @image.png -H "Content-Type: image/png" http://127.0.0.1:8000{address}`
"""
