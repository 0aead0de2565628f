"""Build, start, ask and stop with a Docker engine what a student's files describe; nothing of it is left behind.

Containers stand in a network of their own that leads nowhere, with limits, and with few of the rights of root. Building
has the network, because it installs packages.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mlops_lab.grade import slowdown
from mlops_lab.grade.cases import Failed, NotGradable
from mlops_lab.grade.results import clip
from mlops_lab.grade.sandbox.isolation import Limits

BUILD_SECONDS = 300.0  # packages are installed meanwhile, TensorFlow among them
START_SECONDS = 60.0
STOP_SECONDS = 10.0
REMOVE_SECONDS = 300.0  # an engine that removes a large image meanwhile keeps everybody waiting
KEPT = 64_000  # bytes of a command's output
LABEL = "mlops-lab-grade"
# What a web server that begins as root needs in order to become another user.
RIGHTS = ("CHOWN", "DAC_OVERRIDE", "NET_BIND_SERVICE", "SETGID", "SETUID")
MEMORY, PROCESSES = Limits().memory, Limits().processes
HELD = (
    "--memory", str(MEMORY), "--memory-swap", str(MEMORY), "--pids-limit", str(PROCESSES), "--cap-drop", "ALL",
    *(word for right in RIGHTS for word in ("--cap-add", right)), "--security-opt", "no-new-privileges",
    "--log-opt", "max-size=1m",
)  # fmt: skip
_PORT = re.compile(r"(?<![\d.])(\d{2,5})(?![\d.])")


@dataclass(frozen=True)
class CommandResult:
    """The result of a command: its exit status, ``None`` after a timeout, and the end of its output."""

    status: int | None
    output: str


def command(*words: str, seconds: float = 60.0, environment: Mapping[str, str] | None = None) -> CommandResult:
    """Run a command of the grader's own, and keep the last of what it prints: whoever prints without end fills nothing.

    Parameters
    ----------
    *words
        The command; no shell reads it.
    seconds
        After which it is ended.
    environment
        By default the grader's.

    Examples
    --------
    >>> import sys
    >>> command(sys.executable, "-c", "print(6 * 7)").output
    '42'
    """
    process = subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment
    )
    kept = bytearray()

    def read() -> None:
        with process.stdout as stream:  # type: ignore[union-attr]
            while data := os.read(stream.fileno(), 65536):
                kept.extend(data)
                del kept[:-KEPT]

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        status = process.wait(seconds)
    except subprocess.TimeoutExpired:
        status = None
    finally:
        process.kill()
        process.wait()
        reader.join(2)
    return CommandResult(status, kept.decode("utf-8", "replace").strip())


def docker(*words: str, seconds: float = 60.0) -> str:
    """Run a command of Docker's and return what it printed.

    Raises
    ------
    NotGradable
        It failed, so that nothing can be said about the answer.
    """
    done = command("docker", *words, seconds=seconds)
    if done.status != 0:
        raise NotGradable(f"docker {words[0]} did not work: {clip(done.output[-300:])}")
    return done.output


class Engine:
    """A network that leads nowhere, and whatever is built and started in it, until :meth:`close`.

    Attributes
    ----------
    name : str
        What its network, its label and the names of its containers are.
    """

    def __init__(self) -> None:
        self.name = f"{LABEL}-{secrets.token_hex(6)}"
        self.label = f"{LABEL}={self.name}"
        self._images: list[str] = []
        docker("network", "create", "--internal", "--label", self.label, self.name)

    def build(self, folder: Path, *options: str, seconds: float = BUILD_SECONDS) -> str:
        """Build an image of a folder and return its name.

        Parameters
        ----------
        folder
            The context.
        *options
            More words of ``docker build``.
        seconds
            After which it is given up, on an idle machine.

        Raises
        ------
        Failed
            It cannot be built, with the last of what the build printed.
        """
        image, seconds = f"{self.name}:{len(self._images)}", seconds * slowdown.factor()
        self._images.append(image)
        done = command("docker", "build", "--force-rm", "--label", self.label, "--tag", image, *options, str(folder),
                       seconds=seconds)  # fmt: skip
        if done.status is None:
            raise Failed(f"The build did not end within {seconds:.0f} s.", hint="build-late", figures={"time": seconds})
        if done.status:
            last = clip(done.output[-600:], 600)
            raise Failed("The image cannot be built.", hint="build", received=last, figures={"last": _last(last)})
        return image

    def start(self, image: str) -> Container:
        """Start an image in the background."""
        name = f"{self.name}-{secrets.token_hex(3)}"
        done = command("docker", "run", "--detach", "--name", name, "--label", self.label, "--network", self.name,
                       *HELD, image)  # fmt: skip
        if done.status:
            last = clip(done.output[-300:])
            raise Failed("The container cannot be started.", hint="ended", received=last, figures={"last": _last(last)})
        return Container(name, self.name)

    def close(self) -> None:
        """Remove containers, volumes, the network, and images."""
        mine = ("--quiet", "--filter", f"label={self.label}")
        # What Compose starts bears its project's name.
        project = ("--quiet", "--filter", f"label=com.docker.compose.project={self.name}")
        for found in (mine, project):
            _remove(("ps", "--all", *found), ("rm", "--force", "--volumes"))
        _remove(("volume", "ls", *project), ("volume", "rm", "--force"))
        command("docker", "network", "rm", self.name, seconds=REMOVE_SECONDS)
        if self._images:
            command("docker", "image", "rm", "--force", *self._images, seconds=REMOVE_SECONDS)

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _remove(find: tuple[str, ...], remove: tuple[str, ...]) -> None:
    found = command("docker", *find, seconds=REMOVE_SECONDS)
    if found.status == 0 and found.output:
        command("docker", *remove, *found.output.split(), seconds=REMOVE_SECONDS)


def _last(text: str) -> str:
    return clip((text.splitlines() or [""])[-1], 200)


@dataclass(frozen=True)
class Container:
    """A container of an :class:`Engine`."""

    name: str
    network: str

    def inspect(self, key: str) -> Any:
        """Return a part of what ``docker inspect`` says of it, by a path such as ``"State.ExitCode"``."""
        return json.loads(docker("inspect", "--format", "{{json ." + key + "}}", self.name))

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self.inspect("State.Running") is True

    @property
    def log(self) -> str:
        """The last of what it printed."""
        return clip(command("docker", "logs", "--tail", "20", self.name).output[-600:], 600)

    @cached_property
    def address(self) -> str:
        """Its address in its network."""
        return str(self.inspect("NetworkSettings.Networks")[self.network]["IPAddress"])

    def ports(self) -> list[int]:
        """Return the ports that its image names; else those that its command and ``PORT`` look like."""
        config = self.inspect("Config")
        named = [int(one.partition("/")[0]) for one in config.get("ExposedPorts") or {} if one.endswith("/tcp")]
        words = [*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ())]
        words += [one for one in config.get("Env") or () if one.startswith("PORT=")]
        return named or [int(port) for word in words for port in _PORT.findall(word)] or [8000, 5000]

    def await_port(self, ports: Iterable[int], seconds: float) -> int:
        """Return the first of some ports at which somebody listens, as seen from outside.

        Raises
        ------
        Failed
            It ended, or nobody listens.
        NotGradable
            The addresses of this engine's containers cannot be reached from here.
        """
        deadline = time.monotonic() + seconds * slowdown.factor()
        ports, refused = list(dict.fromkeys(ports)), False
        while time.monotonic() < deadline:
            if not self.running:
                raise self._ended()
            for port in ports:
                try:
                    socket.create_connection((self.address, port), timeout=1).close()
                    return port
                except ConnectionRefusedError:
                    refused = True
                except OSError:
                    continue
            time.sleep(0.1)
        if not refused:
            raise NotGradable("The containers of this Docker engine cannot be reached from here.")
        listed = ", ".join(map(str, ports))
        raise Failed("Nobody answers from outside of the container.", hint="unreached", received=self.log,
                     expected=f"a server at port {listed}", figures={"ports": listed})  # fmt: skip

    @contextmanager
    def explaining(self) -> Iterator[None]:
        """Where a request fails because the container has ended meanwhile, say that, with what it printed."""
        try:
            yield
        except Failed as failed:
            if failed.key not in ("unanswered", "late") or self.running:
                raise
            raise self._ended() from failed

    def _ended(self) -> Failed:
        log = self.log
        return Failed("The container ended.", hint="ended", received=log, figures={"last": _last(log)})

    def healthy(self) -> bool | None:
        """Run its health check once, and return whether it is content; ``None`` where the image has none."""
        test = (self.inspect("Config").get("Healthcheck") or {}).get("Test") or ["NONE"]
        if test[0] == "NONE":
            return None
        words = ["/bin/sh", "-c", *test[1:]] if test[0] == "CMD-SHELL" else test[1:]
        return command("docker", "exec", self.name, *words, seconds=30).status == 0

    def stop(self) -> tuple[float, int]:
        """Stop it as Docker does, and return the seconds that it took, and its exit status: 137 where it was killed."""
        started = time.monotonic()
        docker("stop", "--time", f"{STOP_SECONDS:.0f}", self.name)
        return time.monotonic() - started, int(self.inspect("State.ExitCode"))

    def kill(self) -> None:
        """End it at once, as a fault of its machine would."""
        docker("kill", self.name)
