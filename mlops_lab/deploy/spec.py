"""What is to be deployed: a version of a model, or a student's own application, and under which name and ports."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mlops_lab import show
from mlops_lab.deploy import application
from mlops_lab.errors import WrongUsage
from mlops_lab.store import ModelStore

_PART = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
# What Docker takes for an image: the registry if there is one, the path, a tag and a digest if there are.
IMAGE = re.compile(
    r"(?:(?:\[[0-9A-Fa-f:]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::[0-9]+)?/)?"
    rf"{_PART}(?:/{_PART})*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?(?:@sha256:[0-9a-f]{{64}})?"
)


@dataclass(frozen=True)
class Spec:
    """What every kind of deployment fills its files with.

    Parameters
    ----------
    name, version
        Of the model; the version is a number.
    models
        The models folder.
    engine
        What computes in the container: ``"onnx"``, or ``"keras"`` or ``"sklearn"`` where the version has no ONNX export
        or the application imports them.
    image
        The image's name, by default ``mlops-lab/<name>:<version>``.
    app
        A student's own Flask application, ``api.py`` with ``app`` in it, instead of our server.
    port, grpc_port
        On this machine; no gRPC by default.
    replicas
        Servers side by side, where the kind of deployment has them.
    mount
        Mount the models folder, read-only, instead of copying it into the image.
    """

    name: str
    version: int
    models: Path
    engine: str
    image: str
    app: Path | None = None
    port: int = 8000
    grpc_port: int | None = None
    replicas: int = 2
    mount: bool = False

    def __post_init__(self) -> None:
        ports = [self.port, *([] if self.grpc_port is None else [self.grpc_port])]
        if not all(0 < port < 65536 for port in ports) or len(set(ports)) < len(ports):
            raise WrongUsage(f"The ports are {ports}.", "Take different ones between 1 and 65535.")
        if not IMAGE.fullmatch(self.image):
            hint = "Take small letters, digits, '.', '_', '-' and '/', and a tag if you like: clothes:1."
            raise WrongUsage(f"{self.image!r} cannot be the name of an image.", hint)
        if self.replicas < 1:
            raise WrongUsage(f"replicas={self.replicas} must be 1 or more.", "Raise it.")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {key: str(value) if isinstance(value, Path) else value for key, value in asdict(self).items()}

    def _repr_html_(self) -> str:
        rows = [(key, value) for key, value in self.to_dict().items() if value is not None]
        return show.card(f"To deploy: {self.name} v{self.version}", show.table(rows))


def make_spec(
    models: str | Path, name: str, version: int | str = "latest", *, image: str | None = None, **settings: Any
) -> Spec:
    """Return what deploying a version means.

    Parameters
    ----------
    models
        The models folder.
    name, version
        As for :meth:`mlops_lab.store.ModelStore.get`: a number, ``"v3"``, an alias or ``"latest"``.
    image
        The image's name.
    settings
        The other fields of :class:`Spec`.

    Raises
    ------
    UnknownModel, UnknownVersion
        The message names those there are.
    WrongUsage
        The application is none, or a setting makes no sense.

    Examples
    --------
    >>> make_spec("models", "clothes", "production").image
    'mlops-lab/clothes:1'
    """
    found = ModelStore(models).get(name, version)
    app = settings.pop("app", None)
    app = Path(app) if app else None
    engine = "onnx" if "model.onnx" in found.manifest.files else found.manifest.engine
    return Spec(
        name=name,
        version=found.version,
        models=Path(models),
        engine=application.engine(app) if app else engine,
        image=image or f"mlops-lab/{name}:{found.version}",
        app=app,
        **settings,
    )
