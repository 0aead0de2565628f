"""Comparison of two models on the same examples: pairs of answers are compared, and not averages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab import show
from mlops_lab.errors import WrongUsage
from mlops_lab.validate.answers import Answers, Examples, Model, collect
from mlops_lab.validate.intervals import Interval, bootstrap, mcnemar, pair, percentiles, resampled_counts

RESAMPLES = 10_000
LEVEL = 0.05
STATES = {"better": "ok", "worse": "error", "no difference": "info"}


@dataclass(frozen=True)
class Comparison:
    """The second model held against the first, on the same examples.

    Parameters
    ----------
    first, second, data
        What was compared, on what.
    metric
        ``"accuracy"``, or ``"mean absolute error"`` for regression.
    values
        The metric of the first and of the second.
    difference, interval
        Second less first, and its 95% interval by paired bootstrap.
    p
        Of McNemar's exact test; of Wilcoxon's signed-rank test for regression.
    only_first, only_second
        Number of examples that only the first, and only the second has right (for regression: is closer to).
    verdict
        About the second: ``"better"``, ``"worse"`` or ``"no difference"``. A difference needs both: an interval
        without zero, and p below 0.05.
    """

    first: str
    second: str
    data: str
    metric: str
    values: tuple[float, float]
    difference: float
    interval: Interval
    p: float
    only_first: int
    only_second: int
    count: int
    verdict: str

    @property
    def summary(self) -> str:
        """One line: the verdict and the figures behind it."""
        values = f"{self.metric} {self.values[0]:.4f} → {self.values[1]:.4f}"
        interval = f"{self.difference:+.4f} ({self.interval[0]:+.4f} to {self.interval[1]:+.4f}), p {self._p()}"
        return f"{self.verdict}: {values}, {interval} on {self.count:,} examples"

    def _p(self) -> str:
        return f"= {self.p:.3g}" if self.p >= 0.001 else "< 0.001"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, unrounded."""
        names = ("first", "second", "data", "metric", "difference", "p", "only_first", "only_second", "count")
        kept = {name: getattr(self, name) for name in names}
        return {"verdict": self.verdict, **kept, "values": list(self.values), "interval": list(self.interval)}

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.summary}>"

    def __str__(self) -> str:
        return f"{self.second} against {self.first}: {self.summary}"

    def _repr_html_(self) -> str:
        low, high = self.interval
        rows = [
            (f"{self.metric} of {self.first}", f"{self.values[0]:.4f}"),
            (f"{self.metric} of {self.second}", f"{self.values[1]:.4f}"),
            ("difference, 95% interval", f"{self.difference:+.4f} ({low:+.4f} to {high:+.4f})"),
            ("p", self._p()),
            (f"only {self.first} is right", f"{self.only_first:,} of {self.count:,}"),
            (f"only {self.second} is right", f"{self.only_second:,} of {self.count:,}"),
        ]
        title = f"{self.second} against {self.first} on {self.data}"
        return show.card(title, show.state(STATES[self.verdict], self.verdict), show.table(rows))


def compare(
    first: Model, second: Model, dataset: Examples, *, task: str = "classification", seed: int = 0
) -> Comparison:
    """Compare two models on the same examples; the verdict is about the second.

    Parameters
    ----------
    first, second
        As for :func:`mlops_lab.validate.evaluate`.
    dataset
        A data set (its test split is used), a split, or a pair of inputs and what is true of them.
    task
        ``"classification"`` or ``"regression"``.
    seed
        Seed of the bootstrap.

    Examples
    --------
    >>> from mlops_lab import data, store
    >>> digits, model = data.load("digits"), store.ModelStore("models").load("digits", 1)
    >>> compare(model, model, digits).verdict
    'no difference'
    >>> compare(lambda images: np.eye(10)[np.zeros(len(images), int)], model, digits).verdict
    'better'
    """
    return compare_answers(collect(first, dataset), collect(second, dataset), task=task, seed=seed)


def compare_answers(first: Answers, second: Answers, *, task: str = "classification", seed: int = 0) -> Comparison:
    """Compare the answers of two models to the same examples.

    Raises
    ------
    WrongUsage
        The models cannot be compared by this task, or there is no example.
    """
    if task not in PAIRED:
        raise WrongUsage(f"Models are not compared by {task!r}.", "Compare classification or regression.")
    if not len(first.labels):
        raise WrongUsage("There is no example to compare the models on.", "Pass some.")
    metric, scores_of, sign, sureness_of = PAIRED[task]
    scores = scores_of(first), scores_of(second)
    change = scores[1] - scores[0]
    interval, p = sureness_of(change, seed)
    sure = p < LEVEL and not interval[0] <= 0 <= interval[1]
    gain = sign * change
    same = first.model == second.model
    return Comparison(
        f"{first.model} (first)" if same else first.model,
        f"{second.model} (second)" if same else second.model,
        first.data,
        metric,
        values=(float(scores[0].mean()), float(scores[1].mean())),
        difference=float(change.mean()),
        interval=interval,
        p=p,
        only_first=int((gain < 0).sum()),
        only_second=int((gain > 0).sum()),
        count=len(change),
        verdict=("better" if gain.mean() > 0 else "worse") if sure else "no difference",
    )


def _right(answers: Answers) -> NDArray[np.float64]:
    predicted = answers.predicted if answers.outputs.ndim == 2 else answers.outputs
    return np.asarray(predicted == answers.labels, float)


def _errors(answers: Answers) -> NDArray[np.float64]:
    rows = len(answers.labels)
    gaps = np.asarray(answers.outputs, float).reshape(rows, -1) - np.asarray(answers.labels, float).reshape(rows, -1)
    return np.asarray(np.abs(gaps).mean(axis=1))


def _by_counts(change: NDArray[np.float64], seed: int) -> tuple[Interval, float]:
    """Return the interval and McNemar's p: an image changes the difference by -1, 0 or 1, so counts are resampled."""
    lost, won = int((change < 0).sum()), int((change > 0).sum())
    drawn = resampled_counts([lost, len(change) - lost - won, won], RESAMPLES, seed)
    return pair(percentiles((drawn[:, 2] - drawn[:, 0]) / len(change))), mcnemar(lost, won)


def _by_ranks(change: NDArray[np.float64], seed: int) -> tuple[Interval, float]:
    """Return the interval and Wilcoxon's p."""
    from scipy.stats import wilcoxon

    samples = bootstrap(lambda rows: change[rows].mean(), len(change), 1000, seed)
    return pair(percentiles(samples)), float(wilcoxon(change).pvalue) if change.any() else 1.0


Scores = Callable[[Answers], NDArray[np.float64]]
Sureness = Callable[[NDArray[np.float64], int], tuple[Interval, float]]
# For each task: its metric, the score of each example, whether more is better, and how sure a difference is.
PAIRED: dict[str, tuple[str, Scores, int, Sureness]] = {
    "classification": ("accuracy", _right, 1, _by_counts),
    "regression": ("mean absolute error", _errors, -1, _by_ranks),
}
