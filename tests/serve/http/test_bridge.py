import json
import re
import socket
import threading
import time
from contextlib import ExitStack, contextmanager

import pytest
import requests
from flask import Flask, Response, request

from mlops_lab.serve import Limits
from mlops_lab.serve.http import HttpServer
from mlops_lab.serve.http.bridge import WsgiBridge
from mlops_lab.serve.ports import bind

POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@contextmanager
def running(app, limits=None, **options):
    """Run a WSGI application; yield the port."""
    limits = limits or Limits()
    server = HttpServer(WsgiBridge(app, limits, **options), bind("127.0.0.1", 0), limits)
    server.start()
    try:
        yield server.port
    finally:
        server.stop()


class Slow:
    """An application that answers when it may."""

    def __init__(self, limits):
        self.leave, self.refused = threading.Event(), []
        self.app = Flask("slow")

        @self.app.route("/", methods=["GET", "POST"])
        def slow():
            self.leave.wait(10)
            return {"answered": True}

        self.bridge = WsgiBridge(self.app, limits, on_refused=self.refused.append)


@contextmanager
def busy(limits, requests_in_hand):
    """Run a slow server with so many requests in hand; yield the application, the port and the first connection."""
    slow = Slow(limits)
    server = HttpServer(slow.bridge, bind("127.0.0.1", 0), limits)
    server.start()
    with ExitStack() as stack:
        stack.callback(server.stop)
        stack.callback(slow.leave.set)
        connections = [stack.enter_context(connect(server.port)) for _ in range(requests_in_hand)]
        for number, connection in enumerate(connections, 1):
            connection.sendall(POST)
            wait_for(lambda number=number: slow.bridge.dispatcher.pending == number)
        yield slow, server.port, connections[0]


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=5)


def wait_for(condition):
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def answers(connection, number):
    """Read so many answers; return their statuses, headers and bodies."""
    received, found = b"", []
    while len(found) < number:
        head, end, rest = received.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        if end and len(rest) >= int(length[1]):
            found.append((int(head.split()[1]), head.decode().lower(), json.loads(rest[: int(length[1])])))
            received = rest[int(length[1]) :]
            continue
        part = connection.recv(65536)
        assert part, "the connection was closed"
        received += part
    return found


@pytest.mark.parametrize(
    ("limits", "places"),
    [(Limits(threads=2, in_flight=1), 2), (Limits(threads=1, in_flight=1), 2), (Limits(threads=3, in_flight=1), 3)],
)
def test_a_post_without_a_thread_is_refused_at_once_and_may_come_back(limits, places):
    with busy(limits, places) as (slow, port, first), connect(port) as late:
        late.sendall(POST + POST)
        for status, head, body in answers(late, 2):
            assert (status, body["code"]) == (503, "overloaded")
            assert f"threads={places}" in body["error"]
            assert body.keys() == {"error", "code", "hint", "request_id"}
            assert "retry-after: 1" in head
            assert "connection: close" not in head
        assert slow.refused == [503, 503]
        slow.leave.set()
        assert answers(first, 1)[0][2] == {"answered": True}
        wait_for(lambda: slow.bridge.dispatcher.pending == 0)
        late.sendall(POST)
        assert answers(late, 1)[0][0] == 200


def test_a_get_waits_for_its_turn():
    with busy(Limits(threads=1, in_flight=1), 2) as (slow, port, _), connect(port) as late:
        late.sendall(GET)
        late.settimeout(0.2)
        with pytest.raises(TimeoutError):
            late.recv(1)
        slow.leave.set()
        late.settimeout(5)
        assert answers(late, 1)[0][0] == 200
        assert slow.refused == []


def test_what_is_no_request_is_refused_although_every_thread_is_taken():
    with busy(Limits(threads=1, in_flight=1), 2) as (_, port, _), connect(port) as late:
        late.sendall(b"nonsense\r\n\r\n")
        assert answers(late, 1)[0][0] == 400


def test_the_environment_of_a_request():
    seen = {}
    app = Flask("seen")

    @app.post("/<path:path>")
    def see(path):
        seen.update(request.environ)
        return {"path": path, "body": request.get_data(as_text=True), "query": request.args.to_dict()}

    with running(app) as port:
        url = f"http://127.0.0.1:{port}/caf%C3%A9/a%2Fb?x=1%202"
        headers = {"X-One": "1", "Content-Type": "text/plain", "X_Two": "2"}
        answer = requests.post(url, data=iter([b"a", b"b"]), headers=headers, timeout=5)
    assert answer.json() == {"path": "café/a/b", "body": "ab", "query": {"x": "1 2"}}
    assert (seen["HTTP_X_ONE"], seen["CONTENT_TYPE"], seen["CONTENT_LENGTH"]) == ("1", "text/plain", "2")
    assert "HTTP_X_TWO" not in seen  # an underscore would pass for a hyphen
    assert "HTTP_TRANSFER_ENCODING" not in seen
    assert (seen["SERVER_PROTOCOL"], seen["REMOTE_ADDR"]) == ("HTTP/1.1", "127.0.0.1")


def test_fields_that_appear_twice_are_joined():
    app = Flask("twice")
    app.get("/")(lambda: request.headers["A"])
    with running(app) as port, connect(port) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nA: 1\r\nA: 2\r\nConnection: close\r\n\r\n")
        assert connection.recv(65536).endswith(b"\r\n\r\n1,2")


def test_an_answer_in_parts_is_closed_and_sent_whole():
    closed = []

    class Parts:
        def __iter__(self):
            return iter([b"a", b"b"])

        def close(self):
            closed.append(1)

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return Parts()

    with running(app) as port:
        answer = requests.get(f"http://127.0.0.1:{port}/", timeout=5)
    assert (answer.text, answer.headers["Content-Length"], closed) == ("ab", "2", [1])


def test_an_application_that_raises_is_answered_500(caplog):
    def app(environ, start_response):
        raise RuntimeError("secret")

    with running(app) as port:
        answer = requests.get(f"http://127.0.0.1:{port}/", timeout=5)
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "secret" not in answer.text and "secret" in caplog.text


def test_cookies_stay_apart():
    app = Flask("cookies")

    @app.get("/")
    def cookies():
        response = Response("x")
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        return response

    with running(app) as port:
        assert requests.get(f"http://127.0.0.1:{port}/", timeout=5).cookies.get_dict() == {"a": "1", "b": "2"}
