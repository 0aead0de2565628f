"""Right answers of the corpus are full; wrong ones lose points where they should, with their hint."""

import importlib
from pathlib import Path

import pytest
from corpus_types import defined, write

from mlops_lab.grade.calls import Answer, LocalTarget
from mlops_lab.grade.exercises import all_exercises
from mlops_lab.grade.runner import Grading, grade_submission
from mlops_lab.grade.running import Settings, run_exercise
from mlops_lab.grade.session import local_answer

STAGES = sorted(
    path.stem for path in (Path(__file__).parent / "corpus").glob("*.py") if not path.stem.endswith("sources")
)
CORPORA = {id: answers for stage in STAGES for id, answers in importlib.import_module(f"corpus.{stage}").CORPUS.items()}
RIGHT = [(id, place) for id, answers in CORPORA.items() for place in range(len(answers.right))]
WRONG = [(id, place) for id, answers in CORPORA.items() for place in range(len(answers.wrong))]
SECRET = b"a secret of the tests"
SERVERS = ("serve", "deploy-2", "grade-1", "grade-3", "grade-5")
KERAS = {"train-1", "train-2", "train-4", "store-1", "store-2"}


def slow_where_a_server_starts(cases):
    return [pytest.param(*case, marks=marks(case[0])) for case in cases]


def marks(id):
    return pytest.mark.tensorflow if id in KERAS else pytest.mark.slow if id.startswith(SERVERS) else ()


def graded(id, answer, folder, check=""):
    """Grade an answer; for one check only, with those that it comes after, where one is named."""
    exercise = all_exercises()[id]
    if isinstance(answer, str):  # the source of functions
        local = Answer(LocalTarget(defined(answer, exercise.names)), exercise.names)
        return run_exercise(exercise, local, Settings(secret=SECRET, step=3, only=check))
    if exercise.kind == "functions" and not isinstance(answer, dict):
        return run_exercise(exercise, local_answer(exercise, answer), Settings(secret=SECRET, step=3, only=check))
    report = grade_submission(write(folder, answer), Grading(only=(id,), secret=SECRET, step=3, check=check))
    return report.by_exercise()[id]


@pytest.mark.parametrize(("id", "place"), slow_where_a_server_starts(RIGHT))
def test_right_answers_are_full(id, place, tmp_path):
    result = graded(id, CORPORA[id].right[place], tmp_path)
    assert result.passed, str(result)
    assert result.points == result.max_points


@pytest.mark.parametrize(("id", "place"), slow_where_a_server_starts(WRONG))
def test_wrong_answers_lose_points_with_their_hint(id, place, tmp_path):
    wrong = CORPORA[id].wrong[place]
    result = graded(id, wrong.answer, tmp_path, wrong.check)
    assert result.points < result.max_points, str(result)
    part = next(part for part in result.parts if part.id == wrong.check)
    assert part.state in ("failed", "partial", "timeout", "not_gradable"), str(result)
    assert part.key == wrong.hint, str(result)
    assert part.state == "not_gradable" or part.hint
    assert "{" not in part.hint.replace("{...}", ""), part.hint


@pytest.mark.slow
@pytest.mark.parametrize("id", [id for id in CORPORA if id not in KERAS and isinstance(CORPORA[id].right[0], str)])
def test_functions_in_the_sandbox_are_judged_alike(id, tmp_path):
    answers = CORPORA[id]
    assert graded(id, {"answers.py": answers.right[0]}, tmp_path / "right").passed
    wrong = answers.wrong[0]
    result = graded(id, {"answers.py": wrong.answer}, tmp_path / "wrong")
    part = next(part for part in result.parts if part.id == wrong.check)
    assert (part.state in ("failed", "partial"), part.key) == (True, wrong.hint), str(result)


def test_a_function_of_this_library_is_recognised_in_a_submission(tmp_path):
    result = graded("data-3", {"answers.py": "from mlops_lab.image import to_input\nprepare = to_input\n"}, tmp_path)
    assert (result.points, result.parts[0].key) == (0, "library")
    assert "mlops_lab.image.to_input is a function of this library" in result.message


@pytest.mark.tensorflow
@pytest.mark.parametrize("id", ["store-1", "train-2"])
def test_keras_models_cross_into_the_sandbox_and_back(id, tmp_path):
    assert graded(id, {"answers.py": CORPORA[id].right[0]}, tmp_path).passed


@pytest.mark.parametrize("id", all_exercises())
def test_each_exercise_has_its_corpus(id):
    answers = CORPORA[id]
    assert len(answers.right) >= (10 if id.startswith("serve") else 1)
    assert len(answers.wrong) >= 3
