"""The corpus of validate-1 to validate-6: reference answers, and the mistakes that are often made."""

from __future__ import annotations

import numpy as np
from corpus_types import Answers, Wrong


def scores(labels, predicted, *, mean="", exchanged=False, zero=True):
    matrix = np.zeros((10, 10), int)
    np.add.at(matrix, (labels, predicted), 1)
    hit = np.diag(matrix).astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        precision, recall = hit / matrix.sum(axis=0), hit / matrix.sum(axis=1)
        f1 = 2 * precision * recall / (precision + recall)
    if zero:
        precision, recall, f1 = (np.nan_to_num(one) for one in (precision, recall, f1))
    accuracy = float(np.mean(labels == predicted))
    half = 1.96 * np.sqrt(accuracy * (1 - accuracy) / len(labels))
    if mean:
        accuracy = float({"f1": f1, "recall": recall}[mean].mean())
    if exchanged:
        precision, recall = recall, precision
    return accuracy, precision, recall, f1, matrix, half


def scores_by_name(labels, predicted):
    names = ("Accuracy", "precision", "recall", "F1", "confusion_matrix", "half-width")
    values = scores(labels, predicted)
    return dict(zip(names, [values[0], *(list(one) for one in values[1:4]), *values[4:]], strict=True))


def scores_of_the_classes_seen(labels, predicted):
    values = list(scores(labels, predicted))
    seen = np.unique(predicted)
    values[4] = values[4][np.ix_(seen, seen)]
    return tuple(values)


def verdict_of(low, high):
    return "better" if low > 0 else "worse" if high < 0 else "no difference"


def draws(labels, first, second, *, paired=True):
    rng = np.random.default_rng(0)
    a, b = first == labels, second == labels
    one = rng.integers(0, len(labels), (1000, len(labels)))
    other = one if paired else rng.integers(0, len(labels), (1000, len(labels)))
    return float(b.mean() - a.mean()), np.percentile(b[other].mean(axis=1) - a[one].mean(axis=1), [2.5, 97.5])


def compare(labels, first, second):
    difference, (low, high) = draws(labels, first, second)
    return {"difference": difference, "interval": (low, high), "verdict": verdict_of(low, high)}


def compare_in_a_row(labels, first, second):
    difference, (low, high) = draws(labels, first, second)
    return difference, low, high, {"better": "second is better", "worse": "worse"}.get(verdict_of(low, high))


def compare_larger(labels, first, second):
    difference, interval = draws(labels, first, second)
    return difference, interval, "better" if difference > 0 else "worse" if difference < 0 else "no difference"


def compare_independently(labels, first, second):
    difference, (low, high) = draws(labels, first, second, paired=False)
    return difference, (low, high), verdict_of(low, high)


def compare_overlap(labels, first, second):
    difference, interval = draws(labels, first, second)
    a, b = np.mean(first == labels), np.mean(second == labels)
    apart = abs(difference) > sum(1.96 * np.sqrt(p * (1 - p) / len(labels)) for p in (a, b))
    return difference, interval, verdict_of(difference, difference) if apart else "no difference"


def compare_backwards(labels, first, second):
    return compare(labels, second, first)


CORPUS = {
    "validate-1": Answers(
        right=[scores, scores_by_name],
        wrong=[
            Wrong(lambda labels, said: scores(labels, said, exchanged=True), "validate-1.classes", "swapped"),
            Wrong(lambda labels, said: scores(labels, said, mean="f1"), "validate-1.accuracy", "mean"),
            Wrong(lambda labels, said: scores(labels, said, mean="recall"), "validate-1.accuracy", "mean"),
            Wrong(lambda labels, said: scores(labels, said, zero=False), "validate-1.zero", "nan"),
            Wrong(lambda labels, said: scores(said, labels), "validate-1.confusion", "transposed"),
            Wrong(scores_of_the_classes_seen, "validate-1.confusion", "missing-class"),
            Wrong(lambda labels, said: (*scores(labels, said)[:5], 0.006), "validate-1.interval", "count"),
            Wrong(lambda labels, said: scores(labels, said)[0], "validate-1.accuracy", "shape"),
        ],
    ),
    "validate-2": Answers(
        right=[compare, compare_in_a_row],
        wrong=[
            Wrong(compare_larger, "validate-2.three", "coin"),
            Wrong(compare_larger, "validate-2.luck", "coin"),
            Wrong(compare_independently, "validate-2.interval", "independent"),
            Wrong(compare_overlap, "validate-2.three", "overlap"),
            Wrong(compare_backwards, "validate-2.difference", "sign"),
        ],
    ),
}
