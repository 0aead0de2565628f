"""Training of scikit-learn classifiers."""

from __future__ import annotations

import time
from typing import Any

from mlops_lab.data import Dataset
from mlops_lab.image import to_input
from mlops_lab.train.run import TrainingRun, one_of_each, provenance


def fit_sklearn(dataset: Dataset, estimator: Any = None, *, seed: int = 0) -> TrainingRun:
    """Train a scikit-learn classifier on a data set and evaluate it on the test split.

    Parameters
    ----------
    dataset
        From :func:`mlops_lab.data.load`.
    estimator
        Classifier, with or without ``predict_proba``; by default a small neural network.
    seed
        Seed of the default estimator.

    Returns
    -------
    TrainingRun

    Examples
    --------
    >>> from mlops_lab import data
    >>> run = fit_sklearn(data.load("digits"))
    >>> run.metrics["test_accuracy"] > 0.95
    True
    """
    if estimator is None:
        from sklearn.neural_network import MLPClassifier

        estimator = MLPClassifier((64,), max_iter=400, random_state=seed)
    started = time.perf_counter()
    estimator.fit(to_input(dataset.train.images, dataset.input), dataset.train.labels)
    seconds = time.perf_counter() - started
    predicted = estimator.predict(to_input(dataset.test.images, dataset.input))
    return TrainingRun(
        model=estimator,
        framework="scikit-learn",
        input=dataset.input,
        labels=dataset.classes,
        history={},
        config=None,
        metrics={"test_accuracy": float((predicted == dataset.test.labels).mean())},
        seconds=seconds,
        data=provenance(dataset),
        seed=seed,
        examples=one_of_each(dataset.test),
        settings={"model": type(estimator).__name__, **_plain(estimator.get_params())},
        held_out=dataset.test,
    )


def _plain(settings: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value if isinstance(value, int | float | str | bool | None) else str(value)
        for name, value in settings.items()
    }
