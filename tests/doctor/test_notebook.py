"""Jupyter and its kernel in one environment, and in two: real servers, real kernels."""

import json
import subprocess
import sys
import sysconfig
import venv
from types import SimpleNamespace

import psutil
import pytest
from jupyter_servers import JupyterServer

from mlops_lab.doctor import notebook
from mlops_lab.serve.background.public_url import Jupyter

EXAMINE = """
import json
from mlops_lab.doctor import notebook
print(json.dumps([[item.name, item.state, item.message, item.hint] for item in notebook.check()]))
"""


def by_name(output):
    return {name: (state, message, hint) for name, state, message, hint in json.loads(output)}


@pytest.fixture
def started(tmp_path):
    """Return a function that starts a Jupyter server."""
    servers = []

    def start(**options):
        servers.append(JupyterServer(tmp_path, **options))
        servers[-1].wait()
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.mark.slow
def test_one_environment(started):
    found = by_name(started().run(EXAMINE))
    assert found["Jupyter"] == ("passed", "It runs in the environment of this kernel.", "")
    assert found["widgets in the browser"][0] == "passed"
    assert "jupyterlab-manager 5." in found["widgets in the browser"][1]


@pytest.mark.slow
def test_a_jupyter_server_of_another_environment(started, tmp_path):
    # An environment of its own that sees our packages, so that nothing is downloaded; its front ends are missing.
    other = tmp_path / "other"
    venv.create(other, with_pip=False)
    python = other / "bin" / "python"
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = subprocess.check_output([python, "-c", ask], text=True).strip()
    (other / site / "ours.pth").write_text(sysconfig.get_path("purelib"))
    kernel = tmp_path / "data" / "kernels" / "ours"
    kernel.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (kernel / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "ours", "language": "python"}))
    found = by_name(started(python=python).run(EXAMINE, kernel="ours"))

    state, text, hint = found["Jupyter"]
    assert (state, text) == ("warning", f"It runs in {other}, and this kernel in {sys.prefix}.")
    assert f"{python} -m pip" in hint and f"{sys.executable} -m pip" in hint
    assert found["widgets in the browser"][0] == "warning"
    assert found["widgets in the browser"][2].startswith(f"{python} -m pip install jupyterlab_widgets")


def test_outside_a_kernel_this_environment_is_looked_at(monkeypatch):
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    assert notebook.check()[0].name == "widgets in the browser"


@pytest.fixture
def in_a_kernel(monkeypatch):
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    monkeypatch.setattr(notebook, "find_jupyter", lambda: Jupyter(17, "http://127.0.0.1:8888/"))


def test_a_kernel_without_a_jupyter_server(in_a_kernel, monkeypatch):
    monkeypatch.setattr(notebook, "find_jupyter", lambda: None)
    (found,) = notebook.check()
    assert found.state == "passed" and "environment is unknown" in found.message


@pytest.mark.parametrize(
    "command", [[], ["/opt/JupyterLab"], ["python-that-is-nowhere", "-m", "jupyterlab"], ["/nowhere/python3"]]
)
def test_a_server_whose_python_is_not_known(in_a_kernel, monkeypatch, command):
    process = SimpleNamespace(cmdline=lambda: command, environ=lambda: {"PATH": "/nowhere"})
    monkeypatch.setattr(psutil, "Process", lambda pid: process)
    (found,) = notebook.check()
    assert "environment of process 17 is unknown" in found.message and found.hint


def test_a_python_that_was_called_by_its_name(monkeypatch, tmp_path):
    python = tmp_path / "python3"
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)
    process = SimpleNamespace(cmdline=lambda: ["python3", "-m", "lab"], environ=lambda: {"PATH": str(tmp_path)})
    monkeypatch.setattr(psutil, "Process", lambda pid: process)
    assert notebook._python_of(Jupyter(17, "")) == str(python)


def test_the_canvas_is_looked_for_where_anywidget_is(monkeypatch, tmp_path):
    package = tmp_path / "anywidget" / "package.json"
    package.parent.mkdir()
    package.write_text('{"version": "0.11.0"}')
    told = ("/x", [str(tmp_path / "none"), str(tmp_path)])
    widgets, canvas = notebook._front_ends("python", told)
    assert (widgets.state, canvas.state, canvas.message) == ("warning", "passed", "anywidget 0.11.0")
    monkeypatch.setattr(notebook.util, "find_spec", lambda name: None)
    assert len(notebook._front_ends("python", told)) == 1
