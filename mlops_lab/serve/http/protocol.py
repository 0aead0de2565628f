"""uvicorn's HTTP/1.1 protocol, with the limits that it leaves open: the head, the time of head and body, and Host.

httptools (llhttp) refuses what two readers could read in two ways: length and chunks together, two lengths, unknown
codings, folded headers, bare line ends. The rest is refused here, before the application sees a request.
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
import sys
from collections.abc import Callable
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from mlops_lab.errors import BadRequest, LabError, TooLarge, Unavailable
from mlops_lab.serve.core.limits import Limits
from mlops_lab.serve.http.bridge import refusal
from mlops_lab.serve.http.guard import BROWSER_FIELDS, BrowserGuard

_HOST = re.compile(rb"[A-Za-z0-9._~%!$&'()*+;=-]*(?::\d*)?|\[[0-9A-Fa-f:.]+\](?::\d*)?")
# A client reads an answer only when its body was taken; so a body that is refused is read and discarded up to this
# many times the limit, and for so many seconds.
DISCARD_FACTOR = 8
DISCARD_SECONDS = 2.0


class HeadBufferingTransport:
    """A transport that sends the head of an answer together with the first part of its body.

    One system call less is a fifth of the time of a small request, and a process that is killed between the two would
    leave a proxy with half an answer.

    Parameters
    ----------
    transport
        The transport of the connection.
    """

    __slots__ = ("_head", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""

    def write(self, data: bytes) -> None:
        """Send bytes; the head of a final answer waits for what follows it."""
        if self._head:
            data, self._head = self._head + data, b""
        elif data.startswith(b"HTTP/1.1 ") and not data.startswith(b"HTTP/1.1 1"):
            self._head = data
            return
        self._transport.write(data)

    def flush(self) -> None:
        """Send a head that has no body."""
        if self._head:
            data, self._head = self._head, b""
            self._transport.write(data)

    def close(self) -> None:
        """Close the connection once everything is sent."""
        self.flush()
        self._transport.close()

    def is_closing(self) -> bool:
        """Return whether the connection is closed, or about to be."""
        return self._transport.is_closing()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class StrictProtocol(HttpToolsProtocol):
    """One connection.

    Parameters
    ----------
    limits
        ``headers``, ``header_bytes``, ``idle_seconds``, ``head_seconds`` and ``body_seconds`` hold here.
    on_refused
        Called with the status code of each request that is refused here.
    guard
        Refuses requests for other hosts, and those that pages of other sites send.
    connections
        Number of open connections at which another one takes the place of one that waits; by default that of the
        limits.
    """

    def __init__(
        self,
        *args: Any,
        limits: Limits,
        on_refused: Callable[[int], object] = lambda status: None,
        guard: BrowserGuard | None = None,
        connections: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.access_log = False
        self.logger = silent_logger()
        self._limits = limits
        self._on_refused = on_refused
        self._guard = guard
        self._most = connections or limits.connections
        # By the loop's clock: when this connection is closed unless more arrives.
        self.deadline = math.inf
        self._reading = "nothing"  # "head", "body" or "nothing"
        self._waiting_since = 0.0
        self._unparsed = 0  # bytes of the head, or of framing around the chunks of a body
        self._discarded: int | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a connection."""
        super().connection_made(transport)
        self.transport = self._buffered = HeadBufferingTransport(transport)  # type: ignore[assignment]
        self._waiting_since = self.loop.time()
        self.deadline = self._waiting_since + self._limits.idle_seconds
        if len(self.connections) > self._most:
            self._make_room()

    def _make_room(self) -> None:
        """Close the connection that has waited longest for its client, since there are too many."""
        others = [one for one in self.connections if one is not self and not one.transport.is_closing()]
        waiting = [one for one in others if isinstance(one, StrictProtocol) and not one.is_answering()]
        if len(others) < self._most:  # those that are closing make room
            return
        if not waiting:
            self._refuse(self._too_many(), 503)
            self.transport.close()
            return
        victim = min(waiting, key=lambda one: one._waiting_since)
        if victim.is_busy():
            victim._refuse(self._too_many(), 503)
        victim.transport.close()

    def _too_many(self) -> Unavailable:
        message = f"The server has {self._most} open connections, which is its limit (connections)."
        return Unavailable(message, "Send whole requests, and close connections that are idle.", code="overloaded")

    def is_answering(self) -> bool:
        """Return whether a request has arrived whole, and its answer has not been sent."""
        answering = self.cycle is not None and not self.cycle.response_complete
        return self._reading == "nothing" and (answering or self.transport.get_write_buffer_size() > 0)

    def is_busy(self) -> bool:
        """Return whether a request is being read or answered."""
        answering = self.cycle is not None and not self.cycle.response_complete
        return answering or self._reading == "head" or self.transport.get_write_buffer_size() > 0

    def drain(self) -> None:
        """Answer what has arrived, and ask the client to close the connection."""
        if self.cycle is not None:
            self.cycle.keep_alive = False

    def expire(self) -> None:
        """Close a connection that has reached its deadline, and say why if a request had begun."""
        if self._reading == "nothing" or self._discarded is not None:
            self.transport.close()
            return
        setting = f"{self._reading}_seconds={getattr(self._limits, f'{self._reading}_seconds'):g}"
        error = BadRequest(f"The {self._reading} of the request took longer than {setting}.", "Send it faster.")
        self._refuse(error, 408)

    def data_received(self, data: bytes) -> None:
        """Parse what arrived, within the limits on a head."""
        if self._discarded is not None:
            self._discarded += len(data)
            if self._discarded > DISCARD_FACTOR * self._limits.body_bytes:
                self.transport.close()
            return
        self._unparsed += len(data)
        super().data_received(data)
        if self._reading == "nothing" or self._discarded is not None:
            self._unparsed = 0
        elif self._unparsed > self._limits.header_bytes:
            if self._reading == "head":
                self._refuse(self._head_too_large(), 431)
            else:
                message = f"There are more than {self._limits.header_bytes} bytes around the chunks of the body."
                self._refuse(BadRequest(message, "Send larger chunks."), 400)

    def on_message_begin(self) -> None:
        """Start the clock of a head."""
        super().on_message_begin()
        self._reading = "head"
        self._waiting_since = self.loop.time()
        self.deadline = self._waiting_since + self._limits.head_seconds

    def on_headers_complete(self) -> None:
        """Check a head, and hand the request to the application."""
        size = self._head_size() if self._unparsed > self._limits.header_bytes else 0
        problem = self._problem(size)
        if problem is not None:
            self._refuse(*problem)
            return
        self._reading = "body"
        self._unparsed = self._unparsed - size if size else 0  # from now on: what came after the head
        self.deadline = self.loop.time() + self._limits.body_seconds
        super().on_headers_complete()
        if self.server_state.draining:  # type: ignore[attr-defined]
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        if self._discarded is None:
            # Eight bytes of framing are allowed for each byte of the body: a chunk may hold a single one.
            self._unparsed = max(0, self._unparsed - 9 * len(body))
            super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request: from now on the connection waits for its answer, or is idle."""
        if self._discarded is None:
            super().on_message_complete()
            self._reading = "nothing"
            self.deadline = math.inf if not self.cycle.response_complete else self._idle_deadline()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        self._buffered.flush()
        if self.pipeline or self.transport.is_closing():
            super().on_response_complete()
        else:  # as uvicorn does, but without a timer for each answer: ``deadline`` closes a connection that is idle
            self.server_state.total_requests += 1
            self.flow.resume_reading()
        if self._reading == "nothing":
            self.deadline = self._idle_deadline()

    def send_400_response(self, msg: str) -> None:
        """Refuse bytes that are not HTTP; llhttp's own words say what is wrong."""
        error = sys.exc_info()[1]
        self._refuse(BadRequest(f"Malformed HTTP request: {error or msg}.", "Use an HTTP library."), 400)

    def _idle_deadline(self) -> float:
        self._waiting_since = self.loop.time()
        return self._waiting_since + self._limits.idle_seconds

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _problem(self, size: int) -> tuple[LabError, int] | None:
        """Return what is wrong with a head that is valid HTTP otherwise, and the status code to answer."""
        headers, limits = self.headers, self._limits
        if len(headers) > limits.headers or size > limits.header_bytes:
            return self._head_too_large(), 431
        hosts = [value for name, value in headers if name == b"host"]
        version = self.parser.get_http_version()
        if (len(hosts) != 1 or not _HOST.fullmatch(hosts[0])) and (hosts or version != "1.0"):
            message = "There is more than one Host, or it is malformed." if hosts else "The request has no Host header."
            return BadRequest(message, "HTTP/1.1 requires exactly one."), 400
        if version not in ("1.0", "1.1"):
            return BadRequest(f"The request is HTTP/{version[:8]}.", "Use HTTP/1.1."), 400
        if version == "1.0" and any(name == b"transfer-encoding" for name, _ in headers):
            return BadRequest("There is a Transfer-Encoding in an HTTP/1.0 request.", "Use HTTP/1.1."), 400
        guard = self._guard
        if guard is None:
            return None
        # Of a target such as http://host/path the host counts, whatever Host says (RFC 9112, 3.2.2).
        target = None if self.url.startswith(b"/") else httptools.parse_url(self.url).host
        known = target is None and bool(hosts) and hosts[0] in guard.seen
        if known and BROWSER_FIELDS.isdisjoint([name for name, _ in headers]):
            return None
        refused = guard.check(self.parser.get_method(), headers, target)
        return (refused, refused.status) if refused is not None else None

    def _head_too_large(self) -> TooLarge:
        limits = self._limits
        message = (
            "The head of the request is too large; the limits are"
            f" headers={limits.headers} and header_bytes={limits.header_bytes}."
        )
        return TooLarge(message, "Send fewer headers, or shorter ones.", code="too_many_headers")

    def _refuse(self, error: LabError, status: int) -> None:
        """Answer an error, and close the connection once the client has had the chance to read it."""
        if self._discarded is not None or self.transport.is_closing():
            return
        self._discarded = 0
        self._on_refused(status)
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True  # an answer to this request would follow the refusal
            self.cycle.message_event.set()
        reply = refusal(error)
        fields = [*reply.headers, ("Content-Length", str(len(reply.body))), ("Connection", "close")]
        head = "".join(f"{name}: {value}\r\n" for name, value in fields).encode("latin-1")
        self._buffered.flush()
        self._buffered.write(STATUS_LINE[status] + head + b"\r\n" + reply.body)
        self._buffered.flush()
        self.flow.resume_reading()
        self.deadline = self.loop.time() + DISCARD_SECONDS
        if self.transport.can_write_eof():
            self.transport.write_eof()


def silent_logger() -> logging.Logger:
    """Return a logger that writes nothing: what uvicorn would warn of is answered to the client."""
    logger = logging.getLogger("mlops_lab.serve.uvicorn")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
    return logger
