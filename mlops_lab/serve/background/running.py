"""A server that runs behind this kernel: its face, and the one that answers from a thread."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any

from mlops_lab import show
from mlops_lab.errors import ServerError
from mlops_lab.serve.background import known
from mlops_lab.serve.background.noted import Exchange, Noted
from mlops_lab.serve.background.places import Reach, find_reach
from mlops_lab.serve.http import HttpServer
from mlops_lab.serve.limits import Limits
from mlops_lab.serve.ports import Identity, address, ask, bind, holder
from mlops_lab.serve.watch import Watch

READY_SECONDS = 5.0
KEPT = 1000


class RunningServer(ABC):
    """A server in the background of this kernel.

    Attributes
    ----------
    name
        What :func:`mlops_lab.serve.start` replaces it by.
    url, host, port
        Where it answers.
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

    def __init__(self, name: str, host: str, port: int) -> None:
        self._listener = bind(host, port)
        self.name = name
        self.host = host
        self.port: int = self._listener.getsockname()[1]
        self.url = address(host, self.port)
        self.identity = Identity(name, known.next_generation(name))
        self.requests: deque[Exchange] = deque(maxlen=KEPT)

    @property
    def generation(self) -> int:
        """How often a server of this name has been started."""
        return self.identity.generation

    @property
    @abstractmethod
    def running(self) -> bool:
        """Whether it still answers."""

    @property
    def reach(self) -> Reach:
        """How a browser reaches it from where the notebook runs; ``str`` of it is a sentence."""
        return find_reach(self.port, self.url)

    @property
    def public_url(self) -> str | None:
        """What to open in a browser, or None where there is no way; :attr:`reach` says why."""
        return self.reach.url

    @property
    def output(self) -> str:
        """What a server in a process has printed, its last thousand lines; one in a thread prints into the notebook."""
        return ""

    def start(self) -> None:
        """Begin to answer, and make sure that it is this server who does. :func:`mlops_lab.serve.start` calls this."""
        try:
            self._begin()
            self._probe()
        except BaseException:  # Ctrl-C as well
            self._end()
            raise
        known.servers()[self.name] = self

    def stop(self) -> None:
        """Stop answering and free the port. Stopping twice does no harm."""
        self._end()
        if known.servers().get(self.name) is self:
            del known.servers()[self.name]

    @abstractmethod
    def _begin(self) -> None: ...

    @abstractmethod
    def _end(self) -> None: ...

    def _probe(self) -> None:
        if ask(self.host, self.port, READY_SECONDS) == self.identity:
            return
        found = holder(self.host, self.port)
        raise ServerError(f"On {self.url} answers {found.who}, and not the server that was started.", found.fix)

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
        reach = self.reach
        return [
            ("state", draw_state(self.state)),
            ("address", self.url),
            *([] if reach.url == self.url else [("in a browser", reach.url or reach.how)]),
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
    name, host, port
        As for :func:`mlops_lab.serve.start`.
    """

    def __init__(self, app: Callable[..., Any], name: str, host: str, port: int) -> None:
        super().__init__(name, host, port)
        self.app = app
        registry = getattr(app, "extensions", {}).get("mlops_lab")
        self._watch = Watch(registry) if registry is not None else None
        self._http = HttpServer(Noted(app, self.identity, self.requests.append), self._listener, Limits())

    @property
    def running(self) -> bool:
        """Whether it still answers."""
        return self._http.thread.is_alive()

    def _begin(self) -> None:
        self._http.start()
        if self._watch is not None:
            self._watch.start()

    def _end(self) -> None:
        self._http.stop()
        if self._watch is not None:
            self._watch.stop()
