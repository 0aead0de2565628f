"""A version may be promoted unless its evidence says no, and the rule for versions without evidence."""

import json

import pytest

from mlops_lab.errors import GateFailed, WrongUsage
from mlops_lab.store.gates import EVIDENCE, FILE

FAILED = {
    "section": "quality",
    "name": "accuracy",
    "message": "The accuracy is 0.1; at least 0.5 is asked for.",
    "missed_by": 0.4,
    "images": [f"test[{place}]" for place in range(9)],
}


@pytest.fixture
def leave(models):
    """Return a function that leaves evidence beside digits v1, as bytes or as what JSON holds."""

    def write(evidence):
        path = models.get("digits", 1).path / EVIDENCE
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(evidence if isinstance(evidence, bytes) else json.dumps(evidence).encode())

    return write


def test_a_version_that_failed_is_refused_with_gate_amount_and_images(models, leave):
    leave({"passed": False, "failed": [FAILED]})
    with pytest.raises(GateFailed, match=r"quality: accuracy: .*missed by 0\.4000.*test\[0\], .*test\[4\]\.") as caught:
        models.promote("digits", 1)
    assert "test[5]" not in caught.value.message and "mlops-lab validate digits --version 1" in caught.value.hint
    assert models.aliases("digits") == {}


def test_going_around_the_gates_needs_a_reason_and_is_noted(models, leave):
    leave({"passed": False, "failed": [FAILED]})
    with pytest.raises(WrongUsage, match="needs a reason"):
        models.promote("digits", 1, force=True)
    models.promote("digits", 1, force=True, why="we look at it by hand")
    assert models.history("digits")[-1]["gates"] == "not asked"


@pytest.mark.parametrize(
    ("evidence", "state"),
    [(None, "not validated"), ({"passed": False, "failed": []}, "not measured"), ({"passed": True}, "passed")],
)
def test_a_version_that_nobody_found_bad_is_promoted_and_the_history_says_how(models, leave, evidence, state):
    if evidence:
        leave(evidence)
    models.promote("digits", 1)
    assert models.history("digits")[-1]["gates"] == state


def test_a_model_can_ask_for_validation_before_every_promotion(models, leave):
    (models.root / "digits" / FILE).write_text("[promotion]\nvalidated = true\n")
    with pytest.raises(GateFailed, match=r"not validated.*gates\.toml asks for it"):
        models.promote("digits", 1)
    leave({"passed": False, "failed": []})
    with pytest.raises(GateFailed, match="not measured"):
        models.promote("digits", 1)
    leave({"passed": True})
    models.promote("digits", 1)


@pytest.mark.parametrize("evidence", [b"", b"{", b"[]", b"{}", b'{"passed": 1}', b'{"passed": false, "failed": [3]}'])
def test_evidence_that_cannot_be_read_is_no_pass(models, leave, evidence):
    leave(evidence)
    with pytest.raises(GateFailed, match="cannot be read"):
        models.promote("digits", 1)


def test_thresholds_that_cannot_be_read_refuse_a_promotion(models):
    (models.root / "digits" / FILE).write_text("[promotion")
    with pytest.raises(WrongUsage, match=r"gates\.toml cannot be read"):
        models.promote("digits", 1)
