import json

import pytest

from mlops_lab.pipeline import Release, StageOutcome
from mlops_lab.pipeline.outcome import version_label

BUILD = StageOutcome("build", "passed", 0.1, "6 files", {"files": 6})
VERIFY = StageOutcome("verify", "failed", 2.0, "no answer")


def release(state, *outcomes, production=1):
    return Release("digits", 2, "local", 1, production, "2026-01-02T03:04:05Z", "me", "", state, outcomes)


@pytest.mark.parametrize(
    ("state", "production", "summary"),
    [
        ("running", 1, "digits v2 is being released; production is v1"),
        ("released", 2, "digits v2 is released; production was v1"),
        ("refused", 1, "digits v2 is refused; production is v1, as before"),
        ("rolled back", 1, "digits v2 is rolled back; production is v1 again"),
        ("stuck", 2, "digits v2 could not be rolled back; production is v2: check production now"),
    ],
)
def test_the_summary_names_production_in_every_state(state, production, summary):
    assert release(state, production=production).summary == summary
    assert release(state, production=production).passed is (state == "released")


def test_the_reason_is_the_first_failure():
    assert release("rolled back", BUILD, VERIFY, StageOutcome("roll back", "failed", 1, "later")).reason == (
        "verify: no answer"
    )
    assert release("released", BUILD).reason == ""


def test_a_release_reads_back_from_json():
    whole = release("rolled back", BUILD, VERIFY)
    assert Release.from_dict(json.loads(json.dumps(whole.to_dict()))) == whole


def test_version_labels():
    assert (version_label(7), version_label(None)) == ("v7", "none")
