"""What the checks of one exercise say within a check of another."""

import pytest

from mlops_lab.grade.cases import Case, Failed, NotGradable
from mlops_lab.grade.results import CheckResult
from mlops_lab.grade.rubric import started


def leaf(state, points=0.0):
    return CheckResult(f"serve-2.{state}", "A check", state, points, 1.0, f"it is {state}")


def test_what_is_full_or_was_not_tried_is_not_held_against_anybody():
    full = [leaf("passed", 1.0), leaf("skipped"), leaf("blocked")]
    assert started.expect_full(Case("grade-1.answers"), full, hint="fault") is None


@pytest.mark.parametrize("state", ["error", "not_gradable", "flaky"])
def test_what_could_not_be_judged_costs_nothing(state):
    with pytest.raises(NotGradable, match=f"serve-2.{state}: it is {state}"):
        started.expect_full(Case("grade-1.answers"), [leaf(state)], hint="fault")


def test_what_is_wrong_counts_also_beside_what_could_not_be_judged():
    with pytest.raises(Failed) as failed:
        started.expect_full(Case("grade-1.answers"), [leaf("error"), leaf("failed")], hint="fault", share=0.4)
    assert (failed.value.key, failed.value.figures["id"], failed.value.share) == ("fault", "serve-2.failed", 0.4)
