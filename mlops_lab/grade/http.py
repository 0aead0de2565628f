"""The grader's own HTTP client: it trusts nothing that comes back.

Time, length, headers are capped, redirects are not followed, compressed bodies are not asked for, and whatever a server
does becomes an :class:`Answer` or a failed check.
"""

from __future__ import annotations

import http.client
import json
import random
import shlex
import socket
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from mlops_lab.errors import WrongUsage
from mlops_lab.grade.cases import Failed
from mlops_lab.grade.results import clip

MAX_BODY = 1_000_000
REDIRECTS = (301, 302, 307, 308)
MAX_LATE = 3  # unanswered requests in a row after which a server is not waited for again
AGENTS = (
    "python-requests/2.32.5",
    "curl/8.5.0",
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "PostmanRuntime/7.44.1",
)


@dataclass(frozen=True)
class HttpAnswer:
    """The answer of a server.

    Parameters
    ----------
    status
        The status code.
    headers
        By their names in lower case.
    body
        At most a megabyte.
    seconds
        From the first byte sent to the last received.
    request
        The request as a curl command.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float
    request: str = ""

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")

    @property
    def kind(self) -> str:
        """The media type, without its parameters."""
        return self.headers.get("content-type", "").split(";")[0].strip().lower()

    def json(self) -> Any:
        """Return the body as JSON.

        Raises
        ------
        ValueError
            It is not JSON, or holds NaN or nesting without end.
        """
        try:
            return json.loads(self.body, parse_constant=_refuse)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error

    def __str__(self) -> str:
        return f"{self.status} {self.kind}: {clip(self.text, 300)}"


def _refuse(word: str) -> float:
    raise ValueError(f"{word} is not JSON")


class HttpClient:
    """Asks one server.

    Parameters
    ----------
    url
        Its address: ``http://HOST:PORT``, a path before the routes allowed.

    Raises
    ------
    WrongUsage
        It is not the address of an HTTP server.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url if "//" in url else f"http://{url}")
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in ("http", "https") or not parts.hostname or port == -1:
            raise WrongUsage(f"{clip(url)} is not the address of a server.", "Give one such as http://127.0.0.1:5000.")
        self.url = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self._secure, self._host, self._port, self._base = (
            parts.scheme == "https", parts.hostname, port, parts.path.rstrip("/")
        )  # fmt: skip
        self._agent = random.choice(AGENTS)
        self._late = 0

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None, *,
        timeout: float = 10.0, pause: float = 0.0,
    ) -> HttpAnswer:  # fmt: skip
        """Ask, and return the answer whatever its status.

        The second half of the body is held back for ``pause`` seconds. A redirect is not followed, but for the one that
        only adds a slash to the path, as Flask and FastAPI answer.

        Raises
        ------
        Failed
            There was no answer, or it was not HTTP.
        """
        answer = self._once(method, path, body, headers or {}, timeout, pause)
        if answer.status in REDIRECTS and urlsplit(answer.headers.get("location", "")).path == f"{self._base}{path}/":
            return self._once(method, f"{path}/", body, headers or {}, timeout)
        return answer

    def _once(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], timeout: float, pause: float = 0.0
    ) -> HttpAnswer:
        sent = {"User-Agent": self._agent, "Accept": "*/*", "Accept-Encoding": "identity", **headers}
        if self._late >= MAX_LATE:
            raise Failed("The server has stopped answering.", hint="late", figures={"seconds": timeout, "path": path})
        asked = curl(method, self.url + path, body, sent)
        connection = self._connection(timeout)
        started = time.perf_counter()
        over: threading.Timer | None = None
        cut = threading.Event()
        try:
            connection.connect()
            # Kept here: a connection lets go of its socket once the server says that it closes, and goes on reading.
            over = threading.Timer(timeout - (time.perf_counter() - started), _shut, [connection.sock, cut])
            over.daemon = True
            over.start()
            if pause and body:
                length = {"Content-Length": str(len(body))}
                connection.request(method, self._base + path, _in_halves(body, pause), {**sent, **length})
            else:
                connection.request(method, self._base + path, body, sent)
            received = connection.getresponse()
            content = received.read(MAX_BODY + 1)
            if cut.is_set():  # a body without a length looks whole when our time limit ends it
                raise TimeoutError
            if received.length and len(content) <= MAX_BODY:  # the server cut it off
                raise http.client.IncompleteRead(content, received.length)
        except (OSError, http.client.HTTPException, ValueError) as error:
            late = time.perf_counter() - started >= timeout
            self._late += late
            raise Failed(
                f"{method} {path} was not answered within {timeout:.3g} s."
                if late else f"{method} {path} was not answered: {clip(_why(error), 200)}.",
                hint="late" if late else "unanswered", received=_why(error), expected="an answer",
                figures={"seconds": timeout, "path": path},
            ) from None  # fmt: skip
        finally:
            if over is not None:
                over.cancel()
            connection.close()
        if len(content) > MAX_BODY:
            raise Failed(f"{method} {path} answered more than {MAX_BODY:,} bytes.", hint="too-long")
        seconds = time.perf_counter() - started
        self._late = 0
        known = {name.lower(): value for name, value in received.getheaders()}
        return HttpAnswer(received.status, known, content, seconds, asked)

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        """Return a connection that is not open yet."""
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        return kind(self._host, self._port, timeout=timeout)

    def get(self, path: str, **options: Any) -> HttpAnswer:
        """Ask with GET."""
        return self.request("GET", path, **options)

    def post(self, path: str, body: bytes, kind: str, **options: Any) -> HttpAnswer:
        """Ask with POST."""
        return self.request("POST", path, body, {"Content-Type": kind}, **options)


def _in_halves(body: bytes, pause: float) -> Iterator[bytes]:
    half = len(body) // 2
    yield body[:half]
    time.sleep(pause)
    yield body[half:]


def _why(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens there"
    return f"{type(error).__name__}: {error}".rstrip(": ")


def _shut(connected: socket.socket, cut: threading.Event) -> None:
    cut.set()  # before the reader can see the end
    with suppress(OSError):
        connected.shutdown(socket.SHUT_RDWR)


def form(field: str, content: bytes, *, filename: str = "image.png", kind: str = "image/png") -> tuple[bytes, str]:
    """Return a multipart body with one file, and its content type.

    Examples
    --------
    >>> body, kind = form("image", b"x")
    >>> b'name="image"' in body, kind.startswith("multipart/form-data; boundary=")
    (True, True)
    """
    boundary = uuid.uuid4().hex
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"; filename="{filename}"\r\n'
    body = f"{head}Content-Type: {kind}\r\n\r\n".encode() + content + f"\r\n--{boundary}--\r\n".encode()
    return body, f"multipart/form-data; boundary={boundary}"


def curl(method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> str:
    """Return the request as a line for a terminal; a binary body is passed as base64."""
    import base64

    kind = headers.get("Content-Type", "")
    parts = ["curl", "-sS", "-X", method, *(["-H", f"Content-Type: {kind}"] if kind else []), url]
    line = " ".join(shlex.quote(part) for part in parts)
    if not body:
        return line
    if len(body) <= 4096:
        return f"echo {base64.b64encode(body).decode()} | base64 -d | {line} --data-binary @-"
    return f"{line} --data-binary @BODY  # {len(body)} bytes"
