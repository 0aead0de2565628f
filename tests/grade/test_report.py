import json

import pytest

from mlops_lab.errors import WrongUsage
from mlops_lab.grade import CheckResult, Report
from mlops_lab.grade.report import SCHEMA_FILE
from mlops_lab.grade.results import STATES, gather

SCHEMA = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))


def result(*states, id="data-3", points=2):
    parts = [
        CheckResult(f"{id}.c{n}", "Part", state, points if state == "passed" else 0, points, evidence=("curl x",))
        for n, state in enumerate(states)
    ]
    return gather(id, "Prepare pixels", parts)


def test_every_state_is_valid_in_the_schema_and_drawn():
    report = Report("ann", tuple(result(state, id=f"data-{n}") for n, state in enumerate(STATES)), sha256="0" * 64)
    import jsonschema  # it takes a second, which only the process that runs this test should spend

    jsonschema.validate(report.to_dict(), SCHEMA)
    for state in STATES:
        assert state.replace("_", " ") in report.page()


def test_the_score_is_the_sum_of_the_leaves():
    report = Report("ann", (result("passed", "failed"), result("passed", id="data-4")))
    assert report.score == sum(leaf["points"] for leaf in report.to_dict()["checks"]) == 4
    assert report.max_score == 6


@pytest.mark.parametrize(
    ("states", "passed"),
    [(("passed",), True), (("passed", "skipped"), True), (("passed", "error"), False), (("failed",), False)],
)
def test_passed_means_that_every_core_exercise_is_full(states, passed):
    assert Report("ann", (result(*states),), frozenset({"data-3"})).passed is passed
    assert Report("ann", (result(*states), result("passed", id="data-4")), frozenset({"data-4"})).passed


def test_nothing_attempted_is_not_passed():
    assert not Report("ann", ()).passed


def test_what_could_not_be_judged_is_said():
    report = Report("ann", (result("passed", "error", "not_gradable"),))
    assert report.unjudged == 4
    assert "4 points could not be judged" in str(report)


def test_a_report_is_read_as_it_was_written(tmp_path):
    report = Report("ann", (result("passed", "failed"),), sandbox={"name": "limits", "holds": [], "leaves_open": []})
    again = Report.from_dict(json.loads(report.save(tmp_path / "r.json").read_text()))
    assert (again.score, again.max_score, len(again.checks)) == (report.score, report.max_score, 2)


@pytest.mark.parametrize("values", [{}, {"schema": "x"}, [], None, {"schema": "mlops_lab.report/1", "checks": [{}]}])
def test_what_is_no_report_is_refused(values):
    with pytest.raises(WrongUsage):
        Report.from_dict(values)


def test_everything_that_a_student_wrote_is_escaped():
    nasty = "<script>alert(1)</script>"
    leaf = CheckResult("data-3.a", nasty, "failed", 0, 1, nasty, nasty, 0, nasty, nasty, (nasty,), warnings=(nasty,))
    page = Report(nasty, (gather("data-3", nasty, [leaf]),), warnings=(nasty,)).page()
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 7
