"""The machine: Python, the packages, the data, the models folder, the port and the disk."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from importlib import metadata
from pathlib import Path

from mlops_lab import data
from mlops_lab.doctor.findings import Finding
from mlops_lab.errors import LabError
from mlops_lab.serve.ports import holder
from mlops_lab.store import ModelStore

FREE_BYTES = 1024**3
PACKAGES = {
    "onnxruntime": "serves the models",
    "tf2onnx": "exports Keras models for it",
    "scikit-learn": "holds the digits and their model",
    "ipywidgets": "draws the widgets",
    "jupyterlab": "opens the notebooks",
}


def python() -> Finding:
    """Look at Python itself."""
    return Finding("Python", "ok", ".".join(map(str, sys.version_info[:3])))


def environment() -> Finding:
    """Look whether the packages are in an environment of their own."""
    if sys.prefix == sys.base_prefix and "CONDA_PREFIX" not in os.environ:
        return Finding("environment", "warning", "none of its own", "Run make setup, or python -m venv .venv.")
    return Finding("environment", "ok", sys.prefix)


def tensorflow() -> Finding:
    """Look at TensorFlow and Keras; neither is imported."""
    versions = {name: _version(name) for name in ("tensorflow", "keras")}
    missing = [name for name, version in versions.items() if version is None]
    if missing:
        fix = "pip install tensorflow"
        return Finding("TensorFlow and Keras", "warning", f"{' and '.join(missing)} not installed: no training", fix)
    found = f"{versions['tensorflow']} and {versions['keras']}"
    if wanted := _mismatch(str(versions["keras"])):
        return Finding("TensorFlow and Keras", "warning", f"{found}, which do not fit", f"pip install '{wanted}'")
    if os.environ.get("TF_USE_LEGACY_KERAS", "").lower() in ("1", "true"):
        found = f"{found}, but TF_USE_LEGACY_KERAS makes TensorFlow use Keras 2, which reads other files"
        return Finding("TensorFlow and Keras", "warning", found, "Unset it and restart the kernel.")
    return Finding("TensorFlow and Keras", "ok", found)


def _mismatch(keras: str) -> str:
    """Return what TensorFlow asks of Keras, if this version is not it."""
    from packaging.requirements import Requirement

    wanted = [Requirement(line) for line in metadata.requires("tensorflow") or ()]
    unmet = [item for item in wanted if item.name == "keras" and not item.specifier.contains(keras, prereleases=True)]
    return str(unmet[0]) if unmet else ""


def package(name: str, why: str) -> Finding:
    """Look for a package."""
    version = _version(name)
    if version is None:
        return Finding(name, "warning", f"not installed; it {why}", f"pip install {name}")
    return Finding(name, "ok", version)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def fashion_mnist() -> Finding:
    """Read the data set and check it."""
    try:
        return Finding("Fashion-MNIST", "ok", repr(data.load("fashion-mnist"))[1:-1])
    except LabError as error:
        return Finding("Fashion-MNIST", "error", error.message, error.hint)


def models(folder: Path) -> Finding:
    """Look at every published version."""
    store = ModelStore(folder)
    try:
        found = [str(store.get(name, version)) for name in store.names() for version in store.versions(name)]
    except LabError as error:
        return Finding("models", "error", error.message, error.hint)
    if not found:
        return Finding("models", "warning", f"none in {folder}", "mlops-lab train publishes one.")
    return Finding("models", "ok", ", ".join(found))


def port(port: int) -> Finding:
    """Look whether a port is free, and who holds it."""
    with socket.socket() as probe:
        taken = probe.connect_ex(("127.0.0.1", port)) == 0
    if taken:
        found = holder("127.0.0.1", port)
        return Finding(f"port {port}", "warning", f"held by {found.who}", found.fix)
    return Finding(f"port {port}", "ok", "free")


def disk(folder: Path) -> Finding:
    """Look at the room that is left."""
    parents = [path for path in (folder.absolute(), *folder.absolute().parents) if path.exists()]
    free = shutil.disk_usage(parents[0]).free
    text = f"{free / 1024**3:.1f} GiB free"
    if not os.access(parents[0], os.W_OK):
        return Finding("disk", "warning", f"{parents[0]} is not writable", "Choose another models folder.")
    return Finding("disk", "ok", text) if free > FREE_BYTES else Finding("disk", "warning", text, "Free some space.")
