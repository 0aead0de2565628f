import socket
from dataclasses import replace

import numpy as np
import pytest
import requests
from flask import Flask

from mlops_lab import serve
from mlops_lab.image import encode_png
from mlops_lab.serve import create_app
from mlops_lab.serve.background import public_url
from mlops_lab.serve.background.public_url import Jupyter
from mlops_lab.serve.command import Settings, make_guard
from mlops_lab.serve.http.guard import MAX_SEEN, guard_for
from mlops_lab.serve.ports import PROBE_HEADER, sign_probe

IMAGE = encode_png(np.zeros((28, 28), np.uint8))
OWN = "http://127.0.0.1:8000"
OTHER = "https://elsewhere.example"


@pytest.fixture
def server(bright):
    with serve.start([bright], name="guarded") as server:
        yield server


def post(server, path="/models/bright", **headers):
    named = {"Content-Type": "image/png", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return requests.post(server.url + path, IMAGE, headers=named, timeout=10)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:9", "LOCALHOST", "[::1]:8000"])
def test_the_names_of_this_machine_are_answered(server, host):
    assert post(server, Host=host).status_code == 200
    assert requests.get(server.url, headers={"Host": host}, timeout=5).status_code == 200


@pytest.mark.parametrize("host", ["rebound.example", "127.0.0.1.nip.io:80", "192.0.2.7", "localhost.evil", "[::2]"])
@pytest.mark.parametrize("path", ["/models/bright", "/v1/models/bright:predict", "/", "/healthz"])
def test_a_foreign_host_is_refused_on_every_road(server, host, path):
    for method in ("POST", "GET"):
        answer = requests.request(method, server.url + path, data=IMAGE, headers={"Host": host}, timeout=5)
        assert (answer.status_code, answer.json()["code"]) == (421, "misdirected"), method


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("http://localhost:9/healthz", 200),
        ("http://[::1]/healthz", 200),
        ("http://rebound.example/healthz", 421),
        ("HTTP://ada@rebound.example:80/healthz", 421),
        ("http://[::2]/healthz", 421),
    ],
)
def test_of_an_absolute_target_the_host_counts(server, target, status):
    assert requests.get(server.url + "/healthz", timeout=5).status_code == 200  # Host is known by now
    with socket.create_connection(("127.0.0.1", server.port), 5) as connection:
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 %d " % status)


def test_the_refusal_says_what_to_do(server):
    message = post(server, Host="lab.example:80").json()
    assert "'lab.example:80'" in message["error"]
    assert "--allowed-host lab.example" in message["hint"]


@pytest.mark.parametrize("path", ["/models/bright", "/models/bright/v1", "/v1/models/bright:predict", "/chains/none"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": OTHER},
        {"Origin": "null"},
        {"Origin": OTHER, "Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Origin": "http://127.0.0.1.evil.example"},
    ],
)
def test_a_post_of_a_page_of_another_site_is_refused_on_every_road(server, path, headers):
    assert post(server).status_code == 200  # the host is known by now
    answer = post(server, path, **headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": OWN, "Sec_Fetch_Site": "same-origin"},
        {"Origin": "http://localhost:8888", "Sec_Fetch_Site": "same-site"},
        {"Origin": "http://localhost:8888"},
        {"Sec_Fetch_Site": "none"},
        {"Origin": "https://hub.example.org", "Sec_Fetch_Site": "same-origin"},
    ],
)
def test_a_post_of_its_own_pages_is_answered(server, headers):
    assert post(server, **headers).status_code == 200


def test_a_link_from_another_site_is_followed(server):
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": OTHER}
    assert requests.get(server.url + "/models", headers=headers, timeout=5).status_code == 200


def test_an_origin_that_the_server_allows_may_post(bright):
    app = create_app([bright])
    with serve.start(app, name="open") as server:
        assert post(server, Origin=OTHER).status_code == 403
        app.extensions["mlops_lab"].allowed_origins = frozenset({OTHER})
        assert post(server, Origin=OTHER, Sec_Fetch_Site="cross-site").status_code == 200
        assert post(server, Origin=OTHER + ".evil").status_code == 403
        app.extensions["mlops_lab"].allowed_origins = frozenset({"*"})
        assert post(server, Origin="https://any.example").status_code == 200


def test_more_hosts_are_answered_where_they_are_named(bright):
    with serve.start([bright], name="named", allowed_hosts=["lab.example"]) as server:
        assert post(server, Host="lab.example:80").status_code == 200
        assert post(server, Host="lab.example", Origin="http://lab.example").status_code == 200
        assert post(server, Host="x.lab.example").status_code == 421
    with serve.start([bright], name="named", allowed_hosts=["*"]) as server:
        assert post(server, Host="any.example").status_code == 200


def test_an_application_of_somebody_else_is_guarded_too():
    app = Flask("other")
    app.get("/")(lambda: "pong")
    with serve.start(app, name="other") as server:
        assert requests.get(server.url, headers={"Host": "rebound.example"}, timeout=5).status_code == 421


def test_a_server_in_a_process_is_guarded_too(tmp_path):
    file = tmp_path / "api.py"
    file.write_text("from flask import Flask\napp = Flask('api')\napp.get('/')(lambda: 'pong')\n")
    wanted = {"127.0.0.1": 200, "lab.example": 200, "rebound.example": 421}
    with serve.start(file, mode="process", allowed_hosts=["lab.example"]) as server:
        found = {host: requests.get(server.url, headers={"Host": host}, timeout=5).status_code for host in wanted}
    assert found == wanted


@pytest.mark.parametrize("variable", ["JUPYTERHUB_SERVICE_PREFIX", "CODESPACES"])
def test_the_host_of_the_public_url_is_answered(bright, monkeypatch, variable):
    monkeypatch.setenv(variable, "/user/ada/")
    monkeypatch.setenv("CODESPACE_NAME", "fluffy-robot")
    with serve.start([bright], name="public") as server:
        host = f"fluffy-robot-{server.port}.app.github.dev"
        assert post(server, Host=host, Origin=f"https://{host}").status_code == 200


def test_behind_a_jupyter_that_is_open_to_others_any_host_is_answered(monkeypatch):
    monkeypatch.setattr(public_url, "find_jupyter", lambda: Jupyter(17, "http://0.0.0.0:8888/"))
    assert public_url.find_public_hosts(8000) == {"*"}
    monkeypatch.setattr(public_url, "find_jupyter", lambda: Jupyter(17, "http://localhost:8888/"))
    assert public_url.find_public_hosts(8000) == set()


def test_the_probe_tells_nothing_to_others(server):
    for value in ("who", "", "a.b", sign_probe(server.port + 1)):
        answer = requests.get(server.url + "/healthz", headers={PROBE_HEADER: value}, timeout=5)
        assert answer.json() == {"status": "alive"}
    own = requests.get(server.url + "/healthz", headers={PROBE_HEADER: sign_probe(server.port)}, timeout=5)
    assert own.json()["name"] == "guarded"
    rebound = {PROBE_HEADER: sign_probe(server.port), "Host": "rebound.example"}
    assert requests.get(server.url, headers=rebound, timeout=5).status_code == 421


@pytest.mark.parametrize(
    ("host", "allowed", "guarded"),
    [("127.0.0.1", (), True), ("::1", (), True), ("0.0.0.0", (), False), ("0.0.0.0", ("lab.example",), True)],
)
def test_the_command_guards_loopback_and_where_hosts_are_named(bright, host, allowed, guarded):
    state = create_app([bright]).extensions["mlops_lab"]
    guard = make_guard(Settings("models", host=host, allowed_hosts=allowed), state)
    assert (guard is not None) is guarded


def test_on_all_interfaces_addresses_are_answered_and_names_are_not():
    guard = guard_for("0.0.0.0", ["lab.example"])
    known = [b"192.0.2.7:80", b"[2001:db8::1]:80", b"lab.example", socket.gethostname().encode(), b"localhost"]
    assert all(guard.knows(host) for host in known)
    assert not guard.knows(b"rebound.example")
    assert replace(guard, hosts=None).knows(b"rebound.example")


def test_what_was_seen_is_bounded():
    guard = guard_for("127.0.0.1")
    for port in range(1000):
        assert guard.check(b"GET", [(b"host", b"localhost:%d" % port)]) is None
    assert len(guard.seen) == MAX_SEEN
    assert guard.check(b"GET", [(b"host", b"localhost:70000")]) is None
