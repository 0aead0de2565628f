"""TensorFlow Serving over a model's folder as it is: what its files are to hold, and what to know before it starts."""

from __future__ import annotations

import json
import platform
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mlops_lab.errors import StoreError
from mlops_lab.store.models import ModelStore

# The newest release with an image when this was written; it reads what TensorFlow 2.21 exports.
IMAGE = "tensorflow/serving:2.20.0"
CPUS = 2
# The last is the largest request, too; 256 is also the limit of our own server.
BATCHES = (1, 4, 16, 64, 256)


class Wanted(Protocol):
    """The part of a ``Spec`` that matters here."""

    @property
    def name(self) -> str:
        """Of the model."""

    @property
    def version(self) -> int | str | None:
        """A number, an alias, or ``latest`` for whatever is the newest at any time."""

    @property
    def models(self) -> Path:
        """The models folder."""

    @property
    def port(self) -> int:
        """On this machine, for REST."""

    @property
    def grpc_port(self) -> int | None:
        """On this machine, for gRPC, or ``None``."""


@dataclass(frozen=True)
class Serving:
    """What the templates fill in.

    Parameters
    ----------
    name
        Of the model.
    versions
        To load; empty for the newest at any time.
    labels
        Aliases and the versions they stand for: ``/v1/models/clothes/labels/production``.
    left_out
        Aliases of versions that are not loaded, and why not.
    folder
        The model's folder on this machine, the one that contains ``1/``.
    port, grpc_port
        On this machine.
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
        """The folder as a string of YAML in which Compose finds no variable."""
        return compose_path(self.folder)

    @property
    def shell_folder(self) -> str:
        """The folder in a ``--mount`` option, quoted for a shell; commas part its fields, so CSV quotes the whole."""
        source = self.folder.as_posix().replace('"', '""')
        return shlex.quote(f'type=bind,"source={source}",target=/models/{self.name},readonly')


def compose_path(path: Path) -> str:
    """Return a path as a string of YAML in which Compose finds no variable.

    Examples
    --------
    >>> print(compose_path(Path("/home/me/$models")))
    "/home/me/$$models"
    """
    return json.dumps(path.as_posix().replace("$", "$$"), ensure_ascii=False)


def context(spec: Wanted) -> dict[str, Any]:
    """Return what the templates fill in.

    Of a version asked for by number or alias, that one is loaded, and older ones that aliases point at. A newer one is
    left out: TensorFlow Serving answers whoever names no version with the newest that it has loaded.

    Raises
    ------
    UnknownModel, UnknownVersion
        There is no such version in the store.
    StoreError
        The version holds no SavedModel.
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
    """Return why a version that an alias points at is not loaded; nothing where it is.

    Examples
    --------
    >>> why_not(ModelStore("models"), "clothes", 2, 1, moving=False)
    'v2 is not in the store'
    """
    if version not in store.versions(name):
        return f"v{version} is not in the store"
    if version > deployed:
        return f"v{version} is newer than v{deployed}, and would answer whoever names no version"
    if moving and version != deployed:
        return f"v{version} is not the newest, which alone is loaded"
    return "" if (store.root / name / str(version) / "saved_model.pb").is_file() else f"v{version} has no SavedModel"


def check_servable(store: ModelStore, name: str, number: int) -> None:
    """Raise :class:`StoreError` unless a version holds what TensorFlow Serving reads."""
    found = store.get(name, number)
    if "saved_model.pb" not in found.manifest.files:
        raise StoreError(
            f"{found} is a {found.manifest.framework} model without a SavedModel, which TensorFlow Serving needs.",
            "Serve it with mlops-lab serve, or mlops-lab deploy docker.",
        )


def machine_note(machine: str = "") -> str:
    """Return what to know about this machine before the image is pulled; nothing on Intel and AMD.

    Parameters
    ----------
    machine
        As ``platform.machine()`` says it, which is the default.

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
        "The files ask for linux/amd64, so Docker emulates it: slowly, and it may end with 'Illegal instruction'.\n"
        "mlops-lab serve runs here natively and answers the same addresses under /v1: the client need not change."
    )
