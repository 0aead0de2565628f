"""The access log: one line of JSON for each request, whoever asked and whatever came of it."""

from __future__ import annotations

import json
import re
import threading
from datetime import UTC, datetime
from typing import Any, TextIO

from flask import Blueprint, Response, request

from mlops_lab.serve.operations import laps
from mlops_lab.serve.operations.laps import Laps

_encode = json.JSONEncoder(default=str).encode  # json.dumps would make an encoder for every line
# W3C Trace Context: version, trace id, parent id, flags. An id of zeros is invalid by that standard.
_TRACE = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}.*")


class AccessLog:
    r"""Writes lines to a stream. A stream that cannot be written costs the lines, never the request.

    Parameters
    ----------
    stream
        Text goes there: a file, ``sys.stdout``, ``io.StringIO()``.

    Attributes
    ----------
    lost
        How many lines could not be written.

    Examples
    --------
    >>> import io
    >>> stream = io.StringIO()
    >>> AccessLog(stream).write({"method": "GET", "path": "/models"})
    >>> stream.getvalue()
    '{"method": "GET", "path": "/models"}\n'
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self.lost = 0

    def write(self, entry: dict[str, Any]) -> None:
        """Write one line. JSON escapes line ends, so that no client can forge another one."""
        try:
            line = _encode(entry)
            with self._lock:
                self._stream.write(line + "\n")
                self._stream.flush()
        except (OSError, ValueError):  # a full disk, a closed pipe, a closed file
            self.lost += 1


def trace_id(traceparent: str) -> str | None:
    """Return the trace id of a ``traceparent`` header.

    Examples
    --------
    >>> trace_id("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    '4bf92f3577b34da6a3ce929d0e0e4736'
    """
    found = _TRACE.fullmatch(traceparent[:200])
    return found[1] if found else None


def describe(response: Response, watch: Laps) -> dict[str, Any]:
    """Return the line for the current request and its answer."""
    predictor = watch.predictor
    rule = request.url_rule
    return {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "request_id": response.headers.get("X-Request-Id"),
        "trace_id": trace_id(request.environ.get("HTTP_TRACEPARENT", "")),
        "method": request.method[:20],
        "route": rule.rule if rule else None,
        "path": request.path[:500],
        "status": response.status_code,
        "ms": round(1000 * watch.elapsed(), 3),
        "bytes_in": request.content_length or 0,
        "bytes": response.content_length or 0,
        "model": predictor.name if predictor else None,
        "version": f"v{predictor.version}" if predictor else None,
    }


def blueprint(stream: TextIO) -> Blueprint:
    """Return the hook that logs every request of the application to a stream."""
    routes = Blueprint("access", __name__)
    log = AccessLog(stream)

    @routes.after_app_request
    def write(response: Response) -> Response:
        log.write(describe(response, laps.current() or laps.begin()))
        return response

    return routes
