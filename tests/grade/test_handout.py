"""The files that an exercise begins with."""

import ast

import pytest

from mlops_lab.errors import LabError
from mlops_lab.grade.handout import GIVEN, hand_out


@pytest.mark.parametrize("id", GIVEN)
def test_files_come_under_the_names_that_the_exercise_asks_for(id, tmp_path):
    folder = hand_out(id, tmp_path / "new" / "folder")
    names = sorted(path.name for path in folder.iterdir())
    assert names and not [name for name in names if name.endswith("api.txt")]
    for path in folder.glob("*.py"):
        ast.parse(path.read_text(encoding="utf-8"))


def test_what_a_student_wrote_is_not_replaced(tmp_path):
    with pytest.raises(LabError, match="is there already"):
        hand_out("grade-1", tmp_path)


def test_an_exercise_without_files_is_named():
    with pytest.raises(LabError, match="begins with no files"):
        hand_out("data-1", "nowhere")
