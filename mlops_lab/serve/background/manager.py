"""Start servers in the background of a kernel, each in place of the one before it; list and stop them."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any

from flask import Flask

from mlops_lab import show
from mlops_lab.errors import WrongUsage
from mlops_lab.serve.app import create_app
from mlops_lab.serve.background import server_table, unpublished
from mlops_lab.serve.background.file_server import FileServer
from mlops_lab.serve.background.server import RunningServer, ServerOptions, ThreadServer, draw_state
from mlops_lab.serve.background.werkzeug_servers import find_werkzeug_servers
from mlops_lab.serve.core.batching import Batching
from mlops_lab.serve.http import refuse_debug
from mlops_lab.serve.state import Log


def start(
    app_or_models: Any,
    *,
    name: str = "",
    port: int = 0,
    host: str = "127.0.0.1",
    mode: str | None = None,
    batching: Batching | None = None,
    log: Log | None = None,
    examples: Any = None,
    allowed_hosts: Collection[str] = (),
) -> RunningServer:
    """Start a server in the background of this kernel, in place of the one of the same name.

    Where the new server cannot start, the old one goes on answering.

    Parameters
    ----------
    app_or_models
        A WSGI application such as a Flask app; whatever :func:`mlops_lab.serve.create_app` takes; or one model that
        lies in no store, a Keras model, a fitted estimator, a function or a ``.keras``, ``.onnx`` or ``.skops`` file:
        it answers at ``/models/<name>/v1``. In a process: a file with a Flask app in it, ``"api.py"``, or whatever
        else ``flask --app`` takes.
    name
        Running the cell again replaces the server of this name, on the same port. By default ``"models"``, of one
        model ``"model"``, and of a file its own name, such as ``"api"``.
    port
        0 takes a free one the first time, and the same one again after that.
    host
        The default is reached from this machine only.
    mode
        ``"thread"`` answers from this kernel; ``"process"`` from a process of its own, which starts again when the file
        is saved and ends with the kernel. By default a process for a ``.py`` file, else a thread.
    batching
        For models: computes requests that come together in one call of the engine.
    log
        For models: a :class:`~mlops_lab.monitor.PredictionLog` that gets each answer.
    examples
        For one model: some of its inputs, where it does not tell what it takes.
    allowed_hosts
        Names in the ``Host`` of a request that are answered beside those of this machine and of
        :attr:`RunningServer.public_url`; requests for other hosts are refused with 421.

    Returns
    -------
    RunningServer

    Raises
    ------
    PortTaken
        Another program, or a server of another name, listens on that port; the message says which.
    StoreError
        There are no models.
    ServerError
        The file cannot be loaded; the message ends with its traceback.
    WrongUsage
        The mode, ``batching`` or ``log`` does not fit, or Flask's debugger would be open to the network.

    Examples
    --------
    >>> from flask import Flask
    >>> with start(Flask("empty"), name="example") as server:
    ...     server.generation
    1
    >>> server = start("api.py", mode="process")  # doctest: +SKIP
    """
    mode = mode or ("process" if _is_code(app_or_models) else "thread")
    _check(app_or_models, mode)
    if mode == "thread" and unpublished.is_model(app_or_models):
        predictor = unpublished.to_predictor(app_or_models, name, examples)
        app_or_models, name = [predictor], name or predictor.name
    elif examples is not None:
        raise WrongUsage("examples are for one model that lies in no store.", "Leave them out.")
    for option, given in (("batching", batching), ("log", log)):
        if given is not None and (mode == "process" or callable(app_or_models)):
            raise WrongUsage(f"{option} is for models, and this is an application.", "Pass it to create_app.")
    if isinstance(log, str | os.PathLike):
        raise WrongUsage("log is a path; it must be an open log.", f"log=monitor.PredictionLog({os.fspath(log)!r})")
    if mode == "process":
        target = os.fspath(app_or_models)
        name = name or Path(target.split(":")[0]).stem
        make: Callable[..., RunningServer] = partial(FileServer, target)
    else:
        name = name or "models"
        app = app_or_models if callable(app_or_models) else _over(app_or_models, batching, log)
        refuse_debug(app, host)
        make = partial(ThreadServer, app)
    with server_table.lock():
        old = server_table.servers().get(name)
        server = make(ServerOptions(name, host, *_take_port(old, host, port), allowed_hosts))
        server.start(old)
    return server


def _is_code(thing: Any) -> bool:
    """Return whether a thing is a file of Python, as ``flask --app`` names it: ``api.py`` or ``api.py:app``."""
    return isinstance(thing, str | os.PathLike) and os.fspath(thing).partition(":")[0].endswith(".py")


def _check(app_or_models: Any, mode: str) -> None:
    if mode not in ("thread", "process"):
        raise WrongUsage(f"mode is {mode!r}.", "There are 'thread' and 'process'.")
    path = isinstance(app_or_models, str | os.PathLike)
    if mode == "process" and not path:
        kind = type(app_or_models).__name__
        raise WrongUsage(
            f"Another process takes a file, and this is a {kind}.", "Write it to api.py, or leave out mode='process'."
        )
    if mode == "thread" and path and os.fspath(app_or_models).endswith(".py"):
        raise WrongUsage(f"{app_or_models} is a file of code.", f"serve.start({str(app_or_models)!r}, mode='process').")


def _over(models: Any, batching: Batching | None, log: Log | None) -> Flask:
    app = create_app(models, batching=batching, log=log)
    app.extensions["mlops_lab"].registry.require_models()
    return app


def _take_port(old: RunningServer | None, host: str, port: int) -> tuple[int, socket.socket | None]:
    """Return the port for a new server, and the socket of the one it replaces where it stays at that address.

    So the port is never free in between, and the old server is there until the new one has begun.
    """
    if old is None or port not in (0, old.port):
        return port, None
    if host == old.host:
        return old.port, old.share_listener()
    old.stop()  # most pairs of addresses cannot both be listened on
    return old.port, None


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
    return Servers(server_table.servers().values())


def stop_all() -> None:
    """Stop every server in the background of this kernel, those that Flask's ``app.run`` left in threads included."""
    server_table.stop_all()
    for server in find_werkzeug_servers():
        server.stop()
