"""Attacks on whoever asks a server, and on the inner server that it asks: answers and requests that hurt."""

import contextlib
import os
import socket
import threading
import time

import psutil
import pytest

from mlops_lab.grade.cases import Failed
from mlops_lab.grade.http import HttpClient
from mlops_lab.grade.inner import InnerServer


@contextlib.contextmanager
def raw_server(send):
    """Answer every connection with what a function sends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer(client):
            with contextlib.suppress(OSError), client:
                client.recv(65536)
                send(client)

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield HttpClient(f"http://127.0.0.1:{listener.getsockname()[1]}")


def forever(head, piece):
    def send(client):
        client.sendall(head)
        while True:
            client.sendall(piece)

    return send


def drip(head):
    def send(client):
        client.sendall(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n")
        for _ in range(100):
            client.sendall(b"x")
            time.sleep(0.05)

    return send


@contextlib.contextmanager
def inner_server():
    """Give the end of the inner server's control that crosses into the sandbox."""
    inner = InnerServer()
    try:
        yield inner, socket.socket(fileno=os.dup(inner.descriptor))
    finally:
        inner.close()


def ask_inner(control, length, body=b""):
    ours, theirs = socket.socketpair()
    ours.settimeout(5)
    socket.send_fds(control, [b"x"], [theirs.fileno()])
    theirs.close()
    ours.sendall(b"POST / HTTP/1.1\r\nContent-Length: " + length + b"\r\n\r\n" + body)
    return ours


@pytest.mark.parametrize("length", [b"-1", b"-5", b"abc", b"1_0", "²".encode("latin-1")])
def test_the_inner_server_reads_no_body_without_end(length):
    with inner_server() as (inner, control), control, ask_inner(control, length) as asked:
        assert b" 400 " in asked.recv(65536).split(b"\r\n")[0]
        assert inner.asked == 0


def test_the_inner_server_holds_so_many_connections_and_no_more():
    before = threading.active_count(), psutil.Process().num_fds()
    with inner_server() as (inner, control), control, contextlib.ExitStack() as stack:
        inner.answer = inner.hang
        for _ in range(100):
            stack.enter_context(ask_inner(control, b"1", b"x"))
        time.sleep(0.3)
        assert threading.active_count() - before[0] <= 34
        assert psutil.Process().num_fds() - before[1] <= 100 + 3 + 34
        inner.answer = lambda body: (200, b"{}")
        inner.released.set()
        with ask_inner(control, b"1", b"x") as asked:
            assert b" 200 " in asked.recv(65536).split(b"\r\n")[0]


def test_the_inner_server_outlives_what_is_no_connection(tmp_path):
    with inner_server() as (_, control), control, open(tmp_path / "file", "wb") as file, socket.socket() as network:
        for one in [file, network] * 50:
            socket.send_fds(control, [b"x"], [one.fileno()])
        with ask_inner(control, b"1", b"x") as asked:
            assert b" 503 " in asked.recv(65536).split(b"\r\n")[0]


OK = b"HTTP/1.1 200 OK\r\n"
HOSTILE = {
    "a body without end": forever(OK + b"\r\n", b"x" * 65536),
    "chunks without end": forever(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1000\r\n" + b"x" * 4096 + b"\r\n"),
    "headers without end": forever(OK, b"Set-Cookie: a=" + b"x" * 1000 + b"\r\n"),
    "a header line without end": forever(OK + b"X: ", b"x" * 65536),
    "ten thousand headers": lambda client: client.sendall(OK + b"X: 1\r\n" * 10_000 + b"\r\n"),
    "a length that lies": lambda client: client.sendall(OK + b"Content-Length: 1000\r\n\r\nshort"),
    "a length that is no number": lambda client: client.sendall(b"HTTP/1.1 abc\r\nContent-Length: -5\r\n\r\n"),
    "a drip": drip(b"Content-Length: 100000\r\n"),
    "a drip that says that it closes": drip(b"Content-Length: 100000\r\nConnection: close\r\n"),
    "a drip without a length": drip(b"Connection: close\r\n"),
    "interim answers without end": forever(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "nothing": lambda client: time.sleep(5),
    "no HTTP": lambda client: client.sendall(b"\x00\xff" * 5000),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_the_graders_client_is_capped(name):
    before = psutil.Process().memory_info().rss
    started = time.monotonic()
    with raw_server(HOSTILE[name]) as client, pytest.raises(Failed):
        client.get("/", timeout=1)
    assert time.monotonic() - started < 4
    assert psutil.Process().memory_info().rss - before < 50_000_000


def test_only_a_server_that_is_late_again_and_again_is_given_up():
    late = iter([True, True, False, True, True, False, True, True, True])

    def send(client):
        if next(late):
            time.sleep(1)
        client.sendall(OK + b"Content-Length: 0\r\n\r\n")

    with raw_server(send) as client:
        for _ in range(2):
            for _ in range(2):
                with pytest.raises(Failed, match="not answered within"):
                    client.get("/", timeout=0.2)
            assert client.get("/", timeout=0.5).status == 200
        for _ in range(3):
            with pytest.raises(Failed, match="not answered within"):
                client.get("/", timeout=0.2)
        with pytest.raises(Failed, match="has stopped answering"):
            client.get("/", timeout=0.2)


@pytest.mark.parametrize(
    "place", ["file:///etc/passwd", "http://127.0.0.1:1/secret", "/elsewhere", "//evil.example/x/"]
)
def test_redirects_are_not_followed_elsewhere(place):
    def send(client):
        client.sendall(f"HTTP/1.1 307 Temporary Redirect\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n".encode())

    with raw_server(send) as client:
        assert client.get("/models", timeout=2).status == 307


def test_a_compressed_body_is_not_unpacked():
    import gzip

    bomb = gzip.compress(b"\0" * 50_000_000)

    def send(client):
        head = f"Content-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n"
        client.sendall(OK + head.encode() + bomb)

    with raw_server(send) as client:
        answer = client.get("/", timeout=5)
    with pytest.raises(ValueError):
        answer.json()
    assert len(answer.body) < 1_000_000


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a": NaN}', b"\xff\xfe", b"1" * 100_000])
def test_hostile_json_is_a_value_error(body):
    def send(client):
        client.sendall(OK + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)

    with raw_server(send) as client, pytest.raises(ValueError):
        client.get("/", timeout=5).json()
