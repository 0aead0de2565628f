"""The access log: one line of JSON for each request and its answer."""

from __future__ import annotations

import json
import re
import threading
from datetime import UTC, datetime
from typing import Any, NamedTuple, TextIO

from mlops_lab.serve.core.timing import RequestContext

_encode = json.JSONEncoder(default=str).encode  # json.dumps would make an encoder for every line
# W3C Trace Context: version, trace id, parent id, flags. An id of zeros is invalid by that standard.
_TRACE = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}.*")


class Exchange(NamedTuple):
    """One request and its answer, as metrics and the access log see it."""

    method: str
    route: str | None
    path: str
    status: int
    bytes_in: int
    bytes_out: int
    traceparent: str = ""


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


def describe(exchange: Exchange, context: RequestContext) -> dict[str, Any]:
    """Return the line for a request and its answer."""
    predictor = context.predictor
    return {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "request_id": context.request_id,
        "trace_id": trace_id(exchange.traceparent),
        "method": exchange.method[:20],
        "route": exchange.route,
        "path": exchange.path[:500],
        "status": exchange.status,
        "ms": round(1000 * context.elapsed(), 3),
        "bytes_in": exchange.bytes_in,
        "bytes": exchange.bytes_out,
        "model": predictor.name if predictor else None,
        "version": f"v{predictor.version}" if predictor else None,
    }
