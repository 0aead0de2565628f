"""A function is stopped before any of its file operations, or overtaken there."""

import os

import pytest

from mlops_lab.grade import interrupt


def steps(folder, name):
    """Four operations: a folder, a file in it, the file's new name, and no folder any more."""
    os.mkdir(folder / name)
    try:
        (folder / name / "a").write_text(name)
        os.rename(folder / name / "a", folder / f"{name}.txt")
    finally:
        os.rmdir(folder / name)


@pytest.mark.parametrize(
    ("before", "left"), [(1, []), (2, ["x"]), (3, ["x", "x/a"]), (4, ["x", "x.txt"])],
)  # fmt: skip
def test_it_ends_just_before_an_operation_and_cleans_nothing_up(before, left, tmp_path):
    assert interrupt.run(steps, [tmp_path, "x"], before) == "stopped"
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")) == left


def test_one_with_fewer_operations_is_done(tmp_path):
    assert interrupt.run(steps, [tmp_path, "x"], 5) == "done"
    assert (tmp_path / "x.txt").read_text() == "x"


def test_one_that_raises_says_so(tmp_path):
    assert interrupt.run(os.rmdir, [tmp_path / "nothing"], 2) == "raised"


@pytest.mark.parametrize("before", [1, 2, 3, 4])
def test_another_call_is_made_at_that_moment(before, tmp_path):
    assert interrupt.run(steps, [tmp_path, "x"], before, [tmp_path, "y"]) == "done"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.txt", "y.txt"]


def test_reading_is_no_operation(tmp_path):
    (tmp_path / "a").write_text("text")
    assert interrupt.run((tmp_path / "a").read_text, [], 1) == "done"
