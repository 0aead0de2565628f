"""What stands around the application of a background server: it notes requests, and says who the server is."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from mlops_lab.serve.ports import PROBE_HEADER, Identity

GENERATION_HEADER = "X-Lab-Generation"
_PROBED = f"HTTP_{PROBE_HEADER.upper().replace('-', '_')}"


@dataclass(frozen=True)
class Exchange:
    """One request that a background server answered; ``at`` is when, by ``time.monotonic``."""

    method: str
    path: str
    status: int
    milliseconds: float
    bytes: int
    at: float = 0.0


class Noted:
    """A WSGI application with its generation on every answer and a note of every request.

    Whoever sends ``X-Lab-Probe`` asks the server itself and not the application, which hears nothing of it.

    Parameters
    ----------
    app
        Any WSGI application.
    identity
        Of the server.
    note
        Called with each exchange.
    """

    def __init__(self, app: Callable[..., Any], identity: Identity, note: Callable[[Exchange], None]) -> None:
        self._app = app
        self._who = json.dumps(identity.to_dict()).encode()
        self._generation = (GENERATION_HEADER, str(identity.generation))
        self._note = note

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request."""
        if _PROBED in environ:
            kind = ("Content-Type", "application/json")
            start_response("200 OK", [kind, ("Content-Length", str(len(self._who))), self._generation])
            return [self._who]
        started = time.perf_counter()

        def begin(status: str, headers: list[tuple[str, str]], error: Any = None) -> Any:
            length = next((int(value) for key, value in headers if key.lower() == "content-length"), 0)
            milliseconds = 1000 * (time.perf_counter() - started)
            method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
            self._note(Exchange(method, path, int(status[:3]), milliseconds, length, time.monotonic()))
            return start_response(status, [*headers, self._generation], error)

        answer: Iterable[bytes] = self._app(environ, begin)
        return answer
