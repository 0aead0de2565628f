"""Good for whom: any metric by any group, and mitigation where the groups lie apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlops_lab.errors import MissingPackage, WrongUsage
from mlops_lab.validate import metrics
from mlops_lab.validate.groups import GroupReport, GroupValue
from mlops_lab.validate.intervals import pair, percentiles, resampled_counts, wilson

Metric = str | Callable[[Any, Any], float]
RESAMPLES = 1000
OF_A_FUNCTION = 100
MINIMUM = 20


def by_group(
    metric: Metric,
    labels: ArrayLike,
    predicted: ArrayLike,
    groups: ArrayLike | Mapping[str, ArrayLike],
    *,
    minimum: int = MINIMUM,
    resamples: int | None = None,
    attribute: str = "",
    seed: int = 0,
) -> GroupReport:
    """Return a metric for each group, with intervals, the largest difference and the lowest ratio.

    Parameters
    ----------
    metric
        ``"accuracy"``, ``"recall"``, ``"precision"``, ``"f1"``, ``"balanced accuracy"``, for two classes also
        ``"selection rate"``, ``"true positive rate"`` and ``"false positive rate"``; or a function of labels and
        answers. For two classes, recall, precision and F1 are those of the greater label, 1 of 0 and 1; else the mean.
    labels, predicted
        ``(n,)``: what is true, and what was answered.
    groups
        ``(n,)``, the group of each; or several such arrays by name, whose combinations are the groups.
    minimum
        A group of fewer examples, or in which nothing can be counted, is shown and not compared.
    resamples
        Of the bootstrap: 1,000, or 100 for a function.
    attribute
        What the groups are made by, for the report.
    seed
        Seed of the bootstrap.

    Returns
    -------
    GroupReport

    Raises
    ------
    WrongUsage
        The arrays are not equally long, or there is no such metric.

    Examples
    --------
    >>> people = ["day"] * 50 + ["evening"] * 50
    >>> by_group("recall", [1] * 100, [1] * 45 + [0] * 5 + [1] * 30 + [0] * 20, people).values
    {'day': 0.9, 'evening': 0.6}
    """
    true, predicted, where, names = _aligned(labels, predicted, groups)
    counts = np.bincount(where, minlength=len(names))
    if callable(metric):
        times = resamples or OF_A_FUNCTION
        title = getattr(metric, "__name__", "metric").replace("_", " ")
        overall, values, drawn = _of_function(metric, true, predicted, where, len(names), times, seed)
        bounds, known = percentiles(drawn), np.isfinite(values)
    else:
        title = metric.replace("_", " ")
        overall, values, drawn, bounds, known = _of_name(metric, true, predicted, where, len(names), resamples, seed)
    ranked = known & (counts >= minimum)
    found = tuple(
        GroupValue(name, int(counts[place]), float(values[place]), pair(bounds[place]), bool(ranked[place]))
        for place, name in enumerate(names)
    )
    apart, share = _apart(values, ranked), _ratio(values, ranked)
    sure = pair(percentiles(_apart(drawn, ranked))), pair(percentiles(_ratio(drawn, ranked)))
    return GroupReport(title, float(overall), found, float(apart), sure[0], float(share), sure[1], attribute)


def _aligned(
    labels: Any, predicted: Any, groups: Any
) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.int64], list[str]]:
    """Return labels, answers, the place of each one's group, and the names of the groups."""
    true, predicted = np.asarray(labels), np.asarray(predicted)
    several = groups if isinstance(groups, Mapping) else {"": groups}
    columns = [np.asarray(column) for column in several.values()]
    lengths = {len(array) for array in (true, predicted, *columns)}
    if len(lengths) != 1 or 0 in lengths or true.ndim != 1:
        raise WrongUsage(
            f"{len(true)} labels, {len(predicted)} answers and groups of {[len(one) for one in columns]} do not fit.",
            "Pass one of each for every example, and at least one example.",
        )
    values = [np.unique(column, return_inverse=True) for column in columns]
    if len(values) == 1:
        return true, predicted, values[0][1], [str(value) for value in values[0][0].tolist()]
    codes = np.stack([inverse for _, inverse in values], axis=1)
    present, where = np.unique(codes, axis=0, return_inverse=True)
    names = [", ".join(str(values[c][0][code]) for c, code in enumerate(row)) for row in present]
    return true, predicted, where.ravel(), names


def _of_name(
    name: str,
    true: NDArray[Any],
    predicted: NDArray[Any],
    where: NDArray[np.int64],
    groups: int,
    times: int | None,
    seed: int,
) -> tuple[Any, Any, Any, Any, Any]:
    """Return a metric that depends on counts alone: overall, by group, by resample and group, intervals, and where."""
    classes = np.unique(np.concatenate([true, predicted]))
    if len(classes) < 2:
        classes = np.array([0, 1]) if classes[0] in (0, 1) else np.array([classes[0], classes[0]])
    k = len(classes)
    wanted = metrics.named(name, k)
    cells = (where * k + np.searchsorted(classes, true)) * k + np.searchsorted(classes, predicted)
    tables = np.bincount(cells, minlength=groups * k * k).reshape(groups, k, k)
    drawn = np.stack(
        [wanted(resampled_counts(one, times or RESAMPLES, seed + g)) for g, one in enumerate(tables)], axis=1
    )
    counted = metrics.counted(name, k)
    if counted is None:
        bounds, known = percentiles(drawn), np.ones(groups, bool)
    else:
        part, whole = counted(tables)
        bounds, known = wilson(part, whole), whole > 0
    return wanted(tables.sum(axis=0)), wanted(tables), drawn, bounds, known


def _of_function(
    metric: Callable[[Any, Any], float], true: NDArray[Any], predicted: NDArray[Any], where: NDArray[np.int64],
    groups: int, times: int, seed: int,
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:  # fmt: skip
    """Return any metric: overall, by group, and by resample and group."""
    random = np.random.default_rng(seed)
    values, drawn = np.empty(groups), np.empty((times, groups))
    for group in range(groups):
        rows = np.flatnonzero(where == group)
        values[group] = metric(true[rows], predicted[rows])
        for time in range(times):
            chosen = rows[random.integers(0, len(rows), len(rows))]
            drawn[time, group] = metric(true[chosen], predicted[chosen])
    return float(metric(true, predicted)), values, drawn


def _apart(values: NDArray[Any], ranked: NDArray[np.bool_]) -> NDArray[Any]:
    chosen = values[..., ranked]
    return np.asarray(chosen.max(axis=-1) - chosen.min(axis=-1) if chosen.shape[-1] else np.zeros(values.shape[:-1]))


def _ratio(values: NDArray[Any], ranked: NDArray[np.bool_]) -> NDArray[Any]:
    chosen = values[..., ranked]
    if not chosen.shape[-1]:
        return np.ones(values.shape[:-1])
    high = np.asarray(chosen.max(axis=-1))
    return np.asarray(np.divide(chosen.min(axis=-1), high, out=np.ones(high.shape), where=high != 0))


def mitigate(
    model: Any, features: ArrayLike, labels: ArrayLike, groups: ArrayLike, *, constraint: str = "equalized_odds"
) -> Callable[[ArrayLike, ArrayLike], NDArray[Any]]:
    """Return a fairer decision over a trained model: thresholds of its scores, one for each group.

    This is fairlearn's ``ThresholdOptimizer``. The model is not trained again; what it needs to know, when it decides,
    is the group of each person, and whether that may be known is a question of law and not of mathematics.

    Parameters
    ----------
    model
        A trained classifier with ``predict_proba``, such as scikit-learn's.
    features, labels, groups
        The examples to find the thresholds with; others than those it is judged by.
    constraint
        ``"equalized_odds"``, ``"true_positive_rate_parity"``, ``"demographic_parity"`` or another one of fairlearn's.

    Returns
    -------
    callable
        From features and groups to decisions.

    Raises
    ------
    MissingPackage
        fairlearn is not installed.
    """
    try:
        from fairlearn.postprocessing import ThresholdOptimizer
    except ModuleNotFoundError as error:
        message = "Mitigation is fairlearn's, which is not installed."
        raise MissingPackage(message, "pip install 'mlops-lab[fairness]'") from error
    optimizer = ThresholdOptimizer(
        estimator=model, constraints=constraint, prefit=True, predict_method="predict_proba"
    ).fit(np.asarray(features), np.asarray(labels), sensitive_features=np.asarray(groups))

    def decide(features: ArrayLike, groups: ArrayLike) -> NDArray[Any]:
        chosen = optimizer.predict(np.asarray(features), sensitive_features=np.asarray(groups), random_state=0)
        return np.asarray(chosen)

    return decide
