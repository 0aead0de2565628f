"""ASGI middleware around the application of a background server: it records requests, and answers who the server is."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mlops_lab.serve.http.bridge import Receive, Scope, Send, header, send_reply
from mlops_lab.serve.ports import PROBE_HEADER, Identity, is_own_probe
from mlops_lab.serve.rest.reply import JSON, Reply

GENERATION_HEADER = "X-Lab-Generation"
_PROBE = PROBE_HEADER.lower().encode()


@dataclass(frozen=True)
class RecordedRequest:
    """One request that a background server answered; ``at`` is the time by ``time.monotonic``."""

    method: str
    path: str
    status: int
    milliseconds: float
    bytes: int
    at: float = 0.0


def _is_probe(scope: Scope) -> bool:
    value = header(scope, _PROBE)
    return bool(value) and is_own_probe(value, scope["server"][1])


class RequestRecorder:
    """An ASGI application with its generation on every answer and a record of every request.

    A request with the header ``X-Lab-Probe`` that a process of the same user has signed is answered by the server
    itself; the application does not see it.

    Parameters
    ----------
    app
        Any ASGI application.
    identity
        The identity of the server.
    record
        Called with each request that was answered.
    """

    def __init__(self, app: Any, identity: Identity, record: Callable[[RecordedRequest], object]) -> None:
        self._app = app
        self._identity = json.dumps(identity.to_dict()).encode()
        self._generation = str(identity.generation)
        self._record = record

    @property
    def dispatcher(self) -> Any:
        """The threads of the application, which end with the server."""
        return getattr(self._app, "dispatcher", None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http" and _is_probe(scope):
            headers = [("Content-Type", JSON), (GENERATION_HEADER, self._generation)]
            await send_reply(send, Reply(200, headers, self._identity))
            return
        started = time.perf_counter()

        async def send_recorded(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                headers = [*message["headers"], (GENERATION_HEADER.encode(), self._generation.encode())]
                length = next((int(value) for name, value in headers if name.lower() == b"content-length"), 0)
                milliseconds = 1000 * (time.perf_counter() - started)
                method, path, status = scope["method"], scope["path"], message["status"]
                self._record(RecordedRequest(method, path, status, milliseconds, length, time.monotonic()))
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, send_recorded)
