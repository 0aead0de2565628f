"""The specification of a deployment: a version of a model or an application, with its image name and ports."""

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
# The image names that Docker accepts: an optional registry, the path, an optional tag and an optional digest.
IMAGE = re.compile(
    r"(?:(?:\[[0-9A-Fa-f:]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::[0-9]+)?/)?"
    rf"{_PART}(?:/{_PART})*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?(?:@sha256:[0-9a-f]{{64}})?"
)


@dataclass(frozen=True)
class Spec:
    """The specification that every kind of deployment renders its files from.

    Parameters
    ----------
    name, version
        The name of the model, and the number of its version.
    models
        The models folder.
    engine
        The engine in the container: ``"onnx"``, or ``"keras"`` or ``"sklearn"`` where the version has no ONNX export or
        the application imports them.
    image
        The name of the image, by default ``mlops-lab/<name>:<version>``.
    app
        An application of one's own, such as ``api.py`` that defines ``app``, instead of our server.
    port, grpc_port
        The ports on this machine; no gRPC by default.
    replicas
        The number of servers, where the kind of deployment has several; with Ray, of the replicas of each version.
    most
        With Ray, the number of replicas under load; by default always ``replicas``.
    cpus, gpus
        With Ray, what is reserved for each replica.
    mount
        Whether the models folder is mounted read-only instead of copied into the image.
    trusted
        The digests of versions that are code and may be put into an image, which then trusts them.
    api_key
        Whether the server on Kubernetes requires an API key, from a Secret that must exist.
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
    most: int | None = None
    cpus: float = 1.0
    gpus: float = 0.0
    mount: bool = False
    trusted: tuple[str, ...] = ()
    api_key: bool = False

    def __post_init__(self) -> None:
        ports = [self.port, *([] if self.grpc_port is None else [self.grpc_port])]
        if not all(0 < port < 65536 for port in ports) or len(set(ports)) < len(ports):
            raise WrongUsage(f"Invalid ports: {ports}.", "Use different ports between 1 and 65535.")
        if not IMAGE.fullmatch(self.image):
            hint = "Use lower-case letters, digits, '.', '_', '-' and '/', and optionally a tag: clothes:1."
            raise WrongUsage(f"Invalid image name {self.image!r}.", hint)
        if self.replicas < 1:
            raise WrongUsage(f"replicas={self.replicas} is less than 1.", "Set it to 1 or more.")
        if self.most is not None and self.most < self.replicas:
            raise WrongUsage(f"most={self.most} is less than replicas={self.replicas}.", "Set it to more.")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {key: str(value) if isinstance(value, Path) else value for key, value in asdict(self).items()}

    def _repr_html_(self) -> str:
        rows = [(key, value) for key, value in self.to_dict().items() if value is not None]
        return show.card(f"Deployment of {self.name} v{self.version}", show.table(rows))


def make_spec(
    models: str | Path, name: str, version: int | str = "latest", *, image: str | None = None, **settings: Any
) -> Spec:
    """Return the specification of a deployment.

    Parameters
    ----------
    models
        The models folder.
    name, version
        The model and its version, as for :meth:`mlops_lab.store.ModelStore.get`: a number, ``"v3"``, an alias or
        ``"latest"``.
    image
        The name of the image.
    settings
        The other fields of :class:`Spec`.

    Raises
    ------
    UnknownModel, UnknownVersion
        The message names those that exist.
    WrongUsage
        The application defines no ``app``, or a setting is invalid.

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
