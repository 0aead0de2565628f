"""Several servers behind nginx, started and stopped by Docker Compose, with either of its two programs."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_lab.deploy import docker, smoke, tfserving
from mlops_lab.deploy.commands import CommandFailed, run
from mlops_lab.deploy.smoke import Smoke
from mlops_lab.errors import MissingPackage, WrongUsage
from mlops_lab.serve.core.limits import Limits
from mlops_lab.store import ModelStore

if TYPE_CHECKING:
    from mlops_lab.deploy.render import Files
    from mlops_lab.deploy.spec import Spec

IMAGES = {"nginx": "nginx:1.30", "prometheus": "prom/prometheus:v3.5.3"}
PROFILES = ("prometheus", "tfserving")
SERVING_PORT = 8501


def context(spec: Spec) -> dict[str, Any]:
    """Return the values of the templates; ``parts`` are folders with the files of other kinds of deployment.

    Raises
    ------
    WrongUsage
        A gRPC port is set, which nginx does not forward here.
    """
    if spec.grpc_port is not None:
        raise WrongUsage(f"grpc_port={spec.grpc_port}: the Compose files serve HTTP only.", "Set grpc_port=None.")
    parts = {"image": ("docker", spec)}
    manifest = ModelStore(spec.models).get(spec.name, spec.version).manifest
    if not spec.app and "saved_model.pb" in manifest.files:
        parts["tfserving"] = ("tfserving", replace(spec, port=SERVING_PORT))
    return {
        "spec": spec,
        "parts": parts,
        "title": docker.title(spec),
        "health": docker.health(spec) or "/",
        "any_status": docker.health(spec) is None,
        "memory": docker.memory(spec),
        "models_folder": tfserving.compose_path(spec.models.resolve()),
        "watched": not spec.app,  # the metrics of an application of one's own are unknown
        "images": IMAGES,
        "limits": Limits(),
    }


def stage(spec: Spec, files: Files, folder: Path) -> None:
    """Write the files into a folder, and the build folder of the image into ``image`` below it.

    Raises
    ------
    StoreError
        Something cannot be read or written.
    """
    for path in files.write(folder, force=True):
        # nginx and Prometheus run as other users, who must be able to read them.
        path.chmod(0o644)
        path.parent.chmod(0o755)
    shutil.rmtree(folder / "image" / "models", ignore_errors=True)  # from an earlier version
    docker.stage(spec, files.below("image"), folder / "image")


@cache
def program() -> tuple[str, ...]:
    """Return the command of Compose on this machine: ``docker compose``, or else ``docker-compose``.

    Raises
    ------
    MissingPackage
        Neither is installed; the hint tells how to install it.
    """
    for command in (("docker", "compose"), ("docker-compose",)):
        try:
            run([*command, "version"])
            return command
        except (CommandFailed, MissingPackage):
            continue
    raise MissingPackage(
        "Docker Compose is not installed.",
        "Install it: https://docs.docker.com/compose/install/, or 'apt install docker-compose' on Debian.",
    )


def call(folder: Path, *arguments: str, profiles: Sequence[str] = ()) -> str:
    """Run Compose on the files in a folder, and return its output."""
    wanted = [word for profile in profiles for word in ("--profile", profile)]
    return run([*program(), "--file", str(folder / "compose.yaml"), *wanted, *arguments])


def up(
    spec: Spec,
    files: Files,
    folder: Path,
    *,
    profiles: Sequence[str] = (),
    network: str | None = None,
    seconds: float = 120,
) -> str:
    """Build the image, start everything, wait until it is ready, and return the address.

    A second call with another ``replicas`` starts or stops servers; with another image it replaces them.

    Parameters
    ----------
    folder
        The folder of the files; it must stay until :func:`down`.
    profiles
        The profiles of :data:`PROFILES` to start as well.
    network
        Docker's network for the build, as for :func:`mlops_lab.deploy.docker.build`.

    Raises
    ------
    CommandFailed
        A container did not start, or was not ready in time; the containers keep running for inspection.
    """
    stage(spec, files, folder)
    docker.build(spec, files.below("image"), folder / "image", network=network)
    call(folder, "up", "--detach", "--remove-orphans", profiles=profiles)
    url = f"http://127.0.0.1:{spec.port}"
    if not _ready(spec, folder, url, time.monotonic() + seconds):
        log = call(folder, "logs", "--tail", "20")
        raise CommandFailed(
            f"The deployment was not ready within {seconds:g} s: {log}", f"Check the files in {folder}."
        )
    return url


def _ready(spec: Spec, folder: Path, url: str, deadline: float) -> bool:
    """Return whether every server is ready in time, and nginx forwards to them."""
    waiting = not_ready(spec, call(folder, "ps", "--quiet", "server").split(), deadline)
    return not waiting and docker.answers(f"{url}{docker.health(spec) or '/'}", deadline - time.monotonic())


def not_ready(spec: Spec, servers: Sequence[str], deadline: float) -> list[str]:
    """Return the containers that did not pass the health check of their image in time."""
    check = json.loads(run(["docker", "inspect", "--format", "{{json .Config.Healthcheck.Test}}", spec.image]))[1:]
    waiting = list(servers)
    while waiting and time.monotonic() < deadline:
        waiting = [server for server in waiting if not _passes(["docker", "exec", server, *check])]
    return waiting


def _passes(command: list[str]) -> bool:
    try:
        run(command)
    except CommandFailed:
        time.sleep(0.3)
        return False
    return True


def down(folder: Path) -> None:
    """Remove everything that :func:`up` started from a folder: containers, networks and volumes. The image stays."""
    call(folder, "down", "--volumes", "--remove-orphans", "--timeout", "15", profiles=PROFILES)


def check(spec: Spec, files: Files, *, profiles: Sequence[str] = (), network: str | None = None) -> Smoke:
    """Start everything in a temporary folder, run the smoke test, and remove everything in any case.

    Raises
    ------
    LabError
        The deployment did not start, or its answers differ from the published ones.
    """
    with tempfile.TemporaryDirectory() as made:
        try:
            return smoke.run(spec, up(spec, files, Path(made), profiles=profiles, network=network))
        finally:
            down(Path(made))
