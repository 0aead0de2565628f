"""What ``mlops-lab serve`` is asked for, the application made of it, and one process that answers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from flask import Flask

from mlops_lab.serve.app import create_app
from mlops_lab.serve.batching import Batching
from mlops_lab.serve.http import serve_forever
from mlops_lab.serve.limits import Limits
from mlops_lab.serve.memory import keep_little
from mlops_lab.serve.watch import Watch

Say = Callable[[str], None]


@dataclass(frozen=True)
class Settings:
    """The options of ``mlops-lab serve``; each is explained by ``mlops-lab serve --help``.

    Examples
    --------
    >>> Settings("models", port=0, workers=2).host
    '127.0.0.1'
    """

    models: str
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


def build(settings: Settings, warn: Say) -> Flask:
    """Return the application, and say what of the folder does not serve.

    Raises
    ------
    StoreError
        There are no models.
    """
    log = {"stdout": sys.stdout, "stderr": sys.stderr, None: None}[settings.access_log]
    app = create_app(
        settings.models,
        api_keys=settings.api_keys,
        access_log=log,
        chains=settings.chains,
        on_shadow=settings.shadow_log,
        batching=Batching(settings.batch_size, settings.batch_wait_ms) if settings.batch_size > 1 else None,
    )
    registry = app.extensions["mlops_lab"]
    registry.require_models()
    for name, entry in registry.entries.items():
        for version, reason in entry.failed.items():
            warn(f"warning: {name} v{version} does not serve: {reason}")
    for chain in app.extensions["mlops_lab_chains"].listing():
        if chain["state"] != "ready":
            warn(f"warning: the chain {chain['name']} is {chain['state']}")
    return app


def run(settings: Settings, announce: Say, warn: Say) -> None:
    """Serve in this process until SIGTERM or Ctrl-C, then drain."""
    keep_little()
    app = build(settings, warn)
    watch = Watch(app.extensions["mlops_lab"])
    watch.start()
    serve_forever(app, settings.host, settings.port, Limits(), announce, _grpc(app, settings))
    watch.stop()


def _grpc(app: Flask, settings: Settings) -> Callable[[], Any] | None:
    if settings.grpc_port is None:
        return None
    from mlops_lab.serve.rpc.server import serve_grpc

    registry, shared = app.extensions["mlops_lab"], app.extensions["mlops_lab_grpc"]
    return partial(serve_grpc, registry, settings.host, settings.grpc_port, **shared)
