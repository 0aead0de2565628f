import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress

import pytest
import requests
from flask import Flask

from mlops_lab.errors import PortTaken, ServerError, WrongUsage
from mlops_lab.serve import Limits
from mlops_lab.serve.asgi import create_asgi
from mlops_lab.serve.http import HttpServer, refuse_debug
from mlops_lab.serve.ports import address, bind


@pytest.fixture
def serve():
    """Run an application on a free port; every server is stopped in the end."""
    running = []

    def run(app, **limits):
        server = HttpServer(create_asgi(app), bind("127.0.0.1", 0), Limits(**limits))
        server.start()
        running.append(server)
        return server

    yield run
    for server in running:
        server.stop()


def exchange(port, request):
    """Send bytes as they are; return the status, the headers and the JSON of the one answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(request)
        answer = b""
        with suppress(ConnectionResetError):  # where the server has not read everything that it refuses
            while part := connection.recv(65536):
                answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    assert len(re.findall(rb"HTTP/1\.[01] \d{3} ", answer)) == 1
    return int(head.split()[1]), head.decode().lower(), json.loads(body)


HOST = b"Host: x\r\nConnection: close\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nContent-Length: 5\r\n\r\nabc", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 0x3\r\n\r\nabc", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: xchunked\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: \r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"A: x\0y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"A: " + b"x" * 20_000 + b"\r\n\r\n", 431),
        (b"POST /models/bright HTTP/1.1\r\n" + HOST + b"Content-Length: 99999999999\r\n\r\n", 413),
        # from here on, other servers or readers would take them
        (b"GET /healthz\r\n" + HOST + b"\r\n", 400),
        (b"GET /healthz HTTP/9.9\r\n" + HOST + b"\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: y\r\n" + HOST + b"\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: x, y\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\n" + HOST + b"A: b\r\n c\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\n" + HOST + b"A: b\r\n" * 99 + b"\r\n", 431),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n" + CHUNKED + b"\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + CHUNKED + CHUNKED + b"\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + CHUNKED.replace(b"chunked", b"chunked, chunked") + b"\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.0\r\n" + HOST + CHUNKED + b"\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n" + b"0" * 20_000, 400),
        (b"POST / HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n0\r\n" + b"A: b\r\n" * 4_000, 400),
    ],
    ids=[
        *["line", "two lengths", "negative", "hexadecimal", "coding", "no coding", "chunk", "nul", "header", "body"],
        *["no version", "version", "two hosts", "host", "fold", "headers", "both", "coding twice", "codings"],
        *["coding in 1.0", "chunk line", "trailer"],
    ],
)
def test_what_the_http_server_itself_refuses_is_json_too(serve, app, request_bytes, status):
    server = serve(app)
    found, headers, answer = exchange(server.port, request_bytes)
    assert found == status
    assert answer.keys() == {"error", "code", "hint", "request_id"}
    assert answer["hint"]
    assert answer["error"].endswith(answer["hint"])
    assert "content-type: application/json" in headers
    assert f"x-request-id: {answer['request_id']}" in headers
    assert requests.get(f"http://127.0.0.1:{server.port}/healthz", timeout=5).status_code == 200


@pytest.mark.parametrize(
    ("head", "code", "limit"),
    [
        (b"A: " + b"x" * 20_000, "too_many_headers", "headers=100 and header_bytes=16384"),
        (b"A: b\r\n" * 99, "too_many_headers", "headers=100 and header_bytes=16384"),
        (b"Content-Length: 99999999999", "too_large", "body_bytes=2097152"),
    ],
)
def test_a_limit_that_the_http_server_keeps_has_our_name(serve, app, head, code, limit):
    _, _, answer = exchange(serve(app).port, b"POST /models/bright HTTP/1.1\r\n" + HOST + head + b"\r\n\r\n")
    assert answer["code"] == code
    assert limit in answer["error"]


def test_a_client_that_leaves_before_its_refusal_is_written_is_no_error(serve, app, capfd):
    server = serve(app)
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
            connection.sendall(b"nonsense\r\n\r\n")
    assert requests.get(f"http://127.0.0.1:{server.port}/healthz", timeout=5).status_code == 200
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("begun", "setting", "limits"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: ", "head_seconds=0.1", {"head_seconds": 0.1}),
        (
            b"POST /models/bright HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc",
            "body_seconds",
            {"body_seconds": 0.1},
        ),
    ],
)
def test_a_head_or_body_that_takes_too_long_is_refused(serve, app, begun, setting, limits):
    status, _, answer = exchange(serve(app, **limits).port, begun)
    assert status == 408
    assert setting in answer["error"]


def test_a_connection_that_sends_nothing_is_closed(serve, app):
    port = serve(app, idle_seconds=0.1).port
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        assert connection.recv(1) == b""


def test_many_small_chunks_are_one_body(serve, app):
    body = b'{"image": ' + json.dumps([[255] * 28] * 28).encode() + b"}"
    url = f"http://127.0.0.1:{serve(app).port}/models/bright/v1"
    pieces = (bytes([byte]) for byte in body)
    answer = requests.post(url, data=pieces, headers={"Content-Type": "application/json"}, timeout=20)
    assert answer.json()["predictions"][0]["label"] == "bright"


@pytest.mark.parametrize("path", ["/models/bright/v1", "/v2/models/bright/infer"])
def test_a_body_over_the_limit_is_refused_before_it_is_read(serve, app, path):
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Type: image/png\r\n"
    )
    status, _, answer = exchange(serve(app).port, head.encode() + b"Content-Length: 3000000\r\n\r\n")
    assert (status, answer["code"]) == (413, "too_large")
    assert "body_bytes=2097152" in answer["error"]


@pytest.mark.parametrize("path", ["/models/bright/v1", "/v2/models/bright/infer"])
def test_chunks_over_the_limit_are_refused(serve, app, path):
    url = f"http://127.0.0.1:{serve(app).port}{path}"
    answer = requests.post(url, data=iter([b"x" * 65536] * 40), headers={"Content-Type": "image/png"}, timeout=20)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_requests_in_one_packet_are_answered_in_order(serve, app):
    first = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    with socket.create_connection(("127.0.0.1", serve(app).port), timeout=5) as connection:
        connection.sendall(first + b"GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert re.findall(rb"HTTP/1\.1 (\d+)", answer) == [b"200", b"404"]


@pytest.mark.parametrize("host", [b"x", b"x.y:8000", b"[::1]:80", b"127.0.0.1", b""])
def test_hosts_that_are_one(serve, app, host):
    port = serve(app).port
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: " + host + b"\r\n" + b"A: b\r\n" * 98 + b"\r\n")
        assert connection.recv(12) == (b"HTTP/1.1 200" if host else b"HTTP/1.1 400")


def test_no_host_is_refused_by_the_application(serve, app):
    status, _, answer = exchange(serve(app).port, b"GET /models HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert (status, answer["code"]) == (400, "bad_request")


def test_chunked_and_expected_bodies_arrive(serve, app):
    url = f"http://127.0.0.1:{serve(app).port}/models/bright/v1"
    body = b'{"image": ' + json.dumps([[255] * 28] * 28).encode() + b"}"
    headers = {"Content-Type": "application/json"}
    chunked = requests.post(url, data=iter([body[:100], body[100:]]), headers=headers, timeout=5)
    expected = requests.post(url, data=body, headers={**headers, "Expect": "100-continue"}, timeout=5)
    assert chunked.json() == expected.json()
    assert chunked.json()["predictions"][0]["label"] == "bright"


@pytest.mark.parametrize(("method", "body"), [("GET", b"pong"), ("HEAD", b""), ("GET", b"")])
def test_an_answer_is_sent_whole_with_its_length(serve, method, body):
    app = Flask("ping")
    app.get("/")(lambda: body)
    answer = requests.request(method, f"http://127.0.0.1:{serve(app).port}/", timeout=5)
    assert answer.content == body and answer.headers["Content-Length"] == str(len(app.test_client().get("/").data))


def test_a_port_in_use_is_named():
    with bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=f"Port {port}") as caught:
            bind("127.0.0.1", port)
    assert "port 0" in caught.value.hint


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 99999), ("203.0.113.7", 0), ("no such host", 0)])
def test_an_address_that_cannot_be(host, port):
    with pytest.raises(ServerError):
        bind(host, port)


@pytest.mark.parametrize(
    ("host", "shown"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("::1", "[::1]")]
)
def test_the_address_works_on_this_machine(host, shown):
    assert address(host, 80) == f"http://{shown}:80"


def test_debug_mode_is_refused_off_loopback():
    app = Flask("x")
    app.debug = True
    for host in ("127.0.0.1", "localhost", "::1"):
        refuse_debug(app, host)
    with pytest.raises(WrongUsage, match="debug"):
        refuse_debug(app, "0.0.0.0")
    app.debug = False
    refuse_debug(app, "0.0.0.0")


def slow_app(entered, leave):
    app = Flask("slow")

    @app.get("/")
    def slow():
        entered.set()
        leave.wait(10)
        return {"answered": True}

    return app


def test_draining_answers_what_was_accepted_and_takes_no_more(serve):
    entered, leave, answers = threading.Event(), threading.Event(), []
    server = serve(slow_app(entered, leave))
    url = f"http://127.0.0.1:{server.port}/"
    asking = threading.Thread(target=lambda: answers.append(requests.get(url, timeout=20).json()))
    asking.start()
    assert entered.wait(5)
    draining = threading.Thread(target=server.drain)
    draining.start()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", server.port), timeout=1).close()
            time.sleep(0.02)
        except OSError:
            break
    else:
        pytest.fail("the port still takes connections")
    leave.set()
    asking.join(10)
    draining.join(10)
    assert answers == [{"answered": True}]
    assert not server.thread.is_alive()


def test_connections_that_wait_in_the_kernel_are_answered_when_the_server_ends():
    busy = threading.Event()

    async def app(scope, receive, send):
        if scope["path"] == "/block":
            busy.set()
            time.sleep(0.5)  # on the event loop, which can accept nothing meanwhile
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b"pong"})

    def connect(path):
        connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        return connection

    server = HttpServer(app, bind("127.0.0.1", 0), Limits())
    server.start()
    connections = [connect("/block")]
    assert busy.wait(5)
    connections += [connect("/") for _ in range(20)]
    server.drain()
    assert [connection.recv(12) for connection in connections] == [b"HTTP/1.1 200"] * 21
    for connection in connections:
        connection.close()


def test_draining_gives_up_in_the_end(serve):
    entered, leave = threading.Event(), threading.Event()
    server = serve(slow_app(entered, leave), drain_seconds=0.3)
    url = f"http://127.0.0.1:{server.port}/"

    def ask():
        with pytest.raises(requests.ConnectionError):
            requests.get(url, timeout=20)

    asking = threading.Thread(target=ask)
    asking.start()
    assert entered.wait(5)
    threading.Timer(1.0, leave.set).start()
    server.drain()
    asking.join(10)
    assert not server.thread.is_alive()


def test_stopping_does_not_wait_for_a_slow_answer(serve, capfd):
    entered, leave = threading.Event(), threading.Event()
    server = serve(slow_app(entered, leave))
    url = f"http://127.0.0.1:{server.port}/"

    def ask():
        with pytest.raises(requests.ConnectionError):
            requests.get(url, timeout=20)

    asking = threading.Thread(target=ask)
    asking.start()
    assert entered.wait(5)
    later = threading.Timer(2.5, leave.set)
    later.start()
    server.stop()
    assert not leave.is_set()
    later.cancel()
    leave.set()
    asking.join(10)
    assert capfd.readouterr().err == ""


def start_process(models, *more):
    command = [sys.executable, "-m", "mlops_lab", "serve", "--models", str(models.root), "--port", "0", *more]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    line = process.stdout.readline()
    assert re.fullmatch(r"serving http://127\.0\.0\.1:\d+\n", line), line + process.stderr.read()
    return process, line.split()[1]


@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGINT])
def test_the_command_serves_until_it_is_told_to_end(shared_models, name):
    process, url = start_process(shared_models)
    try:
        with requests.Session() as session:
            assert session.get(f"{url}/models", timeout=5).json()["models"][0]["name"] == "digits"
            process.send_signal(name)
            rest = process.communicate(timeout=15)
    finally:
        process.kill()
    assert process.returncode == 0
    assert rest == ("", "")
