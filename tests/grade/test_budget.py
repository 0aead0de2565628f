"""A submission that hangs ends; one that is right is graded to its end, however long that takes."""

import pytest
from corpus_types import write

from mlops_lab.grade import runner
from mlops_lab.grade.runner import Grading, grade_submission

RUBRIC = """
import time
from mlops_lab.grade import Exercise

first = Exercise("data-98", "First", kind="file", names=("notes.txt",))
second = Exercise("data-99", "Second", kind="file", names=("notes.txt",))

@first.check("text", "Its text")
def text(answer, case):
    time.sleep(0.3)
    case.expect(answer.text() == "right", "Another text.")

@second.check("there", "It is there")
def there(answer, case):
    pass
"""


@pytest.mark.parametrize(("text", "states"), [("right", ["passed", "passed"]), ("wrong", ["failed", "timeout"])])
def test_only_time_without_all_points_counts(text, states, tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "BUDGET", 0.2)
    write(tmp_path, {"rubric/own.py": RUBRIC, "submission/notes.txt": text})
    grading = Grading(only=("data-98", "data-99"), rubric=tmp_path / "rubric")
    report = grade_submission(tmp_path / "submission", grading)
    assert [result.state for result in report.results] == states
