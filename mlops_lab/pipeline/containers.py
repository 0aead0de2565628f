"""The environments ``docker`` and ``compose``: an image is staged as a container, and runs as servers behind nginx.

Production is what :mod:`mlops_lab.deploy.compose` starts: one server or several, and nginx before them, which finds
out every second which servers there are. So new servers are started beside the old ones, and the old ones, which finish
what they have begun, are stopped but kept until production is verified. The way back is to start them again.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

from mlops_lab import deploy
from mlops_lab.deploy import compose, docker
from mlops_lab.deploy.commands import CommandFailed, run
from mlops_lab.errors import LabError
from mlops_lab.pipeline.plan import Plan
from mlops_lab.serve.ports import bind
from mlops_lab.store import ModelStore
from mlops_lab.store.version import ModelVersion

NGINX_SECONDS = 2.0  # it asks every second who there is, and keeps an answer for one


class ContainerEnvironment:
    """Staging is a container on a free port; production is a Compose project with nginx on the plan's port.

    Parameters
    ----------
    plan
        Of the release. Its ``folder`` holds the files of production, and must stay where it is.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan, self._folder = plan, Path(plan.folder or Path("deployed", plan.name))
        self._built: deploy.Spec | None = None
        self._staging: deploy.Spec | None = None
        self._looked = self._switched = False
        self._old: list[str] = []

    def _spec(self, version: int | str) -> deploy.Spec:
        plan = self._plan
        replicas = 1 if plan.environment == "docker" else plan.replicas
        return deploy.plan(plan.models, plan.name, version, port=plan.port, replicas=replicas)

    def _servers(self) -> list[str]:
        labels = {"project": f"mlops-lab-{self._plan.name}-{self._plan.port}", "service": "server"}
        wanted = [w for key, value in labels.items() for w in ("--filter", f"label=com.docker.compose.{key}={value}")]
        return run(["docker", "ps", "--quiet", *wanted]).split()

    def production(self) -> str:
        """Return the address of nginx; where nothing runs yet, the version that the alias points at is started."""
        before = ModelStore(self._plan.models).aliases(self._plan.name).get(self._plan.alias)
        if not self._looked and before is not None and not self._servers():
            self._up(self._spec(before))
        self._looked = True
        return f"http://127.0.0.1:{self._plan.port}"

    def _up(self, spec: deploy.Spec) -> None:
        files = deploy.files(spec, "compose")
        compose.up(spec, files, self._folder, network=self._plan.network, seconds=self._plan.ready_seconds)

    def build(self, version: ModelVersion) -> str:
        """Check every file of the version as a server would, and build its image."""
        ModelStore(self._plan.models).load(version.name, version.version)
        self._built = spec = self._spec(version.version)
        with tempfile.TemporaryDirectory() as made:
            docker.build(spec, deploy.files(spec, "docker"), Path(made), network=self._plan.network)
        return f"image {spec.image}; hashes and golden examples are right"

    def start_staging(self) -> str:
        """Run the image on a free port."""
        with closing(bind("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        assert self._built is not None, "build comes before"
        self._staging = replace(self._built, port=port)
        return docker.start(self._staging, seconds=self._plan.ready_seconds)

    def last_words(self) -> str:
        """Return the last that staging said."""
        return run(["docker", "logs", "--tail", "4", docker.container(self._staging)]) if self._staging else ""

    def admit(self, version: ModelVersion) -> str:
        """Say which image production is to run: the very one that was examined."""
        identity = run(["docker", "image", "inspect", "--format", "{{.Id}}", self._spec(version.version).image])
        return f"image {identity.removeprefix('sha256:')[:12]}, as examined"

    def switch(self, version: ModelVersion | None) -> str:
        """Let new servers take over from the old ones, or, called again, let the old ones take over again."""
        if version is None:
            compose.down(self._folder)
            return "nothing runs"
        spec, back = self._spec(version.version), self._switched
        if not back:
            self._old, self._switched = self._servers(), True
        if not self._old:
            self._up(spec)
            return "started"
        compose.stage(spec, deploy.files(spec, "compose"), self._folder)
        if back:
            run(["docker", "start", *self._old])
        else:
            scale = f"server={len(self._old) + spec.replicas}"
            compose.call(self._folder, "up", "--detach", "--no-recreate", "--scale", scale, "server")
        new = [server for server in self._servers() if server not in self._old]
        coming, going = (self._old, new) if back else (new, self._old)
        self._hand_over(spec, coming, going)
        if back and going:
            run(["docker", "rm", *going])
        return f"{len(coming)} server(s) took over from {len(going)}"

    def _hand_over(self, spec: deploy.Spec, coming: list[str], going: list[str]) -> None:
        """Wait until those who come are ready and known to nginx; then those who go finish what they have begun."""
        silent = compose.not_ready(spec, coming, time.monotonic() + self._plan.ready_seconds)
        if silent or not coming:
            message = f"Of {len(coming)} new servers {len(silent)} were not ready."
            raise CommandFailed(message, f"docker logs {' '.join(silent)}".strip())
        time.sleep(NGINX_SECONDS)
        if going:
            run(["docker", "stop", "--time", "15", *going])

    def close(self, *, good: bool) -> None:
        """Remove staging, and the servers that were replaced for good."""
        with suppress(LabError):
            if self._staging is not None:
                run(["docker", "rm", "--force", docker.container(self._staging)])
        if good and self._old:
            run(["docker", "rm", *self._old])
