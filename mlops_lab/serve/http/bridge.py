"""A bridge from the event loop to a WSGI application: whole requests in, whole answers out."""

from __future__ import annotations

import io
import sys
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from mlops_lab.errors import BadRequest, DeadlineExceeded, LabError
from mlops_lab.serve.codecs.body import too_large
from mlops_lab.serve.core.limits import Limits
from mlops_lab.serve.core.timing import RequestContext
from mlops_lab.serve.http.dispatcher import Dispatcher
from mlops_lab.serve.rest.cors import cors_headers
from mlops_lab.serve.rest.reply import Reply, common_headers, error_reply, internal_error

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class ClientDisconnected(Exception):
    """The client closed the connection before its request was complete."""


class WsgiBridge:
    """An ASGI application that runs a WSGI application in threads.

    A request is buffered within the limit on its body, the application is called once, and its answer is sent whole.
    Adapters that stream both ways take two to three times as long for a small answer.

    Parameters
    ----------
    app
        Any WSGI application.
    limits
        ``body_bytes`` bounds a body, and ``threads`` the calls at the same time.
    on_refused
        Called with the status code of each request that is refused without calling the application; for metrics.
    origins
        The origins whose pages may read such a refusal; for others a browser shows them nothing.
    """

    def __init__(
        self,
        app: WsgiApp,
        limits: Limits,
        on_refused: Callable[[int], object] = lambda status: None,
        origins: frozenset[str] = frozenset(),
    ) -> None:
        self.app = app
        self.limits = limits
        self.dispatcher = Dispatcher(max(limits.threads, limits.in_flight + 1))
        self._on_refused = on_refused
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return
        try:
            if scope["method"] == "POST":
                self.dispatcher.check()
            length = header(scope, b"content-length")
            declared = int(length) if length else None  # the parser lets only digits pass
            # Of a body over the limit the application sees the length alone, and says what is wrong.
            over = declared is not None and declared > self.limits.body_bytes
            content = None if over else await read_body(receive, declared, self.limits)
            environ = make_environ(scope, content)
            reply = await self.dispatcher.run(lambda: call_app(self.app, environ))
        except ClientDisconnected:
            return
        except DeadlineExceeded as error:  # the application counts it once its call has returned
            reply = self._refuse(error, scope, header(scope, b"x-request-id"))
        except LabError as error:
            reply = self._refuse(error, scope)
            self._on_refused(error.status)
        except Exception as error:
            reply = self._refuse(internal_error(error, "none"), scope)
        await send_reply(send, reply)

    def _refuse(self, error: LabError, scope: Scope, request_id: str = "") -> Reply:
        reply = refusal(error, request_id)
        return reply._replace(headers=[*reply.headers, *cors_headers(self._origins, header(scope, b"origin"))])


def header(scope: Scope, wanted: bytes) -> str:
    """Return a header field of a request, by its name in lower case; empty where there is none."""
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == wanted), "")


def refusal(error: LabError, request_id: str = "") -> Reply:
    """Return the whole reply for a request that no application has answered."""
    context = RequestContext.begin(request_id)
    reply = error_reply(error, context.request_id)
    return reply._replace(headers=[*reply.headers, *common_headers(context, "")])


async def send_reply(send: Send, reply: Reply) -> None:
    """Send a whole answer; its length is added where it is not among its headers."""
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers]
    if not any(name.lower() == "content-length" for name, _ in reply.headers):
        headers.append((b"Content-Length", str(len(reply.body)).encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


async def read_body(
    receive: Receive, declared: int | None, limits: Limits, first: dict[str, Any] | None = None
) -> bytes:
    """Return the body of a request.

    Parameters
    ----------
    declared
        The ``Content-Length``, if there is one.
    first
        The first message, where it has been received already.

    Raises
    ------
    TooLarge
        The body is over the limit; where its length is declared, before any of it is read.
    ClientDisconnected
        The client is gone.
    """
    if declared is not None and declared > limits.body_bytes:
        raise too_large(declared, limits)
    message = first or await receive()
    parts, size = [message.get("body", b"")], len(message.get("body", b""))
    while message.get("more_body") and size <= limits.body_bytes:
        message = await receive()
        parts.append(message.get("body", b""))
        size += len(parts[-1])
    if message["type"] == "http.disconnect":
        raise ClientDisconnected
    if size > limits.body_bytes:
        raise too_large(declared, limits)
    return b"".join(parts)


def make_environ(scope: Scope, content: bytes | None) -> dict[str, Any]:
    """Return the WSGI environment of a request; without content, the application sees the length that was declared."""
    host, port = scope.get("server") or ("localhost", 80)
    client = scope.get("client") or ("", 0)
    root = scope.get("root_path", "")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": root.encode().decode("latin-1"),
        "PATH_INFO": _unquoted(scope).removeprefix(root.encode().decode("latin-1")),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": client[0],
        "REMOTE_PORT": str(client[1]),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": io.BytesIO(content or b""),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").upper().replace("-", "_"), raw_value.decode("latin-1")
        if b"_" in raw_name or name == "TRANSFER_ENCODING":  # an underscore would pass for a hyphen; chunks are joined
            continue
        key = name if name in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{name}"
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    if content is not None and (content or "CONTENT_LENGTH" in environ):
        environ["CONTENT_LENGTH"] = str(len(content))
    return environ


def _unquoted(scope: Scope) -> str:
    """Return the path as WSGI wants it: its bytes, without percent signs, each as one character."""
    raw: bytes = scope["raw_path"]
    if b"%" not in raw:
        return raw.decode("latin-1")
    from urllib.parse import unquote_to_bytes

    return unquote_to_bytes(raw).decode("latin-1")


def call_app(app: WsgiApp, environ: dict[str, Any]) -> Reply:
    """Return the whole answer of a WSGI application.

    Raises
    ------
    LabError
        The application returned without starting an answer.
    """
    started: list[tuple[str, list[tuple[str, str]]]] = []
    written: list[bytes] = []

    def start_response(status: str, headers: list[tuple[str, str]], error: Any = None) -> Callable[[bytes], object]:
        started.append((status, headers))
        return written.append

    chunks = app(environ, start_response)
    try:
        written.extend(chunks)
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()
    if not started:
        raise BadRequest("The application did not answer.", "It must call start_response.", code="internal")
    status, headers = started[-1]
    return Reply(int(status[:3]), headers, b"".join(written))
