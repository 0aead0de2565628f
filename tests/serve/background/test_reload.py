import sys

import pytest
from flask import Flask

from mlops_lab.serve.background import reload
from mlops_lab.serve.background.reload import LoadErrorApp, Sources, explain, load

APP = "from flask import Flask\n"
LAYOUTS = {
    "api.py": ("api.py", APP + "app = Flask('here')"),
    "api": ("api.py", APP + "application = Flask('here')"),
    "api:other": ("api.py", APP + "app = Flask('not here')\nother = Flask('here')"),
    "api:create_app": ("api.py", APP + "def create_app(): return Flask('here')"),
    "api:create_app('here')": ("api.py", APP + "def create_app(name): return Flask(name)"),
    "./api": ("api.py", APP + "def make_app(): return Flask('here')"),
    "deep/api.py": ("deep/api.py", APP + "app = Flask('here')"),
    "package": ("package/__init__.py", APP + "app = Flask('here')"),
    "package.api": ("package/api.py", APP + "app = Flask('here')\napp.run()"),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setenv("FLASK_RUN_FROM_CLI", "false")
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.mark.parametrize("target", LAYOUTS)
def test_an_application_is_found_as_the_flask_command_finds_it(folder, target):
    path, code = LAYOUTS[target]
    (folder / path).parent.mkdir(exist_ok=True)
    (folder / path).write_text(code)
    assert load(target).import_name == "here"


@pytest.mark.parametrize("target", ["api.py", "api", "api:app", "api:create_app('x:y')"])
def test_saving_the_file_is_noticed(folder, target):
    (folder / "api.py").write_text("one")
    files = Sources(target)
    assert not files.stale() and not files.changed()
    (folder / "api.py").write_text("two")
    assert files.stale() and files.changed()


@pytest.mark.parametrize("path", ["words.py", "templates/page.html", "package/deep.py"])
def test_what_lies_beside_the_file_is_noticed(folder, path):
    (folder / "api.py").write_text("")
    files = Sources("api.py")
    assert not files.changed()
    files._next_look = 0
    (folder / path).parent.mkdir(exist_ok=True)
    (folder / path).write_text("")
    assert files.changed() and not files.stale()


@pytest.mark.parametrize("path", ["notes.txt", ".hidden/x.py", "__pycache__/x.py", "venv/lib/x.py"])
def test_what_others_write_is_not(folder, path):
    (folder / "api.py").write_text("")
    (folder / "venv").mkdir()
    (folder / "venv/pyvenv.cfg").write_text("")
    files = Sources("api.py")
    (folder / path).parent.mkdir(exist_ok=True, parents=True)
    (folder / path).write_text("")
    assert not files.changed()


def test_a_large_folder_is_walked_less_often(folder, monkeypatch):
    (folder / "api.py").write_text("")
    files, looks = Sources("api.py"), []
    times = iter([100, 100, 102, 102, 102, 200, 200, 202, 202])
    monkeypatch.setattr(reload.time, "monotonic", lambda: next(times, 202))
    monkeypatch.setattr(files, "_look", lambda: looks.append(1) or files._before)
    assert not files.changed() and not files.changed() and not files.changed()
    assert len(looks) == 2


def failure(folder, code, target="api"):
    (folder / "api.py").write_text(code)
    try:
        load(target)
    except BaseException as error:
        return explain(error.with_traceback(error.__traceback__.tb_next))  # without this very frame


def test_an_explanation_begins_with_the_students_own_code(folder):
    lines = failure(folder, "def inner():\n    return 1 / 0\n\n\ninner()\n").splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1] == f'  File "{folder}/api.py", line 5, in <module>'
    assert lines[-1] == "ZeroDivisionError: division by zero"


def test_an_explanation_is_never_long(folder):
    assert len(failure(folder, "def f(): f()\nf()\n").splitlines()) <= reload.LINES


def test_the_flask_commands_own_words(folder):
    assert "Use 'api:name'" in failure(folder, "")
    assert "Failed to find attribute 'nothing'" in failure(folder, "", "api:nothing")


def test_a_broken_file_answers_with_one_line():
    client = Flask("x")
    client.wsgi_app = LoadErrorApp("Traceback\n  File secret.py\nNameError: x")
    answer = client.test_client().get("/")
    assert answer.status_code == 500
    assert answer.json["code"] == "broken_file"
    assert "NameError: x" in answer.json["error"] and "secret" not in answer.text
