"""A difference is called one where it is sure, and two equal models are hardly ever called different."""

import json

import numpy as np
import pytest

from mlops_lab import validate
from mlops_lab.errors import WrongUsage
from mlops_lab.validate.intervals import mcnemar


def guesses(random, labels, accuracy):
    """Return probabilities that are right for a share of the examples, by chance."""
    right = random.random(len(labels)) < accuracy
    answers = np.where(right, labels, (labels + 1) % 10)
    return np.eye(10)[answers]


@pytest.fixture
def labels():
    return np.arange(2000) % 10


def test_of_200_identical_pairs_hardly_any_is_called_different(labels):
    verdicts = []
    for seed in range(200):
        random = np.random.default_rng(seed)
        pair = [guesses(random, labels, 0.9) for _ in range(2)]
        verdicts.append(validate.compare(*pair, (labels, labels), seed=seed).verdict)
    assert verdicts.count("no difference") >= 200 * 0.92


@pytest.mark.parametrize(("second", "verdict"), [(0.95, "better"), (0.85, "worse")])
def test_a_sure_difference(labels, second, verdict):
    random = np.random.default_rng(0)
    first = guesses(random, labels, 0.9)
    found = validate.compare(first, guesses(random, labels, second), (labels, labels))
    assert found.verdict == verdict
    assert found.difference == pytest.approx(second - 0.9, abs=0.02)
    assert found.interval[0] < found.difference < found.interval[1]


def test_the_same_weights_under_another_name(models, digits):
    model = models.load("digits", 1)
    found = validate.compare(model, models.get("digits", 1), digits)
    assert (found.verdict, found.difference, found.p) == ("no difference", 0.0, 1.0)
    assert found.first != found.second


def test_pairs_are_compared_and_not_averages(labels):
    """Ten images that only the second has right are sure; the same averages of independent models are not."""
    first = np.eye(10)[np.where(np.arange(2000) < 400, (labels + 1) % 10, labels)]
    second = np.eye(10)[np.where(np.arange(2000) < 390, (labels + 1) % 10, labels)]
    assert validate.compare(first, second, (labels, labels)).verdict == "better"
    independent = np.eye(10)[np.where(np.arange(2000) >= 1610, (labels + 1) % 10, labels)]
    assert validate.compare(first, independent, (labels, labels)).verdict == "no difference"


def test_regression_by_the_errors_of_each_example():
    truth = np.linspace(0, 10, 300)
    noise = np.random.default_rng(1).normal(0, 1, 300)
    found = validate.compare(truth + noise, truth + noise / 2, (truth, truth), task="regression")
    assert (found.verdict, found.metric, found.only_second) == ("better", "mean absolute error", 300)
    assert validate.compare(truth + noise / 2, truth + noise, (truth, truth), task="regression").verdict == "worse"
    assert validate.compare(truth, truth, (truth, truth), task="regression").verdict == "no difference"


def test_mcnemar_is_the_binomial_test():
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(0, 6) == pytest.approx(2 / 2**6)


def test_nothing_to_compare_on():
    empty = np.empty((0, 10))
    with pytest.raises(WrongUsage, match="no example"):
        validate.compare(empty, empty, (empty, np.array([], int)))
    with pytest.raises(WrongUsage, match="poetry"):
        validate.compare(empty, empty, (empty, np.array([], int)), task="poetry")


def test_the_comparison_has_three_faces(labels):
    random = np.random.default_rng(0)
    found = validate.compare(guesses(random, labels, 0.7), guesses(random, labels, 0.9), (labels, labels))
    assert json.loads(json.dumps(found.to_dict()))["verdict"] == "better"
    assert "✓ better" in found._repr_html_()
    assert found.summary in str(found)
