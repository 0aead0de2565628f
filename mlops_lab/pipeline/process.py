"""``mlops-lab serve`` in a process of its own, over a folder of models."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from queue import Empty, Queue
from typing import IO

from mlops_lab.errors import ServerError


class ServerProcess:
    """A server process that has said where it serves.

    Parameters
    ----------
    models
        The models folder.
    seconds
        How long it may take to say so.

    Attributes
    ----------
    url
        Where it answers.

    Raises
    ------
    ServerError
        It ended, or was silent for too long; the message ends with its last words.
    """

    def __init__(self, models: str | Path, *, seconds: float = 60.0) -> None:
        # A key that the environment holds is for the real server; whoever examines this one has none.
        environment = {key: value for key, value in os.environ.items() if key != "MLOPS_LAB_API_KEY"}
        command = [sys.executable, "-m", "mlops_lab", "serve", "--models", str(models), "--port", "0"]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            env=environment,
        )
        self._said: Queue[str] = Queue()
        self._errors: deque[str] = deque(maxlen=4)
        self._readers = [
            threading.Thread(target=_read, args=pair, daemon=True)
            for pair in ((self._process.stdout, self._said.put), (self._process.stderr, self._errors.append))
        ]
        for reader in self._readers:
            reader.start()
        self.url = self._wait(seconds)

    def _wait(self, seconds: float) -> str:
        """Return the address in the line that the server prints once it answers."""
        try:
            line = self._said.get(timeout=seconds)
        except Empty:
            line = ""
        if line.startswith("serving "):
            return line.split()[1]
        self.stop()
        words = self.last_words() or line.strip() or "nothing"
        raise ServerError(f"The server did not start within {seconds:g} s; it said: {words}", "Look at the model.")

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process.poll() is None

    def last_words(self) -> str:
        """Return the end of what it wrote to standard error."""
        return " ".join(line.strip() for line in self._errors)

    def stop(self) -> None:
        """End it as an operator does, with time to drain; stopping twice does no harm."""
        if self.running:
            self._process.terminate()
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(30)
        for reader in self._readers:
            reader.join(5)
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()


def _read(stream: IO[str] | None, take: Callable[[str], None]) -> None:
    """Take lines until there are no more, so that the process never waits for a reader; the last one is empty."""
    for line in stream or ():
        take(line)
    take("")
