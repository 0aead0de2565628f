import numpy as np
import pytest

from mlops_lab.errors import UnknownVersion, WrongUsage
from mlops_lab.widgets.selection import (
    ModelPredictions,
    captions,
    classify_all,
    confusion_counts,
    disagreements,
    select_images,
)

LABELS = np.array([0, 1, 2, 1, 0])
PREDICTIONS = ModelPredictions(np.array([0, 2, 2, 0, 1]), np.array([0.9, 0.5, 0.4, 0.8, 0.7]))


@pytest.mark.parametrize(
    ("filter_name", "of_class", "indices"),
    [
        ("all", None, [0, 1, 2, 3, 4]),
        ("all", 1, [1, 3]),
        ("wrong", None, [3, 4, 1]),
        ("wrong", 1, [3, 1]),
        ("wrong", 2, []),
        ("unsure", None, [2, 1, 4, 3, 0]),
        ("unsure", 0, [4, 0]),
    ],
)
def test_select(filter_name, of_class, indices):
    assert select_images(LABELS, filter_name, of_class, PREDICTIONS).tolist() == indices


def test_selecting_needs_answers():
    with pytest.raises(WrongUsage, match="needs the predictions of a model"):
        select_images(LABELS, "wrong")


def test_selecting_by_an_unknown_filter():
    with pytest.raises(WrongUsage, match="no filter 'rong'"):
        select_images(LABELS, "rong", predictions=PREDICTIONS)


@pytest.mark.parametrize(
    ("filter_name", "words"),
    [
        ("all", ["#1 b", "#3 b"]),
        ("wrong", ["#1 b → c", "#3 b → a"]),
        ("unsure", ["#1 b 50%", "#3 b 80%"]),
    ],
)
def test_captions(filter_name, words):
    assert captions(np.array([1, 3]), LABELS, "abc", filter_name, PREDICTIONS) == words


def test_captions_never_read_alike():
    words = captions(np.arange(5), LABELS, "abc")
    assert len(set(words)) == 5


def test_classifying_over_http_gives_the_predictions_of_the_model(client, digits, predictors):
    done = []
    answers = classify_all(client, "light", "v1", digits.test.images[:120], batch=50, progress=done.append)
    rows = predictors[0].probabilities(digits.test.images[:120])
    assert answers.predicted.tolist() == rows.argmax(axis=1).tolist()
    np.testing.assert_allclose(answers.confidence, rows.max(axis=1), atol=1e-6)
    assert done == [50, 100, 120]
    assert answers.accuracy(digits.test.labels[:120]) == (rows.argmax(axis=1) == digits.test.labels[:120]).mean()


def test_classifying_takes_one_request_for_a_batch(server, client, digits):
    classify_all(client, "light", "v1", digits.test.images[:120], batch=50)
    assert [seen.method for seen in server.requests].count("POST") == 3


def test_classifying_an_unknown_version(client, digits):
    with pytest.raises(UnknownVersion):
        classify_all(client, "light", "v8", digits.test.images[:5])


def test_disagreements_come_surest_first():
    left = ModelPredictions(np.array([0, 1, 2, 2]), np.array([0.5, 0.6, 0.9, 0.9]))
    right = ModelPredictions(np.array([1, 1, 0, 1]), np.array([0.5, 0.9, 0.2, 0.9]))
    assert disagreements(left, right).tolist() == [3, 2, 0]


def test_confusion_counts_agree_with_a_loop():
    random = np.random.default_rng(0)
    labels, predicted = random.integers(0, 4, 200), random.integers(0, 4, 200)
    counts = confusion_counts(labels, predicted, 4)
    expected = [[int(((labels == row) & (predicted == column)).sum()) for column in range(4)] for row in range(4)]
    assert counts.tolist() == expected
