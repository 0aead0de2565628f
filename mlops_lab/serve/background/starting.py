"""Starting a server in the background, in place of the one before it; and all that run."""

from __future__ import annotations

from typing import Any

from mlops_lab import show
from mlops_lab.serve.app import create_app
from mlops_lab.serve.background import known
from mlops_lab.serve.background.running import RunningServer, ThreadServer, draw_state
from mlops_lab.serve.http import refuse_debug


def start(app_or_models: Any, *, name: str = "models", port: int = 0, host: str = "127.0.0.1") -> RunningServer:
    """Start a server in the background of this kernel, in place of the one of the same name.

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
        Another program, or a server of another name, listens on that port; the message says which.

    Examples
    --------
    >>> from flask import Flask
    >>> with start(Flask("empty"), name="example") as server:
    ...     server.generation
    1
    """
    port = _make_way(name, port)
    app = app_or_models if callable(app_or_models) else create_app(app_or_models)
    refuse_debug(app, host)
    server = ThreadServer(app, name, host, port)
    server.start()
    return server


def _make_way(name: str, port: int) -> int:
    """Stop the server of this name, and return the port that the new one is to have."""
    old = known.servers().get(name)
    if old is None:
        return port
    old.stop()
    return port or int(old.port)


class Servers(tuple[RunningServer, ...]):
    """Servers that run in the background of this kernel; a notebook draws them as a table."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "\n".join(map(repr, self)) or "no servers"

    def _repr_html_(self) -> str:
        if not self:
            return show.card("No servers run behind this notebook")
        rows = [(item.name, draw_state(item.state), item.url, item.generation, len(item.requests)) for item in self]
        return show.card(
            "Servers behind this notebook", show.table(rows, ("name", "state", "address", "generation", "requests"))
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the servers as plain values."""
        keys = ("name", "state", "url", "generation")
        return {"servers": [{key: getattr(item, key) for key in keys} for item in self]}


def servers() -> Servers:
    """Return the servers that run in the background of this kernel."""
    return Servers(known.servers().values())


def stop_all() -> None:
    """Stop every server in the background of this kernel."""
    known.stop_all()
