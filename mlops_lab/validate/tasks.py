"""The figures of other tasks than classification, each with its interval by bootstrap."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab import show
from mlops_lab.answers import THRESHOLD
from mlops_lab.errors import WrongUsage, nearest
from mlops_lab.validate.intervals import Interval, bootstrap, pair, percentiles

if TYPE_CHECKING:
    from mlops_lab.validate.answers import Answers

RESAMPLES = 200
Arrays = NDArray[Any]
Metric = Callable[[Arrays, Arrays], float]


@dataclass(frozen=True)
class Figure:
    """One figure and its 95% interval, by bootstrap."""

    value: float
    interval: Interval

    def __str__(self) -> str:
        return f"{self.value:.4g} ({self.interval[0]:.4g} to {self.interval[1]:.4g})"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {"value": self.value, "interval": list(self.interval)}


@dataclass(frozen=True)
class TaskQuality:
    """The quality of a model of another task than classification.

    Examples
    --------
    >>> quality = TaskQuality("regression", "prices v1", "a split", 100, {"bias": Figure(0.5, (0.25, 0.75))})
    >>> quality.summary
    'bias 0.5 (0.25 to 0.75)'
    """

    task: str
    model: str
    data: str
    count: int
    metrics: dict[str, Figure]

    @property
    def summary(self) -> str:
        """One line: every figure with its interval."""
        return ", ".join(f"{name} {figure}" for name, figure in self.metrics.items())

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, unrounded."""
        figures = {name: figure.to_dict() for name, figure in self.metrics.items()}
        return {"task": self.task, "model": self.model, "data": self.data, "count": self.count, "metrics": figures}

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.summary}>"

    def __str__(self) -> str:
        return f"{self.model} on {self.data}, {self.task} of {self.count:,} examples: {self.summary}"

    def _repr_html_(self) -> str:
        rows = [
            (name, f"{one.value:.4g}", f"{one.interval[0]:.4g} to {one.interval[1]:.4g}")
            for name, one in self.metrics.items()
        ]
        title = f"Quality of {self.model} on {self.data}: {self.task}, {self.count:,} examples"
        return show.card(title, show.table(rows, ("figure", "value", "95% interval")))


def measure_task(answers: Answers, task: str, seed: int = 0) -> TaskQuality:
    """Return the figures of a task.

    Raises
    ------
    WrongUsage
        There is no such task, or the outputs do not fit it.
    """
    if task not in TASKS:
        raise WrongUsage(f"There is no task {task!r}.", nearest(task, ["classification", *TASKS]))
    truth, predicted = PREPARED.get(task, _same_shape)(np.asarray(answers.labels), np.asarray(answers.outputs))
    if not len(truth) or not np.isfinite(predicted).all():
        raise WrongUsage(f"{len(truth)} outputs, which must be finite numbers.", "Look at what the model answers.")
    figures = {}
    for name, metric in TASKS[task].items():
        samples = bootstrap(partial(_of_rows, metric, truth, predicted), len(truth), RESAMPLES, seed)
        figures[name] = Figure(float(metric(truth, predicted)), pair(percentiles(samples)))
    return TaskQuality(task, answers.model, answers.data, len(truth), figures)


def _of_rows(metric: Metric, truth: Arrays, predicted: Arrays, rows: NDArray[np.int64]) -> float:
    return metric(truth[rows], predicted[rows])


def _same_shape(truth: Arrays, predicted: Arrays) -> tuple[Arrays, Arrays]:
    if predicted.shape != truth.shape:
        predicted = predicted.reshape(truth.shape) if predicted.size == truth.size else predicted
    if predicted.shape != truth.shape:
        raise WrongUsage(
            f"The outputs have the shape {predicted.shape}, the truth {truth.shape}.", "Give one for each."
        )
    return truth, predicted


def _positive(truth: Arrays, predicted: Arrays) -> tuple[Arrays, Arrays]:
    """Return the score of the positive class, the second where there are two columns."""
    return _same_shape(truth, predicted[:, 1] if predicted.ndim == 2 and predicted.shape[1] == 2 else predicted)


def _masks(truth: Arrays, predicted: Arrays) -> tuple[Arrays, Arrays]:
    """Return for each image the confusion of its pixels, which every figure of a mask depends on alone."""
    if predicted.ndim == truth.ndim + 1:  # a number for each class, which may be the first axis of an example
        predicted = predicted.argmax(axis=-1 if predicted.shape[:-1] == truth.shape else 1)
    truth, predicted = _same_shape(truth.astype(np.int64), predicted.astype(np.int64))
    classes = int(max(truth.max(initial=0), predicted.max(initial=0))) + 1
    pairs = (truth * classes + predicted).reshape(len(truth), -1)
    tables = np.stack([np.bincount(one, minlength=classes**2).reshape(classes, classes) for one in pairs])
    return tables, tables


def _neighbours(truth: Arrays, predicted: Arrays) -> tuple[Arrays, Arrays]:
    """Return for each example whether its nearest neighbours, by cosine, have its label: the first, and any of five."""
    unit = predicted / np.maximum(np.linalg.norm(predicted, axis=1, keepdims=True), 1e-12)
    near = unit @ unit.T
    np.fill_diagonal(near, -np.inf)
    first = np.argsort(-near, axis=1)[:, :5]
    same = truth[first] == truth[:, np.newaxis]
    return np.stack([same[:, 0], same.any(axis=1)], axis=1).astype(float), truth.astype(float)


def _r2(truth: Arrays, predicted: Arrays) -> float:
    spread = float(((truth - truth.mean(axis=0)) ** 2).sum())
    return 1 - float(((truth - predicted) ** 2).sum()) / spread if spread else float("nan")


def roc_auc(truth: Arrays, scores: Arrays) -> float:
    """Return the probability that a positive example scores above a negative one; ties count half.

    Examples
    --------
    >>> roc_auc(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]))
    0.75
    """
    from scipy.stats import rankdata

    positive = truth.astype(bool)
    ones, zeros = int(positive.sum()), int((~positive).sum())
    if not ones or not zeros:
        return float("nan")
    return float((rankdata(scores)[positive].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def _average_precision(truth: Arrays, scores: Arrays) -> float:
    positive = truth.astype(bool)
    if not positive.any():
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    hits, ordered = np.cumsum(positive[order]), scores[order]
    last = np.append(ordered[1:] != ordered[:-1], True)  # equal scores are one threshold
    found, seen = hits[last], np.flatnonzero(last) + 1
    return float((np.diff(found, prepend=0) * found / seen).sum() / positive.sum())


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _precision(truth: Arrays, predicted: Arrays) -> float:
    chosen = predicted > THRESHOLD
    return _ratio(float((chosen & (truth == 1)).sum()), float(chosen.sum()))


def _recall(truth: Arrays, predicted: Arrays) -> float:
    return _ratio(float(((predicted > THRESHOLD) & (truth == 1)).sum()), float((truth == 1).sum()))


def _f1(truth: Arrays, predicted: Arrays) -> float:
    chosen = predicted > THRESHOLD
    return _ratio(2 * float((chosen & (truth == 1)).sum()), float(chosen.sum() + (truth == 1).sum()))


def _macro_f1(truth: Arrays, predicted: Arrays) -> float:
    return float(np.mean([_f1(truth[:, place], predicted[:, place]) for place in range(truth.shape[1])]))


def _union(tables: Arrays, _: Arrays) -> float:
    table = tables.sum(axis=0)
    hits, union = np.diag(table), table.sum(axis=0) + table.sum(axis=1) - np.diag(table)
    return float((hits[union > 0] / union[union > 0]).mean())


def _dice(tables: Arrays, _: Arrays) -> float:
    table = tables.sum(axis=0)
    hits, both = np.diag(table), table.sum(axis=0) + table.sum(axis=1)
    return float((2 * hits[both > 0] / both[both > 0]).mean())


TASKS: Mapping[str, Mapping[str, Metric]] = {
    "regression": {
        "mean absolute error": lambda truth, predicted: float(np.abs(predicted - truth).mean()),
        "root mean squared error": lambda truth, predicted: float(np.sqrt(((predicted - truth) ** 2).mean())),
        "bias": lambda truth, predicted: float((predicted - truth).mean()),
        "r2": _r2,
    },
    "binary": {
        "accuracy": lambda truth, predicted: float(((predicted > THRESHOLD) == (truth == 1)).mean()),
        "precision": _precision,
        "recall": _recall,
        "f1": _f1,
        "roc auc": roc_auc,
        "average precision": _average_precision,
    },
    "multilabel": {
        "exact match": lambda truth, predicted: float(((predicted > THRESHOLD) == (truth == 1)).all(axis=1).mean()),
        "share of labels right": lambda truth, predicted: float(((predicted > THRESHOLD) == (truth == 1)).mean()),
        "micro f1": _f1,
        "macro f1": _macro_f1,
    },
    "segmentation": {
        "pixel accuracy": lambda tables, _: float(np.trace(tables.sum(axis=0)) / tables.sum()),
        "mean intersection over union": _union,
        "mean dice": _dice,
    },
    "embedding": {
        "recall at 1": lambda found, _: float(found[:, 0].mean()),
        "recall at 5": lambda found, _: float(found[:, 1].mean()),
    },
    "anomaly": {"roc auc": roc_auc, "average precision": _average_precision},
}
PREPARED: Mapping[str, Callable[[Arrays, Arrays], tuple[Arrays, Arrays]]] = {
    "binary": _positive,
    "anomaly": _positive,
    "segmentation": _masks,
    "embedding": _neighbours,
}
