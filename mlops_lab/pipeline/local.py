"""The environment of one machine, without Docker: staging and production are processes."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Protocol

from mlops_lab.errors import StoreError
from mlops_lab.pipeline.environment import wait_until
from mlops_lab.pipeline.plan import Plan
from mlops_lab.pipeline.process import ServerProcess
from mlops_lab.store import ModelStore
from mlops_lab.store.version import ModelVersion
from mlops_lab.validate import check_contract
from mlops_lab.validate.target import Target, expect


class Server(Protocol):
    """What staging and production are: :class:`ServerProcess`, or something like it."""

    url: str

    def last_words(self) -> str:
        """Return the last that it said."""

    def stop(self) -> None:
        """End it."""


class Start(Protocol):
    """Starts a server over a folder of models."""

    def __call__(self, models: Path, *, seconds: float) -> Server:
        """Return it once it answers."""


class LocalEnvironment:
    """Staging is a second ``mlops-lab serve`` over a copy of the one version.

    Production is the server whose address the plan names. It watches the models folder, so the alias is the switch. If
    the plan names none, a server over the models folder stands in for it.

    Parameters
    ----------
    plan
        Of the release.
    start
        Starts a server over a folder of models; by default as a process.
    """

    def __init__(self, plan: Plan, start: Start = ServerProcess) -> None:
        self._plan, self._start = plan, start
        self._folder = Path(tempfile.mkdtemp(prefix="mlops-lab-staging-"))
        self._staging: Server | None = None
        self._production: Server | None = None

    def production(self) -> str:
        """Return the address of production; one is started where the plan names none."""
        if self._plan.url:
            return self._plan.url
        if self._production is None:
            self._production = self._start(Path(self._plan.models), seconds=self._plan.ready_seconds)
        return self._production.url

    def build(self, version: ModelVersion) -> str:
        """Copy the version into a folder of its own, and load it from there as a server would."""
        target = self._folder / version.name
        try:
            for name in ["manifest.json", *version.manifest.files]:
                (target / str(version.version) / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(version.path / name, target / str(version.version) / name)
            aliases = json.dumps({self._plan.alias: version.version})
            (target / "aliases.json").write_text(aliases, encoding="utf-8")
        except OSError as error:
            raise StoreError(f"{version} cannot be copied: {error}.", "Look at that path.") from error
        ModelStore(self._folder).load(version.name, version.version)
        return f"{len(version.manifest.files)} files copied; hashes and golden examples are right"

    def start_staging(self) -> str:
        """Run the copy on a free port."""
        self._staging = self._start(self._folder, seconds=self._plan.ready_seconds)
        return self._staging.url

    def last_words(self) -> str:
        """Return the last that staging said."""
        return self._staging.last_words() if self._staging else ""

    def admit(self, version: ModelVersion) -> str:
        """Wait until production has loaded the version, and ask for it there by its number, as nobody else does yet."""
        key = self._plan.api_key
        target = Target(self.production(), version, f"v{version.version}", api_key=key)
        wait_until(lambda: target.client.info(version.name, target.address), self._plan.switch_seconds)
        report = check_contract(target.url, version, kind="lab", api_key=key)
        expect(report.passed, f"{target.path} in production: {report.summary}")
        return "production has loaded it"

    def switch(self, version: ModelVersion | None) -> str:
        """Do nothing: production looks at the alias once a second."""
        return "production looks at the alias"

    def close(self, *, good: bool) -> None:
        """End the processes that were started for the release, and remove the copy."""
        for process in (self._staging, self._production):
            if process is not None:
                process.stop()
        shutil.rmtree(self._folder, ignore_errors=True)
