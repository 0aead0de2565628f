"""A server behind the notebook's kernel. Running the cell again replaces it: old code never goes on answering."""

from __future__ import annotations

import atexit
import http.client
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import ModuleType, TracebackType
from typing import Any

from mlops_lab import show
from mlops_lab.errors import PortTaken, ServerError
from mlops_lab.serve.app import create_app
from mlops_lab.serve.http import HttpServer, address, bind, refuse_debug
from mlops_lab.serve.limits import Limits
from mlops_lab.serve.watch import Watch

READY_SECONDS = 5.0
GENERATION_HEADER = "X-Lab-Generation"


@dataclass(frozen=True)
class Exchange:
    """One request that a background server answered; ``at`` is when, by ``time.monotonic``."""

    method: str
    path: str
    status: int
    milliseconds: float
    bytes: int
    at: float = 0.0


class RunningServer:
    """A server in the background of this process.

    Attributes
    ----------
    name
        What :func:`start` replaces it by.
    url, host, port
        Where it answers.
    generation
        How often a server of this name has been started; every answer carries it as ``X-Lab-Generation``.
    requests
        The last thousand requests, oldest first.

    Examples
    --------
    >>> with start("models") as server:  # doctest: +SKIP
    ...     print(server.url)
    """

    def __init__(self, app: Callable[..., Any], name: str, host: str, port: int, generation: int) -> None:
        self.name = name
        self.host = host
        self.generation = generation
        self.app = app
        self.requests: deque[Exchange] = deque(maxlen=1000)
        registry = getattr(app, "extensions", {}).get("mlops_lab")
        self._watch = Watch(registry) if registry is not None else None
        self._http = HttpServer(_noted(app, generation, self.requests), bind(host, port), Limits())
        self.port = self._http.port
        self.url = address(host, self.port)

    @property
    def running(self) -> bool:
        """Whether it still answers."""
        return self._http.thread.is_alive()

    def stop(self) -> None:
        """Stop answering and free the port. Stopping twice does no harm."""
        self._http.stop()
        if self._watch is not None:
            self._watch.stop()
        if _servers().get(self.name) is self:
            del _servers()[self.name]

    def start(self) -> None:
        """Begin to answer and wait for the first answer. :func:`start` calls this."""
        self._http.start()
        probe = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            # http.client takes no notice of proxy variables, which would catch a request to this machine.
            connection = http.client.HTTPConnection(probe, self.port, timeout=READY_SECONDS)
            try:
                connection.request("GET", "/healthz")
                if connection.getresponse().headers.get(GENERATION_HEADER) == str(self.generation):
                    self.requests.clear()
                    if self._watch is not None:
                        self._watch.start()
                    return
            except OSError:
                time.sleep(0.01)
            finally:
                connection.close()
        self._http.stop()
        raise ServerError(f"The server did not answer on {self.url} in {READY_SECONDS:g} s.", "Try another port.")

    def __enter__(self) -> RunningServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = "running" if self.running else "stopped"
        replaced = f", replaced {self.generation - 1}" if self.generation > 1 else ""
        return f"<RunningServer {self.name!r} {self.url} {state}, generation {self.generation}{replaced}>"

    def _repr_html_(self) -> str:
        kind, word = ("ok", "running") if self.running else ("info", "stopped")
        replaced = f", replaced generation {self.generation - 1}" if self.generation > 1 else ""
        rows = [
            ("state", show.Html(show.state(kind, word))),
            ("address", self.url),
            ("generation", f"{self.generation}{replaced}"),
        ]
        return show.card(f"Server {self.name!r}", show.table(rows))


def start(app_or_models: Any, *, name: str = "models", port: int = 0, host: str = "127.0.0.1") -> RunningServer:
    """Start a server in the background of this process, in place of the one of the same name.

    Parameters
    ----------
    app_or_models
        A WSGI application such as a Flask app, or whatever :func:`mlops_lab.serve.create_app` takes.
    name
        Running the cell again replaces the server of this name, on the same port.
    port
        0 takes a free one the first time, and the same one again after that.
    host
        The default is reached from this machine only.

    Returns
    -------
    RunningServer

    Raises
    ------
    PortTaken
        Another program, or a server of another name, listens on that port.

    Examples
    --------
    >>> from flask import Flask
    >>> with start(Flask("empty"), name="example") as server:
    ...     server.generation
    1
    """
    old = _servers().get(name)
    generation = _generations().get(name, 0) + 1
    _generations()[name] = generation
    if old is not None:
        old.stop()
        port = port or old.port
    app = app_or_models if callable(app_or_models) else create_app(app_or_models)
    refuse_debug(app, host)
    try:
        server = RunningServer(app, name, host, port, generation)
    except PortTaken as error:
        ours = [other.name for other in servers() if other.port == port]
        if ours:
            raise PortTaken(
                f"Port {port} is taken by your own server {ours[0]!r}.",
                f"serve.start(…, name={ours[0]!r}) replaces it.",
            ) from error
        raise
    server.start()
    _servers()[name] = server
    return server


def servers() -> list[RunningServer]:
    """Return the servers that run in the background of this process."""
    return list(_servers().values())


def stop_all() -> None:
    """Stop every server in the background of this process."""
    for server in servers():
        server.stop()


def _noted(app: Callable[..., Any], generation: int, log: deque[Exchange]) -> Callable[..., Any]:
    """Return the application with its generation on every answer and a note of every request."""

    def wrapped(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        started = time.perf_counter()

        def note(status: str, headers: list[tuple[str, str]], error: Any = None) -> Any:
            length = next((int(value) for key, value in headers if key.lower() == "content-length"), 0)
            milliseconds = 1000 * (time.perf_counter() - started)
            log.append(
                Exchange(
                    environ["REQUEST_METHOD"],
                    environ["PATH_INFO"],
                    int(status[:3]),
                    milliseconds,
                    length,
                    time.monotonic(),
                )
            )
            return start_response(status, [*headers, (GENERATION_HEADER, str(generation))], error)

        answer: Iterable[bytes] = app(environ, note)
        return answer

    return wrapped


def _state() -> Any:
    """Return a place that outlives this module, so that reloading it loses no server."""
    place = sys.modules.get("_mlops_lab_servers")
    if place is None:
        place = ModuleType("_mlops_lab_servers")
        place.servers, place.generations = {}, {}  # type: ignore[attr-defined]
        sys.modules[place.__name__] = place
        atexit.register(stop_all)
    return place


def _servers() -> dict[str, RunningServer]:
    known: dict[str, RunningServer] = _state().servers
    return known


def _generations() -> dict[str, int]:
    known: dict[str, int] = _state().generations
    return known
