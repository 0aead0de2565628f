"""The environment ``local``, without Docker: staging and production are processes on this machine."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Protocol

from mlops_lab.errors import StoreError
from mlops_lab.pipeline.environment import wait_until
from mlops_lab.pipeline.plan import ReleasePlan
from mlops_lab.pipeline.serve_command import ServeCommand
from mlops_lab.store import ModelStore
from mlops_lab.store.version import ModelVersion
from mlops_lab.validate import check_contract
from mlops_lab.validate.target import ServerUnderTest, expect


class Server(Protocol):
    """The interface of a server that this environment starts, such as :class:`ServeCommand`."""

    url: str

    def last_log_lines(self) -> str:
        """Return its last log lines."""

    def stop(self) -> None:
        """Stop the server."""


class Start(Protocol):
    """The interface of a function that starts a server over a folder of models."""

    def __call__(self, models: Path, *, seconds: float) -> Server:
        """Return the server once it answers."""


class LocalEnvironment:
    """An environment whose staging is a second ``mlops-lab serve`` over a copy of the version.

    Production is the server at the plan's address. It watches the models folder, so moving the alias switches it. If
    the plan names no address, a server over the models folder takes the place of production.

    Parameters
    ----------
    plan
        The plan of the release.
    start
        A function that starts a server over a folder of models; by default as a process.
    """

    def __init__(self, plan: ReleasePlan, start: Start = ServeCommand) -> None:
        self._plan, self._start = plan, start
        self._folder = Path(tempfile.mkdtemp(prefix="mlops-lab-staging-"))
        self._staging: Server | None = None
        self._production: Server | None = None

    def production(self) -> str:
        """Return the address of production; a server is started where the plan names none."""
        if self._plan.url:
            return self._plan.url
        if self._production is None:
            self._production = self._start(Path(self._plan.models), seconds=self._plan.ready_seconds)
        return self._production.url

    def build(self, version: ModelVersion) -> str:
        """Copy the version into a separate folder, and load it from there as a server would."""
        target = self._folder / version.name
        try:
            for name in ["manifest.json", *version.manifest.files]:
                (target / str(version.version) / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(version.path / name, target / str(version.version) / name)
            aliases = json.dumps({self._plan.alias: version.version})
            (target / "aliases.json").write_text(aliases, encoding="utf-8")
        except OSError as error:
            raise StoreError(f"{version} cannot be copied: {error}.", "Check that path.") from error
        ModelStore(self._folder).load(version.name, version.version)
        return f"{len(version.manifest.files)} files copied; hashes and golden examples match"

    def start_staging(self) -> str:
        """Serve the copy on a free port."""
        self._staging = self._start(self._folder, seconds=self._plan.ready_seconds)
        return self._staging.url

    def last_log_lines(self) -> str:
        """Return the last log lines of the staging server."""
        return self._staging.last_log_lines() if self._staging else ""

    def admit(self, version: ModelVersion) -> str:
        """Wait until production has loaded the version, and check it there by its number, which no client uses yet."""
        key = self._plan.api_key
        target = ServerUnderTest(self.production(), version, f"v{version.version}", api_key=key)
        wait_until(lambda: target.client.info(version.name, target.address), self._plan.switch_seconds)
        report = check_contract(target.url, version, kind="lab", api_key=key)
        expect(report.passed, f"{target.path} in production: {report.summary}")
        return "production has loaded it"

    def switch(self, version: ModelVersion | None) -> str:
        """Do nothing: production reads the alias once a second."""
        return "production follows the alias"

    def close(self, *, passed: bool) -> None:
        """Stop the processes that were started for the release, and remove the copy."""
        for process in (self._staging, self._production):
            if process is not None:
                process.stop()
        shutil.rmtree(self._folder, ignore_errors=True)
