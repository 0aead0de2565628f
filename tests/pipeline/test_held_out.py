"""What the pipeline cannot be fooled by: an accuracy nobody can measure, other inputs, labels in another order."""

from dataclasses import replace

import numpy as np
import pytest

from mlops_lab import pipeline
from mlops_lab.pipeline import held_out
from mlops_lab.store import ModelStore
from mlops_lab.train import fit_sklearn
from mlops_lab.validate import Expected


@pytest.fixture
def test_data(digits, tmp_path):
    np.savez(tmp_path / "test.npz", x=digits.test.images, y=digits.test.labels)
    return tmp_path / "test.npz"


def asked(plan, **options):
    return replace(plan, **options)


def test_a_release_is_measured_on_data_of_its_own(two, plan, staged, test_data):
    plan = asked(plan, data=test_data, expected=replace(plan.expected, accuracy=0.9))
    release = pipeline.release(plan, environment=staged(plan))
    assert release.passed, str(release)
    (outcome,) = [one for one in release.outcomes if one.name == "acceptance"]
    assert "on test.npz" in outcome.message and outcome.evidence["metrics"]["test_accuracy"] > 0.9


def test_an_accuracy_that_cannot_be_measured_is_a_refusal(two, plan, staged, edit):
    edit(data={"name": "of somebody else"}, metrics={})
    plan = asked(plan, expected=replace(plan.expected, accuracy=0.99))
    release = pipeline.release(plan, environment=staged(plan))
    assert release.state == "refused" and "nobody knows whether the accuracy is at least 0.99" in release.reason


def test_labels_in_another_order_are_caught(two, plan, staged, digits, digits_run, test_data):
    """The names lie about what the model answers; data that say so stop the release."""
    np.savez(test_data, x=digits.test.images, y=np.array(digits.classes)[digits.test.labels])
    two.publish(replace(digits_run, labels=digits.classes[::-1], data={}, metrics={}), "digits")
    plan = asked(plan, version=3, data=test_data, new_signature=True)
    release = pipeline.release(plan, environment=staged(plan))
    assert release.state == "refused"
    assert "another order" in release.reason
    assert two.aliases("digits") == {"production": 1}


def test_a_signature_that_differs_is_refused_unless_it_is_wanted(two, plan, staged, digits, digits_run):
    two.publish(replace(digits_run, labels=tuple(f"digit {name}" for name in digits.classes)), "digits")
    plan = asked(plan, version=3)
    release = pipeline.release(plan, environment=staged(plan))
    assert release.state == "refused"
    assert "its labels are digit 0" in release.reason and "--new-signature" in release.reason


@pytest.mark.parametrize(
    ("found", "before", "accuracy", "words"),
    [
        ({"test_accuracy": 0.95}, {}, 0.9, ""),
        ({"test_accuracy": 0.85}, {}, 0.9, "at least 0.9 is asked for"),
        ({"test_mae": 1.0, "test_r2": 0.9}, {}, 0.9, "this task has none"),
        ({"test_r2": 0.5}, {"test_r2": 0.9}, 0.0, "production has 0.9000"),
        ({"test_mae": 2.0}, {"test_mae": 1.0}, 0.0, ""),
        ({"kind_test_accuracy": 0.5}, {}, 0.9, "kind test accuracy is 0.5000"),
    ],
)
def test_what_falls_short_is_told(found, before, accuracy, words):
    told = held_out.shortfalls(found, before, Expected(accuracy=accuracy))
    assert words in "; ".join(told) and bool(told) == bool(words)


def test_a_regressor_has_the_metric_of_its_task(tmp_path):
    from sklearn.linear_model import LinearRegression

    inputs = np.arange(30.0).reshape(10, 3)
    truth = inputs @ [1.0, 2.0, 3.0]
    np.savez(tmp_path / "test.npz", x=inputs, y=truth)
    store = ModelStore(tmp_path / "models")
    version = store.publish(LinearRegression().fit(inputs, truth), "price", examples=inputs)
    found = held_out.measured(tmp_path / "test.npz", version)
    assert found["test_r2"] > 0.999
    assert held_out.production_metrics(tmp_path / "test.npz", version) == found


def test_the_run_of_another_estimator_has_the_same_signature(two, digits):
    from sklearn.linear_model import LogisticRegression

    version = two.publish(fit_sklearn(digits, LogisticRegression(max_iter=200)), "digits")
    assert held_out.new_signature(version, two.get("digits", 1)) == ""
