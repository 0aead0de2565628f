"""What the proofs share: a real server process, its memory, and clients that count what they get."""

from __future__ import annotations

import http.client
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import psutil

ROOT = Path(__file__).parents[1]


@dataclass
class Server:
    """A server process: `mlops-lab serve`, or another one that it is compared with."""

    process: subprocess.Popen[str]
    host: str
    port: int
    name: str = "mlops-lab"

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{self.host}:{self.port}"

    @property
    def megabytes(self) -> float:
        """Resident memory, with its children's."""
        return sum(one.memory_info().rss for one in self._processes()) / 1e6

    @property
    def cpu_seconds(self) -> float:
        """Processor time so far, with its children's."""
        return sum(sum(one.cpu_times()[:2]) for one in self._processes())

    def _processes(self) -> list[psutil.Process]:
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]

    def connect(self, timeout: float = 30) -> http.client.HTTPConnection:
        """Return a connection."""
        return http.client.HTTPConnection(self.host, self.port, timeout=timeout)


def start(models: Path | str = ROOT / "models", *options: str, errors: TextIO | None = None) -> Server:
    """Start a server and wait until it says that it serves; ``errors`` takes what it writes to standard error."""
    return started(["-m", "mlops_lab", "serve", "--models", str(models), "--port", "0", *options], errors)


def started(arguments: list[str], errors: TextIO | None = None) -> Server:
    """Start Python with these arguments and wait until it says that it serves."""
    command = [sys.executable, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=ROOT)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("serving http://"), f"the server said {line!r}"
    host, port = line.split("//")[1].strip().split(":")
    return Server(process, host, int(port))


@contextmanager
def running(models: Path | str = ROOT / "models", *options: str) -> Iterator[Server]:
    """Run a server for the length of a block."""
    with ending(start(models, *options)) as server:
        yield server


@contextmanager
def ending(server: Server) -> Iterator[Server]:
    """End a server with the block."""
    try:
        yield server
    finally:
        server.process.terminate()
        server.process.wait(30)


@dataclass
class Load:
    """Clients that send the same request over and over, each over its own connection, until told to stop."""

    server: Server
    path: str
    body: bytes
    kind: str
    clients: int = 8
    check: Callable[[int, bytes], str] | None = None
    found: Counter[str] = field(default_factory=Counter)
    milliseconds: list[float] = field(default_factory=list)

    def __enter__(self) -> Load:
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(self.clients)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        connection = self.server.connect()
        while not self._ended.is_set():
            started = time.perf_counter()
            try:
                connection.request("POST", self.path, self.body, {"Content-Type": self.kind})
                answer = connection.getresponse()
                content = answer.read()
                word = self.check(answer.status, content) if self.check else str(answer.status)
            except (OSError, http.client.HTTPException) as error:
                word = type(error).__name__
                connection.close()
            self.milliseconds.append(1000 * (time.perf_counter() - started))
            self.found[word] += 1
