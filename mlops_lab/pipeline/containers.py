"""The environments ``docker`` and ``compose``: an image is staged as a container, and runs as servers behind nginx.

Production is the Compose project of :mod:`mlops_lab.deploy.compose`: one or several servers behind nginx, which looks
up the servers every second. New servers are therefore started beside the old ones. The old ones finish their requests,
are stopped, and are kept until production is verified. A rollback starts them again.
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
from mlops_lab.pipeline.plan import ReleasePlan
from mlops_lab.serve.ports import bind
from mlops_lab.store import ModelStore
from mlops_lab.store.version import ModelVersion

NGINX_SECONDS = 2.0  # nginx looks up the servers every second, and caches the answer for one


class ContainerEnvironment:
    """An environment whose staging is a container, and whose production is a Compose project with nginx in front.

    Parameters
    ----------
    plan
        The plan of the release. Its ``folder`` holds the files of production, and must stay where it is.
    """

    def __init__(self, plan: ReleasePlan) -> None:
        self._plan, self._folder = plan, Path(plan.folder or Path("deployed", plan.name))
        self._built: deploy.Spec | None = None
        self._staging: deploy.Spec | None = None
        self._started = self._switched = False
        self._old: list[str] = []

    def _spec(self, version: int | str) -> deploy.Spec:
        plan = self._plan
        replicas = 1 if plan.environment == "docker" else plan.replicas
        return deploy.make_spec(plan.models, plan.name, version, port=plan.port, replicas=replicas)

    def _servers(self) -> list[str]:
        labels = {"project": f"mlops-lab-{self._plan.name}-{self._plan.port}", "service": "server"}
        wanted = [w for key, value in labels.items() for w in ("--filter", f"label=com.docker.compose.{key}={value}")]
        return run(["docker", "ps", "--quiet", *wanted]).split()

    def production(self) -> str:
        """Return the address of nginx; where nothing runs yet, the version that the alias points at is started."""
        before = ModelStore(self._plan.models).aliases(self._plan.name).get(self._plan.alias)
        if not self._started and before is not None and not self._servers():
            self._up(self._spec(before))
        self._started = True
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
        return f"image {spec.image}; hashes and golden examples match"

    def start_staging(self) -> str:
        """Run the image as a container on a free port."""
        with closing(bind("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        assert self._built is not None, "build runs before start_staging"
        self._staging = replace(self._built, port=port)
        return docker.start(self._staging, seconds=self._plan.ready_seconds)

    def last_log_lines(self) -> str:
        """Return the last log lines of the staging container."""
        return run(["docker", "logs", "--tail", "4", docker.container(self._staging)]) if self._staging else ""

    def admit(self, version: ModelVersion) -> str:
        """Return the image that production will run, which is the one that was tested."""
        identity = run(["docker", "image", "inspect", "--format", "{{.Id}}", self._spec(version.version).image])
        return f"image {identity.removeprefix('sha256:')[:12]}, as tested"

    def switch(self, version: ModelVersion | None) -> str:
        """Replace the old servers with new ones; a second call replaces the new ones with the old ones again."""
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
        starting, stopping = (self._old, new) if back else (new, self._old)
        self._replace(spec, starting, stopping)
        if back and stopping:
            run(["docker", "rm", *stopping])
        return f"{len(starting)} server(s) replaced {len(stopping)}"

    def _replace(self, spec: deploy.Spec, starting: list[str], stopping: list[str]) -> None:
        """Wait until the starting servers are ready and known to nginx, then stop the others with time to drain."""
        failed = compose.not_ready(spec, starting, time.monotonic() + self._plan.ready_seconds)
        if failed or not starting:
            message = f"{len(failed)} of {len(starting)} new servers did not become ready."
            raise CommandFailed(message, f"docker logs {' '.join(failed)}".strip())
        time.sleep(NGINX_SECONDS)
        if stopping:
            run(["docker", "stop", "--time", "15", *stopping])

    def close(self, *, passed: bool) -> None:
        """Remove the staging container, and after a release that passed the servers that were replaced."""
        with suppress(LabError):
            if self._staging is not None:
                run(["docker", "rm", "--force", docker.container(self._staging)])
        if passed and self._old:
            run(["docker", "rm", *self._old])
