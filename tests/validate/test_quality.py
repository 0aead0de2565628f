"""The figures of a model are scikit-learn's, with intervals; they are of the right classes whatever their order."""

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as reference

from mlops_lab import data, serve, validate
from mlops_lab.engines.python import PythonEngine
from mlops_lab.errors import WrongUsage
from mlops_lab.validate.calibration import calibrate
from mlops_lab.validate.intervals import wilson


@pytest.fixture(scope="module")
def answered():
    """Return labels of ten classes, not equally many, and probabilities that are right for most."""
    random = np.random.default_rng(3)
    labels = random.choice(10, 3000, p=np.arange(1, 11) / 55)
    rows = random.dirichlet(np.ones(10) / 3, 3000)
    rows[np.arange(3000), labels] += 0.7 * random.random(3000)
    rows[:, 4] = 0  # never answered
    return labels, rows / rows.sum(axis=1, keepdims=True)


def test_figures_equal_scikit_learns(answered):
    labels, rows = answered
    quality = validate.evaluate(rows, (labels, labels))
    predicted = rows.argmax(axis=1)
    assert quality.accuracy == pytest.approx(reference.accuracy_score(labels, predicted), abs=1e-12)
    assert (quality.confusion == reference.confusion_matrix(labels, predicted)).all()
    of_classes = reference.precision_recall_fscore_support(labels, predicted, zero_division=0)
    mine = np.array([(one.precision, one.recall, one.f1, one.support) for one in quality.classes]).T
    assert np.abs(mine - np.array(of_classes)).max() < 1e-12
    means = reference.precision_recall_fscore_support(labels, predicted, average="macro", zero_division=0)
    assert (quality.precision, quality.recall, quality.f1) == pytest.approx(means[:3], abs=1e-12)


def test_a_class_that_is_never_answered_is_zero_and_not_nan(answered):
    quality = validate.evaluate(answered[1], (answered[0], answered[0]))
    assert (quality.classes[4].precision, quality.classes[4].recall, quality.classes[4].f1) == (0, 0, 0)
    assert np.isfinite([quality.f1, *quality.intervals["f1"]]).all()


@pytest.mark.parametrize(("count", "half"), [(500, 0.026), (10_000, 0.006)])
def test_how_sure_an_accuracy_is(count, half):
    low, high = wilson(round(0.9081 * count), count)
    assert (high - low) / 2 == pytest.approx(half, abs=0.001)


def test_nine_in_ten_intervals_hold_the_truth():
    random = np.random.default_rng(0)
    found = wilson(random.binomial(200, 0.9, 2000), 200)
    assert 0.93 < ((found[:, 0] <= 0.9) & (found[:, 1] >= 0.9)).mean() < 0.98


def test_bootstrap_intervals_hold_the_figure(answered):
    quality = validate.evaluate(answered[1], (answered[0], answered[0]))
    for name in ("precision", "recall", "f1"):
        low, high = quality.intervals[name]
        assert low < getattr(quality, name) < high and high - low < 0.05


def test_calibration_of_what_is_sure_and_wrong():
    rows = np.tile([0.9, 0.1], (1000, 1))
    labels = np.where(np.arange(1000) < 600, 0, 1)
    found = calibrate(rows, labels)
    assert found.error == pytest.approx(0.3)
    assert sum(found.counts) == 1000
    assert calibrate(rows, np.where(np.arange(1000) < 900, 0, 1)).error == 0


def test_the_shipped_model_of_clothes_is_as_it_was_measured(request):
    root = request.config.rootpath / "models"
    quality = validate.evaluate(validate_store(root).load("clothes", 1), data.load())
    assert quality.accuracy == 0.9081
    assert round(quality.calibration.error, 3) == 0.022
    assert round(next(one.recall for one in quality.classes if one.name == "Shirt"), 3) == 0.738


def validate_store(root):
    from mlops_lab.store import ModelStore

    return ModelStore(root)


def test_labels_in_another_order_are_followed_and_reversed_ones_are_told(models, digits):
    right = models.load("digits", 1)
    before = validate.evaluate(right, digits)

    def backwards(inputs):
        return right.engine.predict(inputs)[:, ::-1]

    other = replace(right, labels=right.labels[::-1], engine=PythonEngine(backwards))
    assert validate.evaluate(other, digits).accuracy == before.accuracy
    reversed_labels = replace(right, labels=right.labels[::-1])
    quality = validate.evaluate(reversed_labels, digits)
    assert quality.accuracy < 0.1
    assert f"in the data's order {before.accuracy:.4f}" in quality.hint
    assert before.hint == ""


def test_other_labels_than_the_data_has(models, digits):
    with pytest.raises(WrongUsage, match="The labels of digits v1 are zero"):
        labels = ("zero", *digits.classes[1:])
        validate.evaluate(replace(models.load("digits", 1), labels=labels), digits)


@pytest.mark.parametrize("address", ["{url}", "{url}/models/digits/v1"])
def test_a_server_has_the_quality_of_its_model(models, digits, no_servers, address):
    server = serve.start(models)
    over_http = validate.evaluate(address.format(url=server.url), digits)
    assert over_http.accuracy == validate.evaluate(models.get("digits", 1), digits).accuracy
    assert "digits" in over_http.model


@pytest.mark.parametrize("rows", [np.full((3, 2), np.nan), np.ones(3), np.ones((2, 2))])
def test_answers_that_are_none(rows):
    with pytest.raises(WrongUsage):
        validate.evaluate(rows, (np.zeros(3), np.zeros(3, int)))


def test_cells_of_the_confusion_matrix_open_the_images(models, digits):
    quality = validate.evaluate(models.get("digits", 1), digits)
    true, answered = np.argwhere(quality.confusion - np.diag(np.diag(quality.confusion)))[0]
    places = quality.mistakes(true, answered)
    assert len(places) == quality.confusion[true, answered]
    html = quality._repr_html_()
    assert f"{digits.classes[true]} answered as {digits.classes[answered]}: {places[0]}" in html
    assert "<script" not in html and html.count("<details") > 0


def test_quality_becomes_plain_values(models, digits):
    plain = json.loads(json.dumps(validate.evaluate(models.get("digits", 1), digits).to_dict()))
    assert plain["classes"]["3"]["support"] == 37
    assert plain["intervals"]["accuracy"][0] < plain["accuracy"] < plain["intervals"]["accuracy"][1]
