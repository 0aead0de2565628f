import json

import pytest

from mlops_lab.doctor import Checkup, Finding, examine

GOOD = Finding(True, "3.12.4", name="Python")
WARNING = Finding(False, "The port is in use.", "Take another.", name="port 8000", severity="warning")
ERROR = Finding(False, "A file is damaged.", "Install it again.", name="data")


@pytest.mark.parametrize(
    ("findings", "passed", "title"),
    [
        ((GOOD,), True, "This environment is ready<"),
        ((GOOD, WARNING), True, "This environment is ready; warnings: 1<"),
        ((WARNING, ERROR), False, "This environment has errors to fix<"),
        ((Finding(None, "There is no kernel."),), True, "This environment is ready<"),
    ],
)
def test_warnings_do_not_fail_a_checkup_and_errors_do(findings, passed, title):
    checkup = Checkup(findings)
    assert checkup.passed is passed
    assert title in checkup._repr_html_()


def test_the_plain_values_have_the_words_of_every_finding():
    values = json.loads(json.dumps(Checkup((GOOD, WARNING)).to_dict()))
    assert values["passed"] is True
    assert [finding["state"] for finding in values["findings"]] == ["passed", "warning"]
    assert (
        values["findings"][1].items()
        >= {
            "passed": False,
            "message": "The port is in use.",
            "hint": "Take another.",
            "name": "port 8000",
        }.items()
    )


def test_the_text_has_a_line_for_each_finding_and_its_hint():
    assert str(Checkup((GOOD, WARNING))).splitlines() == [
        "passed   Python: 3.12.4",
        "warning  port 8000: The port is in use. → Take another.",
    ]


def test_every_check_has_a_name_of_its_own(shared_models):
    names = [finding.name for finding in examine(shared_models.root, port=0).findings]
    assert len(set(names)) == len(names) and {"Python", "disk", "port 0", "models"} <= set(names)
