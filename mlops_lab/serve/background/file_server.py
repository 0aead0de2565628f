"""A server over a file with an application, in a process of its own that ends with the kernel."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from typing import Any

from mlops_lab import show
from mlops_lab.errors import ServerError
from mlops_lab.serve.background import server_table
from mlops_lab.serve.background.ipc import RELOAD, kill_process_group, share
from mlops_lab.serve.background.recorder import RecordedRequest
from mlops_lab.serve.background.server import KEPT, RunningServer, ServerOptions
from mlops_lab.serve.ports import Identity

LOAD_SECONDS = 120.0  # TensorFlow and a large model on a slow disk
ENDING_SECONDS = 1.0


class FileServer(RunningServer):
    """A server that answers from a process of its own, and starts again whenever a file is saved.

    The kernel holds the listening socket, so that nobody is turned away while the process starts again.

    Parameters
    ----------
    target
        ``"api.py"``, or whatever ``flask --app`` takes.
    options
        Its name and address.
    """

    def __init__(self, target: str, options: ServerOptions) -> None:
        super().__init__(options)
        self.target = target
        self.problem = ""
        self._lines: deque[str] = deque(maxlen=KEPT)
        self._loaded = threading.Event()
        self._lock = threading.Lock()
        self._stopping = False
        self._process: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._supervise, name=f"mlops-lab-{self.port}", daemon=True)

    @property
    def running(self) -> bool:
        """Whether it still answers."""
        return self._thread.is_alive()

    @property
    def state(self) -> str:
        """``"running"``, ``"broken"`` (the file cannot be loaded) or ``"stopped"``."""
        return "broken" if self.running and self.problem else super().state

    @property
    def output(self) -> str:
        """The output of the process: its last thousand lines."""
        return "\n".join(self._lines)

    def _begin(self) -> None:
        self._launch()
        self._thread.start()
        deadline = time.monotonic() + LOAD_SECONDS
        while not self._loaded.wait(0.1):  # a wait without end would not hear Ctrl-C on Windows
            if time.monotonic() > deadline:
                self.problem = f"It was not loaded within {LOAD_SECONDS:g} s."
                break
        if self.problem:
            raise ServerError(
                f"{self.target} cannot be served.\n{self.problem}", "Correct the file, then run this cell again."
            )

    def _probe(self) -> None:
        asked = self.identity
        self._loaded.wait(LOAD_SECONDS)  # the file may have been saved meanwhile, and loads again
        try:
            super()._probe()
        except ServerError:
            if self.identity == asked:
                raise  # else the file was saved meanwhile, and the next process is on its way

    def _launch(self) -> None:
        """Start a process and send it the order."""
        windows = os.name == "nt"
        self._process = process = subprocess.Popen(
            [sys.executable, "-m", "mlops_lab.serve.background.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8:backslashreplace"},
            pass_fds=() if windows else (self._listener.fileno(),),
            start_new_session=not windows,  # a group of its own, which ends as a whole
            creationflags=subprocess.CREATE_NO_WINDOW if windows else 0,  # type: ignore[attr-defined]
        )
        order = {
            "target": self.target,
            "host": self.host,
            "allowed_hosts": self._allowed_hosts,
            "identity": self.identity.to_dict(),
            "socket": share(self._listener, process.pid),
            "first": self._thread.ident is None,
        }
        with suppress(OSError):  # it died already: the supervisor sees that
            process.stdin.write(json.dumps(order) + "\n")  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]

    def _supervise(self) -> None:
        """Read the messages of the process until it ends; start it again where a file was saved."""
        status = RELOAD
        while status == RELOAD and (process := self._process) is not None:
            reader = threading.Thread(target=self._read, args=(process,), daemon=True)
            reader.start()
            for line in process.stdout or ():
                self._receive(json.loads(line))
            status = process.wait()
            kill_process_group(process.pid)  # what it has started and left behind
            reader.join(ENDING_SECONDS)
            _close(process)
            with self._lock:
                if status != RELOAD or self._stopping:
                    break
                self.problem = ""
                self._loaded.clear()
                self.identity = Identity(self.name, server_table.next_generation(self.name))
                self._launch()
        self._listener.close()
        if not self._stopping:
            self.problem = self.problem or f"The process ended by itself with status {status}.\n{self._tail()}"
        self._loaded.set()

    def _read(self, process: subprocess.Popen[str]) -> None:
        with suppress(ValueError, OSError):  # closed while it was read
            for line in process.stderr or ():
                self._lines.append(line.rstrip("\n"))

    def _receive(self, message: dict[str, Any]) -> None:
        if "recorded" in message:
            self.requests.append(RecordedRequest(**message["recorded"]))
        self.problem = message.get("problem", self.problem)
        if "loaded" in message:
            self._loaded.set()

    def _tail(self) -> str:
        return "\n".join(list(self._lines)[-10:])

    def _end(self) -> None:
        with self._lock:
            self._stopping = True
            process = self._process
        if process is not None:
            kill_process_group(process.pid, gently=True)
            with suppress(subprocess.TimeoutExpired):
                process.wait(ENDING_SECONDS)
            kill_process_group(process.pid)
        if self._thread.ident is None:  # it could not even be started
            self._listener.close()
        else:
            self._thread.join(2 * ENDING_SECONDS)

    def _facts(self) -> list[tuple[str, Any]]:
        facts = [*super()._facts(), ("file", f"{self.target}, in a process of its own")]
        return [*facts, ("problem", show.Html(show.text(self.problem)))] if self.problem else facts


def _close(process: subprocess.Popen[str]) -> None:
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
