"""Checks of the machine: Python, the packages, the data, the models folder, the port and the disk."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from importlib import metadata
from pathlib import Path

from mlops_lab import data
from mlops_lab.errors import LabError
from mlops_lab.findings import Finding
from mlops_lab.serve.ports import find_port_owner
from mlops_lab.store import ModelStore
from mlops_lab.store.compat.keys import installed

FREE_BYTES = 1024**3
PACKAGES = (
    ("onnxruntime", "runs the models"),
    ("tf2onnx", "exports Keras models to ONNX"),
    ("scikit-learn", "has the digits data set and trains its model"),
    ("ipywidgets", "draws the widgets"),
    ("jupyterlab", "opens the notebooks"),
)


def warning(name: str, message: str, hint: str = "") -> Finding:
    """Return a finding that does not fail the checkup."""
    return Finding(False, message, hint, name=name, severity="warning")


def python() -> Finding:
    """Report the version of Python."""
    return Finding(True, ".".join(map(str, sys.version_info[:3])), name="Python")


def environment() -> Finding:
    """Check that the packages are installed in a virtual environment."""
    if sys.prefix == sys.base_prefix and "CONDA_PREFIX" not in os.environ:
        return warning("environment", "There is no virtual environment.", "Run make setup, or python -m venv .venv.")
    return Finding(True, sys.prefix, name="environment")


def tensorflow() -> Finding:
    """Check that TensorFlow and Keras are installed and compatible; neither is imported."""
    name = "TensorFlow and Keras"
    versions = {package: installed(package) for package in ("tensorflow", "keras")}
    missing = [package for package, version in versions.items() if version is None]
    if missing:
        message = f"{' and '.join(missing)} not installed: training is not available."
        return warning(name, message, "pip install tensorflow")
    found = f"{versions['tensorflow']} and {versions['keras']}"
    if wanted := _mismatch(str(versions["keras"])):
        return warning(name, f"The versions {found} are incompatible.", f"pip install '{wanted}'")
    if os.environ.get("TF_USE_LEGACY_KERAS", "").lower() in ("1", "true"):
        message = f"{found}, but TF_USE_LEGACY_KERAS makes TensorFlow use Keras 2, whose file format is different."
        return warning(name, message, "Unset the variable and restart the kernel.")
    return Finding(True, found, name=name)


def _mismatch(keras: str) -> str:
    """Return TensorFlow's requirement on Keras, if this version does not meet it."""
    from packaging.requirements import Requirement

    wanted = [Requirement(line) for line in metadata.requires("tensorflow") or ()]
    unmet = [item for item in wanted if item.name == "keras" and not item.specifier.contains(keras, prereleases=True)]
    return str(unmet[0]) if unmet else ""


def package(name: str, purpose: str) -> Finding:
    """Check that a package is installed."""
    version = installed(name)
    if version is None:
        return warning(name, f"The package is not installed; it {purpose}.", f"pip install {name}")
    return Finding(True, version, name=name)


def fashion_mnist() -> Finding:
    """Load Fashion-MNIST, which verifies the checksums of its files."""
    try:
        return Finding(True, repr(data.load("fashion-mnist"))[1:-1], name="Fashion-MNIST")
    except LabError as error:
        return Finding(False, error.message, error.hint, name="Fashion-MNIST")


def models(folder: Path) -> Finding:
    """Check every published version."""
    store = ModelStore(folder)
    try:
        found = [str(store.get(name, version)) for name in store.names() for version in store.versions(name)]
    except LabError as error:
        return Finding(False, error.message, error.hint, name="models")
    if not found:
        return warning("models", f"There are no models in {folder}.", "mlops-lab train publishes one.")
    return Finding(True, ", ".join(found), name="models")


def port(port: int) -> Finding:
    """Check that a port is free, or tell which process uses it."""
    name = f"port {port}"
    with socket.socket() as probe:
        taken = probe.connect_ex(("127.0.0.1", port)) == 0
    if taken:
        found = find_port_owner("127.0.0.1", port)
        return warning(name, f"The port is in use by {found.description}.", found.hint)
    return Finding(True, "free", name=name)


def disk(folder: Path) -> Finding:
    """Check the free space on the disk of the models folder, and that it is writable."""
    existing = [path for path in (folder.absolute(), *folder.absolute().parents) if path.exists()]
    free = shutil.disk_usage(existing[0]).free
    message = f"{free / 1024**3:.1f} GiB free"
    if not os.access(existing[0], os.W_OK):
        return warning("disk", f"{existing[0]} is not writable.", "Choose another models folder.")
    return Finding(True, message, name="disk") if free > FREE_BYTES else warning("disk", message, "Free some space.")
