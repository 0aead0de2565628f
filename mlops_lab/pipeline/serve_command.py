"""Run ``mlops-lab serve`` in a child process, over a folder of models."""

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


class ServeCommand:
    """A running ``mlops-lab serve`` process that has printed its address, and that ends with this program.

    Parameters
    ----------
    models
        The models folder.
    seconds
        The time limit for the start.

    Attributes
    ----------
    url
        The address of the server.

    Raises
    ------
    ServerError
        The process ended, or printed no address in time; the message ends with its last log lines.
    """

    def __init__(self, models: str | Path, *, seconds: float = 60.0) -> None:
        # An API key in the environment is meant for production, and the pipeline sends none to this server. A PORT in
        # the environment is production's too.
        production = ("MLOPS_LAB_API_KEY", "PORT")
        environment = {key: value for key, value in os.environ.items() if key not in production}
        command = [sys.executable, "-m", "mlops_lab", "serve", "--models", str(models), "--port", "0"]
        command.append("--until-stdin-closes")  # whose other end is closed with this program, and with no other
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            env=environment,
        )
        self._output: Queue[str] = Queue()
        self._errors: deque[str] = deque(maxlen=4)
        self._readers = [
            threading.Thread(target=_read_lines, args=pair, daemon=True)
            for pair in ((self._process.stdout, self._output.put), (self._process.stderr, self._errors.append))
        ]
        for reader in self._readers:
            reader.start()
        self.url = self._wait_for_address(seconds)

    def _wait_for_address(self, seconds: float) -> str:
        """Return the address in the line that the server prints once it answers."""
        try:
            line = self._output.get(timeout=seconds)
        except Empty:
            line = ""
        if line.startswith("serving "):
            return line.split()[1]
        self.stop()
        log = self.last_log_lines() or line.strip() or "(nothing)"
        raise ServerError(f"The server did not start within {seconds:g} s. It printed: {log}", "Check the model.")

    @property
    def running(self) -> bool:
        """Return whether the process is running."""
        return self._process.poll() is None

    def last_log_lines(self) -> str:
        """Return the last lines that the process wrote to standard error."""
        return " ".join(line.strip() for line in self._errors)

    def stop(self) -> None:
        """End the process with SIGTERM and time to drain; stopping twice does no harm."""
        if self.running:
            self._process.terminate()
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(30)
        for reader in self._readers:
            reader.join(5)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()


def _read_lines(stream: IO[str] | None, consume: Callable[[str], None]) -> None:
    """Pass on every line, so that the process never blocks on a full pipe; the last one is empty."""
    for line in stream or ():
        consume(line)
    consume("")
