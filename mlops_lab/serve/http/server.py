"""waitress on a socket of ours: starts in a thread, drains and stops on command."""

from __future__ import annotations

import ctypes
import logging
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from flask import Flask
from waitress import create_server, wasyncore

from mlops_lab.errors import WrongUsage
from mlops_lab.serve.http.channel import Channel
from mlops_lab.serve.http.line import Line
from mlops_lab.serve.limits import Limits
from mlops_lab.serve.ports import address, bind

# So many times in a row, 10 ms apart, the loop finds nothing to read, to answer or to send before a drain is over.
QUIET_LOOKS = 20
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class HttpServer:
    """An application behind a listening socket.

    Parameters
    ----------
    app
        Any WSGI application.
    listener
        From :func:`bind`; the server closes it.
    limits
        Threads, connections and sizes.
    shared
        Whether other processes listen on the same socket.
    """

    def __init__(
        self, app: Callable[..., Any], listener: socket.socket, limits: Limits, *, shared: bool = False
    ) -> None:
        # waitress warns on standard error whenever a request has to wait for a thread, which is what a queue is for,
        # and whenever a thread is busy at the end.
        for name in ("waitress", "waitress.queue"):
            logging.getLogger(name).setLevel(logging.ERROR)
        self._map: dict[int, Any] = {}
        line = Line(limits, getattr(app, "config", {}).get("ON_REFUSAL", lambda: None))
        line.set_thread_count(limits.threads)
        self._server = create_server(
            app,
            map=self._map,
            _dispatcher=line,
            sockets=[listener],
            connection_limit=limits.connections,
            channel_timeout=limits.idle_seconds,
            cleanup_interval=5,
            max_request_header_size=limits.header_bytes,
            # A client reads our answer only if its body was taken; so a body that is too large for the application,
            # but not absurd, is taken and then refused.
            max_request_body_size=8 * limits.body_bytes,
            asyncore_use_poll=hasattr(wasyncore.select, "poll"),
            ident=None,
        )
        self._server.channel_class = Channel
        self._server.adj.header_fields = limits.headers
        self._server.adj.limits = limits
        self._closing = threading.Event()
        self._refusing = threading.Event()
        self._ending = threading.Lock()
        self._ended = False
        self._limits = limits
        self._shared = shared
        self._exposed = False
        self.port: int = listener.getsockname()[1]
        self.thread = threading.Thread(target=self._run, name=f"mlops-lab-{self.port}", daemon=True)
        line.loop = self.thread

    def start(self) -> None:
        """Begin to answer, in a thread."""
        self.thread.start()

    def stop(self) -> None:
        """Stop at once: close every connection and end the threads."""
        self._closing.set()
        self._wake()
        if self.thread.is_alive():
            self.thread.join()

    def drain(self) -> None:
        """Take no new connections, answer what has arrived, then stop."""
        self._server.draining = True
        if not self._shared:  # the others go on taking connections from it, or have been told to end as well
            self._exposed = not drop_newcomers(self._server.socket)
            time.sleep(0.05)  # the handshakes that have begun
        self._refusing.set()
        self._wake()
        self.thread.join(self._limits.drain_seconds)
        self.stop()

    def _wake(self) -> None:
        """Interrupt the loop's wait, unless it has ended and its file descriptors may belong to someone else."""
        with self._ending:
            if not self._ended:
                self._server.pull_trigger()

    def _busy(self) -> bool:
        channels = list(self._server.active_channels.values())
        return any(channel.requests or channel.request or channel.total_outbufs_len for channel in channels)

    def _run(self) -> None:
        use_poll = self._server.adj.asyncore_use_poll
        quiet = 0
        while not self._closing.is_set() and quiet < QUIET_LOOKS:
            draining = self._refusing.is_set()
            wasyncore.loop(timeout=0.01 if draining else 1, use_poll=use_poll, map=self._map, count=1)
            if draining:
                if self._server.accepting:
                    self._close_listener()
                if self._busy():
                    quiet = 0
                else:  # looks are counted, not the time between them: on a busy machine nobody may look for long
                    quiet += 1
                    self._closing.wait(0.01)
        with self._ending:
            self._ended = True
            self._hush()
            wasyncore.close_all(self._map, ignore_all=True)
        self._end_threads()

    def _hush(self) -> None:
        """Let threads that answer into a closed connection fail in silence: nobody is there to read the answer."""
        silent = logging.getLogger("mlops_lab.serve.ended")
        silent.addHandler(logging.NullHandler())
        silent.propagate = False
        for part in (self._server, self._server.task_dispatcher, *self._server.active_channels.values()):
            part.logger = silent

    def _end_threads(self) -> None:
        """Let the idle threads end; one that is busy is not waited for, it answers into a closed connection."""
        threads = self._server.task_dispatcher
        threads.set_thread_count(0)
        deadline = time.monotonic() + 0.05
        while threads.threads and time.monotonic() < deadline:
            time.sleep(0.002)
        threads.shutdown(cancel_pending=True, timeout=0)

    def _close_listener(self) -> None:
        self._accept_all()
        for _ in range(20 if self._exposed else 0):
            if fill_queue(self._server.socket):
                break
            self._accept_all()  # somebody came first
        self._server.accepting = False
        self._server.del_channel()
        self._server.socket.close()

    def _accept_all(self) -> None:
        """Take the connections that the kernel has made already."""
        while True:
            before = len(self._map)
            self._server.handle_accept()
            if len(self._map) == before:
                break


def drop_newcomers(listener: socket.socket) -> bool:
    """Have the kernel ignore new connections, so that none slips in between the last accept and the close.

    A filter on the listener (socket(7), SO_ATTACH_FILTER) drops a packet that opens a connection, and keeps all others,
    so that a handshake that has begun is completed. Only Linux has it, and not every kernel lets a process without
    privileges set it.

    Returns
    -------
    bool
        Whether it is set.
    """
    if sys.platform != "linux":
        return False
    steps = [
        (0x30, 0, 0, 13),  # load the byte of TCP's flags
        (0x54, 0, 0, 0x12),  # keep SYN and ACK
        (0x15, 0, 1, 0x02),  # SYN alone?
        (0x06, 0, 0, 0),  # then keep nothing of the packet
        (0x06, 0, 0, 0xFFFFFFFF),  # else all of it
    ]
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    try:
        listener.setsockopt(socket.SOL_SOCKET, 26, struct.pack("HL", len(steps), ctypes.addressof(program)))
    except OSError:
        return False
    return True


def fill_queue(listener: socket.socket) -> bool:
    """Leave room for one connection in the kernel's queue and take it, and return whether that succeeded.

    While the queue is full, Linux ignores whoever wants to connect. Where somebody else was first, they wait in it.
    Elsewhere a connection that arrives in the moment of closing is reset, and its client has to try again.
    """
    if sys.platform != "linux":
        return True
    listener.listen(0)
    with socket.socket(listener.family, socket.SOCK_STREAM) as ours:
        ours.settimeout(0.02)
        return ours.connect_ex(listener.getsockname()) == 0


def serve_forever(
    app: Flask,
    host: str,
    port: int,
    limits: Limits,
    announce: Callable[[str], None],
    start_beside: Callable[[], Any] | None = None,
) -> None:
    """Serve in this process until SIGTERM or Ctrl-C, then drain.

    Parameters
    ----------
    announce
        Called with lines for whoever started the server, once it answers.
    start_beside
        Starts a second server, such as gRPC's, and returns it; it has a ``port``, and is stopped with this one.
    """
    refuse_debug(app, host)
    listener = bind(host, port)
    lines = [f"serving {address(host, listener.getsockname()[1])}"]
    beside = start_beside() if start_beside is not None else None
    if beside is not None:
        lines.append(f"serving grpc {address(host, beside.port).removeprefix('http://')}")
    stop_beside = beside.stop if beside is not None else None
    serve_on(app, listener, limits, end_on_signals(), lambda: announce("\n".join(lines)), stop_beside)


def serve_on(
    app: Flask,
    listener: socket.socket,
    limits: Limits,
    asked_to_end: threading.Event,
    announce: Callable[[], None],
    stop_beside: Callable[[float], Any] | None = None,
    shared: bool = False,
) -> None:
    """Serve on a socket until an event is set, then drain.

    Parameters
    ----------
    announce
        Called when the server answers.
    stop_beside
        Begins to stop a second server, and returns an event to wait for.
    shared
        Whether other processes listen on the same socket.
    """
    server = HttpServer(app, listener, limits, shared=shared)
    server.start()
    announce()
    while not asked_to_end.wait(0.5):  # a wait without end would not see signals on Windows
        pass
    app.config["DRAINING"] = True
    over = stop_beside(limits.drain_seconds) if stop_beside is not None else None
    server.drain()
    if over is not None:
        over.wait()


def end_on_signals() -> threading.Event:
    """Return an event that SIGTERM and Ctrl-C set."""
    asked_to_end = threading.Event()
    for name in ("SIGTERM", "SIGINT"):
        signal.signal(getattr(signal, name), lambda *_: asked_to_end.set())
    return asked_to_end


def refuse_debug(app: Any, host: str) -> None:
    """Raise where Flask's debugger would be open to the network: it runs any code that it is sent."""
    if getattr(app, "debug", False) and host not in LOOPBACK:
        raise WrongUsage(
            f"The app is in debug mode and {host} is open to the network: anyone there could run code here.",
            "Turn debug off, or bind to 127.0.0.1.",
        )
