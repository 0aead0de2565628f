"""Judge the settings of ``compile``: the losses, metrics and optimizers that a model was trained with.

A prediction needs none of them, so what stands only here is left out by ``load_model(path, compile=False)``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mlops_lab.store.compat import keys
from mlops_lab.store.compat.description import Incompatibility
from mlops_lab.store.compat.formats import ModelFile
from mlops_lab.store.compat.keys import KerasTarget

NEEDED = ("optimizer_config", "loss_weights")  # Keras reads them from an .h5 file without asking whether they are there
FREE = ("accuracy", "acc", "crossentropy", "ce")  # Keras chooses the metric by the shape of the output
KINDS = {"loss": "losses", "metrics": "metrics", "weighted_metrics": "metrics"}
COMPILE = {
    "optimizer", "loss", "loss_weights", "metrics", "weighted_metrics", "run_eagerly", "steps_per_execution",
    "jit_compile", "auto_scale_loss",
}  # fmt: skip


def incompatibilities(file: ModelFile, target: KerasTarget) -> list[Incompatibility]:
    """Object to settings of ``compile`` that the target does not read."""
    if file.training:
        return [*_missing(file.training), *_h5_names(file.training, target)]
    settings = file.config.get("compile_config")
    return _settings(settings, target) if isinstance(settings, dict) else []


def _object(where: str, key: str, value: Any, message: str) -> Incompatibility:
    return Incompatibility(where, "compile", key, value, f"{where}: {message}", training=True)


def _missing(training: dict[str, Any]) -> list[Incompatibility]:
    lacking = [key for key in NEEDED if key not in training]
    return [_object("the training settings", key, None, f"the key '{key}' is missing.") for key in lacking]


def _h5_names(training: dict[str, Any], target: KerasTarget) -> list[Incompatibility]:
    """Object to names of losses and metrics that Keras does not read from an ``.h5`` file.

    It reads them by a function of its own, which lost the short names in Keras 3: ``"mse"`` is refused there and
    ``"mean_squared_error"`` is not.
    """
    found = []
    for key, kind in KINDS.items():
        where = f"the {'loss' if kind == 'losses' else 'metrics'}"
        for name, alone in _names(training.get(key), alone=True):
            if (kind == "metrics" and name in FREE) or keys.has_function(f"{kind} in .h5", name, target.row):
                continue
            if keys.has_function(kind, name, target.row):
                message = f"{target.keras_name} does not read the name '{name[:64]}' from an .h5 file."
            elif alone or target.major == 2:
                message = f"{target.keras_name} has no '{name[:64]}'; it may be your own. The file holds its name only."
            else:
                continue  # Keras 3 asks for it when the model is trained, not when it is loaded
            found.append(_object(where, key, name, message))
    return found


def _names(value: Any, *, alone: bool) -> Iterator[tuple[str, bool]]:
    """Yield the names in lists and dictionaries of losses or metrics, and whether each stands alone."""
    if isinstance(value, str):
        yield value, alone
    elif isinstance(value, list):
        for child in value:
            yield from _names(child, alone=False)
    elif isinstance(value, dict) and "class_name" not in value:
        for child in value.values():
            yield from _names(child, alone=False)


def _settings(settings: dict[str, Any], target: KerasTarget) -> list[Incompatibility]:
    """Object to keys that ``compile`` does not take, and to an optimizer that it does not know by name."""
    if target.major == 2:
        return []
    found = [
        _object("the training settings", key, settings[key], f"{target.keras_name}'s compile has no '{key}'.")
        for key in settings.keys() - COMPILE
    ]
    name = settings.get("optimizer")
    if isinstance(name, str) and not keys.has_class("optimizers", name, target.row):
        found.append(_object("the optimizer", "optimizer", name, f"{target.keras_name} has no '{name[:64]}'."))
    return found
