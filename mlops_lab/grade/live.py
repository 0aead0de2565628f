"""A student's server, running: ``api.py`` in the sandbox, or one that stands at an address."""

from __future__ import annotations

import http.client
import json
import os
import select
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from mlops_lab.errors import NotFound, ServerError, WrongUsage
from mlops_lab.grade import folders
from mlops_lab.grade.cases import Failed
from mlops_lab.grade.http import HttpClient
from mlops_lab.grade.inner import InnerServer
from mlops_lab.grade.results import clip
from mlops_lab.grade.sandbox import Isolation, Limits, Sandbox, SandboxProcess
from mlops_lab.grade.sandbox.tree import copy_sources, copy_submission, put

LOAD_SECONDS = 60.0  # a server that loads with Keras may take 15 s on an idle machine


class Server(HttpClient):
    """A server that checks ask. It stands at an address; nothing else is known of it.

    Attributes
    ----------
    source : pathlib.Path or None
        The student's file as it was handed in, where there is one, with the other Python files of its folder.
    folder : pathlib.Path or None
        The folder that it runs in, where the grader started it.
    inner : InnerServer or None
        What it finds at ``DIGITS_URL``, where the grader started it.
    """

    source: Path | None = None
    folder: Path | None = None
    inner: InnerServer | None = None

    def restart(self) -> None:
        """Start it again; only a server that the grader started can be."""
        raise Failed(f"{self.url} is not a server that this check can start again.", hint="not-ours")

    def close(self) -> None:
        """End it, if the grader started it."""


class SandboxConnection(http.client.HTTPConnection):
    """A connection into the sandbox: one end of a pair of sockets, whose other end crosses to the student's process.

    No socket of the network crosses. Whoever holds one can take it off its address and reach the network that it was
    made in, from inside of a namespace that has none.
    """

    def __init__(self, control: socket.socket, timeout: float) -> None:
        super().__init__("127.0.0.1", 5000, timeout=timeout)
        self._control = control

    def connect(self) -> None:
        """Send the other end across."""
        ours, theirs = socket.socketpair()
        ours.settimeout(self.timeout)
        self.sock = ours
        with theirs:
            socket.send_fds(self._control, [b"x"], [theirs.fileno()])


class SandboxServer(Server):
    """A student's file, served from the sandbox.

    Parameters
    ----------
    sandbox
        Where it runs.
    file
        Its path in the submission.
    load_seconds
        How long it may take to answer for the first time.

    Raises
    ------
    Failed
        It did not start, with the end of what it printed.
    """

    def __init__(self, sandbox: Sandbox, file: str = "api.py", load_seconds: float = LOAD_SECONDS) -> None:
        self._sandbox, self._file, self._load_seconds = sandbox, file, load_seconds
        self.folder = sandbox.folder
        # Read of this copy, which the running server cannot reach: in its folder it may rewrite its own file.
        self.source = copy_sources(sandbox.folder, sandbox.folder.parent / "sources") / file
        super().__init__("http://127.0.0.1:5000")  # where it stands when the student starts it: only curl lines say so
        self._control, self._theirs = socket.socketpair()
        self._control.setblocking(False)
        self.inner: InnerServer = InnerServer()
        self.process: SandboxProcess | None = None
        self.problem = ""
        self.how = ""
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        started = time.monotonic()
        reading, writing = os.pipe()
        os.set_inheritable(writing, True)
        os.set_inheritable(self._theirs.fileno(), True)
        order = {
            "program": "serving", "file": self._file, "control": self._theirs.fileno(), "status": writing,
            "load_seconds": self._load_seconds, "inner": self.inner.descriptor,
        }  # fmt: skip
        self.process = self._sandbox.start(order, (self._theirs.fileno(), writing, self.inner.descriptor))
        os.close(writing)
        try:
            self._await_loaded(reading, started + self._load_seconds)
        finally:
            os.close(reading)

    def _await_loaded(self, status: int, deadline: float) -> None:
        """Wait until the file is loaded; what it says of itself is only a message, HTTP is what counts."""
        process, text = self._process(), b""
        while time.monotonic() < deadline:
            if select.select([status], [], [], 0.05)[0]:
                data = os.read(status, 4096)
                text = (text + data)[-16_000:]
                for line in text.split(b"\n")[:-1]:
                    self._hear(line)
                text = text.rpartition(b"\n")[2]
                if self.problem or self.how:
                    break
                if not data:
                    process.wait(1)  # it closed its end: it ends now, or never says that it is loaded
                    break
            elif not process.alive:
                break
        if self.how:
            return
        if process.ended_by:
            raise Failed(f"The server used too much {process.ended_by} while it started.", hint="limit")
        if not self.problem and process.alive:
            raise Failed(
                f"The file was still being loaded after {self._load_seconds:.0f} s: importing it never came back.",
                hint="never-loaded", received=process.output[-500:],
            )  # fmt: skip
        process.wait(1)
        process.kill()  # so that all that it printed is read
        said = self.problem.strip() or process.output[-600:].strip() or "It ended without a word."
        last = said.splitlines()[-1]
        raise Failed(f"The server did not start: {clip(last)}", hint="no-start", received=said)

    def _hear(self, line: bytes) -> None:
        with suppress(ValueError, AttributeError, TypeError):
            message = json.loads(line)
            self.problem = clip(str(message.get("problem", self.problem)), 2000)
            self.how = clip(str(message.get("loaded", self.how)), 40)

    def _process(self) -> SandboxProcess:
        if self.process is None:
            raise ServerError("The server was not started.")
        return self.process

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        return SandboxConnection(self._control, timeout)

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self.process is not None and self.process.alive

    def restart(self) -> None:
        """End the process and start the file again, at the same address."""
        self._process().kill()
        self._sandbox.give_to_user()
        self.how = self.problem = ""
        self._start()

    def close(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
        self.inner.close()
        self._control.close()
        self._theirs.close()


@contextmanager
def served(answer: Any, isolation: Isolation | None = None, limits: Limits | None = None) -> Iterator[Server]:
    """Give a running server for what a student handed over.

    Parameters
    ----------
    answer
        ``"api.py"`` (started in the sandbox, with its folder), an address, or anything with an ``url``.

    Raises
    ------
    NotFound
        There is no such file.
    """
    url = getattr(answer, "url", answer)
    if isinstance(url, str) and ("://" in url or (":" in url and not url.endswith(".py"))):
        yield Server(url)
        return
    if not isinstance(answer, str | Path):
        raise WrongUsage(f"A server is needed; received {clip(answer, 80)}.", 'Pass "api.py", an address or a Client.')
    path = Path(answer)
    if not path.is_file():
        raise NotFound(f"There is no file {path}.", f"Paths begin at {Path.cwd()}.")
    with started(path, isolation=isolation, limits=limits) as server:
        yield server


@contextmanager
def started(
    file: Path, models: Mapping[str, bytes] | None = None, *, always: bool = False, isolation: Isolation | None = None,
    limits: Limits | None = None,
) -> Iterator[SandboxServer]:  # fmt: skip
    """Give the running server of a student's file, in a copy with what stands beside it.

    Parameters
    ----------
    file
        The file.
    models
        Files that are put in ``models``, by their names, where the folder brings none.
    always
        Put them there in any case.
    isolation, limits
        As for :class:`~mlops_lab.grade.sandbox.Sandbox`.

    Raises
    ------
    Failed
        It did not start.
    """
    with folders.temporary() as copy:
        _gather(file.resolve(), copy)
        if always or not os.path.lexists(copy / "models"):
            for name, content in (models or {}).items():
                put(copy, Path("models", name), content)
        with (
            Sandbox(copy, isolation=isolation, limits=limits) as sandbox,
            closing(SandboxServer(sandbox, file.name)) as server,
        ):
            yield server


def _gather(file: Path, folder: Path) -> None:
    """Take a student's file with what stands beside it: other Python files and the models; not the whole course."""
    for path in sorted(file.parent.iterdir()):
        if path.is_file() and path.suffix in (".py", ".json", ".txt", ".html") and path.stat().st_size < 1_000_000:
            (folder / path.name).write_bytes(path.read_bytes())
        elif path.is_dir() and path.name in ("models", "templates", "static"):
            copy_submission(path, folder / path.name)
