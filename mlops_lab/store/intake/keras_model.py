"""Keras models: what they tell of their inputs and outputs, and the files that they become."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlops_lab.engines.keras import KerasEngine, output_names
from mlops_lab.engines.quiet import import_keras
from mlops_lab.errors import WrongUsage
from mlops_lab.inputs import TEXT
from mlops_lab.signature import Signature
from mlops_lab.store.golden_arrays import TOLERANCE
from mlops_lab.store.intake.quiet import brief, quiet_export
from mlops_lab.store.intake.source import OutputInfo, Slot, Source
from mlops_lab.store.keras_file import save_keras

# What TensorFlow takes for the name of a scope.
SCOPE = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*")
# What Keras calls an input that was given no name.
UNNAMED = ("keras_tensor", "input_layer", "input_")
ACTIVATIONS = {"softmax": "softmax", "sigmoid": "sigmoid", "linear": "linear"}
REGRESSION = ("squared", "absolute", "mse", "mae", "huber", "log_cosh", "poisson")


def read_keras(model: Any) -> Source:
    """Return a Keras model with what it tells of itself.

    Raises
    ------
    WrongUsage
        TensorFlow takes its name for no scope, so that it can neither be traced nor exported.
    """
    import_keras()
    if not SCOPE.fullmatch(str(getattr(model, "name", "model"))):
        good = re.sub("[^A-Za-z0-9_.-]+", "_", model.name).strip("_.-") or "model"
        message = f"The model is named {model.name!r}, and TensorFlow takes only letters, digits and _ . - / in a name."
        raise WrongUsage(message, f"Give it another: model.name = {good!r}.")
    inputs = [Slot(name, tuple(tensor.shape[1:]), _dtype(tensor.dtype)) for name, tensor in _inputs(model).items()]
    half = any(str(getattr(layer, "compute_dtype", "")).endswith("float16") for layer in _layers(model))
    return Source(
        model,
        "keras",
        KerasEngine(model),
        lambda folder, signature, _: _write(model, folder, signature),
        tuple(inputs),
        _output_infos(model),
        scales=any(type(layer).__name__ in ("Rescaling", "Normalization") for layer in _layers(model)[:4]),
        tolerance=2e-2 if half else TOLERANCE,
    )


def _inputs(model: Any) -> dict[str, Any]:
    """Return the tensors that a model takes, by the names of its dictionary, or else of its layers."""
    structure = getattr(model, "_inputs_struct", None)
    if isinstance(structure, dict):
        return {str(name): tensor for name, tensor in structure.items()}
    tensors = list(getattr(model, "inputs", None) or [])
    names = [_name(tensor.name) for tensor in tensors]
    unnamed = len(set(names)) != len(names)
    return {f"input_{n}" if unnamed else names[n]: tensor for n, tensor in enumerate(tensors)}


def _outputs(model: Any) -> dict[str, Any]:
    """Return the tensors that a model answers, by the names that its engine gives them."""
    structure = getattr(model, "_outputs_struct", None)
    if isinstance(structure, dict):
        return {str(name): tensor for name, tensor in structure.items()}
    tensors = list(getattr(model, "outputs", None) or [])
    return dict(zip(output_names(model, structure), tensors, strict=False)) if tensors else {}


def _layers(model: Any) -> list[Any]:
    return list(getattr(model, "layers", ()))


def _name(name: str) -> str:
    return "input" if name.startswith(UNNAMED) else name


def _dtype(dtype: Any) -> str:
    return TEXT if str(dtype) == "string" else str(dtype)


def _output_infos(model: Any) -> dict[str, OutputInfo]:
    """Return what the last layers and the losses tell of each output."""
    outputs = _outputs(model)
    if not outputs:
        last = _layers(model)[-1:]
        return {"output_0": _output_info(last[0], getattr(model, "loss", None), None)} if last else {}
    loss = getattr(model, "loss", None)
    output_infos = {}
    for place, (name, tensor) in enumerate(outputs.items()):
        layer = getattr(getattr(tensor, "_keras_history", None), "operation", None)
        own = loss.get(name) if isinstance(loss, dict) else loss[place] if isinstance(loss, list) else loss
        output_infos[name] = _output_info(layer, own, tuple(tensor.shape[1:]))
    return output_infos


def _output_info(layer: Any, loss: Any, shape: tuple[int | None, ...] | None) -> OutputInfo:
    while _layers(layer):  # a model inside of the model
        layer = _layers(layer)[-1]
    activation = getattr(getattr(layer, "activation", None), "__name__", "")
    kind = "softmax" if type(layer).__name__ == "Softmax" else ACTIVATIONS.get(activation, "")
    kind = "sigmoid" if type(layer).__name__ == "Sigmoid" else kind
    name, settings = _loss(loss)
    row = shape is None or len(shape) == 1
    if row and any(word in name for word in REGRESSION):
        return OutputInfo("value", "regression", shape)
    if row and kind == "linear" and settings.get("from_logits") and "crossentropy" in name:
        task = "classification" if "categorical" in name else "binary" if shape and shape[-1] == 1 else "multilabel"
        return OutputInfo("linear", task, shape)  # type: ignore[arg-type]
    return OutputInfo(kind, None, shape)


def _loss(loss: Any) -> tuple[str, dict[str, Any]]:
    """Return the name of a loss in small letters, and its settings."""
    if loss is None or isinstance(loss, str):
        return (loss or "").lower(), {}
    name = getattr(loss, "name", None) or getattr(loss, "__name__", type(loss).__name__)
    settings = getattr(loss, "_fn_kwargs", None) or {}
    return str(name).lower(), {"from_logits": getattr(loss, "from_logits", False), **settings}


def _write(model: Any, folder: Path, signature: Signature) -> list[str]:
    keras = import_keras()
    notes: list[str] = []
    _attempt(notes, "It has no file of Keras", lambda: save_keras(model, folder / "model.keras"))
    specs = [
        keras.InputSpec("string" if spec.dtype == TEXT else spec.dtype, (None, *spec.shape), name=spec.name)
        for spec in signature.inputs
    ]
    exported, given = _named(keras, model, signature, specs)
    saved = _attempt(
        notes,
        "TensorFlow Serving cannot serve it, for it has no SavedModel",
        lambda: exported.export(folder, verbose=False, input_signature=given),
    )
    assets = folder / "assets"
    if assets.is_dir() and not any(assets.iterdir()):
        assets.rmdir()  # empty, and git would not keep it
    if not saved:
        remove_saved_model(folder)
    onnx = _attempt(
        notes,
        "It is served by Keras, for it has no ONNX form",
        lambda: exported.export(folder / "model.onnx", format="onnx", verbose=False, input_signature=given),
    )
    if not onnx:
        (folder / "model.onnx").unlink(missing_ok=True)
    return notes


def remove_saved_model(folder: Path) -> None:
    """Remove what TensorFlow Serving would read."""
    for name in ("saved_model.pb", "fingerprint.pb"):
        (folder / name).unlink(missing_ok=True)
    for name in ("variables", "assets"):
        shutil.rmtree(folder / name, ignore_errors=True)


def _named(keras: Any, model: Any, signature: Signature, specs: list[Any]) -> tuple[Any, list[Any]]:
    """Return the model over dictionaries of named tensors where it has several, so that the names are kept."""
    plain = len(specs) == len(signature.outputs) == 1 and not isinstance(getattr(model, "_inputs_struct", None), dict)
    if plain or not getattr(model, "inputs", None):
        given = specs if len(specs) == 1 else [{spec.name: spec for spec in specs}]
        return model, given
    return keras.Model(_inputs(model), _outputs(model)), [{spec.name: spec for spec in specs}]


def _attempt(notes: list[str], without: str, write: Callable[[], object]) -> bool:
    """Write one form of the model; where its converter fails, note what the version goes without, and why."""
    try:
        with quiet_export():
            write()
    except OSError:
        raise
    except Exception as error:  # a converter raises whatever it likes
        notes.append(f"{without}: {brief(error)}")
        return False
    return True
