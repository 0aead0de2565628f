"""Find what usually breaks before it does, and say how to mend it."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from mlops_lab import data, show
from mlops_lab.errors import LabError
from mlops_lab.store import ModelStore

FREE_BYTES = 1024**3


@dataclass(frozen=True)
class Finding:
    """What one look found.

    Parameters
    ----------
    subject
        What was looked at.
    state
        ``"ok"``, ``"warning"`` (something will not work) or ``"error"`` (the main job will not work).
    found
        What there is.
    fix
        What to do about it; empty where nothing is wrong.
    """

    subject: str
    state: str
    found: str
    fix: str = ""


@dataclass(frozen=True)
class Checkup:
    """Everything :func:`examine` found."""

    findings: tuple[Finding, ...]

    @property
    def healthy(self) -> bool:
        """Whether the main job can run."""
        return all(finding.state != "error" for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return the findings as plain values."""
        return {"healthy": self.healthy, "findings": [asdict(finding) for finding in self.findings]}

    def __str__(self) -> str:
        return "\n".join(f"{item.state:8} {item.subject}: {item.found} {item.fix}".rstrip() for item in self.findings)

    def _repr_html_(self) -> str:
        rows = [(show.Html(show.state(item.state)), item.subject, item.found, item.fix) for item in self.findings]
        title = "This environment is ready" if self.healthy else "Something here needs mending"
        return show.card(title, show.table(rows, ("state", "what", "found", "what to do")))


def examine(models: str | Path = "models", port: int = 8000) -> Checkup:
    """Look at Python, the packages, the data, the models folder, the port and the disk. Imports nothing heavy.

    Examples
    --------
    >>> examine().findings[0].subject
    'Python'
    """
    looks: list[Callable[[], Finding]] = [
        _python,
        _environment,
        _tensorflow,
        *(lambda name=name, why=why: _package(name, why) for name, why in _PACKAGES.items()),
        _data,
        lambda: _models(Path(models)),
        lambda: _port(port),
        lambda: _disk(Path(models)),
    ]
    return Checkup(tuple(look() for look in looks))


_PACKAGES = {
    "onnxruntime": "serves the models",
    "tf2onnx": "exports Keras models for it",
    "scikit-learn": "holds the digits and their model",
    "ipywidgets": "draws the widgets",
    "jupyterlab": "opens the notebooks",
}


def _python() -> Finding:
    return Finding("Python", "ok", ".".join(map(str, sys.version_info[:3])))


def _environment() -> Finding:
    if sys.prefix == sys.base_prefix and "CONDA_PREFIX" not in os.environ:
        return Finding("environment", "warning", "none of its own", "Run make setup, or python -m venv .venv.")
    return Finding("environment", "ok", sys.prefix)


def _tensorflow() -> Finding:
    versions = {name: _version(name) for name in ("tensorflow", "keras")}
    missing = [name for name, version in versions.items() if version is None]
    if missing:
        fix = "pip install tensorflow"
        return Finding("TensorFlow and Keras", "warning", f"{' and '.join(missing)} not installed: no training", fix)
    return Finding("TensorFlow and Keras", "ok", f"{versions['tensorflow']} and {versions['keras']}")


def _package(name: str, why: str) -> Finding:
    version = _version(name)
    if version is None:
        return Finding(name, "warning", f"not installed; it {why}", f"pip install {name}")
    return Finding(name, "ok", version)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _data() -> Finding:
    try:
        return Finding("Fashion-MNIST", "ok", repr(data.load("fashion-mnist"))[1:-1])
    except LabError as error:
        return Finding("Fashion-MNIST", "error", error.message, error.hint)


def _models(folder: Path) -> Finding:
    store = ModelStore(folder)
    try:
        found = [str(store.get(name, version)) for name in store.names() for version in store.versions(name)]
    except LabError as error:
        return Finding("models", "error", error.message, error.hint)
    if not found:
        return Finding("models", "warning", f"none in {folder}", "mlops-lab train publishes one.")
    return Finding("models", "ok", ", ".join(found))


def _port(port: int) -> Finding:
    with socket.socket() as probe:
        taken = probe.connect_ex(("127.0.0.1", port)) == 0
    if taken:
        return Finding(f"port {port}", "warning", "something listens there", "Serve on port 0 for a free one.")
    return Finding(f"port {port}", "ok", "free")


def _disk(folder: Path) -> Finding:
    parents = [path for path in (folder.absolute(), *folder.absolute().parents) if path.exists()]
    free = shutil.disk_usage(parents[0]).free
    text = f"{free / 1024**3:.1f} GiB free"
    if not os.access(parents[0], os.W_OK):
        return Finding("disk", "warning", f"{parents[0]} is not writable", "Choose another models folder.")
    return Finding("disk", "ok", text) if free > FREE_BYTES else Finding("disk", "warning", text, "Free some space.")
