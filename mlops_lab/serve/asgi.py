"""The server on an event loop: the busiest route is answered here, and all others by the Flask application behind it.

The fast path is a POST of one image, JSON or npy to the course's routes. It calls the same function as the Flask view
(:func:`mlops_lab.serve.rest.images.respond`), so that both give the same bytes.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from flask import Flask

from mlops_lab.errors import LabError
from mlops_lab.image import read_png_size
from mlops_lab.serve.core.limits import Limits
from mlops_lab.serve.core.timing import RequestContext
from mlops_lab.serve.core.watcher import watch
from mlops_lab.serve.http.bridge import (
    ClientDisconnected,
    Receive,
    Scope,
    Send,
    WsgiApp,
    WsgiBridge,
    read_body,
    send_reply,
)
from mlops_lab.serve.observability.access_log import Exchange
from mlops_lab.serve.rest.cors import cors_headers
from mlops_lab.serve.rest.images import ImageRequest, respond
from mlops_lab.serve.rest.reply import Reply, common_headers, error_reply
from mlops_lab.serve.state import ServerState, count_hooks, state_of

IMAGE_TYPES = frozenset({"image/png", "image/jpeg"})
FAST_PATH_TYPES = IMAGE_TYPES | {"application/json", "application/x-npy"}
ROUTES = {3: "/models/<name>", 4: "/models/<name>/<version>"}


class Head(NamedTuple):
    """The header fields that the fast path reads."""

    content_type: str
    content_length: int | None
    content_encoding: str
    request_id: str
    traceparent: str
    authorization: str
    api_key: str
    origin: str


class AsgiApp:
    """An ASGI application in front of the Flask application that :func:`mlops_lab.serve.create_app` made.

    Parameters
    ----------
    app
        The Flask application.
    state
        Its parts.
    """

    def __init__(self, app: Flask, state: ServerState) -> None:
        self.state = state
        self.service = state.service
        self.limits = state.service.limits
        self.secured = bool(state.keys)
        self.watched = state.watched
        self.flask = WsgiBridge(app, self.limits, state.record_refusal, state.allowed_origins)
        self.dispatcher = self.flask.dispatcher

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http" and scope["method"] == "POST":
            parts = scope["path"].split("/")
            if len(parts) in ROUTES and parts[1] == "models" and not scope["root_path"]:
                name, version = parts[2], parts[3] if len(parts) == 4 else ""
                head = read_head(scope)
                # A version that is not loaded yet is answered by Flask, in a thread that may wait for it.
                known = (version or len(parts) == 3) and self.service.loaded(name, version) is not None
                if known and head is not None and head.content_type in FAST_PATH_TYPES:
                    return await self.answer(scope, receive, send, name, version, head)
        await self.flask(scope, receive, send)

    async def answer(self, scope: Scope, receive: Receive, send: Send, name: str, version: str, head: Head) -> None:
        """Answer a POST to the course's routes."""
        context = RequestContext.begin(head.request_id)
        if self.watched is not None and self.watched.watched_in != os.getpid():
            watch(self.watched)
        body = b""
        try:
            if self.secured:
                self.state.keys.check(head.authorization, head.api_key)
            body = await self.read(receive, head.content_length)
            request = ImageRequest(name, version, head.content_type, head.content_encoding, lambda: body)
            reply = await self.classify(request, body, context)
        except ClientDisconnected:
            return
        except LabError as error:
            reply = error_reply(error, context.request_id)
        context.finish()
        received = head.content_length or len(body)
        route = ROUTES[3 if not version else 4]
        exchange = Exchange("POST", route, scope["path"], reply.status, received, len(reply.body), head.traceparent)
        common = common_headers(context, head.traceparent)
        if self.state.allowed_origins:
            common += cors_headers(self.state.allowed_origins, head.origin)
        self.state.record(exchange, context)
        await send_reply(send, reply._replace(headers=[*reply.headers, *common]))

    async def read(self, receive: Receive, declared: int | None) -> bytes:
        """Return the body of a request; most come whole in one message."""
        if declared is None or declared > self.limits.body_bytes:
            return await read_body(receive, declared, self.limits)
        message = await receive()
        if message.get("more_body", True):
            return await read_body(receive, declared, self.limits, message)
        body: bytes = message["body"]
        return body

    async def classify(self, request: ImageRequest, body: bytes, context: RequestContext) -> Reply:
        """Return the reply, computed on the event loop where that is quick, else in a thread."""
        predictor = self.service.loaded(request.name, request.version)
        ticket = await self.service.admission.wait(request.name, context.elapsed())

        def call() -> Reply:
            try:
                return respond(self.service, request, context, ticket)
            finally:  # here, so that a call that was given up keeps its place until it returns
                self.service.admission.leave(ticket)

        if predictor is None or not self.is_small(request, body) or not self.service.is_quick(predictor):
            return await self.dispatcher.run(call)
        context.promises = []
        reply = call()
        for promise in context.promises:
            await promise.wait_on_loop()
        return reply

    def is_small(self, request: ImageRequest, body: bytes) -> bool:
        """Return whether a request holds one image that is small enough to be decoded on the event loop."""
        limits = self.limits
        if request.content_type != "image/png" or request.content_encoding or len(body) > limits.loop_bytes:
            return False
        size = read_png_size(body)
        return size is not None and size[0] * size[1] <= limits.loop_pixels


def read_head(scope: Scope) -> Head | None:
    """Return the header fields that the fast path reads; None where a field appears twice."""
    found = dict(scope["headers"])
    if len(found) != len(scope["headers"]):
        return None
    get = found.get
    return Head(
        get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower(),
        int(get(b"content-length", b"")) if b"content-length" in found else None,
        get(b"content-encoding", b"").decode("latin-1"),
        get(b"x-request-id", b"").decode("latin-1"),
        get(b"traceparent", b"").decode("latin-1"),
        get(b"authorization", b"").decode("latin-1"),
        get(b"x-api-key", b"").decode("latin-1"),
        get(b"origin", b"").decode("latin-1"),
    )


def is_plain(app: Flask, state: ServerState) -> bool:
    """Return whether an application is as ``create_app`` made it: middleware or hooks added since must see all."""
    return getattr(app.wsgi_app, "__func__", None) is Flask.wsgi_app and count_hooks(app) == state.hooks


def create_asgi(app: WsgiApp) -> AsgiApp | WsgiBridge:
    """Return an ASGI application for a Flask application, or for any other WSGI application.

    Examples
    --------
    >>> from mlops_lab.serve import create_app
    >>> type(create_asgi(create_app([]))).__name__
    'AsgiApp'
    """
    state = state_of(app)
    if state is None or not isinstance(app, Flask):  # of somebody else's body the lab knows no limit but its own
        return WsgiBridge(app, Limits(body_bytes=8 * Limits.body_bytes))
    if not is_plain(app, state):
        return WsgiBridge(app, state.service.limits, state.record_refusal, state.allowed_origins)
    return AsgiApp(app, state)
