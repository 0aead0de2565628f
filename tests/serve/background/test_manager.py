import http.client
import importlib
import os
import socket
import subprocess
import sys
import threading

import psutil
import pytest
import requests
from flask import Flask

from mlops_lab import serve
from mlops_lab.errors import LabError, PortTaken, ServerError, WrongUsage
from mlops_lab.serve import ports
from mlops_lab.serve.background import GENERATION_HEADER, manager, recorder, server_table
from mlops_lab.serve.background import server as server_module

pytestmark = pytest.mark.usefixtures("no_servers")


def saying(word):
    app = Flask(word)

    @app.get("/")
    def say():
        return word

    return app


def test_a_server_of_models(bright):
    server = serve.start(bright)
    assert server.running
    assert server.port > 0
    assert server.url == f"http://127.0.0.1:{server.port}"
    assert requests.get(f"{server.url}/models/bright", timeout=5).json()["name"] == "bright"
    server.stop()
    server.stop()
    assert not server.running
    assert serve.servers() == ()


def test_a_context_manager_stops(bright):
    with pytest.raises(RuntimeError), serve.start(bright) as server:
        raise RuntimeError
    assert not server.running
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), timeout=1)


def test_running_the_cell_again_replaces_the_server_on_its_port():
    old = serve.start(saying("old"), name="cell")
    new = serve.start(saying("new"), name="cell")
    answer = requests.get(new.url, timeout=5)
    assert new.port == old.port
    assert (old.generation, new.generation) == (1, 2)
    assert answer.text == "new"
    assert answer.headers[GENERATION_HEADER] == "2"
    assert not old.running
    assert serve.servers() == (new,)


def test_old_code_does_not_answer_on_a_connection_that_was_kept():
    old = serve.start(saying("old"), name="kept")
    kept = http.client.HTTPConnection("127.0.0.1", old.port, timeout=5)
    kept.request("GET", "/")
    assert kept.getresponse().read() == b"old"
    serve.start(saying("new"), name="kept")
    try:
        kept.request("GET", "/")
        assert kept.getresponse().read() == b"new"
    except (http.client.HTTPException, OSError):
        kept.close()
        kept.request("GET", "/")
        assert kept.getresponse().read() == b"new"
    kept.close()


def test_where_the_new_server_cannot_start_the_old_one_goes_on(tmp_path, monkeypatch):
    taken = serve.start(saying("another"), name="another")
    old = serve.start(saying("old"), name="kept")
    (tmp_path / "api.py").write_text("raise RuntimeError('not today')\n")
    with pytest.raises(ServerError, match="not today"):
        serve.start(str(tmp_path / "api.py"), name="kept", mode="process")
    with pytest.raises(PortTaken, match="your own server 'another'"):
        serve.start(saying("new"), name="kept", port=taken.port)
    with pytest.raises(LabError, match="holds no models"):
        serve.start(17, name="kept")

    def fail(self):
        raise ServerError("It cannot begin.", "")

    with monkeypatch.context() as patched:
        patched.setattr(server_module.HttpServer, "start", fail)
        with pytest.raises(ServerError, match="cannot begin"):
            serve.start(saying("new"), name="kept")
    assert serve.servers() == (taken, old)
    assert old.running and requests.get(old.url, timeout=5).text == "old"
    new = serve.start(saying("new"), name="kept")
    assert new.port == old.port and requests.get(new.url, timeout=5).text == "new"


def test_a_server_that_moves_to_another_port_ends_at_the_first():
    old = serve.start(saying("old"), name="moved")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    new = serve.start(saying("new"), name="moved", port=port)
    assert (new.port, old.running) == (port, False)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", old.port), timeout=1)


def test_the_port_is_never_free_while_a_server_is_replaced():
    server = serve.start(saying("0"), name="steady")
    refused, ended = [], threading.Event()

    def connect():
        while not ended.is_set():
            try:
                socket.create_connection(("127.0.0.1", server.port), timeout=5).close()
            except ConnectionRefusedError as error:
                refused.append(error)

    client = threading.Thread(target=connect)
    client.start()
    for number in range(10):
        serve.start(saying(str(number)), name="steady")
    ended.set()
    client.join()
    assert refused == []


def test_threads_that_start_the_same_server_leave_one():
    first = serve.start(saying("first"), name="same")
    threads = [threading.Thread(target=serve.start, args=(saying(f"{n}"),), kwargs={"name": "same"}) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (left,) = serve.servers()
    assert left.port == first.port and left.generation == first.generation + 6
    assert requests.get(left.url, timeout=5).headers[GENERATION_HEADER] == str(left.generation)
    left.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", first.port), timeout=1)


def test_fifty_reruns_leave_nothing_behind():
    process = psutil.Process()
    serve.start(saying("0"), name="rerun")
    threads, descriptors = threading.active_count(), process.num_fds()
    for number in range(50):
        server = serve.start(saying(str(number)), name="rerun")
    assert requests.get(server.url, timeout=5).text == "49"
    assert threading.active_count() <= threads + 1
    assert process.num_fds() <= descriptors + 2
    serve.stop_all()
    listening = [item for item in process.net_connections() if item.status == psutil.CONN_LISTEN]
    assert server.port not in {item.laddr.port for item in listening}


def test_servers_of_two_names_stand_side_by_side():
    one, two = serve.start(saying("one"), name="one"), serve.start(saying("two"), name="two")
    assert one.port != two.port
    assert requests.get(one.url, timeout=5).text == "one"
    assert {server.name for server in serve.servers()} == {"one", "two"}
    serve.stop_all()
    assert serve.servers() == ()


def test_a_port_taken_by_oneself_names_the_server():
    first = serve.start(saying("x"), name="first")
    with pytest.raises(PortTaken, match="your own server 'first'") as caught:
        serve.start(saying("y"), name="second", port=first.port)
    assert "name='first'" in caught.value.hint
    assert requests.get(first.url, timeout=5).text == "x"
    assert [server.name for server in serve.servers()] == ["first"]


def test_another_server_on_the_port_is_not_taken_for_ours(monkeypatch):
    other = serve.start(saying("other"), name="other")
    threads, listens = threading.active_count(), server_module.bind
    monkeypatch.setattr(server_module, "bind", lambda host, port: listens(host, 0))
    # As where two programs may share a port: the probe meets the other one, of the same generation.
    monkeypatch.setattr(server_module, "probe", lambda host, port, seconds: ports.probe(host, other.port, seconds))
    with pytest.raises(ServerError, match="not the server that was started"):
        serve.start(saying("mine"), name="mine")
    assert [server.name for server in serve.servers()] == ["other"]
    assert threading.active_count() == threads


def test_the_application_hears_nothing_of_the_probe():
    heard = []
    app = saying("x")
    app.before_request(lambda: heard.append(1))
    server = serve.start(app, name="probed")
    assert (heard, list(server.requests)) == ([], [])
    assert ports.probe("127.0.0.1", server.port) == server.identity
    assert (heard, list(server.requests)) == ([], [])


def test_the_probe_takes_no_notice_of_proxy_variables(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert serve.start(saying("x"), name="direct").running


def test_reloading_the_modules_loses_no_server():
    old = serve.start(saying("old"), name="reloaded")
    for module in (server_table, recorder, server_module, manager, serve.background, serve):
        importlib.reload(module)
    assert [server.name for server in serve.servers()] == ["reloaded"]
    new = serve.start(saying("new"), name="reloaded")
    assert (new.port, new.generation) == (old.port, old.generation + 1)
    assert requests.get(new.url, timeout=5).text == "new"
    assert not old.running


def test_debug_mode_is_refused_off_loopback():
    app = saying("x")
    app.debug = True
    with pytest.raises(WrongUsage, match="debug"):
        serve.start(app, host="0.0.0.0")


def test_what_holds_no_models():
    with pytest.raises(LabError, match="holds no models"):
        serve.start(17)


def test_a_folder_without_models_is_refused_as_by_the_command(tmp_path):
    with pytest.raises(LabError, match="There are no models in"):
        serve.start(tmp_path / "nope")
    assert serve.servers() == ()


def test_requests_are_noted():
    server = serve.start(saying("x"), name="noted")
    requests.get(f"{server.url}/?a=b", timeout=5)
    requests.post(f"{server.url}/nowhere", timeout=5)
    assert [(item.method, item.path, item.status) for item in server.requests] == [
        ("GET", "/", 200),
        ("POST", "/nowhere", 404),
    ]
    assert server.requests[0].bytes == 1
    assert server.requests[0].milliseconds > 0


def test_representations():
    server = serve.start(saying("x"), name="<face>")
    serve.start(saying("y"), name="<face>")
    assert "stopped" in repr(server)
    assert "generation 2" in repr(serve.servers()[0])
    assert "&lt;face&gt;" in server._repr_html_()
    assert "running" in serve.servers()[0]._repr_html_()


def test_the_servers_draw_themselves_as_a_table():
    assert repr(serve.servers()) == "no servers"
    assert "No servers" in serve.servers()._repr_html_()
    one, two = serve.start(saying("one"), name="one"), serve.start(saying("two"), name="<two>")
    html = serve.servers()._repr_html_()
    assert one.url in html and two.url in html and "&lt;two&gt;" in html and "✓ running" in html
    assert repr(serve.servers()).splitlines() == [repr(one), repr(two)]
    assert serve.servers().to_dict()["servers"][1] == {
        "name": "<two>",
        "state": "running",
        "url": two.url,
        "generation": two.generation,
    }


CODE = """
import sys
from flask import Flask
from mlops_lab import serve
app = Flask("x")
app.get("/")(lambda: "hello")
for _ in range(3):
    server = serve.start(app)
import http.client, concurrent.futures
def ask(_):
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("GET", "/")
    return connection.getresponse().read()
with concurrent.futures.ThreadPoolExecutor(16) as pool:
    assert set(pool.map(ask, range(64))) == {b"hello"}
print(server.port)
"""


@pytest.mark.parametrize("ending", ["", "server.stop()", "import importlib; importlib.reload(serve.background)"])
def test_nothing_on_standard_error_and_gone_with_the_process(ending):
    done = subprocess.run(
        [sys.executable, "-c", CODE + ending], capture_output=True, text=True, timeout=60, env=dict(os.environ)
    )
    assert (done.returncode, done.stderr) == (0, "")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(done.stdout)), timeout=1)
