"""The isolation of students' code: Docker on request, bubblewrap, or limits alone; what each holds and leaves open."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from mlops_lab.errors import WrongUsage

PACKAGE = Path(__file__).parents[2]  # the folder mlops_lab
SUBMISSION = "/submission"
FIRST_UID, UIDS = 61184, 4000  # the range that systemd keeps for users who exist only while something runs
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf",
          "/etc/ld.so.conf.d", "/etc/localtime", "/etc/mime.types")  # fmt: skip


@dataclass(frozen=True)
class Limits:
    """The resource limits of a process in the sandbox.

    Parameters
    ----------
    memory
        Bytes of resident memory of all its processes, watched by the parent. TensorFlow needs 0.8 GB.
    address_space
        Bytes of address space of one process. TensorFlow needs 2.9 GB.
    cpu
        Seconds of computing.
    file
        Bytes of one file.
    disk
        Bytes of all files that it writes.
    files
        Number of open files.
    processes
        Number of processes and threads.
    output
        Bytes printed.
    """

    memory: int = 1_500_000_000
    address_space: int = 6_000_000_000
    cpu: int = 120
    file: int = 64_000_000
    disk: int = 128_000_000
    files: int = 256
    processes: int = 160
    output: int = 4_000_000


@dataclass(frozen=True)
class Isolation:
    """The isolation of a student's code on this machine: Docker, bubblewrap, another user, or limits alone.

    Parameters
    ----------
    name
        ``"docker"``, ``"bubblewrap"`` or ``"limits"``.
    holds
        What is stopped.
    leaves_open
        What is not.
    uid
        The other user that the code runs as, or ``None`` for our own.
    """

    name: str
    holds: tuple[str, ...]
    leaves_open: tuple[str, ...]
    uid: int | None = None

    @property
    def apart(self) -> bool:
        """Whether the code sees other files and processes than the grader does."""
        return self.name != "limits"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as the report holds them."""
        values = asdict(self)
        del values["uid"]
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


_used: ContextVar[Isolation | None] = ContextVar("_used", default=None)


@contextmanager
def using(isolation: Isolation) -> Iterator[None]:
    """Give every sandbox of a grading the isolation that its report names."""
    token = _used.set(isolation)
    try:
        yield
    finally:
        _used.reset(token)


def choose(name: str = "", *, docker: bool = False) -> Isolation:
    """Return the strongest isolation that works here, found by trying it.

    Parameters
    ----------
    name
        Take this one, ``"docker"``, ``"bubblewrap"`` or ``"limits"``.
    docker
        Whether Docker may be used: then a container is the first that is tried.

    Raises
    ------
    WrongUsage
        The isolation that was asked for does not work on this machine.
    """
    if name not in ("", "docker", "bubblewrap", "limits"):
        raise WrongUsage(f"There is no sandbox {name!r}.", "There are: docker, bubblewrap, limits.")
    used = _used.get()
    if used is not None and not name and not docker:
        return used
    if name == "docker" or (docker and not name):
        isolation = Isolation("docker", DOCKER_HOLDS, DOCKER_LEAVES, FIRST_UID if _is_root() else None)
        if _docker_works(isolation):
            return isolation
        if name:
            raise WrongUsage("Docker does not work here.", "Start an engine; on this machine, and on Linux.")
    if name != "limits" and _bubblewrap_works():
        return Isolation("bubblewrap", BUBBLEWRAP_HOLDS, BUBBLEWRAP_LEAVES, FIRST_UID if _is_root() else None)
    if name == "bubblewrap":
        raise WrongUsage("bubblewrap does not work here.", "apt-get install bubblewrap; containers may forbid it.")
    other = _is_root() and _readable_by_others(Path(sys.base_prefix)) and _readable_by_others(PACKAGE)
    leaves = LIMITS_LEAVE if other else (*LIMITS_LEAVE, *OWN_USER_LEAVES)
    return Isolation("limits", LIMITS_HOLD, leaves, FIRST_UID if other else None)


def _docker_works(isolation: Isolation) -> bool:
    """Whether the system's own folders can be mounted into a container, which only an engine on this Linux can do."""
    if sys.platform != "linux" or shutil.which("docker") is None:
        return False
    from mlops_lab.grade.sandbox import container

    return container.works(isolation, sys.executable)


BUBBLEWRAP_HOLDS = (
    "network: none but the one socket that the grader asks through",
    "files: the submission's copy and the system's programs only",
    "processes: none is seen, none outlives the check",
    "memory, computing, files, output and number of processes are limited",
)
BUBBLEWRAP_LEAVES = ("a fault in the Linux kernel",)
DOCKER_HOLDS = (
    *BUBBLEWRAP_HOLDS[:3],
    "memory and number of processes are limited as a whole by the kernel; computing, files and output are limited",
    "calls of the kernel that servers do not need are refused",
)
DOCKER_LEAVES = ("a fault in the Linux kernel or in Docker",)
LIMITS_HOLD = ("memory, computing, files, output and number of processes are limited",)
LIMITS_LEAVE = (
    "the network",
    "reading files that everybody may read",
    "writing where everybody may, such as /tmp",
    "seeing other processes",
)
OWN_USER_LEAVES = (
    "reading whatever the grader's own user can read",
    "a process that outlives its check after clearing its environment",
)


def command(isolation: Isolation, folder: Path, program: list[str]) -> list[str]:
    """Return the command that runs a program in isolation, the submission's copy being its folder."""
    if isolation.name != "bubblewrap":
        return program
    # Root mounts, and the program itself takes another user's id before it reads a byte of the submission: the limit on
    # processes holds only for a real other user, and an interpreter in root's home can be mounted only by root.
    user = ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"] if _is_root() else [
        "--unshare-user", "--uid", "65534", "--gid", "65534"
    ]  # fmt: skip
    return [
        "bwrap", *user, "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try",
        "--die-with-parent", "--new-session", "--hostname", "sandbox", *_mounts(), "--proc", "/proc", "--dev", "/dev",
        "--perms", "1777", "--size", "16777216", "--tmpfs", "/dev/shm",
        "--perms", "1777", "--size", "67108864", "--tmpfs", "/tmp", "--bind", str(folder), SUBMISSION,
        # An ordinary user owns what bubblewrap makes, and could fill it: it has no size of its own.
        "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", SUBMISSION, "--", *program,
    ]  # fmt: skip


@cache
def _mounts() -> tuple[str, ...]:
    """Return what is seen inside: the system, this interpreter and this package, all read-only."""
    arguments: list[str] = []
    made: set[str] = set()
    for path in seen():
        for parent in reversed(Path(path).parents[:-1]):
            if str(parent) not in made and str(parent) not in SYSTEM:
                arguments += ["--perms", "0755", "--dir", str(parent)]
                made.add(str(parent))
        if os.path.islink(path):
            arguments += ["--symlink", os.readlink(path), path]
        else:
            arguments += ["--ro-bind", path, path]
    return tuple(arguments)


def seen() -> Iterator[str]:
    """Give the folders and links that are seen inside, beside the submission."""
    yield from (path for path in SYSTEM if os.path.exists(path))
    ours = [Path(sys.prefix), Path(sys.base_prefix), PACKAGE]
    # A folder inside another one that is mounted already needs no mount of its own.
    for path in dict.fromkeys(ours):
        others = [other for other in (*map(Path, SYSTEM), *ours) if other != path]
        if not any(path.is_relative_to(other) for other in others):
            yield str(path)
    # A virtual environment may be reached through a link; the program's path must exist inside as well.
    if Path(sys.prefix).is_symlink():
        yield os.path.realpath(sys.prefix)


@cache
def _bubblewrap_works() -> bool:
    if shutil.which("bwrap") is None:
        return False
    try:
        tried = subprocess.run(
            command(Isolation("bubblewrap", (), ()), Path("/usr"), [sys.executable, "-I", "-c", "print(1)"]),
            capture_output=True, timeout=20,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return False
    return tried.returncode == 0 and tried.stdout == b"1\n"


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def _readable_by_others(path: Path) -> bool:
    return all(one.stat().st_mode & 0o001 for one in (path, *path.resolve().parents))
