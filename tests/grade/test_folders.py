"""Temporary folders are removed after use, and by a later grader where theirs was killed; never while it lives."""

import os
import subprocess
import sys
import tempfile
import time

import psutil
import pytest

from mlops_lab.grade import folders

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="folders are locked on POSIX")
SERVES = """
import sys, time
from mlops_lab.grade.live import started
from mlops_lab.grade.sandbox import choose
from pathlib import Path
with started(Path(sys.argv[1]), isolation=choose("limits")) as server:
    print(server.process.pid, flush=True)
    time.sleep(999)
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Give a temporary place of the test's own, in which nothing was removed yet."""
    (tmp_path / "place").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "place"))
    monkeypatch.setattr(folders, "YOUNG", -1.0)
    return tmp_path / "place"


def found(place):
    return {path.name for path in place.iterdir()}


def swept(place):
    folders.sweep.cache_clear()
    folders.sweep(str(place))
    return found(place)


def test_a_folder_is_there_until_it_is_removed(place):
    with folders.temporary() as folder:
        (folder / "inner").mkdir()
        assert swept(place) == {folder.name}
    assert found(place) == set()


def test_only_what_nobody_holds_and_is_ours_is_removed(place, tmp_path):
    (tmp_path / "kept").mkdir()
    (place / "mlops-lab-grade-left").mkdir()
    (place / "mlops-lab-grade-left" / "link").symlink_to(tmp_path / "kept")
    (place / "mlops-lab-grade-link").symlink_to(tmp_path / "kept")
    (place / "mlops-lab-grade-file").write_text("x")
    (place / "another").mkdir()
    assert swept(place) == {"mlops-lab-grade-link", "mlops-lab-grade-file", "another"}
    assert (tmp_path / "kept").is_dir()


def test_a_new_one_is_not_taken_before_it_is_locked(place, monkeypatch):
    monkeypatch.setattr(folders, "YOUNG", 60.0)
    (place / "mlops-lab-grade-new").mkdir()
    assert swept(place) == {"mlops-lab-grade-new"}


def test_a_grader_that_was_killed_leaves_no_copy_and_no_server(place, tmp_path):
    (tmp_path / "api.py").write_text("from flask import Flask\napp = Flask(__name__)\n")
    environment = {**os.environ, "TMPDIR": str(place)}
    command = [sys.executable, "-c", SERVES, str(tmp_path / "api.py")]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as grader:
        pid = int(grader.stdout.readline())
        assert len(swept(place)) == 2  # what stands beside the file, and the sandbox's copy
        grader.kill()
    deadline = time.monotonic() + 30
    while psutil.pid_exists(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not psutil.pid_exists(pid)
    assert swept(place) == set()
