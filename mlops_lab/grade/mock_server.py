"""A mock HTTP server for a student's code to send requests to: in this process, or reached out of the sandbox."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from mlops_lab.grade.inner import HANG_SECONDS, MAX_BODY, InnerServer


@dataclass(frozen=True)
class MockRequest:
    """A request to the mock server."""

    method: str
    path: str
    kind: str
    body: bytes


# Status, content type and body of the answer; None closes the connection without one.
Reply = tuple[int, str, bytes] | None
MockHandler = Callable[[MockRequest], Reply]


def not_ready(request: MockRequest) -> Reply:
    """Answer 503: the check has not set a handler yet."""
    return 503, "application/json", b'{"error": "not ready"}'


def handler(respond: Callable[[], MockHandler]) -> type[BaseHTTPRequestHandler]:
    """Return the handler class of a server that answers with a function."""

    class Handler(BaseHTTPRequestHandler):
        timeout = HANG_SECONDS

        def answer(self) -> None:
            declared = self.headers.get("Content-Length") or "0"
            if not declared.isascii() or not declared.isdigit():  # a negative one would be read without end
                self.send_error(400)
                return
            body = self.rfile.read(min(int(declared[:10]), MAX_BODY))
            request = MockRequest(self.command, self.path.partition("?")[0], self.headers.get("Content-Type", ""), body)
            reply = respond()(request)
            if reply is None:
                return
            status, kind, content = reply
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = answer

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    return Handler


class MockServer(InnerServer):
    """Answers requests that come through the relay of a sandbox with :attr:`respond`."""

    def __init__(self) -> None:
        self.respond: MockHandler = not_ready
        super().__init__()

    def _answer(self, connection: socket.socket) -> None:
        with suppress(OSError, ValueError), connection:
            handler(lambda: self.respond)(connection, ("127.0.0.1", 0), None)  # type: ignore[arg-type]


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that went away."""


@contextmanager
def local_mock_server(respond: MockHandler) -> Iterator[str]:
    """Give the address of a server on the loopback that answers as a function says."""
    with _Quiet(("127.0.0.1", 0), handler(lambda: respond)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
