"""What becomes of one connection: waitress' own ways, and where ours differ."""

from __future__ import annotations

import json
import secrets
from typing import Any

from waitress.channel import HTTPChannel
from waitress.task import ErrorTask, WSGITask
from waitress.utilities import Error, InternalServerError, RequestEntityTooLarge, RequestHeaderFieldsTooLarge

from mlops_lab.errors import BadRequest, LabError, TooLarge, Unavailable
from mlops_lab.serve.http.line import Overloaded
from mlops_lab.serve.http.parser import StrictParser
from mlops_lab.serve.limits import Limits


class _Whole:
    """Send an answer in one piece, and ask the client not to use the connection again once the server is draining."""

    channel: Any
    request: Any
    wrote_header = False

    def write(self, data: bytes) -> None:
        if not self.wrote_header:
            self.channel.head = self.build_response_header()
            self.wrote_header = True
        super().write(data)  # type: ignore[misc]
        self.channel.write_soon(b"")  # there may have been no body

    def build_response_header(self) -> bytes:
        if getattr(self.channel.server, "draining", False):
            self.request.headers["CONNECTION"] = "close"
        header: bytes = super().build_response_header()  # type: ignore[misc]
        return header


class _Task(_Whole, WSGITask):  # type: ignore[misc]
    pass


class _JsonErrorTask(_Whole, ErrorTask):  # type: ignore[misc]
    """Answer what waitress itself refuses in the form of the server's other errors."""

    def execute(self) -> None:
        error = self.request.error
        explained = _explained(error, self.channel.adj.limits)
        number = secrets.token_hex(8)
        body = json.dumps({**explained.to_dict(), "request_id": number}).encode()
        self.status = f"{error.code} {error.reason}"
        self.response_headers = [("Content-Type", "application/json"), ("X-Request-Id", number)]
        if isinstance(explained, Unavailable):
            self.response_headers.append(("Retry-After", str(explained.retry_after)))
        else:
            self.response_headers.append(("Connection", "close"))
            self.close_on_finish = True
        self.content_length = len(body)
        self.write(body)


def _explained(error: Error, limits: Limits) -> LabError:
    """Say what waitress refuses in our words, with the names of our limits and not of its own."""
    if isinstance(error, RequestHeaderFieldsTooLarge):
        message = (
            "The head of the request is too large; the limits are"
            f" headers={limits.headers} and header_bytes={limits.header_bytes}."
        )
        return TooLarge(message, "Send fewer headers, or shorter ones.", code="too_many_headers")
    if isinstance(error, RequestEntityTooLarge):
        return TooLarge(f"The body is larger than the limit, body_bytes={limits.body_bytes}.", "Send less at a time.")
    if isinstance(error, InternalServerError):
        return LabError("Something went wrong inside the server.", "Look into its log.", code="internal")
    if isinstance(error, Overloaded):
        message = f"The server has as many requests in hand as it takes; its limit is threads={limits.threads}."
        return Unavailable(message, "Try again in 1 s, or raise the limit in the server's Limits.", code="overloaded")
    return BadRequest(f"The request is not HTTP as it is read here: {error.body}.", "Let an HTTP library write it.")


class Channel(HTTPChannel):  # type: ignore[misc]
    """A connection: parsed strictly, answered in one piece, and refused without a thread where the line is full."""

    task_class = _Task
    error_task_class = _JsonErrorTask
    parser_class = StrictParser
    # Of an answer whose body has not come yet. A process that is killed between the two would leave a proxy with half
    # an answer, which it can neither hand on nor ask another server for.
    head = b""
    turned_away = False  # set by the line: the loop answers, at once

    def write_soon(self, data: Any) -> int:
        """Send bytes, with the head that waits for them."""
        if self.head and isinstance(data, bytes):
            data, self.head = self.head + data, b""
        return int(super().write_soon(data))

    def handle_read(self) -> None:
        """Read what has come; answer at once what the line has refused."""
        super().handle_read()
        while self.turned_away:
            self.turned_away = False
            self.service()

    def service(self) -> None:
        """Answer the first request."""
        try:
            super().service()
        finally:
            self.server.task_dispatcher.done()
