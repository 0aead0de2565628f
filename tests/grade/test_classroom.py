"""A class: in parallel, resumable, the same totals twice, and nothing in its table that a spreadsheet would run."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import dying
import pytest
from corpus_types import edited, write

from mlops_lab.errors import LabError, NotFound
from mlops_lab.grade import classroom
from mlops_lab.grade.runner import Grading, digest

RUBRIC = Path(__file__).parent / "attack_rubric"
NAMES = {"Ann": 4, "=HYPERLINK(1)": 0, "Zoë Müller": 4, "x" * 200: 0, "new\nline": 4}


@pytest.fixture(scope="module")
def klass(tmp_path_factory):
    root = tmp_path_factory.mktemp("class")
    for name, points in NAMES.items():
        (root / name).mkdir()
        (root / name / "answers.py").write_text(f"def double(x): return {'2 * x' if points else '0'}\n")
    return root


def grading(out):
    return Grading(only=("data-99",), rubric=RUBRIC, secret=classroom.class_secret(out))


@pytest.fixture(scope="module")
def graded(klass, tmp_path_factory):
    out = tmp_path_factory.mktemp("reports")
    return out, classroom.grade_class(klass, out, grading(out), workers=2)


def test_each_gets_its_points(graded, klass):
    assert [report.score for report in graded[1]] == [NAMES[path.name] for path in classroom.submissions(klass)]


def test_a_second_run_takes_what_is_there_and_gives_the_same_totals(graded, klass):
    out, reports = graded
    written = {path: path.stat().st_mtime_ns for path in out.glob("*.json")}
    again = classroom.grade_class(klass, out, grading(out), workers=2)
    assert [one.score for one in again] == [one.score for one in reports]
    assert written == {path: path.stat().st_mtime_ns for path in out.glob("*.json")}


def test_where_an_exercise_has_other_points_by_now_it_is_graded_again(graded, klass, tmp_path):
    out, _ = graded
    text = (RUBRIC / "double.py").read_text()
    write(tmp_path, {"double.py": edited(text, ("points=4", "points=5"))})
    assert classroom._graded_before(out, klass / "Ann", grading(out)).max_score == 4
    assert classroom._graded_before(out, klass / "Ann", replace(grading(out), rubric=tmp_path)) is None


def test_what_a_crash_left_half_is_graded_again(graded, klass):
    out, _ = graded
    damaged = out / "Ann.json"
    damaged.write_text(damaged.read_text()[:50])
    done = []
    classroom.grade_class(klass, out, grading(out), workers=2, on_done=lambda report: done.append(report.submission))
    assert len(done) == len(NAMES)
    assert json.loads(damaged.read_text())["score"] == 4


def test_the_table_is_safe_for_spreadsheets(graded):
    with open(graded[0] / "grades.csv", encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0][:3] == ["submission", "score", "max_score"]
    assert not [cell for row in rows for cell in row if cell.startswith(classroom.FORMULA)]
    assert any(row[0] == "'=HYPERLINK(1)" for row in rows)


def test_the_dashboard_links_every_report(graded):
    page = (graded[0] / "index.html").read_text(encoding="utf-8")
    for name in NAMES:
        file = classroom.file_name(Path(name))
        assert (graded[0] / f"{file}.html").is_file()
    assert page.count(".html") == len(NAMES) and "<script" not in page


def test_the_secret_of_a_class_is_kept_for_its_owner_only(graded):
    path = graded[0] / ".secret"
    assert path.stat().st_mode & 0o077 == 0
    assert classroom.class_secret(graded[0]) == path.read_bytes()


def test_an_empty_class_is_said(tmp_path):
    with pytest.raises(NotFound):
        classroom.submissions(tmp_path)


@pytest.fixture
def small(tmp_path):
    """A class of one, graded, and its answer."""
    folder = write(tmp_path / "class" / "ann", {"answers.py": "def double(x): return 0\n", "notes/a.txt": "a"})
    (folder / "link").symlink_to("answers.py")
    write(folder, {"__pycache__/answers.pyc": "x", "notes-b.txt": "b"})
    classroom.grade_class(tmp_path / "class", tmp_path / "out", grading(tmp_path / "out"), workers=1)
    return tmp_path / "class", tmp_path / "out", folder / "answers.py"


def test_a_submission_whose_files_changed_is_graded_again(small):
    root, out, answer = small
    answer.write_text("def double(x): return 2 * x\n")
    assert [one.score for one in classroom.grade_class(root, out, grading(out), workers=1)] == [4]


def test_what_is_left_out_of_the_copy_changes_nothing(small):
    root, out, answer = small
    written = (out / "ann.json").stat().st_mtime_ns
    write(answer.parent, {"__pycache__/answers.pyc": "y"})
    assert [one.score for one in classroom.grade_class(root, out, grading(out), workers=1)] == [0]
    assert (out / "ann.json").stat().st_mtime_ns == written
    assert digest(answer.parent) == json.loads((out / "ann.json").read_text())["sha256"]


CORE = """
from mlops_lab.grade import Exercise

def number(id, core):
    exercise = Exercise(id, "Number", names=("double",), core=core)

    @exercise.check("value", "Its value", points=1)
    def value(answer, case):
        case.expect(core, "Not that one.")

    return exercise

first, second = number("data-97", True), number("data-98", False)
"""


@pytest.mark.parametrize(("only", "passed"), [(("data-97",), True), (("data-98",), False), (("data",), True)])
def test_a_report_that_was_taken_passes_as_it_did(only, passed, tmp_path):
    rubric, out = write(tmp_path / "rubric", {"own.py": CORE}), tmp_path / "out"
    write(tmp_path / "class", {"ann/answers.py": "def double(x): return 2 * x\n"})
    how = Grading(only=only, rubric=rubric, secret=classroom.class_secret(out))
    first = classroom.grade_class(tmp_path / "class", out, how, workers=1)
    written = (out / "ann.json").stat().st_mtime_ns
    again = classroom.grade_class(tmp_path / "class", out, how, workers=1)
    assert (out / "ann.json").stat().st_mtime_ns == written
    assert [one.passed for one in (*first, *again)] == [passed, passed]


def test_what_is_asked_besides_is_graded(tmp_path):
    rubric, out = write(tmp_path / "rubric", {"own.py": CORE}), tmp_path / "out"
    write(tmp_path / "class", {"ann/answers.py": "def double(x): return 2 * x\n"})
    tried = []
    for only in (("data-98",), ("data",), ("data-98",)):
        how = Grading(only=only, rubric=rubric, secret=classroom.class_secret(out))
        (report,) = classroom.grade_class(tmp_path / "class", out, how, workers=1)
        tried.append([one.id for one in report.exercises()])
    assert tried == [["data-98"], ["data-97", "data-98"], ["data-98"]]


def test_a_submission_that_ends_the_graders_process_takes_no_other_with_it(tmp_path, monkeypatch):
    monkeypatch.setattr(classroom, "grade_submission", dying.grade)
    folders = [tmp_path / name for name in ("ann", "dies-1", "dies-2", "zoe", "zuse")]
    for folder in folders:
        folder.mkdir()
    how = Grading(only=("data-99",), rubric=RUBRIC)
    reports = {folder.name: report for folder, report in classroom._run(folders, how, 5)}
    refused = {name for name, report in reports.items() if report.checks}
    assert len(reports) == 5 and refused == {"dies-1", "dies-2"}
    assert "died several times" in reports["dies-1"].checks[0].message


def test_a_report_that_cannot_be_written_is_said_and_leaves_nothing_behind(tmp_path):
    write(tmp_path / "class", {"ann/answers.py": "def double(x): return 2 * x\n"})
    (tmp_path / "out" / "ann.json").mkdir(parents=True)
    with pytest.raises(LabError, match=r"ann\.json cannot be written"):
        classroom.grade_class(tmp_path / "class", tmp_path / "out", grading(tmp_path / "out"), workers=1)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [".secret", "ann.html", "ann.json"]
