"""What a release must keep beside what a server answers: production's signature, and metrics on data of one's own."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from mlops_lab.errors import LabError
from mlops_lab.signature import changes
from mlops_lab.store.intake.scoring import measure, read_held_out
from mlops_lab.store.version import ModelVersion, load_version
from mlops_lab.validate.acceptance import Expected

# The metrics of which more is better, in which a version must not fall behind production.
RISING = ("accuracy", "r2", "iou")


def new_signature(version: ModelVersion, before: ModelVersion | None) -> str:
    """Return what clients of production would have to change; empty where nothing."""
    return "" if before is None else "; ".join(changes(before.manifest.signature, version.manifest.signature))


def measured(path: str | Path, version: ModelVersion, trusted: Collection[str] = ()) -> dict[str, float]:
    """Return the metrics of a version on an ``.npz`` file of test data, by the task of each output.

    Raises
    ------
    WrongUsage
        The file cannot be read, or is for another model.
    """
    return measure(load_version(version, on_mismatch="ignore", trusted=trusted), read_held_out(path))


def shortfalls(found: Mapping[str, float], before: Mapping[str, float], expected: Expected) -> list[str]:
    """Return in which metrics a version falls short of what is expected, and of production on the same data.

    Examples
    --------
    >>> shortfalls({"test_accuracy": 0.4}, {}, Expected(accuracy=0.9))
    ['test accuracy is 0.4000; at least 0.9 is asked for']
    """
    reasons = []
    if expected.accuracy:
        accuracies = {name: value for name, value in found.items() if name.endswith("test_accuracy")}
        if not accuracies:
            reasons.append(f"an accuracy of {expected.accuracy:g} is asked for, and this task has none")
        reasons += [
            f"{_words(name)} is {value:.4f}; at least {expected.accuracy:g} is asked for"
            for name, value in accuracies.items()
            if value < expected.accuracy
        ]
    for name, value in found.items():
        limit = before.get(name, value) - expected.max_accuracy_drop
        if name.endswith(RISING) and value < limit:
            reasons.append(f"{_words(name)} is {value:.4f}; production has {before[name]:.4f}")
    return reasons


def production_metrics(
    path: str | Path, before: ModelVersion | None, trusted: Collection[str] = ()
) -> dict[str, float]:
    """Return the metrics of the version in production, where it answers the same data."""
    try:
        return {} if before is None else measured(path, before, trusted)
    except LabError:
        return {}


def summary(path: str | Path, found: Mapping[str, float]) -> str:
    """Return the metrics in one line.

    Examples
    --------
    >>> summary("test.npz", {"test_mae": 0.5})
    'test mae 0.5000 on test.npz'
    """
    return f"{', '.join(f'{_words(name)} {value:.4f}' for name, value in found.items())} on {Path(path).name}"


def _words(name: str) -> str:
    return name.replace("_", " ")
