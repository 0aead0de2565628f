"""A server of the grader's own that a student's server asks from inside of the sandbox, where there is no network.

Inside, a small relay listens on the loopback; each connection that it accepts becomes a pair of sockets, one end of
which crosses to the grader. So the grader answers, counts, and plays a model that is down or hangs.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler
from typing import Any

MAX_BODY = 1_000_000
MAX_CONNECTIONS = 32
HANG_SECONDS = 60.0
Answer = Callable[[bytes], tuple[int, bytes]]


def unanswered(body: bytes) -> tuple[int, bytes]:
    """Answer that nobody has said yet what to answer."""
    return 503, b'{"error": "not ready"}'


class InnerServer:
    """Answers what comes through the relay.

    Attributes
    ----------
    answer : callable
        Takes the image's bytes, returns a status and a JSON body. A check sets it.
    asked : int
        How many POST requests have come.
    """

    def __init__(self) -> None:
        self.answer: Answer = unanswered
        self.asked = 0
        self.released = threading.Event()
        self._room = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self._control, self._theirs = socket.socketpair()
        os.set_inheritable(self._theirs.fileno(), True)
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def descriptor(self) -> int:
        """The descriptor that the sandbox inherits."""
        return self._theirs.fileno()

    def _accept(self) -> None:
        with suppress(OSError, ValueError):
            while True:
                self._room.acquire()  # before a descriptor is received: those that wait are the sandbox's to hold
                message, descriptors, _, _ = socket.recv_fds(self._control, 1, 1)
                if not message:
                    return
                connection = _connection(descriptors)
                if connection is None:
                    self._room.release()
                else:
                    threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            self._answer(connection)
        finally:
            self._room.release()

    def _answer(self, connection: socket.socket) -> None:
        connection.settimeout(HANG_SECONDS)
        inner = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                declared = self.headers.get("Content-Length") or "0"
                if not declared.isascii() or not declared.isdigit():  # a negative one would be read without end
                    self.send_error(400)
                    return
                length = min(int(declared[:10]), MAX_BODY)
                inner.asked += 1
                status, body = inner.answer(body_image(self.headers.get("Content-Type", ""), self.rfile.read(length)))
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        with suppress(OSError, ValueError), connection:
            Handler(connection, ("127.0.0.1", 0), None)  # type: ignore[arg-type]

    def hang(self, body: bytes) -> tuple[int, bytes]:
        """Answer only when the check is over."""
        self.released.wait(HANG_SECONDS)
        return unanswered(body)

    def close(self) -> None:
        """Stop answering."""
        self.released.set()
        for one in (self._theirs, self._control):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


def _connection(descriptors: list[int]) -> socket.socket | None:
    """Return what crossed, if it is one end of a pair as the relay makes them."""
    for descriptor in descriptors:
        try:
            connection = socket.socket(fileno=descriptor)
        except OSError:
            os.close(descriptor)
            continue
        if connection.family == socket.AF_UNIX and connection.type == socket.SOCK_STREAM:
            return connection
        connection.close()
    return None


def body_image(kind: str, body: bytes) -> bytes:
    """Return the image of a body, which may be a form."""
    if not kind.startswith("multipart/form-data"):
        return body
    message = BytesParser().parsebytes(b"Content-Type: " + kind.encode("latin-1") + b"\r\n\r\n" + body)
    parts: Any = message.get_payload()
    return (parts[0].get_payload(decode=True) or b"") if isinstance(parts, list) and parts else b""
