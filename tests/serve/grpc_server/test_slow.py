"""Clients that begin and do not go on: they take nothing from the others, and are let go."""

import socket
import threading
import time
from contextlib import ExitStack

import pytest

grpc = pytest.importorskip("grpc")

from half_open import PREFACE, begun_connection, frame  # noqa: E402

from mlops_lab.serve import Limits, create_app  # noqa: E402
from mlops_lab.serve.grpc_server.protos import health_pb2  # noqa: E402
from mlops_lab.serve.grpc_server.server import serve_grpc  # noqa: E402

PREDICT = "/tensorflow.serving.PredictionService/Predict"
METADATA = "/inference.GRPCInferenceService/ServerMetadata"


@pytest.fixture
def start(bright):
    servers = []

    def start(**limits):
        server = serve_grpc(create_app(bright, limits=Limits(**limits)).extensions["mlops_lab"])
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.stop().wait()


def check(port, path="/grpc.health.v1.Health/Check", request=None):
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        message = (request or health_pb2.HealthCheckRequest()).SerializeToString()
        return channel.unary_unary(path)(message, timeout=20)


def connected(stack, port, content):
    connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
    connection.sendall(content)
    return connection


def test_many_half_open_calls_hold_no_thread(start):
    server = start(threads=3)
    before = threading.active_count()
    with ExitStack() as stack:
        for _ in range(60):
            connected(stack, server.port, begun_connection(PREDICT))
        assert health_pb2.HealthCheckResponse.FromString(check(server.port)).status == 1
        assert b"mlops" in check(server.port, METADATA)
        assert threading.active_count() <= before + 3 + 5  # those of calls, and of the client here


def ended(connection):
    """Return whether the server ends the stream or the connection: RST_STREAM, GOAWAY, trailers, or the end."""
    connection.settimeout(20)
    seen = b""
    while True:
        part = connection.recv(65536)
        seen += part
        if not part:
            return True
        place = 0
        while place + 9 <= len(seen):
            length, kind = int.from_bytes(seen[place : place + 3], "big"), seen[place + 3]
            if kind in (1, 3, 7):
                return True
            place += 9 + length


def test_a_half_open_call_is_ended(start):
    server = start(body_seconds=0.3)
    with ExitStack() as stack:
        began = time.monotonic()
        assert ended(connected(stack, server.port, begun_connection(PREDICT)))
        assert time.monotonic() - began < 15
        assert health_pb2.HealthCheckResponse.FromString(check(server.port)).status == 1


def test_a_connection_that_says_nothing_is_closed(start):
    server = start(head_seconds=0.3, idle_seconds=0.1)
    with ExitStack() as stack:
        silent = connected(stack, server.port, b"")
        idle = connected(stack, server.port, PREFACE + frame(4, 0, 0, b""))
        assert ended(silent)
        assert ended(idle)


def test_a_call_of_which_the_message_comes_late_is_answered(start):
    server = start(body_seconds=20)
    with ExitStack() as stack:
        connection = connected(stack, server.port, begun_connection("/grpc.health.v1.Health/Check"))
        time.sleep(0.1)
        connection.sendall(frame(0, 1, 1, bytes(97)))
        assert ended(connection)  # its answer: the bytes make no sense


def test_a_client_does_not_notice_that_its_connection_is_renewed(start):
    server = start(body_seconds=0.2)
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        ask = channel.unary_unary("/grpc.health.v1.Health/Check")
        ended = time.monotonic() + 2
        while time.monotonic() < ended:
            assert ask(b"", timeout=20)
