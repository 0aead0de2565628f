import numpy as np
import pytest

from mlops_lab.errors import UnknownVersion, WrongUsage
from mlops_lab.widgets.choice import Answers, ask_all, captions, choose, confusion_counts, disagreements

LABELS = np.array([0, 1, 2, 1, 0])
SAID = Answers(np.array([0, 2, 2, 0, 1]), np.array([0.9, 0.5, 0.4, 0.8, 0.7]))


@pytest.mark.parametrize(
    ("kind", "of_class", "places"),
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
def test_choose(kind, of_class, places):
    assert choose(LABELS, kind, of_class, SAID).tolist() == places


def test_choosing_needs_answers():
    with pytest.raises(WrongUsage, match="needs a model's answers"):
        choose(LABELS, "wrong")


def test_choosing_by_an_unknown_filter():
    with pytest.raises(WrongUsage, match="no filter 'rong'"):
        choose(LABELS, "rong", answers=SAID)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("all", ["#1 b", "#3 b"]),
        ("wrong", ["#1 b → c", "#3 b → a"]),
        ("unsure", ["#1 b 50%", "#3 b 80%"]),
    ],
)
def test_captions(kind, words):
    assert captions(np.array([1, 3]), LABELS, "abc", kind, SAID) == words


def test_captions_never_read_alike():
    words = captions(np.arange(5), LABELS, "abc")
    assert len(set(words)) == 5


def test_asking_over_http_gives_what_the_model_says(client, digits, predictors):
    done = []
    answers = ask_all(client, "light", "v1", digits.test.images[:120], batch=50, progress=done.append)
    rows = predictors[0].probabilities(digits.test.images[:120])
    assert answers.predicted.tolist() == rows.argmax(axis=1).tolist()
    np.testing.assert_allclose(answers.confidence, rows.max(axis=1), atol=1e-6)
    assert done == [50, 100, 120]
    assert answers.accuracy(digits.test.labels[:120]) == (rows.argmax(axis=1) == digits.test.labels[:120]).mean()


def test_asking_takes_one_request_for_a_batch(server, client, digits):
    ask_all(client, "light", "v1", digits.test.images[:120], batch=50)
    assert [seen.method for seen in server.requests].count("POST") == 3


def test_asking_an_unknown_version(client, digits):
    with pytest.raises(UnknownVersion):
        ask_all(client, "light", "v8", digits.test.images[:5])


def test_disagreements_come_surest_first():
    left = Answers(np.array([0, 1, 2, 2]), np.array([0.5, 0.6, 0.9, 0.9]))
    right = Answers(np.array([1, 1, 0, 1]), np.array([0.5, 0.9, 0.2, 0.9]))
    assert disagreements(left, right).tolist() == [3, 2, 0]


def test_confusion_counts_agree_with_a_loop():
    random = np.random.default_rng(0)
    labels, predicted = random.integers(0, 4, 200), random.integers(0, 4, 200)
    counts = confusion_counts(labels, predicted, 4)
    expected = [[int(((labels == row) & (predicted == column)).sum()) for column in range(4)] for row in range(4)]
    assert counts.tolist() == expected
