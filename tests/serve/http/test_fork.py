import os
import socket
import sys
import time
from contextlib import suppress

import pytest
import requests
from flask import Flask

from mlops_lab import serve

pytestmark = [pytest.mark.usefixtures("no_servers"), pytest.mark.skipif(sys.platform == "win32", reason="no fork")]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_keeps_neither_the_port_nor_a_connection():
    app = Flask("forked")
    app.get("/")(lambda: "pong")
    server = serve.start(app, name="forked")
    kept = socket.create_connection(("127.0.0.1", server.port), timeout=5)
    kept.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert kept.recv(12) == b"HTTP/1.1 200"
    child = os.fork()
    if child == 0:  # as multiprocessing does by default on Linux up to Python 3.13
        time.sleep(30)
        os._exit(0)
    try:
        server.stop()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:  # the child closes what it has inherited as its first act
            try:
                socket.create_connection(("127.0.0.1", server.port), timeout=5).close()
            except ConnectionRefusedError:
                break
            except ConnectionResetError:  # just while the child closes it
                continue
        else:
            pytest.fail("the child keeps the port")
        kept.settimeout(5)
        with suppress(ConnectionResetError):
            while kept.recv(65536):  # it ends, because nobody else holds it open
                pass
        again = serve.start(app, name="forked", port=server.port)
        assert requests.get(again.url, timeout=5).text == "pong"
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
        kept.close()
