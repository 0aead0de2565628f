"""A server in the background of this kernel, and the kind that answers from a thread."""

from __future__ import annotations

import socket
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Collection
from types import TracebackType
from typing import Any, NamedTuple

from mlops_lab import show
from mlops_lab.deprecation import warn_renamed
from mlops_lab.errors import ServerError
from mlops_lab.serve.asgi import create_asgi
from mlops_lab.serve.background import server_table
from mlops_lab.serve.background.public_url import PublicUrl, find_public_hosts, find_public_url
from mlops_lab.serve.background.recorder import RecordedRequest, RequestRecorder
from mlops_lab.serve.core.limits import Limits
from mlops_lab.serve.core.watcher import StoreWatcher
from mlops_lab.serve.http import HttpServer
from mlops_lab.serve.http.guard import guard_for
from mlops_lab.serve.ports import Identity, address, bind, find_port_owner, probe
from mlops_lab.serve.state import state_of

READY_SECONDS = 5.0
KEPT = 1000


class ServerOptions(NamedTuple):
    """The options of a background server, as :func:`mlops_lab.serve.start` takes them.

    Parameters
    ----------
    name
        The name by which it is replaced.
    host, port
        The address to listen on.
    listener
        A socket that listens there already.
    allowed_hosts
        Names in the ``Host`` of a request that are answered beside those of this machine.
    """

    name: str
    host: str
    port: int
    listener: socket.socket | None
    allowed_hosts: Collection[str]


class RunningServer(ABC):
    """A server in the background of this kernel.

    Attributes
    ----------
    name
        The name by which :func:`mlops_lab.serve.start` replaces it.
    url, host, port
        Its address.
    generation
        How often a server of this name has been started; every answer carries it as ``X-Lab-Generation``.
    requests
        The last thousand requests, oldest first.

    Examples
    --------
    >>> from mlops_lab import serve
    >>> with serve.start("models") as server:  # doctest: +SKIP
    ...     print(server.url)
    """

    def __init__(self, options: ServerOptions) -> None:
        self._listener = options.listener or bind(options.host, options.port)
        self.name, self.host = options.name, options.host
        self.port: int = self._listener.getsockname()[1]
        self.url = address(self.host, self.port)
        self.identity = Identity(self.name, server_table.next_generation(self.name))
        self.requests: deque[RecordedRequest] = deque(maxlen=KEPT)
        self._allowed_hosts = sorted({*options.allowed_hosts, *find_public_hosts(self.port)})

    @property
    def generation(self) -> int:
        """How often a server of this name has been started."""
        return self.identity.generation

    @property
    @abstractmethod
    def running(self) -> bool:
        """Whether it still answers."""

    @property
    def public_url_details(self) -> PublicUrl:
        """How a browser reaches it from where the notebook runs; ``str`` of it is a sentence."""
        return find_public_url(self.port, self.url)

    @property
    def reach(self) -> PublicUrl:
        """The same as :attr:`public_url_details`; deprecated."""
        warn_renamed("RunningServer.reach", "public_url_details")
        return self.public_url_details

    @property
    def public_url(self) -> str | None:
        """What to open in a browser, or None where there is no way; :attr:`public_url_details` says why."""
        return self.public_url_details.url

    @property
    def output(self) -> str:
        """The last thousand lines of output of a server in a process; one in a thread prints into the notebook."""
        return ""

    def share_listener(self) -> socket.socket | None:
        """Return its listening socket once more, for the server that replaces it; None where it has ended."""
        return self._listener.dup() if self.running and self._listener.fileno() >= 0 else None

    def start(self, replaced: RunningServer | None = None) -> None:
        """Begin to answer, and check that it is this server that answers; :func:`mlops_lab.serve.start` calls this.

        The server that is replaced goes on until this one has begun, and stays where it cannot begin.
        """
        try:
            self._begin()
            if replaced is not None:
                replaced.stop()
            self._probe()
        except BaseException:  # Ctrl-C as well
            self._end()
            raise
        server_table.servers()[self.name] = self

    def stop(self) -> None:
        """Stop answering and free the port. Stopping twice does no harm."""
        self._end()
        if server_table.servers().get(self.name) is self:
            del server_table.servers()[self.name]

    @abstractmethod
    def _begin(self) -> None: ...

    @abstractmethod
    def _end(self) -> None: ...

    def _probe(self) -> None:
        if probe(self.host, self.port, READY_SECONDS) == self.identity:
            return
        found = find_port_owner(self.host, self.port)
        raise ServerError(
            f"On {self.url} answers {found.description}, and not the server that was started.", found.hint
        )

    def __enter__(self) -> RunningServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def state(self) -> str:
        """``"running"`` or ``"stopped"``."""
        return "running" if self.running else "stopped"

    def __repr__(self) -> str:
        replaced = f", replaced {self.generation - 1}" if self.generation > 1 else ""
        return f"<RunningServer {self.name!r} {self.url} {self.state}, generation {self.generation}{replaced}>"

    def _repr_html_(self) -> str:
        return show.card(f"Server {self.name!r}", show.table(self._facts()))

    def _facts(self) -> list[tuple[str, Any]]:
        replaced = f", replaced generation {self.generation - 1}" if self.generation > 1 else ""
        public = self.public_url_details
        return [
            ("state", draw_state(self.state)),
            ("address", self.url),
            *([] if public.url == self.url else [("in a browser", public.url or public.explanation)]),
            ("generation", f"{self.generation}{replaced}"),
        ]


def draw_state(state: str) -> show.Html:
    """Return a server's state as an icon and a word."""
    return show.Html(show.state({"running": "ok", "stopped": "info"}.get(state, "error"), state))


class ThreadServer(RunningServer):
    """A server that answers from a thread of this kernel.

    Parameters
    ----------
    app
        Any WSGI application.
    options
        Its name and address.
    """

    def __init__(self, app: Callable[..., Any], options: ServerOptions) -> None:
        super().__init__(options)
        self.app = app
        state = state_of(app)
        self._watcher = StoreWatcher(state.registry) if state is not None else None
        recorded = RequestRecorder(create_asgi(app), self.identity, self.requests.append)
        limits = state.service.limits if state is not None else Limits()
        guard = guard_for(self.host, self._allowed_hosts, lambda: state.allowed_origins if state is not None else ())
        self._http = HttpServer(recorded, self._listener, limits, guard=guard)

    @property
    def running(self) -> bool:
        """Whether it still answers."""
        return self._http.thread.is_alive()

    def _begin(self) -> None:
        if self._watcher is not None:
            self._watcher.start()
        self._http.start()

    def _end(self) -> None:
        self._http.stop()
        if self._watcher is not None:
            self._watcher.stop()
