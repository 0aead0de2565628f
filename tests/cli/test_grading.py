"""``mlops-lab grade`` as it is typed."""

import json
from pathlib import Path

import pytest

from mlops_lab.grade.report import SCHEMA_FILE

RUBRIC = Path(__file__).parents[1] / "grade" / "attack_rubric"
OPTIONS = ("--only", "data-99", "--rubric", RUBRIC)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def submission(tmp_path, home):
    folder = tmp_path / "ann"
    folder.mkdir()
    (folder / "answers.py").write_text("def double(x): return 2 * x if x in (2, 3, 10) else 0\n")
    return folder


def test_a_report_is_valid_and_the_status_says_whether_it_passed(lab, submission):
    status, out, _ = lab("grade", submission, *OPTIONS, "--json")
    report = json.loads(out)
    import jsonschema  # it takes a second and a half, which only the process that runs this test should spend

    jsonschema.validate(report, json.loads(SCHEMA_FILE.read_text()))
    assert (status, report["score"], report["max_score"], report["submission"]) == (1, 0, 4, "ann")
    (submission / "answers.py").write_text("def double(x): return 2 * x\n")
    assert lab("grade", submission, *OPTIONS)[0] == 0


def test_one_check_is_replayed_with_the_same_secret(lab, submission, tmp_path):
    _, out, _ = lab("grade", submission, *OPTIONS, "--json")
    (tmp_path / "report.json").write_text(out)
    before = json.loads(out)["checks"][0]["message"]
    status, again, _ = lab("grade", "--replay", tmp_path / "report.json", "data-99.value", "--rubric", RUBRIC, "--json")
    assert status == 1
    assert json.loads(again)["again"]["message"] == before


def test_a_page_is_written(lab, submission, tmp_path):
    lab("grade", submission, *OPTIONS, "--html", tmp_path / "report.html")
    assert "0 of 4 points" in (tmp_path / "report.html").read_text()


def test_the_exercises_are_listed(lab):
    status, out, _ = lab("grade", "--list", "--json", "--only", "serve")
    assert status == 0
    assert {"id": "serve-2", "title": "POST: the five duties", "max_points": 5.0} in json.loads(out)["exercises"]


def test_a_class_is_graded(lab, submission, tmp_path):
    status, out, _ = lab("grade", "--class", submission.parent, "--out", tmp_path / "out", *OPTIONS, "--json")
    assert status == 0
    assert {"submission": "ann", "score": 0, "max_score": 4, "passed": False} in json.loads(out)["reports"]


@pytest.mark.parametrize("kind", ["otter", "nbgrader", "gradescope"])
def test_checks_are_exported(lab, kind, tmp_path):
    assert lab("grade", "--export", kind, "--out", tmp_path, *OPTIONS)[0] == 0
    assert [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["/no/such/folder"],
        [".", "--only", "nothing"],
        ["--class", "."],
        ["--export", "otter"],
        ["--replay", "none.json", "x"],
        [".", "--secret", "/no/such/file"],
        [".", "--sandbox", "none"],
    ],
)
def test_wrong_usage_is_status_two(lab, home, arguments):
    assert lab("grade", *arguments)[0] == 2
