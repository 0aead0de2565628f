"""Several processes behind one port: a parent that supervises, and workers that answer.

The parent listens and passes the listening socket on. So there is one queue of new connections, which outlives any
worker; with a socket for each (SO_REUSEPORT) the kernel would give every worker a queue of its own, which dies with it.
Parent and worker share a private channel: the worker reads its settings from it and answers "ready", and a worker whose
parent is gone reads the end of it and drains.

``python -m mlops_lab.serve.workers LISTENER CHANNEL`` is a worker; only the parent starts one. Another module may stand
in its place, which calls :func:`work` with parts of packages above this one, such as a prediction log.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from flask import Flask

from mlops_lab import show
from mlops_lab.errors import LabError, ServerError, WrongUsage
from mlops_lab.serve.asgi import create_asgi
from mlops_lab.serve.command import Print, Settings, build, make_guard, warn_if_open
from mlops_lab.serve.core.memory import limit_kept_memory
from mlops_lab.serve.core.watchdog import WATCHDOG
from mlops_lab.serve.core.watcher import StoreWatcher
from mlops_lab.serve.http import HttpServer, serve_until, stop_on_signals
from mlops_lab.serve.observability import multiprocess
from mlops_lab.serve.ports import address, bind
from mlops_lab.serve.state import Log, ServerState

TICK = 0.1
MAX_WORKERS = 64
STEADY_SECONDS = 30.0  # a worker that lived so long starts again at once
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0
HEARTBEAT_SECONDS = 1.0
# A worker is stuck, and replaced, when its loop has not run for so long, or a call is so far past its deadline.
STUCK_SECONDS = 30.0
AFTER_DRAIN_SECONDS = 5.0


class Worker:
    """One place among the workers: the process that fills it now, and when the next may start.

    Parameters
    ----------
    number
        Of the place; ``/metrics`` calls it ``worker``.
    listener
        What all of them share.
    settings
        Of the server.
    folder
        Private; holds the sockets over which workers tell their metrics.
    module
        What the process runs.
    """

    def __init__(self, number: int, listener: socket.socket, settings: Settings, folder: Path, module: str) -> None:
        self.number = number
        self.ready = False
        self._listener = listener
        self._settings = settings
        self._module = module
        self._shutdown_seconds = shutdown_seconds(settings)
        self._socket = folder / f"{number}.sock"
        self._deaths = 0
        self._next_start = 0.0
        self.start()

    def start(self) -> None:
        """Start a process and send it its settings."""
        self._channel, theirs = socket.socketpair()
        with theirs:
            files = (self._listener.fileno(), theirs.fileno())
            self.process = subprocess.Popen(
                [sys.executable, "-m", self._module, *map(str, files)],
                pass_fds=files,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the parent, which passes it on
            )
        self._started = self._heartbeat = time.monotonic()
        self._stop_requested_at = 0.0
        first = self.number == 0 and self._deaths == 0
        message = {"settings": asdict(self._settings), "socket": str(self._socket), "warn": first}
        with suppress(BrokenPipeError):  # it died already: the next poll sees that
            self._channel.sendall(json.dumps(message).encode() + b"\n")

    def poll(self) -> str | None:
        """Check whether the worker is ready, is gone, or may start again; return a warning, if there is one."""
        if self.process.poll() is None:
            if self.ready:
                return self._check_heartbeat()
            if _readable(self._channel):
                self._receive()
        elif self._next_start == 0:
            return self._handle_exit()
        elif time.monotonic() >= self._next_start:
            self._next_start = 0
            self.start()
        return None

    def _receive(self) -> None:
        """Read the one message of the worker: it is ready, or it could not start."""
        line = ""
        with suppress(ConnectionResetError):  # it died before it had read its settings
            line = self._channel.makefile().readline()
        message = json.loads(line) if line.endswith("\n") else {}
        self.ready = "ready" in message
        self._heartbeat = time.monotonic()
        if "error" in message and self._deaths == 0:
            raise LabError(message["error"], message["hint"], code=message["code"])

    def _check_heartbeat(self) -> str | None:
        """End a worker that is stuck, so that the next poll starts another in its place."""
        now = time.monotonic()
        with suppress(OSError):  # nothing has come, or it is gone: the next poll sees that
            if self._channel.recv(4096, socket.MSG_DONTWAIT):
                self._heartbeat = now
        if self._stop_requested_at:
            if now - self._stop_requested_at > self._shutdown_seconds:
                self.process.kill()
        elif now - self._heartbeat > STUCK_SECONDS:
            self._stop_requested_at = now
            self.end()
            return (
                f"warning: worker {self.number} (process {self.process.pid}) is stuck;"
                f" it has {self._shutdown_seconds:g} s to answer what it can, then another takes its place"
            )
        return None

    def _handle_exit(self) -> str:
        if not self.ready and _readable(self._channel):
            self._receive()
        if not self.ready and self._deaths == 0:
            raise ServerError(f"A worker ended with {self.process.returncode} before it was ready.", "Look above.")
        self._channel.close()
        self._socket.unlink(missing_ok=True)
        self.ready = False
        steady = time.monotonic() - self._started > STEADY_SECONDS
        self._deaths = 1 if steady else self._deaths + 1
        pause = min(FIRST_PAUSE * 2 ** (self._deaths - 1), LONGEST_PAUSE)
        self._next_start = time.monotonic() + pause
        process = self.process
        return (
            f"warning: worker {self.number} (process {process.pid}) ended with {process.returncode};"
            f" another starts in {pause:g} s"
        )

    def end(self) -> None:
        """Ask it to drain."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def wait(self, deadline: float) -> None:
        """Wait until it has drained, and end one that does not."""
        try:
            self.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._channel.close()


def _readable(channel: socket.socket) -> bool:
    return bool(select.select([channel], [], [], 0)[0])


def supervise(settings: Settings, announce: Print, warn: Print, module: str = "mlops_lab.serve.workers") -> None:
    """Serve in several processes until SIGTERM or Ctrl-C; start again what dies; then have all of them drain.

    Parameters
    ----------
    module
        What a worker process runs.

    Raises
    ------
    WrongUsage
        gRPC is asked for as well, there are too many workers, or this is Windows.
    PortTaken
        Another program listens there.
    LabError
        A worker could not start, and why.
    """
    _refuse(settings)
    stop_requested = stop_on_signals()
    listener = bind(settings.host, settings.port)
    warn_if_open(settings, warn)
    url = address(settings.host, listener.getsockname()[1])
    with listener, _private_folder() as folder:
        workers: list[Worker] = []
        try:
            for number in range(settings.workers):
                workers.append(Worker(number, listener, settings, folder, module))
            _watch(workers, stop_requested, lambda: announce(f"serving {url}"), warn)
        finally:
            _end(workers, listener, shutdown_seconds(settings))


def _refuse(settings: Settings) -> None:
    if settings.grpc_port is not None:
        raise WrongUsage(
            f"gRPC answers from one process; --workers is {settings.workers}.",
            "Leave out --grpc-port or --workers, or start a second server for gRPC.",
        )
    if settings.workers > MAX_WORKERS:
        raise WrongUsage(
            f"--workers is {settings.workers}; the maximum is {MAX_WORKERS}.", "One for each core is enough."
        )
    if os.name == "nt":
        raise WrongUsage(
            "Windows does not hand a listening socket down to workers.",
            "Leave out --workers, or start several servers on ports of their own behind a balancer.",
        )


@contextmanager
def _private_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="mlops-lab-"))  # nobody else may look into it
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _watch(workers: list[Worker], stop_requested: threading.Event, announce: Any, warn: Print) -> None:
    announced = False
    while not stop_requested.is_set():
        for worker in workers:
            warning = worker.poll()
            if warning:
                warn(warning)
        if not announced and all(worker.ready for worker in workers):
            announce()
            announced = True
        stop_requested.wait(TICK)


def shutdown_seconds(settings: Settings) -> float:
    """Return how long a worker may take that has been told to end: it drains, and closes its log."""
    return settings.make_limits().drain_seconds + AFTER_DRAIN_SECONDS


def _end(workers: list[Worker], listener: socket.socket, seconds: float) -> None:
    """Drain all workers. Connections that wait go to workers that still accept; the last one closes the queue."""
    for worker in workers:
        worker.end()
    listener.close()
    deadline = time.monotonic() + seconds
    for worker in workers:
        worker.wait(deadline)


def work(
    listener: socket.socket,
    channel: socket.socket,
    open_log: Callable[[Settings, Print], AbstractContextManager[Log]] | None = None,
) -> None:
    """Answer on the shared socket until told to end, or until the parent is gone.

    Parameters
    ----------
    open_log
        Returns the prediction log of this process, which is closed after the last answer.
    """
    stop_requested = stop_on_signals()
    order = json.loads(channel.makefile().readline())
    limit_kept_memory()
    warn = _warn if order["warn"] else lambda line: None
    settings = Settings(**order["settings"])
    with open_log(settings, warn) if open_log is not None else nullcontext() as log:
        _answer(listener, channel, order["socket"], stop_requested, settings, lambda: build(settings, warn, log))


def _answer(
    listener: socket.socket,
    channel: socket.socket,
    socket_path: str,
    stop_requested: threading.Event,
    settings: Settings,
    make: Callable[[], tuple[Flask, ServerState]],
) -> None:
    try:
        app, state = make()
    except LabError as error:
        channel.sendall(json.dumps({"error": error.message, "hint": error.hint, "code": error.code}).encode() + b"\n")
        sys.exit(1)
    path = Path(socket_path)
    multiprocess.expose(path, lambda: state.metrics.text()[0])
    state.expose = lambda accept: multiprocess.collect_all(path.parent, accept)
    state.single_process = False
    watcher = StoreWatcher(state.registry)
    watcher.start()
    threading.Thread(target=_end_with_parent, args=(channel, stop_requested), daemon=True).start()

    def drain() -> None:
        state.draining = True

    server = HttpServer(
        create_asgi(app),
        listener,
        state.service.limits,
        on_refused=state.record_refusal,
        guard=make_guard(settings, state),
    )
    threading.Thread(target=_heartbeat, args=(channel, server), daemon=True).start()
    serve_until(server, stop_requested, lambda: channel.sendall(b'{"ready": true}\n'), drain)
    watcher.stop()


def _warn(line: str) -> None:
    print(show.escape_controls(line), file=sys.stderr, flush=True)


def _heartbeat(channel: socket.socket, server: HttpServer) -> None:
    """Send the parent a heartbeat once a second while this worker is not stuck; without one it is replaced."""
    while True:
        time.sleep(HEARTBEAT_SECONDS)
        runs = time.monotonic() - server.last_tick < STUCK_SECONDS
        if runs and WATCHDOG.longest_overdue() < STUCK_SECONDS:
            try:
                channel.send(b".", socket.MSG_DONTWAIT)
            except BlockingIOError:  # the parent has not read for long
                continue
            except OSError:  # it is gone
                return


def _end_with_parent(channel: socket.socket, stop_requested: threading.Event) -> None:
    with suppress(OSError):
        channel.recv(1)  # the parent writes nothing more: this returns when it is gone
    stop_requested.set()


if __name__ == "__main__":
    work(socket.socket(fileno=int(sys.argv[1])), socket.socket(fileno=int(sys.argv[2])))
