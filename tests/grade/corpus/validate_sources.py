"""The reference answers of validate-1 to validate-6, as a student would hand them in: this file is one submission."""

import numpy as np


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


def by_group(metric, labels, predicted, groups, *, least=20, digits=None):
    found = {}
    for name in np.unique(groups):
        rows = groups == name
        value, n = metric(labels[rows], predicted[rows]), int(rows.sum())
        half = 1.96 * np.sqrt(max(value * (1 - value), 1e-4) / n)
        value = value if digits is None else round(value, digits)
        found[str(name)] = {"value": value, "count": n, "interval": (value - half, value + half)}
    ranked = [one["value"] for one in found.values() if one["count"] >= least]
    return {"groups": found, "difference": max(ranked) - min(ranked), "ratio": min(ranked) / max(ranked)}


def holdout(groups, per_group, seed):
    rng = np.random.default_rng(seed)
    drawn = [rng.permutation(np.flatnonzero(groups == name))[:per_group] for name in np.unique(groups)]
    return np.sort(np.concatenate(drawn))


def invariance(predict, images, labels):
    before = predict(images).argmax(axis=1)
    for axis in (1, 2):
        for step in (-1, 1):
            assert (predict(np.roll(images, step, axis=axis)).argmax(axis=1) == before).mean() > 0.6


def minimum_functionality(predict, images, labels):
    said = predict(images).argmax(axis=1)
    for one in range(10):
        assert (said == labels)[labels == one].any(), f"class {one}"


def direction(predict, images, labels):
    noise = np.random.default_rng(0).normal(0, 60, images.shape)
    noisy = np.clip(images + noise, 0, 255).astype(np.uint8)
    assert predict(noisy).max(axis=1).mean() < predict(images).max(axis=1).mean()
