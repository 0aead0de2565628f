"""A server that a check plays, and that a student's code asks over HTTP: from this process, or out of the sandbox."""

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
class Asked:
    """One request."""

    method: str
    path: str
    kind: str
    body: bytes


# What is answered: status, content type and body; None closes the connection without a word.
Reply = tuple[int, str, bytes] | None
Play = Callable[[Asked], Reply]


def silent(asked: Asked) -> Reply:
    """Answer that nobody has said yet what to answer."""
    return 503, "application/json", b'{"error": "not ready"}'


def handler(play: Callable[[], Play]) -> type[BaseHTTPRequestHandler]:
    """Return what answers a connection as a function says."""

    class Handler(BaseHTTPRequestHandler):
        timeout = HANG_SECONDS

        def answer(self) -> None:
            declared = self.headers.get("Content-Length") or "0"
            if not declared.isascii() or not declared.isdigit():  # a negative one would be read without end
                self.send_error(400)
                return
            body = self.rfile.read(min(int(declared[:10]), MAX_BODY))
            asked = Asked(self.command, self.path.partition("?")[0], self.headers.get("Content-Type", ""), body)
            reply = play()(asked)
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


class PlayedServer(InnerServer):
    """Answers what comes through the relay of a sandbox, as :attr:`play` says."""

    def __init__(self) -> None:
        self.play: Play = silent
        super().__init__()

    def _answer(self, connection: socket.socket) -> None:
        with suppress(OSError, ValueError), connection:
            handler(lambda: self.play)(connection, ("127.0.0.1", 0), None)  # type: ignore[arg-type]


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that went away."""


@contextmanager
def played_here(play: Play) -> Iterator[str]:
    """Give the address of a server on the loopback that answers as a function says."""
    with _Quiet(("127.0.0.1", 0), handler(lambda: play)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
