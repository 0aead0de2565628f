"""The plan of a release: the version, the environment, and the limits that it must keep."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mlops_lab.errors import WrongUsage
from mlops_lab.validate.acceptance import Expected
from mlops_lab.validate.load_result import LoadTestConfig

ENVIRONMENTS = ("local", "docker", "compose")


@dataclass(frozen=True)
class ReleasePlan:
    """The plan of one release.

    Parameters
    ----------
    models
        The models folder.
    name, version
        The model's name, and its version: a number, ``"v2"``, an alias or ``"latest"``.
    environment
        The environment that stages and serves it: ``"local"``, ``"docker"`` (one server in a container behind nginx) or
        ``"compose"`` (several).
    url
        The address of production. In the environment ``local`` it may be left out: then a server over the models folder
        is started for the duration of the release.
    api_key
        The API key that production at ``url`` requires; it is never stored.
    port, replicas, folder, network
        Settings of the container environments: nginx's port on this machine, the number of servers behind it, the
        folder of production's files (by default ``deployed/<name>``), and Docker's network for the build, as for
        :func:`mlops_lab.deploy.docker.build`.
    alias
        The alias that clients of production use.
    expected, load
        The limits of the acceptance test and of the load test.
    ready_seconds
        The time limit for a staging server to become ready.
    switch_seconds
        The time limit for production to answer with the new version.
    why
        A sentence for the history.
    data
        An ``.npz`` file of test data, ``x`` and ``y``: the version is measured on it by the metric of its task, and
        must not fall behind production.
    new_signature
        Whether the version may take or answer something else than production does, so that its clients must change.

    Examples
    --------
    >>> ReleasePlan("models", "clothes", 2).environment
    'local'
    """

    models: str | Path
    name: str
    version: int | str = "latest"
    environment: str = "local"
    url: str = ""
    api_key: str | None = field(default=None, repr=False)
    port: int = 8000
    replicas: int = 2
    folder: str | Path = ""
    network: str | None = None
    alias: str = "production"
    expected: Expected = field(default_factory=Expected)
    load: LoadTestConfig = field(default_factory=LoadTestConfig)
    ready_seconds: float = 60.0
    switch_seconds: float = 15.0
    why: str = ""
    data: str | Path = ""
    new_signature: bool = False

    def __post_init__(self) -> None:
        if self.environment not in ENVIRONMENTS:
            raise WrongUsage(f"Unknown environment {self.environment!r}.", f"Use one of: {', '.join(ENVIRONMENTS)}.")
        if self.url and self.environment != "local":
            raise WrongUsage(
                f"url={self.url} is for the local environment only.", f"In containers set port={self.port}."
            )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, without the API key."""
        values = {key: value for key, value in asdict(self).items() if key != "api_key"}
        return {**values, "models": str(self.models), "folder": str(self.folder), "data": str(self.data)}
