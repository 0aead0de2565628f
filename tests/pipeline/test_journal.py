"""Evidence of a release reads back, in order, and holds the last state."""

import json
from dataclasses import replace

import pytest

from mlops_lab.errors import StoreError
from mlops_lab.pipeline import Release, StageOutcome, journal

ENDED = Release("digits", 1, "local", None, 1, "2026-01-02T03:04:05Z", "me", "to see", "released")


@pytest.fixture
def failed():
    outcomes = (
        StageOutcome("build", "passed", 0.1, "6 files", {"files": 6}),
        StageOutcome("staging", "failed", 2.0, "<silence>"),
    )
    return replace(ENDED, state="refused", production=None, outcomes=outcomes, started="2026-01-03T00:00:00Z")


def test_what_is_kept_reads_back(models, failed):
    path = journal.write_evidence(models, failed)
    assert path.relative_to(models.root).as_posix() == "digits/1/evidence/release-20260103T000000Z.json"
    assert journal.releases(models, "digits") == [failed]


def test_the_latest_is_last(models, failed):
    for one in (failed, ENDED):
        journal.write_evidence(models, one)
    assert [one.started for one in journal.releases(models, "digits")] == [ENDED.started, failed.started]
    assert journal.last(models, "digits") == failed


def test_a_model_that_was_never_released(models):
    assert journal.last(models, "digits") is None


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"outcomes": 3}'])
def test_a_file_that_is_no_release_is_passed_over(models, failed, content):
    path = journal.write_evidence(models, failed)
    path.with_name("release-other.json").write_text(content)
    assert journal.releases(models, "digits") == [failed]


def test_the_history_has_a_line(models, failed):
    journal.record(models, failed)
    line = models.history("digits")[-1]
    assert (line["event"], line["state"], line["production"]) == ("pipeline", "refused", "none")
    assert line["why"] == "staging: <silence>"


def test_the_release_lock(models):
    folder = models.root / "digits"
    with journal.release_lock(folder), pytest.raises(StoreError, match="is running"), journal.release_lock(folder):
        pass
    with journal.release_lock(folder):
        pass


def test_a_release_has_three_faces(failed):
    assert json.loads(json.dumps(failed.to_dict()))["passed"] is False
    assert str(failed).splitlines()[-1] == "digits v1 is refused; production is none, as before. staging: <silence>"
    html = failed._repr_html_()
    assert "refused" in html and "&lt;silence&gt;" in html and "<silence>" not in html


@pytest.mark.parametrize("state", ["running", "released", "refused", "rolled back", "stuck"])
def test_every_state_has_its_sentence(state):
    assert "digits v1" in replace(ENDED, state=state).summary


def test_evidence_of_an_older_form_is_still_read(models, failed):
    path = journal.write_evidence(models, failed)
    entry = json.loads(path.read_text(encoding="utf-8"))
    for outcome in entry["outcomes"]:
        outcome["says"] = outcome.pop("message")
    path.write_text(json.dumps(entry), encoding="utf-8")
    assert journal.releases(models, "digits") == [failed]
