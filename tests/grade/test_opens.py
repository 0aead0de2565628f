"""Opened files are counted by watches that the kernel may refuse: then nothing was counted, and that is said."""

import ctypes
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from corpus.serve_sources import changed
from corpus_types import write

from mlops_lab.grade import opens
from mlops_lab.grade.opens import OpenCounter
from mlops_lab.grade.runner import Grading, grade_submission

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
FILES = {"models/own.onnx": "x", "models/inner/own.onnx": "x"}


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path, FILES) / "models"


def refuse(monkeypatch, *, after=0, instance=False):
    """Let the kernel have no instance left, or no watch left after some of them."""
    libc, watched = ctypes.CDLL(None), []

    def add(*arguments):
        watched.append(arguments)
        return libc.inotify_add_watch(*arguments) if len(watched) <= after else -1

    start = (lambda flags: -1) if instance else libc.inotify_init1
    library = SimpleNamespace(inotify_init1=start, inotify_add_watch=add)
    monkeypatch.setattr(opens, "ctypes", SimpleNamespace(CDLL=lambda *a, **k: library, get_errno=lambda: 28))


def test_each_open_counts_though_nothing_else_happens_in_between(folder):
    with OpenCounter(folder) as counter:
        for _ in range(20):
            (folder / "own.onnx").read_bytes()
        assert counter.opened() == {"own.onnx": 20}


def test_files_are_counted_in_every_folder(folder):
    with OpenCounter(folder) as counter:
        for path in (folder / "own.onnx", folder / "inner" / "own.onnx"):
            path.read_bytes()
        assert counter.available and counter.opened() == {"own.onnx": 2}


@pytest.mark.parametrize("limits", [{"instance": True}, {"after": 0}, {"after": 1}])
def test_a_refused_watch_is_not_available_and_leaves_no_descriptor(limits, folder, monkeypatch):
    before = os.listdir("/proc/self/fd")
    refuse(monkeypatch, **limits)
    counter = OpenCounter(folder)
    assert not counter.available and counter.opened() == {}
    assert os.listdir("/proc/self/fd") == before


def test_no_link_is_watched(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    with OpenCounter(tmp_path / "link") as counter:
        assert not counter.available


def test_more_than_the_kernel_keeps_is_not_available(folder):
    kept = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if kept > 100_000:
        pytest.skip("this kernel keeps more than a test opens")
    with OpenCounter(folder) as counter:
        for _ in range(kept // 2 + 10):  # an open and a close each
            os.close(os.open(folder / "own.onnx", os.O_RDONLY))
        counter.opened()
        assert not counter.available


def test_nobody_gains_or_loses_a_point_where_nothing_was_counted(tmp_path, monkeypatch):
    refuse(monkeypatch)
    folder = write(tmp_path, changed())
    report = grade_submission(folder, Grading(only=("serve-4",), check="serve-4.once"))
    once = report.checks[-1]
    assert (once.id, once.state, once.points) == ("serve-4.once", "not_gradable", 0), str(report)
    assert report.unjudged == once.max_points == 1
    ready = grade_submission(folder, Grading(only=("serve-4",), check="serve-4.ready")).checks[-1]
    assert ready.state == "passed" and "cannot be counted" in ready.warnings[0]
