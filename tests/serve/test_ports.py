import errno
import os
import socket
import subprocess
import sys
import threading

import psutil
import pytest
from flask import Flask
from werkzeug.serving import make_server

from mlops_lab.errors import PortTaken
from mlops_lab.serve import ports
from mlops_lab.serve.ports import bind, find_port_owner, probe

SERVER = """
from flask import Flask
from mlops_lab import serve
print(serve.start(Flask("x"), name="models").port, flush=True)
input()
"""
FOREIGN = """
import http.server
server = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
print(server.server_port, flush=True)
server.serve_forever()
"""


@pytest.fixture
def elsewhere():
    """Run code in another process that prints its port; return the process and the port."""
    started = []

    def run(code, **environment):
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **environment},
        )
        started.append(process)
        return process, int(process.stdout.readline())

    yield run
    for process in started:
        process.kill()
        process.communicate()


def test_the_server_of_another_notebook(elsewhere):
    process, port = elsewhere(SERVER, JPY_SESSION_NAME="/home/ada/04_serve.ipynb")
    with pytest.raises(PortTaken) as caught:
        bind("127.0.0.1", port)
    assert f"the server 'models' of 04_serve.ipynb (process {process.pid})" in caught.value.message
    assert "serve.stop_all() in that notebook" in caught.value.hint


def test_a_foreign_program(elsewhere):
    process, port = elsewhere(FOREIGN)
    found = find_port_owner("127.0.0.1", port)
    assert f"(process {process.pid})" in found.description
    assert psutil.Process(process.pid).name() in found.description
    assert len(found.description) < 120


def test_a_foreign_program_that_the_system_does_not_name(elsewhere, monkeypatch):
    monkeypatch.setattr(ports, "_process", lambda port: (None, ""))
    assert find_port_owner("127.0.0.1", elsewhere(FOREIGN)[1]).description == "another program"


def test_without_psutil(elsewhere, monkeypatch):
    monkeypatch.setitem(sys.modules, "psutil", None)
    assert find_port_owner("127.0.0.1", elsewhere(FOREIGN)[1]).description == "another program"


def test_a_system_that_tells_of_ones_own_processes_only(elsewhere, monkeypatch):
    def denied(kind):
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil, "net_connections", denied)
    process, port = elsewhere(FOREIGN)
    assert f"(process {process.pid})" in find_port_owner("127.0.0.1", port).description


def test_a_thread_of_this_process():
    left = make_server("127.0.0.1", 0, Flask("left"))
    thread = threading.Thread(target=left.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        found = find_port_owner("127.0.0.1", left.server_port)
        assert "in a thread of this process" in found.description and "serve.stop_all()" in found.hint
    finally:
        left.shutdown()
        left.server_close()
        thread.join()


@pytest.mark.parametrize("program", ["ControlCenter", ""])
def test_airplay(monkeypatch, program):
    monkeypatch.setattr(ports.sys, "platform", "darwin")
    monkeypatch.setattr(ports, "_process", lambda port: (17 if program else None, program))
    assert "AirPlay" in find_port_owner("127.0.0.1", 5000).description
    assert "AirPlay" not in find_port_owner("127.0.0.1", 5001).description


@pytest.mark.skipif(os.name == "nt", reason="Windows says EACCES of a port that is taken")
def test_a_port_for_administrators(monkeypatch):
    def refuse(self, address):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(PortTaken, match=r"Permission denied\. Take port 0"):
        bind("127.0.0.1", 80)


def test_nobody_is_asked_for_long():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        assert probe("127.0.0.1", port, 0.05) is None
    assert probe("127.0.0.1", port) is None
