"""uvicorn on a socket that we bound: in a thread with a loop of its own, drained or stopped on command."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import signal
import socket
import sys
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import uvicorn

from mlops_lab.errors import WrongUsage
from mlops_lab.serve.core.limits import Limits
from mlops_lab.serve.core.watchdog import WATCHDOG
from mlops_lab.serve.http.guard import BrowserGuard
from mlops_lab.serve.http.protocol import StrictProtocol
from mlops_lab.serve.ports import LOOPBACK

# A drain is over when, so many times in a row 10 ms apart, there was nothing to read, to answer or to send.
IDLE_POLLS = 20
TICK_SECONDS = 1.0
# Calls that still compute when the drain is over are interrupted, and have so long to end.
ABORT_SECONDS = 2.0
# Open files that are left to models, logs and threads, and connections that are taken whatever is left.
FILES_BESIDE, FEWEST_CONNECTIONS = 24, 4
_servers: weakref.WeakSet[HttpServer] = weakref.WeakSet()


class _Uvicorn(uvicorn.Server):
    """uvicorn's server, which stops when it is told instead of looking every 100 ms, and drains without a loss."""

    def __init__(self, config: uvicorn.Config, limits: Limits, listener: socket.socket, accept_pending: bool) -> None:
        super().__init__(config)
        self.server_state.draining = False  # type: ignore[attr-defined]
        self.limits = limits
        self.listener = listener
        self.accept_pending = accept_pending
        self.drain = False
        self.ready = threading.Event()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.last_tick = time.monotonic()
        self._asked = asyncio.Event()

    async def main_loop(self) -> None:
        """Keep the date and the deadlines of the connections until the server is asked to end."""
        self.loop = asyncio.get_running_loop()
        self.ready.set()
        tick = 0
        while not self._asked.is_set():
            await self.on_tick(10 * tick)  # uvicorn renews its headers every tenth tick
            self._expire()
            self.last_tick = time.monotonic()
            tick += 1
            with suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), TICK_SECONDS)

    def request_stop(self, *, drain: bool) -> None:
        """End the loop, from another thread."""

        def ask() -> None:
            self.drain = self.drain or drain
            self.force_exit = self.force_exit or not drain
            self._asked.set()

        if self.loop is not None:
            with suppress(RuntimeError):  # it has ended already
                self.loop.call_soon_threadsafe(ask)

    def _connections(self) -> list[StrictProtocol]:
        return list(self.server_state.connections)  # type: ignore[arg-type]

    def _expire(self) -> None:
        now = asyncio.get_running_loop().time()
        for connection in self._connections():
            if connection.deadline < now:
                connection.expire()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no new connections, answer what has arrived if asked to, then close."""
        if self.drain:
            await self._drain()
        for server in self.servers:
            server.close()
        await asyncio.sleep(0)  # what was accepted in this very step becomes a connection
        for connection in self._connections():
            connection.transport.abort()
        for task in list(self.server_state.tasks):
            task.cancel()
        await asyncio.sleep(0)

    async def _drain(self) -> None:
        self.server_state.draining = True  # type: ignore[attr-defined]
        await self._close_listener()
        loop = asyncio.get_running_loop()
        deadline, quiet = loop.time() + self.limits.drain_seconds, 0
        for connection in self._connections():
            connection.drain()
        # Looks are counted, not the time between them: on a busy machine nobody may look for long.
        while quiet < IDLE_POLLS and not self.force_exit and loop.time() < deadline:
            if not self.server_state.connections and quiet:
                break
            quiet = 0 if any(connection.is_busy() for connection in self._connections()) else quiet + 1
            self._expire()
            await asyncio.sleep(0.01)

    async def _close_listener(self) -> None:
        """Accept the connections that the kernel has completed, and close the listener in the same step.

        A client whose connection waits in the kernel would otherwise be reset, if no other process takes it.
        """
        accepted: list[socket.socket] = []
        with suppress(OSError):  # there is none left, or another process closed it
            while self.accept_pending and os.name != "nt":
                accepted.append(self.listener.accept()[0])
        for server in self.servers:
            server.close()
        loop, config = asyncio.get_running_loop(), self.config
        for connection in accepted:
            connection.setblocking(False)
            protocol: Any = config.http_protocol_class
            factory = partial(protocol, config, self.server_state, {}, _loop=loop)
            await loop.connect_accepted_socket(factory, connection)


def affordable_connections(limits: Limits) -> int:
    """Return how many connections may be open, so that files are left for everything else.

    Examples
    --------
    >>> affordable_connections(Limits(connections=8))
    8
    """
    try:
        import resource

        allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        held = len(os.listdir("/dev/fd"))
    except (ImportError, OSError):  # Windows has no such limit
        return limits.connections
    return min(limits.connections, max(FEWEST_CONNECTIONS, allowed - held - FILES_BESIDE))


class HttpServer:
    """An ASGI application behind a listening socket.

    Parameters
    ----------
    app
        An ASGI application, from :func:`mlops_lab.serve.asgi.create_asgi`.
    listener
        A socket from :func:`mlops_lab.serve.ports.bind`; the server closes it.
    limits
        The limits on connections, heads and times.
    accept_pending
        Whether a drain answers the connections that wait in the kernel; not where the next process is to have them.
    on_refused
        Called with the status code of each request that is refused before it reaches the application.
    guard
        Refuses requests for other hosts, and those that pages of other sites send.
    """

    def __init__(
        self,
        app: Any,
        listener: socket.socket,
        limits: Limits,
        *,
        accept_pending: bool = True,
        on_refused: Callable[[int], object] = lambda status: None,
        guard: BrowserGuard | None = None,
    ) -> None:
        listener.setblocking(False)
        config = uvicorn.Config(
            app,
            http=partial(  # type: ignore[arg-type]
                StrictProtocol,
                limits=limits,
                on_refused=on_refused,
                guard=guard,
                connections=affordable_connections(limits),
            ),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=1024,
            timeout_keep_alive=int(limits.idle_seconds),
        )
        self._limits = limits
        self._listener = listener
        self._uvicorn = _Uvicorn(config, limits, listener, accept_pending)
        self._dispatcher = getattr(app, "dispatcher", None)
        self.port: int = listener.getsockname()[1]
        self.thread = threading.Thread(target=self._run, name=f"mlops-lab-{self.port}", daemon=True)
        _servers.add(self)

    @property
    def last_tick(self) -> float:
        """When the event loop ran last, by ``time.monotonic``; it does once a second until the server ends."""
        return self._uvicorn.last_tick

    def start(self) -> None:
        """Begin to answer, in a thread."""
        self.thread.start()
        while not self._uvicorn.ready.wait(0.05) and self.thread.is_alive():
            pass

    def stop(self) -> None:
        """Stop at once: close every connection and end the threads."""
        self._uvicorn.request_stop(drain=False)
        if self.thread.is_alive():
            self.thread.join()
        self._listener.close()

    def drain(self) -> None:
        """Take no new connections, answer what has arrived, then stop."""
        self._uvicorn.request_stop(drain=True)
        self.thread.join(self._limits.drain_seconds + 1)
        self.stop()

    def _run(self) -> None:
        factory = self._uvicorn.config.get_loop_factory()
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(self._uvicorn._serve(sockets=[self._listener]))
        if self._dispatcher is not None:
            self._dispatcher.stop()

    def _close_inherited(self) -> None:
        """Close what a forked child has inherited: it must not keep the port, or a connection, from being closed."""
        with suppress(OSError):
            os.close(self._listener.detach())  # close() would wait for the loop, which holds it too
        for connection in self._uvicorn._connections():
            with suppress(OSError, AttributeError):
                os.close(connection.transport.get_extra_info("socket").fileno())


def _close_inherited_servers() -> None:
    for server in list(_servers):
        server._close_inherited()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_inherited_servers)


def serve_until(
    server: HttpServer,
    stop_requested: threading.Event,
    announce: Callable[[], None],
    on_drain: Callable[[], Callable[[], object] | None] = lambda: None,
) -> None:
    """Run a server until an event is set, then drain it.

    Parameters
    ----------
    announce
        Called when the server answers.
    on_drain
        Called when the drain begins; what it returns is called when the drain is over.
    """
    server.start()
    announce()
    while not stop_requested.wait(0.5):  # a wait without end would not see signals on Windows
        pass
    finish = on_drain()
    server.drain()
    if finish is not None:
        finish()
    if not WATCHDOG.end(ABORT_SECONDS):
        atexit.register(_exit_now)


def _exit_now() -> None:
    """End the process as it is: an engine still computes, and to take its library down would end it with SIGABRT."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(0)


def stop_on_signals() -> threading.Event:
    """Return an event that SIGTERM and Ctrl-C set."""
    stop_requested = threading.Event()
    for name in ("SIGTERM", "SIGINT"):
        signal.signal(getattr(signal, name), lambda *_: stop_requested.set())
    return stop_requested


def refuse_debug(app: Any, host: str) -> None:
    """Raise where Flask's debugger would be open to the network: it runs any code that it is sent."""
    if getattr(app, "debug", False) and host not in LOOPBACK:
        raise WrongUsage(
            f"The app is in debug mode and {host} is open to the network: anyone there could run code here.",
            "Turn debug off, or bind to 127.0.0.1.",
        )
