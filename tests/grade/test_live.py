"""A student's server as a check gets it: a file in the sandbox, an address, or whatever has an address."""

import threading
from types import SimpleNamespace

import pytest
from corpus.serve_sources import changed
from corpus_types import write
from werkzeug.serving import make_server

from mlops_lab import grade
from mlops_lab.errors import NotFound, WrongUsage
from mlops_lab.grade.cases import Failed
from mlops_lab.grade.live import served
from mlops_lab.grade.opens import OpenCounter
from mlops_lab.grade.sandbox import Sandbox, choose


@pytest.fixture
def folder(tmp_path, monkeypatch):
    write(tmp_path, changed())
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def address():
    from flask import Flask

    app = Flask("course")
    info = {"name": "clothes", "version": "v1", "description": "d", "number_of_parameters": 44426}
    app.add_url_rule("/models/clothes/v1", view_func=lambda: info)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    server.server_close()


def test_a_file_is_served_from_a_copy_and_can_be_restarted(folder):
    with served("api.py") as server:
        first = server.process.pid
        assert server.get("/readyz").status == 200 and server.folder != folder
        server.restart()
        assert server.get("/readyz").status == 200 and server.process.pid != first
    assert not server.folder.exists()


@pytest.mark.parametrize("wrap", [str, lambda url: SimpleNamespace(url=url)], ids=["address", "client"])
def test_an_address_or_a_client_is_asked_where_it_stands(address, wrap, tmp_path):
    result = grade.check("serve-1", wrap(address), progress_file=tmp_path / "p.json")
    assert (result.state, result.points) == ("passed", 5)


def test_what_needs_a_server_of_the_graders_own_is_skipped_for_an_address(address, tmp_path):
    result = grade.check("serve-5", address, progress_file=tmp_path / "p.json")
    assert "did not start this server" in str(result)


def test_nobody_at_the_address_is_said(tmp_path):
    result = grade.check("serve-1", "http://127.0.0.1:1", progress_file=tmp_path / "p.json")
    assert result.state in ("failed", "partial") and "nobody listens there" in str(result)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ("none.py", NotFound),
        (3, WrongUsage),
        (None, WrongUsage),
        ("ftp://127.0.0.1", WrongUsage),
        ("http://:x", WrongUsage),
    ],
)
def test_what_is_no_server_is_refused(answer, error):
    with pytest.raises(error), served(answer):
        raise AssertionError


@pytest.mark.parametrize(
    ("text", "hint", "message"),
    [
        ("import nothing_like_it", "no-start", "nothing_like_it"),
        ("x = 1", "no-start", "names no application"),
        ("raise SystemExit(0)", "no-start", "SystemExit"),
        ("def (", "no-start", "SyntaxError"),
        ("import os; print(); os._exit(0)", "no-start", "It ended without a word"),
        ("import os; print('the end', flush=True); os._exit(0)", "no-start", "the end"),
    ],
)
def test_a_file_that_does_not_start_says_why(folder, text, hint, message):
    (folder / "api.py").write_text(text)
    with pytest.raises(Failed, match=message) as failed, served("api.py"):
        raise AssertionError
    assert failed.value.key == hint


def test_opened_files_are_counted_from_outside(folder):
    with served("api.py") as server, OpenCounter(server.folder / "models") as counter:
        if not counter.available:
            pytest.skip("only Linux tells")
        server.restart()
        assert counter.opened() == {"clothes.onnx": 1}


def test_a_rung_says_what_it_leaves_open():
    assert "the network" in choose("limits").leaves_open
    assert choose().name in ("docker", "bubblewrap", "limits")
    with pytest.raises(WrongUsage):
        choose("a wall")


def test_the_sandbox_leaves_nothing_behind(folder):
    with Sandbox(folder) as sandbox:
        inside = sandbox.folder
        assert (inside / "api.py").is_file()
    assert not inside.exists() and not inside.parent.exists()
