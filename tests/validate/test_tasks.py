"""Other tasks than classification have their figures too, and they are scikit-learn's."""

import json

import numpy as np
import pytest
from sklearn import metrics as reference

from mlops_lab import validate
from mlops_lab.errors import WrongUsage

RANDOM = np.random.default_rng(0)
TRUTH = RANDOM.normal(5, 2, 200)
SAID = TRUTH + RANDOM.normal(0.5, 1, 200)
POSITIVE = RANDOM.integers(0, 2, 300)
SCORES = np.clip(0.6 * POSITIVE + RANDOM.random(300) * 0.6, 0, 1).round(2)
MANY = RANDOM.integers(0, 2, (200, 4))
MANY_SAID = np.clip(MANY + RANDOM.normal(0, 0.5, (200, 4)), 0, 1)


def values(outputs, truth, task):
    return {name: one.value for name, one in validate.evaluate(outputs, (truth, truth), task=task).metrics.items()}


@pytest.mark.parametrize(
    ("task", "outputs", "truth", "expected"),
    [
        ("regression", SAID, TRUTH, {"mean absolute error": reference.mean_absolute_error(TRUTH, SAID)}),
        ("regression", SAID, TRUTH, {"root mean squared error": reference.root_mean_squared_error(TRUTH, SAID)}),
        ("regression", SAID[:, None], TRUTH, {"r2": reference.r2_score(TRUTH, SAID), "bias": (SAID - TRUTH).mean()}),
        ("binary", SCORES, POSITIVE, {"roc auc": reference.roc_auc_score(POSITIVE, SCORES)}),
        ("binary", SCORES, POSITIVE, {"average precision": reference.average_precision_score(POSITIVE, SCORES)}),
        ("binary", SCORES, POSITIVE, {"f1": reference.f1_score(POSITIVE, SCORES > 0.5)}),
        (
            "binary",
            np.stack([1 - SCORES, SCORES], axis=1),
            POSITIVE,
            {"recall": reference.recall_score(POSITIVE, SCORES > 0.5)},
        ),
        ("multilabel", MANY_SAID, MANY, {"macro f1": reference.f1_score(MANY, MANY_SAID > 0.5, average="macro")}),
        ("multilabel", MANY_SAID, MANY, {"micro f1": reference.f1_score(MANY, MANY_SAID > 0.5, average="micro")}),
        ("multilabel", MANY_SAID, MANY, {"exact match": reference.accuracy_score(MANY, MANY_SAID > 0.5)}),
        ("anomaly", SCORES, POSITIVE, {"roc auc": reference.roc_auc_score(POSITIVE, SCORES)}),
    ],
)
def test_figures_are_scikit_learns(task, outputs, truth, expected):
    found = values(outputs, truth, task)
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-12)


def test_a_probability_of_exactly_one_half_is_a_no_as_in_an_answer():
    halves = np.array([0.5, 0.5, 0.75])
    assert values(halves, np.array([0, 0, 1]), "binary")["accuracy"] == 1.0
    assert values(halves[:, None], np.array([[0], [0], [1]]), "multilabel")["exact match"] == 1.0


def test_masks():
    truth = np.zeros((5, 4, 4), int)
    truth[:, :2] = 1
    said = np.zeros((5, 4, 4), int)
    said[:, :1] = 1
    found = values(said, truth, "segmentation")
    iou = reference.jaccard_score(truth.ravel(), said.ravel(), average="macro")
    dice = reference.f1_score(truth.ravel(), said.ravel(), average="macro")
    assert found == pytest.approx({"pixel accuracy": 0.75, "mean intersection over union": iou, "mean dice": dice})
    assert values(np.eye(2)[said], truth, "segmentation") == found


def test_embeddings_by_the_label_of_their_neighbours():
    labels = np.arange(60) % 3
    near = np.eye(3)[labels] + RANDOM.normal(0, 0.01, (60, 3))
    assert values(near, labels, "embedding") == {"recall at 1": 1.0, "recall at 5": 1.0}
    assert values(RANDOM.normal(0, 1, (60, 3)), labels, "embedding")["recall at 1"] < 0.7


def test_every_figure_has_an_interval():
    quality = validate.evaluate(SAID, (TRUTH, TRUTH), task="regression")
    assert all(one.interval[0] <= one.value <= one.interval[1] for one in quality.metrics.values())
    assert json.loads(json.dumps(quality.to_dict()))["metrics"]["bias"]["interval"]
    assert "mean absolute error" in quality._repr_html_() and quality.summary in str(quality)


def test_a_task_that_there_is_not_and_outputs_that_do_not_fit():
    with pytest.raises(WrongUsage, match="poetry"):
        validate.evaluate(SAID, (TRUTH, TRUTH), task="poetry")
    with pytest.raises(WrongUsage, match="shape"):
        validate.evaluate(MANY_SAID, (TRUTH, TRUTH), task="regression")
    with pytest.raises(WrongUsage, match="finite"):
        validate.evaluate(SAID * np.nan, (TRUTH, TRUTH), task="regression")
