"""The options of ``mlops-lab serve``, the application made of them, and one process that answers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from flask import Flask

from mlops_lab.serve.app import create_app
from mlops_lab.serve.asgi import create_asgi
from mlops_lab.serve.core.batching import Batching
from mlops_lab.serve.core.limits import Limits
from mlops_lab.serve.core.memory import limit_kept_memory
from mlops_lab.serve.core.registry import Registry
from mlops_lab.serve.core.watcher import StoreWatcher
from mlops_lab.serve.http import HttpServer, refuse_debug, serve_until, stop_on_signals
from mlops_lab.serve.http.guard import BrowserGuard, guard_for
from mlops_lab.serve.ports import LOOPBACK, address, bind
from mlops_lab.serve.state import Log, ServerState
from mlops_lab.store import ModelStore

Print = Callable[[str], None]


@dataclass(frozen=True)
class Settings:
    """The options of ``mlops-lab serve``; each is explained by ``mlops-lab serve --help``.

    Examples
    --------
    >>> Settings("models", port=0, workers=2).host
    '127.0.0.1'
    """

    models: str | Registry
    host: str = "127.0.0.1"
    port: int = 8000
    grpc_port: int | None = None
    access_log: str | None = None
    api_keys: tuple[str, ...] = ()
    chains: str | None = None
    shadow_log: str | None = None
    workers: int = 1
    batch_size: int = 1
    batch_wait_ms: float = Batching.milliseconds
    log: str | None = None
    durable: bool = False
    log_images: bool = False
    allowed_hosts: tuple[str, ...] = ()
    limits: dict[str, float] = field(default_factory=dict)
    cors_origins: tuple[str, ...] = ()
    trusted: tuple[str, ...] = ()

    def make_models(self) -> ModelStore | Registry:
        """Return what is served, which loads code where its digest is trusted."""
        return self.models if isinstance(self.models, Registry) else ModelStore(self.models, self.trusted)

    def make_limits(self) -> Limits:
        """Return the limits of the server: a whole batch may be in flight, unless the options say otherwise."""
        at_once = {"in_flight": max(Limits.in_flight, self.batch_size)} if self.batch_size > 1 else {}
        return Limits.of({**at_once, **self.limits})


def build(settings: Settings, warn: Print, log: Log | None = None) -> tuple[Flask, ServerState]:
    """Return the application and its parts, and warn of models and chains that do not serve.

    Parameters
    ----------
    log
        The prediction log that the settings ask for, opened by ``mlops_lab.monitor``.

    Raises
    ------
    StoreError
        There are no models.
    """
    access_log = {"stdout": sys.stdout, "stderr": sys.stderr, None: None}[settings.access_log]
    app = create_app(
        settings.make_models(),
        limits=settings.make_limits(),
        api_keys=settings.api_keys,
        access_log=access_log,
        chains=settings.chains,
        on_shadow=settings.shadow_log,
        batching=Batching(settings.batch_size, settings.batch_wait_ms) if settings.batch_size > 1 else None,
        log=log,
        cors_origins=settings.cors_origins,
    )
    state: ServerState = app.extensions["mlops_lab"]
    state.registry.require_models()
    for name, entry in state.registry.entries.items():
        for version, reason in entry.failed.items():
            warn(f"warning: {name} v{version} does not serve: {reason}")
    for line in state.registry.unpublished():
        warn(f"warning: {line}")
    for chain in state.chains.listing():
        if chain["state"] != "ready":
            warn(f"warning: the chain {chain['name']} is {chain['state']}")
    return app, state


def warn_if_open(settings: Settings, warn: Print) -> None:
    """Warn where anybody on the network may use the server."""
    if settings.host not in LOOPBACK and not settings.api_keys:
        warn(f"warning: {settings.host} is open to other machines, and there is no API key: set MLOPS_LAB_API_KEY")


def make_guard(settings: Settings, state: ServerState) -> BrowserGuard | None:
    """Return what keeps pages of the web out: on loopback, and where hosts are named; else the server is public."""
    if settings.host not in LOOPBACK and not settings.allowed_hosts:
        return None
    return guard_for(settings.host, settings.allowed_hosts, lambda: state.allowed_origins)


def run(settings: Settings, announce: Print, warn: Print, log: Log | None = None) -> None:
    """Serve in this process until SIGTERM or Ctrl-C, then drain."""
    limit_kept_memory()
    app, state = build(settings, warn, log)
    refuse_debug(app, settings.host)
    stop_requested = stop_on_signals()
    watcher = StoreWatcher(state.registry)
    watcher.start()
    listener = bind(settings.host, settings.port)
    warn_if_open(settings, warn)
    limits = state.service.limits
    guard = make_guard(settings, state)
    server = HttpServer(create_asgi(app), listener, limits, on_refused=state.record_refusal, guard=guard)
    lines = [f"serving {address(settings.host, server.port)}"]
    beside = None
    if settings.grpc_port is not None:
        from mlops_lab.serve.grpc_server.server import serve_grpc

        beside = serve_grpc(state, settings.host, settings.grpc_port)
        lines.append(f"serving grpc {address(settings.host, beside.port).removeprefix('http://')}")

    def drain() -> Callable[[], object] | None:
        state.draining = True
        return beside.stop(limits.drain_seconds).wait if beside is not None else None

    serve_until(server, stop_requested, lambda: announce("\n".join(lines)), drain)
    watcher.stop()
