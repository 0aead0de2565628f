import json
import re
import socket
import threading
import time
from contextlib import ExitStack, contextmanager

import pytest
from flask import Flask

from mlops_lab.serve import Limits, create_app
from mlops_lab.serve.http import HttpServer
from mlops_lab.serve.ports import bind

POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Slow:
    """An application that answers when it may; every answer is the method of its request."""

    def __init__(self):
        self.entered, self.leave, self.refused = threading.Event(), threading.Event(), []
        self.app = Flask("slow")
        self.app.config["ON_REFUSAL"] = lambda: self.refused.append(1)

        @self.app.route("/", methods=["GET", "POST"])
        def slow():
            self.entered.set()
            self.leave.wait(10)
            return {"answered": True}


@contextmanager
def busy(limits, requests):
    """Run a slow server with so many requests in hand; yield the application, the server and the first connection."""
    slow = Slow()
    server = HttpServer(slow.app, bind("127.0.0.1", 0), limits)
    server.start()
    with ExitStack() as stack:
        stack.callback(server.stop)
        stack.callback(slow.leave.set)
        connections = [stack.enter_context(connect(server.port)) for _ in range(requests)]
        for number, connection in enumerate(connections, 1):
            connection.sendall(POST)
            wait_for(lambda number=number: in_hand(server) == number)
        yield slow, server, connections[0]


def in_hand(server):
    return server._server.task_dispatcher._in_hand


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
        length = re.search(rb"Content-Length: (\d+)", head)
        if end and len(rest) >= int(length[1]):
            found.append((int(head.split()[1]), head.decode(), json.loads(rest[: int(length[1])])))
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
def test_a_post_without_a_place_is_refused_at_once_and_may_come_back(limits, places):
    with busy(limits, places) as (slow, server, first), connect(server.port) as late:
        late.sendall(POST + POST)
        for status, head, body in answers(late, 2):
            assert (status, body["code"]) == (503, "overloaded")
            assert f"threads={limits.threads}" in body["error"]
            assert body.keys() == {"error", "code", "hint", "request_id"}
            assert "Retry-After: 1" in head
            assert "Connection: close" not in head
        assert slow.refused == [1, 1]
        slow.leave.set()
        assert answers(first, 1)[0][2] == {"answered": True}
        wait_for(lambda: in_hand(server) == 0)
        late.sendall(POST)
        assert answers(late, 1)[0][0] == 200


def test_a_get_waits_for_its_turn():
    with busy(Limits(threads=1, in_flight=1), 2) as (slow, server, _), connect(server.port) as late:
        late.sendall(GET)
        late.settimeout(0.2)
        with pytest.raises(TimeoutError):
            late.recv(1)
        slow.leave.set()
        late.settimeout(5)
        assert answers(late, 1)[0][0] == 200
        assert slow.refused == []


def test_what_is_no_request_is_refused_as_ever():
    with busy(Limits(threads=1, in_flight=1), 2) as (slow, server, _), connect(server.port) as late:
        late.sendall(b"nonsense\r\n\r\n")
        slow.leave.set()
        assert answers(late, 1)[0][0] == 400


def test_metrics_count_what_the_line_refuses(bright):
    app = create_app([bright])
    app.config["ON_REFUSAL"]()
    text = app.test_client().get("/metrics").text
    assert 'mlops_lab_requests_total{method="POST",route="(refused)",status="503"} 1.0' in text
