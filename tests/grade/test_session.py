import json

import pytest

from mlops_lab import grade, image
from mlops_lab.grade import session


@pytest.fixture(autouse=True)
def shipped(double, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(session, "find", lambda id, rubric: double)
    monkeypatch.setattr(session, "all_exercises", lambda: {double.id: double})


def test_hints_grow_with_each_failure_and_survive_a_rerun():
    hints = [grade.check("data-99", lambda x: x * x if isinstance(x, int) else x).hint for _ in range(4)]
    assert len(hints[0]) < len(hints[1]) < len(hints[2]) == len(hints[3])


def test_a_damaged_progress_file_stands_in_nobodys_way(tmp_path):
    for text in ("", "[]", "{", '{"exercises": 3}', '{"exercises": {"data-99": {"failures": "x", "best": []}}}'):
        (tmp_path / ".mlops-lab").mkdir(exist_ok=True)
        (tmp_path / ".mlops-lab" / "progress.json").write_text(text)
        assert grade.progress().points == 0
        assert grade.check("data-99", lambda x: x + x).passed


def test_progress_keeps_the_best_and_says_what_is_held_out(tmp_path):
    assert grade.progress().exercises[0].state == "not tried"
    grade.check("data-99", lambda x: x + x)
    grade.check("data-99", lambda x: 0)
    standing = grade.progress().exercises[0]
    assert (standing.state, standing.points, standing.held_out) == ("failed", 3, 3)
    assert "3 held-out cases come at hand-in" in str(grade.progress())
    assert json.loads((tmp_path / ".mlops-lab" / "progress.json").read_text())["exercises"]["data-99"]["tries"] == 2


def test_a_function_of_this_library_is_recognised():
    result = grade.check("data-99", image.to_input)
    assert (result.state, result.points) == ("failed", 0)
    assert "mlops_lab.image.to_input is a function of this library" in result.message


@pytest.mark.parametrize("answer", [None, 3, "text", object(), [], {}])
def test_a_wrong_answer_never_raises(answer):
    assert grade.check("data-99", answer).state == "failed"


def test_an_unknown_exercise_is_a_sentence(monkeypatch):
    monkeypatch.undo()
    assert "no exercise" in grade.check("serve-99").message


def test_a_progress_file_that_cannot_be_written_leaves_nothing_behind(tmp_path):
    (tmp_path / ".mlops-lab" / "progress.json").mkdir(parents=True)
    assert grade.check("data-99", lambda x: x + x).passed
    assert [path.name for path in (tmp_path / ".mlops-lab").iterdir()] == ["progress.json"]
