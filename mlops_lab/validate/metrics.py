"""The figures of a classifier, all of them from one table: how often each class was answered as each."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlops_lab.errors import WrongUsage, nearest

Table = NDArray[np.int64]
Values = NDArray[np.float64]


def confusion(labels: ArrayLike, predicted: ArrayLike, classes: int) -> Table:
    """Return how often each class (rows) was answered as each (columns), ``(classes, classes)``.

    Examples
    --------
    >>> confusion([0, 0, 1], [0, 1, 1], 2).tolist()
    [[1, 1], [0, 1]]
    """
    true, said = np.asarray(labels, np.int64), np.asarray(predicted, np.int64)
    if true.shape != said.shape or true.ndim != 1:
        raise WrongUsage(f"{true.shape} labels and {said.shape} answers do not belong together.", "Pass one for each.")
    if len(true) and not (min(true.min(), said.min()) >= 0 and max(true.max(), said.max()) < classes):
        raise WrongUsage(f"A label or an answer is none of {classes} classes.", f"They are 0 to {classes - 1}.")
    return np.bincount(true * classes + said, minlength=classes * classes).reshape(classes, classes)


def accuracy(table: Table) -> Values:
    """Return the share of right answers; ``table`` may be many tables, the last two axes being classes."""
    return _share(np.trace(table, axis1=-2, axis2=-1), table.sum(axis=(-2, -1)))


def recall(table: Table) -> Values:
    """Return for each class the share of its examples that was found; 0 where there are none."""
    return _share(_hits(table), table.sum(axis=-1))


def precision(table: Table) -> Values:
    """Return for each class the share of its answers that is right; 0 for a class that is never answered."""
    return _share(_hits(table), table.sum(axis=-2))


def f1(table: Table) -> Values:
    """Return for each class the harmonic mean of precision and recall; 0 where both are."""
    return _share(2 * _hits(table), table.sum(axis=-1) + table.sum(axis=-2))


def macro(per_class: Callable[[Table], Values], table: Table) -> Values:
    """Return the mean over the classes that are there or were answered, as scikit-learn does."""
    present = (table.sum(axis=-1) + table.sum(axis=-2)) > 0
    return _share((per_class(table) * present).sum(axis=-1), present.sum(axis=-1))


def positive(per_class: Callable[[Table], Values]) -> Callable[[Table], Values]:
    """Return a metric of the positive class, the second of two."""
    return lambda table: per_class(table)[..., 1]


def selection_rate(table: Table) -> Values:
    """Return the share of positive answers, where there are two classes."""
    return _share(table[..., 1].sum(axis=-1), table.sum(axis=(-2, -1)))


def false_positive_rate(table: Table) -> Values:
    """Return the share of negative examples that were answered as positive."""
    return _share(table[..., 0, 1], table[..., 0, :].sum(axis=-1))


def _macro_of(per_class: Callable[[Table], Values]) -> Callable[[Table], Values]:
    return lambda table: macro(per_class, table)


PER_CLASS: dict[str, Callable[[Table], Values]] = {"recall": recall, "precision": precision, "f1": f1}
BINARY: dict[str, Callable[[Table], Values]] = {
    "accuracy": accuracy,
    **{name: positive(metric) for name, metric in PER_CLASS.items()},
    "true positive rate": positive(recall),
    "false positive rate": false_positive_rate,
    "selection rate": selection_rate,
    "balanced accuracy": lambda table: macro(recall, table),
}
MULTICLASS: dict[str, Callable[[Table], Values]] = {
    "accuracy": accuracy,
    **{name: _macro_of(metric) for name, metric in PER_CLASS.items()},
    "balanced accuracy": lambda table: macro(recall, table),
}


def counted(name: str, classes: int) -> Callable[[Table], tuple[Table, Table]] | None:
    """Return what a metric is a share of: the counts above and below the line; ``None`` for another kind of figure."""
    wanted = name.replace("_", " ")
    if wanted == "accuracy":
        return lambda table: (np.trace(table, axis1=-2, axis2=-1), table.sum(axis=(-2, -1)))
    return SHARES.get(wanted) if classes == 2 else None


SHARES: dict[str, Callable[[Table], tuple[Table, Table]]] = {
    "recall": lambda table: (table[..., 1, 1], table[..., 1, :].sum(axis=-1)),
    "true positive rate": lambda table: (table[..., 1, 1], table[..., 1, :].sum(axis=-1)),
    "precision": lambda table: (table[..., 1, 1], table[..., :, 1].sum(axis=-1)),
    "false positive rate": lambda table: (table[..., 0, 1], table[..., 0, :].sum(axis=-1)),
    "selection rate": lambda table: (table[..., 1].sum(axis=-1), table.sum(axis=(-2, -1))),
}


def named(name: str, classes: int) -> Callable[[Table], Values]:
    """Return a metric of a table by name: for two classes that of the positive one, else the mean over the classes.

    Raises
    ------
    WrongUsage
        There is no metric of that name for so many classes.
    """
    known = BINARY if classes == 2 else MULTICLASS
    wanted = name.replace("_", " ")
    if wanted not in known:
        raise WrongUsage(f"There is no metric {name!r} for {classes} classes.", nearest(wanted, known))
    return known[wanted]


def _hits(table: Table) -> Table:
    return np.asarray(np.diagonal(table, axis1=-2, axis2=-1))


def _share(part: ArrayLike, whole: ArrayLike) -> Values:
    top, bottom = np.asarray(part, float), np.asarray(whole, float)
    return np.asarray(np.divide(top, bottom, out=np.zeros(np.broadcast(top, bottom).shape), where=bottom > 0))
