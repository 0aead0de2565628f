"""More connections than the server holds, and clients that drip."""

import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager

import pytest
import requests

from mlops_lab.serve import Limits, create_app
from mlops_lab.serve.asgi import create_asgi
from mlops_lab.serve.http import HttpServer
from mlops_lab.serve.http.server import affordable_connections
from mlops_lab.serve.ports import bind

HEAD = b"POST /models/bright HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
# What a client drips, byte by byte: a head, a body, a chunk; or nothing at all.
DRIPS = [HEAD + b"X-Slow: " + b"a" * 1000, HEAD + b"Content-Length: 1000\r\n\r\n" + bytes(1000), b""]


@contextmanager
def served(app, **limits):
    limits = Limits(**limits)
    server = HttpServer(create_asgi(app), bind("127.0.0.1", 0), limits)
    server.start()
    try:
        yield server
    finally:
        server.stop()


class Dripping:
    """Clients that send a byte now and then, and connect again when they are let go."""

    def __init__(self, port, number):
        self.port, self.number, self.ended, self.renewed = port, number, threading.Event(), 0
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()

    def open(self, drip):
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        connection.sendall(drip[: len(HEAD) + 40])
        return connection

    def run(self):
        clients = [[self.open(drip), drip, len(HEAD) + 40] for drip in DRIPS * (self.number // 3)]
        while not self.ended.wait(0.05):
            left = 5  # that connect again in one round
            for client in clients:
                connection, drip, sent = client
                try:
                    connection.send(drip[sent : sent + 1])
                    client[2] = sent + 1
                except OSError:
                    if not left:
                        continue
                    left -= 1
                    connection.close()
                    client[0], client[2] = self.open(drip), len(HEAD) + 40
                    self.renewed += 1
        for connection, *_ in clients:
            connection.close()


def test_twice_as_many_dripping_clients_as_connections_deny_nobody(bright):
    with served(create_app(bright), connections=30) as server, Dripping(server.port, 60) as drips:
        answers = []
        ended = time.monotonic() + 3
        while time.monotonic() < ended:
            with requests.Session() as session:
                url = f"http://127.0.0.1:{server.port}/healthz"
                answers += [session.get(url, timeout=10).status_code]
            assert len(server._uvicorn.server_state.connections) <= 30 + 60  # those that close are counted still
    assert set(answers) == {200}
    assert drips.renewed > 0


def test_the_connection_that_has_waited_longest_gives_way(bright):
    with served(create_app(bright), connections=3) as server, ExitStack() as stack:

        def connect(content):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=10))
            connection.sendall(content)
            time.sleep(0.05)
            return connection

        idle = connect(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert idle.recv(65536).startswith(b"HTTP/1.1 200")
        first, second, third = connect(HEAD), connect(HEAD), connect(HEAD)
        assert idle.recv(65536) == b""  # without a word: no request of its is lost
        connect(b"")
        refused = first.recv(65536)
        assert refused.startswith(b"HTTP/1.1 503")
        assert b"limit (connections)" in refused
        for connection in (second, third):
            connection.setblocking(False)
            with pytest.raises(BlockingIOError):
                connection.recv(1)


def test_where_all_are_answered_a_new_one_is_refused(bright):
    leave = threading.Event()
    with served(_slow(leave), connections=2) as server, ExitStack() as stack:
        connections = []
        for _ in range(3):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=10))
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            connections.append(connection)
            time.sleep(0.1)
        assert connections[2].recv(12) == b"HTTP/1.1 503"
        leave.set()
        assert [connection.recv(12) for connection in connections[:2]] == [b"HTTP/1.1 200"] * 2


def _slow(leave):
    from flask import Flask

    app = Flask("slow")

    @app.get("/")
    def answer():
        leave.wait(10)
        return "late"

    return app


def test_connections_leave_files_for_the_rest(monkeypatch):
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "getrlimit", lambda which: (100, 100))
    assert 4 <= affordable_connections(Limits()) < 76
    monkeypatch.setattr(resource, "getrlimit", lambda which: (10, 10))
    assert affordable_connections(Limits()) == 4


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_few_files_do_no_lasting_harm(shared_models):
    """With 64 open files, more clients than that come and go; then everything works as before."""
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)); from mlops_lab.cli import main;"
        " sys.argv[1:] = ['serve', '--models', sys.argv[1], '--port', '0']; main()"
    )
    command = [sys.executable, "-c", code, str(shared_models.root)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        assert line.startswith("serving "), line + process.stderr.read()
        url = line.split()[1]
        port = int(url.rsplit(":", 1)[1])
        for _ in range(2):
            with ExitStack() as stack:
                for _ in range(150):
                    connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
                    connection.sendall(HEAD)
                assert requests.get(f"{url}/healthz", timeout=20).status_code == 200
        answer = requests.get(f"{url}/readyz", timeout=20).json()
        assert answer["status"] == "ready"
        assert "store" not in answer
    finally:
        process.terminate()
        errors = process.communicate(timeout=20)[1]
    assert process.returncode == 0
    assert "Traceback" not in errors
