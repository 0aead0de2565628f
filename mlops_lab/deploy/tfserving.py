"""The values of the TensorFlow Serving files, which serve a model's folder without a conversion."""

from __future__ import annotations

import json
import platform
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mlops_lab.errors import StoreError
from mlops_lab.store.models import ModelStore

# The newest release with an image when this was written; it reads the exports of TensorFlow 2.21.
IMAGE = "tensorflow/serving:2.20.0"
CPUS = 2
# The last one is also the largest request; 256 is also the limit of our own server.
BATCHES = (1, 4, 16, 64, 256)


class Wanted(Protocol):
    """The part of a ``Spec`` that these files need."""

    @property
    def name(self) -> str:
        """The name of the model."""

    @property
    def version(self) -> int | str | None:
        """The version: a number, an alias, or ``latest``, which follows the newest version."""

    @property
    def models(self) -> Path:
        """The models folder."""

    @property
    def port(self) -> int:
        """The port on this machine for REST."""

    @property
    def grpc_port(self) -> int | None:
        """The port on this machine for gRPC, or ``None``."""


@dataclass(frozen=True)
class Serving:
    """The values of the templates.

    Parameters
    ----------
    name
        The name of the model.
    versions
        The versions to load; empty to follow the newest one.
    labels
        The aliases and their versions: ``/v1/models/clothes/labels/production``.
    left_out
        The aliases of versions that are not loaded, with the reason.
    folder
        The model's folder on this machine, which contains ``1/``.
    port, grpc_port
        The ports on this machine.
    """

    name: str
    versions: tuple[int, ...]
    labels: dict[str, int]
    left_out: dict[str, str]
    folder: Path
    port: int
    grpc_port: int | None
    image: str = IMAGE
    cpus: int = CPUS
    batches: tuple[int, ...] = BATCHES

    @property
    def compose_folder(self) -> str:
        """The folder as a YAML string in which Compose substitutes no variable."""
        return compose_path(self.folder)

    @property
    def shell_folder(self) -> str:
        """The folder as a ``--mount`` option, quoted for a shell and, since its fields are CSV, for CSV."""
        source = self.folder.as_posix().replace('"', '""')
        return shlex.quote(f'type=bind,"source={source}",target=/models/{self.name},readonly')


def compose_path(path: Path) -> str:
    """Return a path as a YAML string in which Compose substitutes no variable.

    Examples
    --------
    >>> print(compose_path(Path("/home/me/$models")))
    "/home/me/$$models"
    """
    return json.dumps(path.as_posix().replace("$", "$$"), ensure_ascii=False)


def context(spec: Wanted) -> dict[str, Any]:
    """Return the values of the templates.

    For a number or an alias, that version is loaded, and the older versions that aliases point at. Newer versions are
    left out, because TensorFlow Serving answers requests without a version with the newest loaded one.

    Raises
    ------
    UnknownModel, UnknownVersion
        The store has no such version.
    StoreError
        The version contains no SavedModel.
    """
    store = ModelStore(spec.models)
    wanted = spec.version or "latest"
    number = store.resolve(spec.name, wanted)
    check_servable(store, spec.name, number)
    labels, left_out = {}, {}
    for alias, version in sorted(store.aliases(spec.name).items()):
        reason = why_not(store, spec.name, version, number, moving=wanted == "latest")
        if reason:
            left_out[alias] = reason
        else:
            labels[alias] = version
    versions = () if wanted == "latest" else tuple(sorted({number, *labels.values()}))
    folder = (store.root / spec.name).resolve()
    return {"serving": Serving(spec.name, versions, labels, left_out, folder, spec.port, spec.grpc_port)}


def why_not(store: ModelStore, name: str, version: int, deployed: int, *, moving: bool) -> str:
    """Return the reason why an alias is left out; empty where its version is loaded.

    Examples
    --------
    >>> why_not(ModelStore("models"), "clothes", 2, 1, moving=False)
    'v2 is not in the store'
    """
    if version not in store.versions(name):
        return f"v{version} is not in the store"
    if version > deployed:
        return f"v{version} is newer than v{deployed}, and would answer requests without a version"
    if moving and version != deployed:
        return f"v{version} is not the newest version, and only that one is loaded"
    return "" if (store.root / name / str(version) / "saved_model.pb").is_file() else f"v{version} has no SavedModel"


def check_servable(store: ModelStore, name: str, number: int) -> None:
    """Raise :class:`StoreError` unless a version contains a SavedModel."""
    found = store.get(name, number)
    if "saved_model.pb" not in found.manifest.files:
        raise StoreError(
            f"{found} is a {found.manifest.framework} model without a SavedModel, which TensorFlow Serving needs.",
            "Serve it with mlops-lab serve, or mlops-lab deploy docker.",
        )


def machine_note(machine: str = "") -> str:
    """Return a warning about this machine before the image is pulled; empty on Intel and AMD.

    Parameters
    ----------
    machine
        The architecture; by default that of ``platform.machine()``.

    Examples
    --------
    >>> machine_note("x86_64")
    ''
    >>> machine_note("arm64").splitlines()[0]
    'TensorFlow Serving has no official image for arm64, such as Apple Silicon.'
    """
    machine = machine or platform.machine()
    if machine.lower() not in ("arm64", "aarch64"):
        return ""
    return (
        f"TensorFlow Serving has no official image for {machine}, such as Apple Silicon.\n"
        "The files request linux/amd64, which Docker emulates slowly, and it may end with 'Illegal instruction'.\n"
        "mlops-lab serve runs here natively with the same endpoints under /v1, so the client need not change."
    )
