"""Start a program in the sandbox, watch what it uses, and end it with everything it has started."""

from __future__ import annotations

import json
import os
import secrets
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from mlops_lab.errors import ServerError
from mlops_lab.grade import folders
from mlops_lab.grade.sandbox.container import DESCRIPTORS, ENTRANCE, Container, DescriptorSocket, environment, sweep
from mlops_lab.grade.sandbox.isolation import FIRST_UID, PACKAGE, SUBMISSION, UIDS, Isolation, Limits, choose, command
from mlops_lab.grade.sandbox.tree import copy_submission, owned, size_of, threads_of, usage

INSIDE = Path(__file__).parent / "inside" / "__main__.py"
LOOK = 0.2  # seconds between two looks at memory and disk
KEPT = 64_000  # bytes of output that are kept
TOKEN = "MLOPS_LAB_SANDBOX"


class Sandbox:
    """A copy of a submission, and programs that run in it.

    Parameters
    ----------
    source
        The submission's folder. It is copied; nothing in it is changed.
    isolation
        What holds; by default the highest that works here.
    limits
        What a program may use.

    Attributes
    ----------
    folder : Path
        The copy, as the grader sees it.
    warnings : list of str
        What was left out of the copy, such as links that lead out of it.
    brought : int
        Bytes that the submission brought itself: they do not count as written.
    """

    def __init__(self, source: str | Path, *, isolation: Isolation | None = None, limits: Limits | None = None) -> None:
        self.isolation = isolation or choose()
        self.limits = limits or Limits()
        if self.isolation.uid is not None:  # one user for each sandbox: two that run at once share no limit
            self.isolation = replace(self.isolation, uid=FIRST_UID + secrets.randbelow(UIDS))
        self._home = folders.new()
        self._home.chmod(0o711)
        self.folder = self._home / "submission"
        self._running: list[SandboxProcess] = []
        try:
            self.warnings = copy_submission(Path(source), self.folder)
            self.give_to_user()
        except BaseException:
            self.close()
            raise
        self.brought = size_of(self.folder)

    def give_to_user(self) -> None:
        """Let the sandbox's user own the copy, and what was added to it since."""
        if self.isolation.uid is not None:
            owned(self.folder, self.isolation.uid)

    def start(self, order: Mapping[str, Any], fds: tuple[int, ...] = ()) -> SandboxProcess:
        """Start a program of ``inside/``, and pass it descriptors."""
        process = SandboxProcess(self, order, fds)
        self._running.append(process)
        return process

    def ask(
        self, order: Mapping[str, Any], seconds: float, most: int, fds: tuple[int, ...] = ()
    ) -> tuple[bytes, SandboxProcess]:
        """Start a program of ``inside/`` that writes one answer; return what it wrote, and the program, ended.

        Parameters
        ----------
        order
            What it is told. ``answer`` is added: the descriptor that it writes to.
        seconds
            After which it is ended.
        most
            Bytes that are read. They are read while it writes: a pipe holds few, and whoever fills it waits.
        fds
            Other descriptors that it is passed.
        """
        reading, writing = os.pipe()
        os.set_inheritable(writing, True)
        process = self.start({**order, "answer": writing}, (writing, *fds))
        os.close(writing)
        received, deadline = b"", time.monotonic() + seconds
        try:
            while len(received) < most and time.monotonic() < deadline:
                alive = process.alive  # asked first: what it wrote before it ended is read
                if select.select([reading], [], [], 0.05)[0]:
                    data = os.read(reading, most - len(received))
                    if not data:
                        break
                    received += data
                elif not alive:
                    break
        finally:
            os.close(reading)
        process.kill()
        return received, process

    def close(self) -> None:
        """End what runs, and remove the copy."""
        for process in self._running:
            process.kill()
        if self.isolation.name == "docker":
            sweep(self._home.name)
        folders.remove(self._home)

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class SandboxProcess:
    """A program that runs in the sandbox.

    Raises
    ------
    ServerError
        Docker makes no container.
    """

    def __init__(self, sandbox: Sandbox, order: Mapping[str, Any], fds: tuple[int, ...]) -> None:
        self._sandbox, self._ended_by = sandbox, ""
        self._token = f"{os.getpid()}-{secrets.token_hex(16)}"
        self._output = bytearray()
        self._printed = 0
        self._killed = threading.Event()
        self._container: Container | None = None
        self._entrance: DescriptorSocket | None = None
        apart = sandbox.isolation.apart
        folder = SUBMISSION if apart else str(sandbox.folder)
        program = [sys.executable, "-I", "-u", str(INSIDE)]
        if sandbox.isolation.name == "docker":
            order = self._cross(order, fds, program)
        self._process = subprocess.Popen(
            self._container.command() if self._container else command(sandbox.isolation, sandbox.folder, program),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=sandbox.folder,
            env=environment() if self._container else self._environment(),
            pass_fds=() if self._container else fds, start_new_session=True,
        )  # fmt: skip
        limits = asdict(sandbox.limits)
        if (
            sandbox.isolation.name != "bubblewrap" and sandbox.isolation.uid is None
        ):  # what our own user runs already counts too
            limits["processes"] += threads_of(os.getuid())
        line = {
            # In a container the program is that user from its first line on.
            "uid": None if self._container else sandbox.isolation.uid, "limits": limits, "folder": folder,
            "library": str(PACKAGE.parent), **order,
        }  # fmt: skip
        with suppress(OSError):  # it died already: whoever waits for it sees that
            self._process.stdin.write(json.dumps(line).encode() + b"\n")  # type: ignore[union-attr]
            self._process.stdin.close()  # type: ignore[union-attr]
        self._drainer = threading.Thread(target=self._drain, daemon=True)
        self._drainer.start()
        threading.Thread(target=self._watch, daemon=True).start()

    def _cross(self, order: Mapping[str, Any], fds: tuple[int, ...], program: list[str]) -> dict[str, Any]:
        """Make the container; return the order with the way on which descriptors reach it."""
        sandbox, home = self._sandbox, self._sandbox.folder.parent
        self._entrance = DescriptorSocket(home)
        self._container = Container(
            sandbox.isolation, sandbox.folder, program, sandbox.limits, self._environment(),
            entrance=self._entrance.folder, label=home.name,
        )  # fmt: skip
        if not self._container.made:
            raise ServerError("Docker makes no container.", "Look at it: docker info, docker ps.")
        named = [name for name in DESCRIPTORS if order.get(name) in fds]
        self._entrance.hand(order[name] for name in named)
        return {**order, "entrance": f"{ENTRANCE}/socket", "descriptors": named}

    def _environment(self) -> dict[str, str]:
        """Return a bare environment: nothing of the grader's own goes in."""
        fixed = {
            "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": "/tmp", "TMPDIR": "/tmp",
            "PYTHONDONTWRITEBYTECODE": "1", "TF_CPP_MIN_LOG_LEVEL": "3",
            "CUDA_VISIBLE_DEVICES": "-1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "agg",
            TOKEN: self._token,
        }  # fmt: skip
        kept = {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}
        return fixed | kept

    @property
    def pid(self) -> int:
        """The process as the grader's machine counts it."""
        return self._process.pid

    @property
    def ended_by(self) -> str:
        """Why it was ended: ``"memory"``, ``"disk"``, ``"output"``, or empty."""
        container = self._container  # the watching thread may remove it meanwhile
        if not self._ended_by and container and not self._killed.is_set() and not self.alive:
            self._ended_by = "memory" if container.out_of_memory() else ""
        return self._ended_by

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    @property
    def memory(self) -> int:
        """The bytes of memory that it and what it has started use now."""
        return sum(self._used().values())

    @property
    def output(self) -> str:
        """The last of what it printed."""
        return self._output.decode("utf-8", "replace")

    def wait(self, seconds: float) -> int | None:
        """Return its exit status, or ``None`` where it still runs."""
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(seconds)
        return None

    def kill(self) -> None:
        """End it with everything that it has started, wherever that hides."""
        _ = self.ended_by  # asked while the container is there
        self._killed.set()
        if self._entrance:
            self._entrance.close()
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        container = self._container
        if container:  # after its client, which would hold it while nobody reads what it prints
            container.remove()
            self._container = None
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        if not self._sandbox.isolation.apart:  # there, all processes of the namespace end with its first
            for _ in range(50):
                left = self._used()
                if not left:
                    break
                for pid in left:
                    with suppress(ProcessLookupError, PermissionError):
                        os.kill(pid, signal.SIGKILL)
                time.sleep(0.02)
        if threading.current_thread() is not self._drainer:
            self._drainer.join(1)

    def _drain(self) -> None:
        """Read what is printed: keep the last of it, and end whoever prints without end."""
        stream = self._process.stdout
        if stream is None:
            return
        with stream, suppress(ValueError, OSError):
            while data := os.read(stream.fileno(), 65536):
                self._printed += len(data)
                self._output += data
                del self._output[:-KEPT]
                if self._printed > self._sandbox.limits.output:
                    self._stop("output")
                    return

    def _watch(self) -> None:
        """Look at memory and disk until it ends."""
        while not self._killed.wait(LOOK) and self.alive:
            if self.memory > self._sandbox.limits.memory:
                self._stop("memory")
            elif size_of(self._sandbox.folder) - self._sandbox.brought > self._sandbox.limits.disk:
                self._stop("disk")

    def _used(self) -> dict[int, int]:
        isolation = self._sandbox.isolation
        return usage(self._token, isolation.uid, self._process.pid, everywhere=not isolation.apart)

    def _stop(self, why: str) -> None:
        self._ended_by = why
        self.kill()
