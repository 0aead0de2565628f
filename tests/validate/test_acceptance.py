"""Acceptance: the accuracy that was promised, the labels, the budget, and the version in production."""

from dataclasses import replace

import numpy as np
import pytest

from mlops_lab import serve, validate
from mlops_lab.engines.python import PythonEngine
from mlops_lab.errors import WrongUsage

pytestmark = pytest.mark.usefixtures("no_servers")
PATIENT = validate.Expected(milliseconds=5000, images=5)


@pytest.fixture
def version(models):
    return models.get("digits", 1)


def promising(version, **metrics):
    return replace(version, manifest=replace(version.manifest, metrics=metrics))


def states(report):
    return {check.name: check.state for check in report.checks}


def test_a_version_that_keeps_its_promise(models, version):
    report = validate.check_acceptance(serve.start(models).url, version, PATIENT)
    assert report.passed, str(report)
    assert states(report) == {
        "labels": "passed",
        "accuracy": "passed",
        "against production": "skipped",
        "latency": "passed",
    }


@pytest.mark.parametrize("promise", [0.99, 0.9])
def test_another_accuracy_than_was_promised(models, version, promise):
    report = validate.check_acceptance(serve.start(models).url, promising(version, test_accuracy=promise), PATIENT)
    assert states(report)["accuracy"] == "failed"
    assert f"promises {promise:.4f}" in str(report)


def test_less_than_the_least(models, version):
    expected = replace(PATIENT, accuracy=0.999)
    report = validate.check_acceptance(serve.start(models).url, version, expected)
    assert "at least 0.999" in str(report)


@pytest.mark.parametrize(("before", "state"), [(0.99, "failed"), (0.976, "passed"), (0.5, "passed")])
def test_worse_than_the_version_in_production(models, version, before, state):
    baseline = replace(promising(version, test_accuracy=before), version=7)
    report = validate.check_acceptance(serve.start(models).url, version, PATIENT, baseline=baseline)
    assert states(report)["against production"] == state


def test_a_baseline_that_was_measured_on_other_data(models, version):
    other = replace(version, version=7, manifest=replace(version.manifest, data={"name": "fashion-mnist"}))
    report = validate.check_acceptance(serve.start(models).url, version, PATIENT, baseline=other)
    assert states(report)["against production"] == "skipped"


def test_a_server_that_never_says_nine(models, version):
    right = models.load("digits", 1)

    def never_nine(inputs):
        rows = np.array(right.engine.predict(inputs))
        rows[:, 9] = 0
        return rows

    app = serve.create_app([replace(right, engine=PythonEngine(never_nine))])
    report = validate.check_acceptance(serve.start(app).url, version, PATIENT)
    assert "it never answers 9" in str(report)
    assert states(report)["accuracy"] == "failed"


def test_slower_than_the_budget(models, version):
    report = validate.check_acceptance(serve.start(models).url, version, replace(PATIENT, milliseconds=0.001))
    assert [check.name for check in report.failed] == ["latency"]


def test_data_that_are_not_here(models, version):
    imported = replace(version, manifest=replace(version.manifest, data={"name": "my images"}))
    report = validate.check_acceptance(serve.start(models).url, imported, PATIENT)
    assert states(report) == {"accuracy": "skipped", "latency": "passed"}


def test_an_accuracy_that_is_asked_for_and_cannot_be_measured_fails(models, version):
    imported = replace(version, manifest=replace(version.manifest, data={"name": "my images"}))
    report = validate.check_acceptance(serve.start(models).url, imported, replace(PATIENT, accuracy=0.9))
    assert [check.name for check in report.failed] == ["accuracy"]


def test_nobody_answers(version):
    report = validate.check_acceptance("http://127.0.0.1:1", version, PATIENT)
    assert [check.name for check in report.failed] == ["accuracy"]


@pytest.mark.parametrize("settings", [{"accuracy": 1.5}, {"tolerance": -1}, {"images": 0}])
def test_expectations_that_make_no_sense(settings):
    with pytest.raises(WrongUsage):
        validate.Expected(**settings)
