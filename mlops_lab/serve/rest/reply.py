"""An HTTP reply without a framework, and the one place where an error becomes one."""

from __future__ import annotations

import errno
import json
import logging
from typing import Any, NamedTuple

import orjson

from mlops_lab.errors import LabError, StorageFull, Unauthorized, Unavailable
from mlops_lab.serve.core.timing import RequestContext

JSON = "application/json"
FULL = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})
_log = logging.getLogger("mlops_lab.serve")


class Reply(NamedTuple):
    """Status code, header fields and body of an answer."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def to_json(message: Any, end: bytes = b"\n") -> bytes:
    r"""Return compact JSON, by default ended by a new line.

    Examples
    --------
    >>> to_json({"café": 1}).decode(), to_json("\ud800")
    ('{"café":1}\n', b'"\\ud800"\n')
    """
    try:
        return orjson.dumps(message, option=orjson.OPT_APPEND_NEWLINE if end else None)
    except TypeError:  # half a surrogate pair, which a client may send escaped, cannot be written in UTF-8
        return json.dumps(message, separators=(",", ":")).encode() + end


def json_reply(message: Any, status: int = 200) -> Reply:
    """Return an answer in JSON."""
    return Reply(status, [("Content-Type", JSON)], to_json(message))


def error_reply(error: LabError, request_id: str, status: int | None = None) -> Reply:
    """Return the answer that reports an error.

    Examples
    --------
    >>> error_reply(Unavailable("Full.", "Try again."), "an-id").headers
    [('Content-Type', 'application/json'), ('Retry-After', '1')]
    """
    reply = json_reply({**error.to_dict(), "request_id": request_id}, status or error.status)
    if isinstance(error, Unavailable):
        reply.headers.append(("Retry-After", str(error.retry_after)))
    if isinstance(error, Unauthorized):
        reply.headers.append(("WWW-Authenticate", 'Bearer realm="mlops-lab"'))
    return reply


def internal_error(error: BaseException, request_id: str) -> LabError:
    """Log an unexpected exception, and return the error that tells the client nothing of it but a full disk."""
    if isinstance(error, OSError) and error.errno in FULL:
        _log.error("request %s failed: %s", request_id, error)
        return StorageFull("The server has no room left on a disk.", "Try again later, or tell its operator.")
    _log.error("request %s failed", request_id, exc_info=error)
    return LabError("Something went wrong inside the server.", "Look into its log.", code="internal")


def failed(error: Exception, context: RequestContext) -> Reply:
    """Return the reply for an exception; one that is not ours is logged, and its text stays in the server."""
    explained = error if isinstance(error, LabError) else internal_error(error, context.request_id)
    return error_reply(explained, context.request_id)


def common_headers(context: RequestContext, traceparent: str) -> list[tuple[str, str]]:
    """Return the header fields that every answer carries."""
    headers = [("X-Request-Id", context.request_id), ("X-Content-Type-Options", "nosniff")]
    if traceparent and len(traceparent) <= 64:
        headers.append(("traceparent", traceparent))
    timing = context.server_timing()
    if timing:
        headers.append(("Server-Timing", timing))
    return headers
