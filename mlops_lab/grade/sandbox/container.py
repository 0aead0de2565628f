"""Isolation by Docker: the same program and the same folders as with bubblewrap, in a container.

The image holds links only: the system, the interpreter and this package are mounted to be read. Descriptors cannot be
inherited by a container, so they cross through a socket in a folder that is mounted, before the first line of the
submission is read; whoever connects first has them, and that socket is closed then.
"""

from __future__ import annotations

import hashlib
import io
import os
import secrets
import socket
import subprocess
import tarfile
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path

from mlops_lab.grade.sandbox.isolation import SUBMISSION, Isolation, Limits, seen

LABEL = "mlops-lab-sandbox"
ENTRANCE = "/entrance"
SECONDS = 60.0
# What may be named by a descriptor in an order, in the words of the programs of ``inside/``.
DESCRIPTORS = ("control", "status", "inner", "channel", "answer")


def ask(*words: str, seconds: float = SECONDS, data: bytes | None = None) -> tuple[int, str]:
    """Run a command of Docker's; return its status and what it printed."""
    try:
        done = subprocess.run(["docker", *words], input=data, capture_output=True, timeout=seconds, env=environment())
    except (OSError, subprocess.TimeoutExpired):
        return -1, ""
    return done.returncode, done.stdout.decode("utf-8", "replace").strip()


def environment() -> dict[str, str]:
    """Return what the program ``docker`` needs of the grader's environment."""
    return {name: value for name, value in os.environ.items() if name in ("PATH", "HOME") or name[:7] == "DOCKER_"}


@cache
def works(isolation: Isolation, interpreter: str) -> bool:
    """Whether a container runs this interpreter here; tried once."""
    container = Container(isolation, Path("/usr"), [interpreter, "-I", "-c", "print(1)"], Limits(), {}, label="probe")
    status, said = ask("start", "--attach", container.name) if container.made else (-1, "")
    container.remove()
    return status == 0 and said == "1"


@cache
def _image() -> str:
    """Return the image, made where it is not there: links such as ``/lib``, and nothing else."""
    links = sorted((path.lstrip("/"), os.readlink(path)) for path in seen() if os.path.islink(path))
    name = f"{LABEL}:{hashlib.sha256(repr(links).encode()).hexdigest()[:12]}"
    if ask("image", "inspect", name)[0] != 0:
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as file:
            for path, target in links:
                entry = tarfile.TarInfo(path)
                entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, target, 0o777
                file.addfile(entry)
        ask("import", "-", name, data=archive.getvalue())
    return name


class Container:
    """A container in which a program of the sandbox runs.

    Parameters
    ----------
    isolation
        With the user, where there is one.
    folder
        The submission's copy.
    program
        The command.
    limits
        Memory and processes, which the kernel holds for the whole container.
    variables
        The program's environment.
    entrance
        The folder of an :class:`DescriptorSocket`.
    label
        What the container is found by, should it be left.
    """

    def __init__(
        self, isolation: Isolation, folder: Path, program: list[str], limits: Limits, variables: Mapping[str, str], *,
        entrance: Path | None = None, label: str,
    ) -> None:  # fmt: skip
        self.name = f"{LABEL}-{secrets.token_hex(8)}"
        user = isolation.uid if isolation.uid is not None else os.getuid()
        mounts = [_mount(path, path) for path in seen() if not os.path.islink(path)]
        mounts += [_mount(str(entrance), ENTRANCE)] if entrance is not None else []
        words = [
            "create", "--name", self.name, "--label", f"{LABEL}={label}", "--interactive", "--hostname", "sandbox",
            "--network", "none", "--read-only", "--tmpfs", "/tmp:size=64m,mode=1777", "--shm-size", "16m",
            "--user", f"{user}:{user}", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
            "--memory", str(limits.memory), "--memory-swap", str(limits.memory),
            "--pids-limit", str(limits.processes), "--log-driver", "none",
            *(word for name, value in variables.items() for word in ("--env", f"{name}={value}")),
            *(word for mount in mounts for word in ("--mount", mount)),
            "--mount", f"type=bind,source={folder},target={SUBMISSION}", "--workdir", SUBMISSION,
            _image(), *program,
        ]  # fmt: skip
        self.made = ask(*words)[0] == 0

    def command(self) -> list[str]:
        """Return the command that starts it, with the program's input and output as its own."""
        return ["docker", "start", "--attach", "--interactive", self.name]

    def out_of_memory(self) -> bool:
        """Whether the kernel ended something in it that wanted more memory."""
        return ask("inspect", "--format", "{{.State.OOMKilled}}", self.name)[1] == "true"

    def remove(self) -> None:
        """End everything in it, and remove it."""
        ask("rm", "--force", "--volumes", self.name)


def _mount(source: str, target: str) -> str:
    return f"type=bind,source={source},target={target},readonly"


def sweep(label: str) -> None:
    """Remove the containers of a label, should one have been left."""
    status, found = ask("ps", "--all", "--quiet", "--filter", f"label={LABEL}={label}")
    if status == 0 and found:
        ask("rm", "--force", "--volumes", *found.split())


class DescriptorSocket:
    """A socket in a folder, through which descriptors cross once.

    Parameters
    ----------
    folder
        A new one is made in it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / f"entrance-{secrets.token_hex(4)}"
        self.folder.mkdir(mode=0o755)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.folder / "socket"))
        os.chmod(self.folder / "socket", 0o777)
        self._listener.listen(1)

    def hand(self, descriptors: Iterable[int]) -> None:
        """Give copies of descriptors to the first who connects, in the background."""
        copies = [os.dup(one) for one in descriptors]
        threading.Thread(target=self._hand, args=(copies,), daemon=True).start()

    def _hand(self, copies: list[int]) -> None:
        try:
            with suppress(OSError), self._listener:
                self._listener.settimeout(SECONDS)
                client, _ = self._listener.accept()
                with client:
                    socket.send_fds(client, [b"x"], copies)
        finally:
            for one in copies:
                os.close(one)

    def close(self) -> None:
        """Wait for nobody any more."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
