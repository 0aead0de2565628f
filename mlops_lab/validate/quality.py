"""The quality of a classifier: accuracy, precision, recall and F1 with intervals, the confusions, the calibration."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab import show
from mlops_lab.errors import WrongUsage
from mlops_lab.validate import drawing, metrics
from mlops_lab.validate.answers import Answers, Examples, Model, collect
from mlops_lab.validate.calibration import Calibration, calibrate
from mlops_lab.validate.intervals import Interval, pair, percentiles, resampled_counts, wilson
from mlops_lab.validate.tasks import TaskQuality, measure_task

RESAMPLES = 1000
SHOWN = 5
# An order of labels that explains so much more of the answers is the one that was meant.
ORDER_GAIN = 0.2


@dataclass(frozen=True)
class ClassQuality:
    """The figures of one class, with 95% intervals of precision and recall (Wilson)."""

    name: str
    support: int
    precision: float
    recall: float
    f1: float
    precision_interval: Interval
    recall_interval: Interval

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        figures = {"support": self.support, "precision": self.precision, "recall": self.recall, "f1": self.f1}
        intervals = {"precision_interval": self.precision_interval, "recall_interval": self.recall_interval}
        return figures | {key: list(value) for key, value in intervals.items()}

    def _repr_html_(self) -> str:
        words = f"recall {self.recall:.3f}, precision {self.precision:.3f}, F1 {self.f1:.3f}"
        return show.card(self.name, f"{words} over {self.support:,} images")


@dataclass(frozen=True, eq=False)
class Quality:
    """The quality of a classifier on labelled images.

    Parameters
    ----------
    model, data
        What was asked, about what.
    confusion
        ``(classes, classes)``: how often each class (row) was answered as each (column).
    accuracy, accuracy_interval
        The share of right answers, and its 95% interval (Wilson).
    precision, recall, f1
        Means over the classes.
    intervals
        95% intervals of the means, by bootstrap.
    classes
        The figures of each class.
    calibration
        Whether confidence means something.
    hint
        What the answers suggest is wrong, where they do.
    """

    model: str
    data: str
    confusion: NDArray[np.int64]
    accuracy: float
    accuracy_interval: Interval
    precision: float
    recall: float
    f1: float
    intervals: dict[str, Interval]
    classes: tuple[ClassQuality, ...]
    calibration: Calibration
    hint: str = ""
    answers: Answers | None = field(default=None, repr=False)

    @property
    def count(self) -> int:
        """Number of examples."""
        return int(self.confusion.sum())

    @property
    def summary(self) -> str:
        """One line: the accuracy with its interval, and the weakest class."""
        low, high = self.accuracy_interval
        weakest = min(self.classes, key=lambda one: one.recall)
        text = f"accuracy {self.accuracy:.4f} ({low:.4f} to {high:.4f}) on {self.count:,} images"
        return f"{text}; lowest recall: {weakest.name} {weakest.recall:.3f}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, unrounded."""
        figures = {key: getattr(self, key) for key in ("accuracy", "precision", "recall", "f1")}
        intervals = {"accuracy": self.accuracy_interval, **self.intervals}
        return {
            **{"task": "classification", "model": self.model, "data": self.data, "count": self.count, **figures},
            "intervals": {key: list(value) for key, value in intervals.items()},
            "classes": {one.name: one.to_dict() for one in self.classes},
            "confusion": self.confusion.tolist(),
            "calibration": self.calibration.to_dict(),
            "hint": self.hint,
        }

    def mistakes(self, true: int, answered: int) -> NDArray[np.int64]:
        """Return the places of the examples of one class that were answered as another."""
        if self.answers is None:
            return np.array([], np.int64)
        return np.flatnonzero((self.answers.labels == true) & (self.answers.predicted == answered))

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.summary}>"

    def __str__(self) -> str:
        rows = [
            f"  {one.name:12} recall {one.recall:.3f}  precision {one.precision:.3f}  F1 {one.f1:.3f}"
            for one in self.classes
        ]
        last = [f"  {self.calibration}", *([f"  {self.hint}"] if self.hint else [])]
        return "\n".join([f"{self.model} on {self.data}: {self.summary}", *rows, *last])

    def _repr_html_(self) -> str:
        rows = [
            (
                one.name,
                f"{one.support:,}",
                _with(one.recall, one.recall_interval),
                f"{one.precision:.3f}",
                f"{one.f1:.3f}",
            )
            for one in self.classes
        ]
        hint = show.state("warning", self.hint) if self.hint else ""
        table = show.table(rows, ("class", "images", "recall", "precision", "F1"))
        parts = [escape(self.summary), hint, table, _titled("Confusions: open a cell to see the images")]
        parts += [self.draw_confusion(), _titled(f"Calibration: {self.calibration}"), self.calibration.draw()]
        return show.card(f"Quality of {self.model} on {self.data}", *parts)

    def draw_confusion(self) -> str:
        """Return the confusion matrix as a table whose cells open the images that were confused."""
        names = [one.name for one in self.classes]
        rows = [
            (names[true], *(show.Html(self._cell(true, answered, names)) for answered in range(len(names))))
            for true in range(len(names))
        ]
        return f'<div style="overflow-x: auto">{show.table(rows, ("is ↓ answered →", *names))}</div>'

    def _cell(self, true: int, answered: int, names: list[str]) -> str:
        count = int(self.confusion[true, answered])
        if true == answered:
            return f"<b>{count:,}</b>"
        places = self.mistakes(true, answered)[:SHOWN]
        if not count or not len(places) or self.answers is None or self.answers.images[places[0]].ndim != 2:
            return f"{count:,}" if count else "·"
        alt = f"{names[true]} answered as {names[answered]}"
        images = drawing.strip([self.answers.images[place] for place in places], alt)
        ground = f"background: {drawing.GROUND}; border: 1px solid {show.LINE}; padding: 4px"
        side = "bottom: 1.5em; " if 2 * true >= len(names) else ""  # so that it stays inside the table
        box = f"position: absolute; right: 0; {side} z-index: 2; width: max-content; max-width: 240px; {ground}"
        seen = f'<div style="{box}">{escape(alt)}: {", ".join(map(str, places))}<br>{images}</div>'
        return (
            f'<details style="position: relative"><summary style="cursor: pointer">{count:,}</summary>{seen}</details>'
        )


def evaluate(
    model: Model,
    dataset: Examples,
    *,
    task: str = "",
    name: str = "",
    version: int | str = "latest",
    api_key: str | None = None,
) -> Quality | TaskQuality:
    """Measure how good a model is on the test split of a data set.

    Parameters
    ----------
    model
        A loaded version, a version on disk, the address of a server, a function from inputs to outputs, or outputs.
    dataset
        A data set (its test split is used), a split, or a pair of inputs and what is true of them.
    task
        ``"classification"``, ``"binary"``, ``"multilabel"``, ``"regression"``, ``"segmentation"``, ``"embedding"`` or
        ``"anomaly"``; by default the model's own, else classification.
    name, version, api_key
        Which model, where ``model`` is the address of a server.

    Returns
    -------
    Quality
        For classification; a :class:`TaskQuality` for every other task.

    Raises
    ------
    WrongUsage
        The model's labels are not the data's classes, or the outputs do not fit the task.

    Examples
    --------
    >>> from mlops_lab import data, store
    >>> quality = evaluate(store.ModelStore("models").load("digits", 1), data.load("digits"))
    >>> round(quality.accuracy, 3), quality.count
    (0.975, 359)
    >>> evaluate(lambda x: 2 * x, (np.arange(50.0), 2 * np.arange(50.0) + 1), task="regression").metrics["bias"].value
    -1.0
    """
    answers = collect(model, dataset, name=name, version=version, api_key=api_key)
    wanted = task or str(getattr(model, "task", "") or "classification")
    if wanted != "classification":
        return measure_task(answers, wanted)
    return measure_quality(answers)


def measure_quality(answers: Answers, seed: int = 0) -> Quality:
    """Return the quality of a classifier's answers."""
    outputs = answers.outputs
    if outputs.ndim != 2 or not np.isfinite(outputs).all() or not len(outputs):
        message = f"Probabilities have the shape (n, classes) and are finite; received {outputs.shape}."
        raise WrongUsage(message, "Name the task where it is not classification.")
    names = answers.classes or tuple(map(str, range(outputs.shape[1])))
    table = metrics.confusion(answers.labels, answers.predicted, len(names))
    draws = resampled_counts(table, RESAMPLES, seed)
    means = {key: float(metrics.macro(one, table)) for key, one in metrics.PER_CLASS.items()}
    intervals = {key: pair(percentiles(metrics.macro(one, draws))) for key, one in metrics.PER_CLASS.items()}
    hits = int(np.trace(table))
    return Quality(
        answers.model,
        answers.data,
        table,
        float(metrics.accuracy(table)),
        pair(wilson(hits, table.sum())),
        **means,
        intervals=intervals,
        classes=_classes(table, names),
        calibration=calibrate(outputs, answers.labels, seed=seed),
        hint=_order_hint(answers, hits / len(outputs)),
        answers=answers,
    )


def _classes(table: NDArray[np.int64], names: tuple[str, ...]) -> tuple[ClassQuality, ...]:
    hits, support, said = np.diag(table), table.sum(axis=1), table.sum(axis=0)
    figures = [metrics.precision(table), metrics.recall(table), metrics.f1(table)]
    said_bounds, support_bounds = wilson(hits, said), wilson(hits, support)
    found = []
    for place, name in enumerate(names):
        precision, recall, f1 = (float(figure[place]) for figure in figures)
        bounds = pair(said_bounds[place]), pair(support_bounds[place])
        found.append(ClassQuality(name, int(support[place]), precision, recall, f1, *bounds))
    return tuple(found)


def _order_hint(answers: Answers, accuracy: float) -> str:
    """Say so where the answers fit the data's order of classes, and not the labels that the model gives them."""
    if answers.unsorted is None:
        return ""
    by_place = float((answers.unsorted.argmax(axis=1) == answers.labels).mean())
    if by_place < accuracy + ORDER_GAIN:
        return ""
    return f"The labels are in the wrong order: in the data's order {by_place:.4f} of the answers are right."


def _with(value: float, interval: Interval) -> str:
    return f"{value:.3f} ({interval[0]:.3f}–{interval[1]:.3f})"


def _titled(title: str) -> str:
    return f'<div style="font-weight: 600; margin-top: 8px">{escape(title)}</div>'
