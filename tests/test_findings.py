import dataclasses
import json

import pytest

from mlops_lab.findings import Finding, table

STATES = [
    ((True, "error"), "passed", "✓"),
    ((False, "error"), "failed", "✗"),
    ((False, "warning"), "warning", "!"),
    ((None, "error"), "skipped", "·"),
    ((True, "warning"), "passed", "✓"),
]


@pytest.mark.parametrize(("given", "state", "icon"), STATES)
def test_a_state_is_a_word_and_an_icon(given, state, icon):
    passed, severity = given
    found = Finding(passed, "seen", severity=severity)
    assert found.state == state
    assert f"{icon} {state}" in found._repr_html_() and f"{icon} {state}" in table([found])
    assert str(found).startswith(state)


def test_the_text_leaves_out_what_is_empty():
    assert str(Finding(True, "3.12.4", name="Python")) == "passed   Python: 3.12.4"
    assert str(Finding(False, "No tag.", "Name one.", "latest-tag", "a.yaml")) == (
        "failed   a.yaml: latest-tag: No tag. → Name one."
    )


def test_plain_values_hold_the_state():
    found = Finding(False, "Port 8000 is taken.", "Use --port.", name="port", severity="warning")
    assert json.loads(json.dumps(found.to_dict())) == {
        "state": "warning",
        "passed": False,
        "message": "Port 8000 is taken.",
        "hint": "Use --port.",
        "name": "port",
        "place": "",
        "severity": "warning",
    }


def test_a_finding_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Finding(True, "seen").passed = False


def test_html_is_escaped():
    found = Finding(False, "<b>message", "<b>hint", "<b>name", "<b>place")
    assert "<b>" not in found._repr_html_() + table([found])


def test_a_table_has_only_the_columns_that_it_needs():
    bare, full = Finding(True, "seen"), Finding(False, "seen", "do", "name", "place")
    assert [word for word in ("place", "name", "message", "hint") if f">{word}</th>" in table([bare])] == ["message"]
    assert table([bare, full]).count("<th ") == 5
