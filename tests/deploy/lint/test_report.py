import json

import pytest

from mlops_lab.deploy.lint import Finding, LintReport

FINDING = Finding(False, "The image has <b>no</b> tag.", "Use one.", "latest-tag", "a.yaml: Deployment a")


@pytest.mark.parametrize(
    ("findings", "objects", "passed", "summary"),
    [
        (0, 0, False, "no problems in 0 Kubernetes objects"),
        (0, 1, True, "no problems in 1 Kubernetes object"),
        (1, 2, False, "1 problem in 2 Kubernetes objects"),
        (2, 2, False, "2 problems in 2 Kubernetes objects"),
    ],
)
def test_the_summary(findings, objects, passed, summary):
    report = LintReport((FINDING,) * findings, objects)
    assert (report.passed, report.summary, str(report).splitlines()[-1]) == (passed, summary, summary)
    assert summary in report._repr_html_()


def test_the_faces():
    report = LintReport((FINDING,), 1)
    assert report.rules == {"latest-tag"}
    assert json.loads(json.dumps(report.to_dict()))["findings"] == [FINDING.to_dict()]
    assert "&lt;b&gt;" in report._repr_html_() and "<b>" not in report._repr_html_()
