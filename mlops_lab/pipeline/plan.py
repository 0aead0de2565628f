"""What is to be released, where, and what it must reach."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mlops_lab.errors import WrongUsage
from mlops_lab.validate import Expected, LoadTestConfig

ENVIRONMENTS = ("local", "docker", "compose")


@dataclass(frozen=True)
class Plan:
    """One release.

    Parameters
    ----------
    models
        The models folder.
    name, version
        Of the model: a number, ``"v2"``, an alias or ``"latest"``.
    environment
        Where it is staged and served: ``"local"``, ``"docker"`` (one server in a container behind nginx) or
        ``"compose"`` (several).
    url
        Where production answers. In the environment ``local`` it may be left out: then a server is started over the
        models folder for as long as the release takes.
    api_key
        What production at ``url`` asks for; it is kept nowhere.
    port, replicas, folder, network
        In containers: nginx's port on this machine, the servers behind it, the folder that holds the files of
        production (by default ``deployed/<name>``), and Docker's network for the build, as for
        :func:`mlops_lab.deploy.docker.build`.
    alias
        The name that production goes by.
    expected, load
        What the acceptance and load tests ask for.
    ready_seconds
        A staging server must be ready after so long.
    switch_seconds
        Production must answer with the new version after so long.
    why
        A sentence for the history.

    Examples
    --------
    >>> Plan("models", "clothes", 2).environment
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

    def __post_init__(self) -> None:
        if self.environment not in ENVIRONMENTS:
            raise WrongUsage(
                f"There is no environment {self.environment!r}.", f"Take one of: {', '.join(ENVIRONMENTS)}."
            )

        if self.url and self.environment != "local":
            raise WrongUsage(f"url={self.url}: in containers production is on a port.", f"Take port={self.port}.")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        told = {key: value for key, value in asdict(self).items() if key != "api_key"}
        return {**told, "models": str(self.models), "folder": str(self.folder)}
