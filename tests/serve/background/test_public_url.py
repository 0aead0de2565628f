"""Where a notebook may run. A real Jupyter server stands behind a real proxy in ``tests/browser/test_proxy.py``."""

import http.server
import json
import os
import sys
import threading
from types import ModuleType, SimpleNamespace

import psutil
import pytest

from mlops_lab.serve.background import public_url
from mlops_lab.serve.background.public_url import Jupyter, find_jupyter, find_public_url

LOCAL = "http://127.0.0.1:8000"


@pytest.fixture(autouse=True)
def nowhere(monkeypatch):
    """A process that knows of no Jupyter, hub or editor."""
    for name in os.environ:
        if name.startswith(("VSCODE_", "JUPYTERHUB_", "CODESPACE", "GITHUB_CODESPACES")):
            monkeypatch.delenv(name)
    monkeypatch.setattr(public_url, "find_jupyter", lambda: None)


def in_jupyter(monkeypatch, url, proxied=None):
    monkeypatch.setattr(public_url, "find_jupyter", lambda: Jupyter(17, url))
    monkeypatch.setattr(public_url, "_proxied", lambda jupyter, port: proxied)


def test_this_machine():
    public = find_public_url(8000, LOCAL)
    assert (public.place, public.url) == ("this machine", LOCAL)
    assert "ssh -L 8000:127.0.0.1:8000" in public.explanation


@pytest.mark.parametrize("url", ["http://localhost:8888/", "http://127.0.0.1:8888/x/", "http://[::1]:8888/"])
def test_jupyter_on_this_machine(monkeypatch, url):
    in_jupyter(monkeypatch, url)
    assert find_public_url(8000, LOCAL).url == LOCAL


@pytest.mark.parametrize(
    ("proxied", "address", "word"),
    [(True, "/user/ada/proxy/8000/", "first part"), (False, None, "It needs"), (None, None, "cannot be told")],
)
def test_a_hub(monkeypatch, proxied, address, word):
    in_jupyter(monkeypatch, "http://127.0.0.1:8888/user/ada/", proxied)
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/ada/")
    public = find_public_url(8000, LOCAL)
    assert (public.place, public.url) == ("JupyterHub", address)
    assert word in public.explanation
    assert ("there is an address" if address else "no address") in public._repr_html_()


def test_a_hub_whose_server_is_not_found(monkeypatch):
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/ada/")
    assert "cannot be told" in str(find_public_url(8000, LOCAL))


def test_jupyter_that_is_open_to_other_machines(monkeypatch):
    in_jupyter(monkeypatch, "http://0.0.0.0:8888/lab/", True)
    assert find_public_url(8000, LOCAL).url == "/lab/proxy/8000/"
    in_jupyter(monkeypatch, "http://ada-laptop:8888/", False)
    assert find_public_url(8000, LOCAL).url is None


def test_codespaces(monkeypatch):
    monkeypatch.setenv("CODESPACES", "true")
    monkeypatch.setenv("CODESPACE_NAME", "fluffy-robot")
    monkeypatch.setenv("VSCODE_IPC_HOOK_CLI", "x")
    assert find_public_url(8000, LOCAL).url == "https://fluffy-robot-8000.app.github.dev/"


def test_vs_code(monkeypatch):
    monkeypatch.setenv("VSCODE_PID", "1")
    public = find_public_url(8000, LOCAL)
    assert (public.place, public.url) == ("VS Code", LOCAL)
    assert "Ports tab" in public.explanation


def colab(monkeypatch, eval_js):
    for name in ("google", "google.colab", "google.colab.output"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    sys.modules["google.colab"].output = SimpleNamespace(eval_js=eval_js)


def test_colab_is_asked_for_an_address(monkeypatch):
    asked = []
    colab(monkeypatch, lambda script, timeout_sec: asked.append(script) or "https://x-8000-colab.example/")
    assert find_public_url(8000, LOCAL).url == "https://x-8000-colab.example/"
    assert asked == ["google.colab.kernel.proxyPort(8000)"]


def test_colab_that_does_not_answer(monkeypatch):
    def silent(script, timeout_sec):
        raise TimeoutError

    colab(monkeypatch, silent)
    public = find_public_url(8000, LOCAL)
    assert public.url is None and "TimeoutError" in public.explanation
    assert public.to_dict()["place"] == "Colab"


def test_the_jupyter_server_is_the_parent_that_left_a_note(monkeypatch, tmp_path):
    parents = [SimpleNamespace(pid=11), SimpleNamespace(pid=12), SimpleNamespace(pid=13)]
    monkeypatch.setattr(psutil.Process, "parents", lambda self: parents)
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    assert find_jupyter() is None
    (tmp_path / "jpserver-12.json").write_text("half a no")
    (tmp_path / "jpserver-13.json").write_text(json.dumps({"url": "http://localhost:8888/"}))
    assert find_jupyter() == Jupyter(13, "http://localhost:8888/")


def test_without_jupyters_packages(monkeypatch):
    monkeypatch.setitem(sys.modules, "jupyter_core.paths", None)
    assert find_jupyter() is None


class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(302 if self.path == "/user/ada/proxy/8000" else 404)
        self.end_headers()

    def log_message(self, *words):
        pass


def test_whether_the_proxy_is_there_is_asked_without_logging_in(monkeypatch):
    server = http.server.HTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    at = f"http://127.0.0.1:{server.server_port}"
    assert public_url._proxied(Jupyter(1, f"{at}/user/ada/"), 8000) is True
    assert public_url._proxied(Jupyter(1, f"{at}/"), 8000) is False
    server.shutdown()
    server.server_close()
    assert public_url._proxied(Jupyter(1, f"{at}/"), 8000) is None
