"""Keras models that a check passes to a student's function, and gets back: as files on the way, live at the ends."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from typing import Any

from mlops_lab.grade.cases import Failed
from mlops_lab.grade.wire import KerasFile

MOST_CONFIG = 2_000_000  # bytes of config.json


def is_model(value: Any) -> bool:
    """Whether a value is a Keras model; Keras is not imported for that."""
    return hasattr(value, "save") and any(kind.__module__.startswith("keras.") for kind in type(value).__mro__)


def live(value: Any) -> Any:
    """Return the model of a :class:`KerasFile`, not compiled; anything else as it is."""
    if not isinstance(value, KerasFile):
        return value
    import os
    import tempfile

    from mlops_lab.engines.quiet import import_keras

    with tempfile.TemporaryDirectory(prefix="mlops-lab-") as folder:
        path = os.path.join(folder, "model.keras")
        with open(path, "wb") as file:
            file.write(value.data)
        return import_keras().saving.load_model(path, compile=False, safe_mode=True)


def given(before: Sequence[Any], now: Sequence[Any], value: Any) -> Any:
    """Return what a function gave: where it gave nothing, the model that it was passed and may have changed."""
    models = [one for old, one in zip(before, now, strict=True) if isinstance(old, KerasFile)]
    return models[0] if value is None and models else value


def data_of(value: Any) -> bytes:
    """Return a model as the bytes of its ``.keras`` file; none where it does not know the shape of its inputs yet.

    Raises
    ------
    Failed
        It is no Keras model.
    """
    if isinstance(value, KerasFile):
        return value.data
    if not is_model(value):
        raise Failed("This is no Keras model.", hint="no-model", expected="a Keras model", received=value)
    if not value.built:
        return b""
    import os
    import tempfile

    with tempfile.TemporaryDirectory(prefix="mlops-lab-") as folder:
        path = os.path.join(folder, "model.keras")
        value.save(path)
        with open(path, "rb") as file:
            return file.read()


def config_of(data: bytes) -> dict[str, Any]:
    """Return the description in a ``.keras`` file, once the file is safe to read.

    Raises
    ------
    Failed
        It is no such file, or not safe.
    """
    from mlops_lab.store import safety

    if not data:
        raise Failed("The network does not know the shape of its inputs, so it has no numbers.", hint="unbuilt")
    verdict = safety.inspect(data)
    if not verdict.safe:
        raise Failed(f"The file is not safe: {verdict.findings[0].message}", hint="no-model")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive, archive.open("config.json") as file:
            config = json.loads(file.read(MOST_CONFIG))
    except (zipfile.BadZipFile, KeyError, ValueError, RecursionError) as error:
        raise Failed(f"This is no .keras file: {error}", hint="no-model") from None
    return config if isinstance(config, dict) else {}


def layers_of(config: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return the layers of a description, in order: the name of the class, and its own settings."""
    found = config.get("config", {}).get("layers", [])
    return [(str(one.get("class_name")), dict(one.get("config") or {})) for one in found if isinstance(one, dict)]


def weights_of(data: bytes) -> dict[str, Any]:
    """Return the numbers of the layers in a ``.keras`` file that is safe to read, by their path in it."""
    import h5py

    found: dict[str, Any] = {}

    def keep(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and not name.startswith("optimizer"):
            found[name] = item[()]

    with zipfile.ZipFile(io.BytesIO(data)) as archive, h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
        file.visititems(keep)
    return found
