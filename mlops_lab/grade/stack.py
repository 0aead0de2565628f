"""Run what a student's Compose file describes: rewritten first, so that nothing of the machine comes in with it.

What is kept of a service is named here. Images are built by the grader, files of the submission are mounted to be read,
ports of the machine are left out, and every service stands in the one network that leads nowhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from mlops_lab.deploy.lint.manifests import at
from mlops_lab.grade import slowdown
from mlops_lab.grade.cases import Failed
from mlops_lab.grade.containers import MEMORY, PROCESSES, RIGHTS, START_SECONDS, Container, Engine, command, docker
from mlops_lab.grade.results import clip
from mlops_lab.grade.sandbox.container import environment

KEPT = ("command", "entrypoint", "environment", "healthcheck", "user", "working_dir", "tmpfs", "read_only", "init",
        "stop_signal", "stop_grace_period", "hostname", "expose")  # fmt: skip
UP_SECONDS = 120.0
MOST_COPIES, MOST_SERVICES = 4, 8
RESTARTS = ("always", "unless-stopped", "on-failure")
Service = Mapping[str, Any]
_NAME = re.compile(r"[\w.-]{1,60}")


@cache
def program() -> tuple[str, ...]:
    """Return the command of Compose: ``docker compose``, else ``docker-compose``; empty where there is neither."""
    for words in (("docker", "compose"), ("docker-compose",)):
        try:
            if command(*words, "version").status == 0:
                return words
        except OSError:
            continue
    return ()


class Stack:
    """The services of a student's Compose file, running.

    Parameters
    ----------
    engine
        Where.
    folder
        A copy of the submission, in which files may be written.
    services
        By their names.
    copies
        How many of each there are.
    top
        The whole file: its ``configs`` and ``secrets`` are read of it.

    Raises
    ------
    Failed
        They cannot be built or started.
    """

    def __init__(
        self, engine: Engine, folder: Path, services: Mapping[str, Service], copies: Mapping[str, int], top: Service
    ) -> None:
        self._engine, self._folder, self._top = engine, folder, top
        if len(services) > MOST_SERVICES or not all(_NAME.fullmatch(name) for name in services):
            raise Failed(f"There are more than {MOST_SERVICES} services, or their names are no names.", hint="compose")
        written = {name: self._written(name, one, services, copies[name]) for name, one in services.items()}
        volumes = {mount["source"] for one in written.values() for mount in one["volumes"] if mount["type"] == "volume"}
        network = {"default": {"external": True, "name": engine.name}}
        self._start({"services": written, "volumes": {name: {} for name in volumes}, "networks": network})

    def _start(self, whole: dict[str, Any]) -> None:
        import yaml

        path = self._folder / "mlops-lab-compose.yaml"
        path.write_text(yaml.safe_dump(whole), encoding="utf-8")
        words = (*program(), "--project-name", self._engine.name, "--file", str(path), "up", "--detach")
        # Compose fills `${NAME}` in from its own environment, which is the grader's.
        done = command(*words, seconds=UP_SECONDS * slowdown.factor(), environment=environment())
        last = clip(done.output[-600:], 600)
        if done.status is None:
            raise Failed(f"Not everything was ready within {UP_SECONDS:.0f} s.", hint="not-ready", received=last)
        if done.status:
            key = "not-ready" if "unhealthy" in done.output or "Encountered errors" in done.output else "compose"
            raise Failed("Compose cannot start it.", hint=key, received=last)

    def _written(self, name: str, one: Service, services: Mapping[str, Service], copies: int) -> dict[str, Any]:
        """Return a service as the grader runs it."""
        waits = one.get("depends_on") or {}
        waits = waits if isinstance(waits, dict) else {each: {"condition": "service_started"} for each in waits}
        restart = str(one.get("restart", "")).partition(":")[0]
        memory = one.get("mem_limit") or at(one, "deploy", "resources", "limits", "memory")
        return {
            **{key: one[key] for key in KEPT if key in one},
            "image": self._image(name, one),
            "scale": min(copies, MOST_COPIES),
            "depends_on": {each: how for each, how in waits.items() if each in services},
            "volumes": [*self._mounts(one), *self._files(one, "configs", "/"), *self._files(one, "secrets",
                                                                                             "/run/secrets/")],
            "networks": {"default": {"aliases": _aliases(one)}},
            "env_file": [str(self._inside(each)) for each in _listed(one.get("env_file"))],
            "restart": restart if restart in RESTARTS else "no",
            "mem_limit": min(_bytes(memory), MEMORY),
            "pids_limit": PROCESSES,
            "cap_drop": ["ALL"],
            "cap_add": list(RIGHTS),
            "security_opt": ["no-new-privileges:true"],
            "logging": {"driver": "json-file", "options": {"max-size": "1m"}},
        }  # fmt: skip

    def _image(self, name: str, one: Service) -> str:
        """Return a service's image: built of the submission, where it says how, or brings a Dockerfile for its own."""
        build, image = one.get("build"), str(one.get("image", ""))
        build = {"context": build} if isinstance(build, str) else build
        if build is None and (not image or ((self._folder / "Dockerfile").is_file() and not _known(image))):
            build = {"context": "."}
        if not isinstance(build, dict):
            return image
        context = self._inside(build.get("context", "."))
        file = (context / str(build.get("dockerfile", "Dockerfile"))).resolve()
        if not file.is_relative_to(self._folder.resolve()) or not file.is_file():
            raise Failed(f"{name} has no Dockerfile.", hint="no-file", figures={"what": f"the Dockerfile of {name}"})
        arguments = build.get("args") or {}
        listed = [f"{key}={value}" for key, value in arguments.items()] if isinstance(arguments, dict) else arguments
        options = [f"--file={file}", *(f"--build-arg={each}" for each in listed if "=" in str(each))]
        options += [f"--target={build['target']}"] if build.get("target") else []
        return self._engine.build(context, *options)

    def _inside(self, name: object) -> Path:
        """Return a path of the submission.

        Raises
        ------
        Failed
            It lies outside, or is not there.
        """
        text = str(name.get("path") if isinstance(name, dict) else name)
        path = (self._folder / text).resolve()
        if not path.is_relative_to(self._folder.resolve()) or not path.exists():
            message = f"{clip(text, 80)} is not in the submission."
            raise Failed(message, hint="no-file", figures={"what": clip(text, 80)})
        return path

    def _mounts(self, one: Service) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for each in one.get("volumes") or ():
            source, target = (each.get("source"), each.get("target")) if isinstance(each, dict) else _split(str(each))
            if source and str(source)[0] in "./~":
                path = str(self._inside(source))
                found.append({"type": "bind", "source": path, "target": target, "read_only": True})
            elif source and _NAME.fullmatch(str(source)):
                found.append({"type": "volume", "source": str(source), "target": target})
        return found

    def _files(self, one: Service, kind: str, place: str) -> list[dict[str, Any]]:
        """Return the configs or secrets of a service as files that are mounted."""
        found: list[dict[str, Any]] = []
        for each in one.get(kind) or ():
            name, target = (each.get("source"), each.get("target")) if isinstance(each, dict) else (each, None)
            entry = at(self._top, kind, str(name)) or {}
            if "content" in entry:
                path = self._folder / f"mlops-lab-{kind}-{len(list(self._folder.iterdir()))}"
                path.write_text(str(entry["content"]), encoding="utf-8")
            else:
                path = self._inside(entry.get("file", name))
            target = str(target or name)
            target = target if target.startswith("/") else place + target
            found.append({"type": "bind", "source": str(path), "target": target, "read_only": True})
        return found

    def containers(self, service: str) -> list[Container]:
        """Return the running containers of a service."""
        labels = {"project": self._engine.name, "service": service}
        filters = [
            word for key, value in labels.items() for word in ("--filter", f"label=com.docker.compose.{key}={value}")
        ]
        return [Container(name, self._engine.name) for name in docker("ps", "--quiet", *filters).split()]

    def service_url(self, service: str, ports: list[int]) -> str:
        """Return the address of a service, as soon as somebody listens at one of its ports."""
        containers = self.containers(service)
        if not containers:
            raise Failed(f"{service} does not run.", hint="ended", figures={"last": ""})
        port = containers[0].await_port(ports, START_SECONDS)
        return f"http://{containers[0].address}:{port}"


def received(container: Container) -> float:
    """Return the bytes that a container has received, as Docker counts them."""
    traffic = docker("stats", "--no-stream", "--format", "{{.NetIO}}", container.name).partition("/")[0]
    return _bytes(traffic)


def _known(image: str) -> bool:
    """Whether an image is one that others publish, and not what the Dockerfile beside makes."""
    return image.partition(":")[0].rpartition("/")[2] in ("nginx", "traefik", "haproxy", "caddy", "envoy")


def _split(mount: str) -> tuple[str, str]:
    parts = mount.split(":")
    return ("", parts[0]) if len(parts) == 1 else (parts[0], parts[1])


def _aliases(one: Service) -> list[str]:
    networks = one.get("networks")
    several = networks.values() if isinstance(networks, dict) else ()
    return [str(name) for each in several if isinstance(each, dict) for name in each.get("aliases") or ()]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _bytes(value: object) -> int:
    """Return bytes of what Compose or Docker writes for them; without a number, as many as there may be.

    Examples
    --------
    >>> _bytes("512m"), _bytes("1.5kB"), _bytes(7), _bytes(None) == MEMORY
    (536870912, 1536, 7, True)
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?\s*", str(value).lower())
    if not found:
        return MEMORY
    return int(float(found[1]) * 1024 ** " kmgt".index(found[2] or " "))
