"""A student's folder: whole, one's own to write to, and never over something else."""

import os
import shutil
import subprocess
import sys

import pytest
from click.testing import CliRunner

from mlops_lab import course
from mlops_lab.cli import commands
from mlops_lab.course import starting
from mlops_lab.errors import StoreError, WrongUsage
from mlops_lab.store import ModelStore
from mlops_lab.store.shipped import shipped_models


@pytest.fixture
def folder(tmp_path):
    return course.start(tmp_path / "my course").folder


def test_it_has_what_a_student_needs_and_no_solutions(folder):
    names = {path.name for path in folder.iterdir()}
    assert {"README.md", "api.py", "Dockerfile", "models", "files", "03_store.ipynb"} <= names
    assert not names & {"src", "solutions"}
    assert [path.name for path in folder.glob("*.ipynb")] and not list(folder.rglob("solutions"))


def test_its_models_are_ones_own(folder, digits_run):
    models = ModelStore(folder / "models")
    assert models.names() == ["clothes", "digits"]
    assert models.publish(digits_run, "digits").version == 2
    models.promote("digits", 2)
    assert ModelStore(shipped_models()).versions("digits") == [1]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_what_was_installed_read_only_is_writable_here(tmp_path, monkeypatch):
    installed = shutil.copytree(starting.shipped_notebooks(), tmp_path / "installed")
    for path in [*installed.rglob("*"), installed]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    monkeypatch.setattr(starting, "PLACES", (installed,))
    folder = course.start(tmp_path / "mine").folder
    assert all(path.stat().st_mode & 0o200 for path in folder.rglob("*"))
    installed.chmod(0o755)


def test_the_starter_code_answers_and_leaves_serve_1_to_the_student(folder):
    code = "import api; print(sorted(api.app.test_client().get('/models/clothes/v1').json))"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout == "['description', 'name', 'version']\n"


def test_nothing_is_overwritten(folder):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    with pytest.raises(WrongUsage, match="not empty"):
        course.start(folder)
    with pytest.raises(WrongUsage):
        course.start(folder / "api.py")
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_an_empty_folder_is_filled_and_a_failure_leaves_nothing(tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    assert course.start(tmp_path / "empty").notebooks
    copy = shutil.copyfile

    def full(source, target):
        if source.name == "manifest.json":  # the notebooks are there by then
            raise OSError(28, "No space")
        return copy(source, target)

    monkeypatch.setattr(starting.shutil, "copyfile", full)
    with pytest.raises(StoreError, match="No space"):
        course.start(tmp_path / "full")
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_the_command_says_what_to_do_next(tmp_path):
    done = CliRunner().invoke(commands, ["start", str(tmp_path / "new")])
    assert done.exit_code == 0 and f"Next: cd {tmp_path / 'new'}" in done.output


def test_without_a_folder_of_models_the_shipped_ones_are_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(commands, ["models", "list"])
    assert done.stdout.splitlines() == ["clothes: v1; production is v1", "digits: v1; production is v1"]
    assert "these are the shipped models" in done.stderr
    course.start("mine")
    monkeypatch.chdir(tmp_path / "mine")
    assert CliRunner().invoke(commands, ["models", "list"]).stderr == ""
