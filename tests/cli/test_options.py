"""The models folder of a command: in a clone the shipped one stays as it is."""

import hashlib
import shutil
from pathlib import Path

import pytest

from mlops_lab.store import shipped


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A folder whose models/ is the shipped one, as in a clone."""
    shutil.copytree("models/digits", tmp_path / "models" / "digits")
    monkeypatch.setattr(shipped, "PLACES", (tmp_path / "models",))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def contents(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize(
    "command",
    [
        ["models", "promote", "digits", "1", "--alias", "staging"],
        ["models", "split", "digits", "v1=100"],
        ["models", "shadow", "digits", "1"],
        ["train", "--data", "digits", "--name", "digits", "--limit", "100"],
        ["validate", "digits", "--no-server"],
        ["deploy", "tfserving", "digits", "--out", "files"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_a_command_changes_a_copy_of_the_shipped_models(lab, clone, command):
    before = contents(clone / "models")
    _, _, err = lab(*command)
    assert contents(clone / "models") == before
    assert "models came with the lab, and stays as it is: from now on commands take my-models" in err
    assert (clone / "my-models" / "digits" / "1" / "manifest.json").is_file()
    assert not list(clone.glob(".publishing*")) and not list(clone.glob(".tmp*"))


def test_the_copy_is_what_is_read_from_then_on_and_is_made_once(lab, clone):
    assert lab("models", "promote", "digits", "1", "--alias", "staging")[0] == 0
    assert "staging is v1" in lab("models", "list")[1]
    _, _, err = lab("models", "promote", "digits", "1", "--alias", "other")
    assert err == ""
    assert "other is v1" in lab("models", "list")[1]


def test_a_folder_that_is_named_is_taken_as_it_is(lab, clone):
    assert lab("models", "promote", "digits", "1", "--alias", "staging", "--models", "models")[2] == ""
    assert not Path("my-models").exists()


def test_a_folder_of_ones_own_is_no_copy(lab, clone, monkeypatch):
    monkeypatch.setattr(shipped, "PLACES", ())
    assert lab("models", "promote", "digits", "1", "--alias", "staging")[2] == ""
    assert "staging is v1" in lab("models", "list")[1]
    assert not Path("my-models").exists()
