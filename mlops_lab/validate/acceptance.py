"""Acceptance tests: over HTTP the version does the job that it was published for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab import data
from mlops_lab.errors import LabError, WrongUsage
from mlops_lab.findings import Finding
from mlops_lab.store.version import ModelVersion
from mlops_lab.validate.report import Report, ask, examine, skip
from mlops_lab.validate.target import ServerUnderTest, expect

BATCH = 100


@dataclass(frozen=True)
class Expected:
    """Thresholds of the acceptance tests.

    Parameters
    ----------
    tolerance
        How far the accuracy over HTTP may lie from the manifest's, on the whole test split. A larger difference means
        that the server prepares images in another way than the training did.
    max_accuracy_drop
        The largest accepted loss of accuracy against the version in production.
    accuracy
        The lowest accepted accuracy, whatever the manifest says.
    milliseconds
        Latency budget: the 95th percentile of requests sent one after another, in milliseconds.
    images
        Number of images whose requests are timed.

    Examples
    --------
    >>> Expected(accuracy=0.9).to_dict()["accuracy"]
    0.9
    """

    tolerance: float = 0.002
    max_accuracy_drop: float = 0.005
    accuracy: float = 0.0
    milliseconds: float = 100.0
    images: int = 100

    def __post_init__(self) -> None:
        if min(self.tolerance, self.max_accuracy_drop, self.accuracy) < 0 or self.accuracy > 1 or self.images < 1:
            raise WrongUsage(f"{self} makes no sense.", "Take shares from 0 to 1, and at least one image.")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class ServerAnswers:
    """The answers of a server to the whole test split."""

    labels: tuple[str, ...]
    classes: NDArray[np.int64]
    truth: NDArray[np.int64]

    @property
    def accuracy(self) -> float:
        """Share of the images that were classified rightly."""
        return float((self.classes == self.truth).mean())


def check_acceptance(
    url: str,
    version: ModelVersion,
    expected: Expected | None = None,
    *,
    address: str = "",
    baseline: ModelVersion | None = None,
    api_key: str | None = None,
) -> Report:
    """Classify the test split over HTTP, and hold the answers against what was promised.

    Parameters
    ----------
    url
        Address of any server that :class:`mlops_lab.serve.Client` speaks to.
    version
        The published version; its manifest names the data set and the accuracy.
    expected
        The thresholds.
    address
        The version in the URL; by default its number.
    baseline
        The version in production, which the new one is compared with where both were measured on the same data.
    api_key
        Key of the server, as for :class:`mlops_lab.serve.Client`.

    Returns
    -------
    Report

    Examples
    --------
    >>> from mlops_lab import serve, store
    >>> with serve.start("models", name="example") as server:
    ...     check_acceptance(server.url, store.ModelStore("models").get("digits", 1)).passed
    True
    """
    target = ServerUnderTest(url, version, address or f"v{version.version}", api_key=api_key)
    checks = _asked(target, expected or Expected(), baseline)
    return examine(f"Acceptance of {version}", target.url, checks)


def _asked(target: ServerUnderTest, expected: Expected, baseline: ModelVersion | None) -> Iterator[Finding]:
    dataset = _dataset(target)
    if dataset is None:
        yield _unmeasured(expected)
        images = target.manifest.golden.inputs
    else:
        images = dataset.test.images
        try:
            answers = _classified(target, dataset.test)
        except LabError as error:
            yield Finding(False, error.message, error.hint, name="accuracy")
            return
        yield ask("labels", partial(_labels, target, answers, dataset.classes))
        yield ask("accuracy", partial(_accuracy, target, answers, expected))
        yield _compared(target, answers, expected, baseline)
    yield ask("latency", partial(_latency, target, images, expected))


def _unmeasured(expected: Expected) -> Finding:
    """Return the finding of an accuracy that cannot be measured: it fails where one was asked for."""
    seen = "the data set that the manifest names is not here"
    if not expected.accuracy:
        return skip("accuracy", seen)
    message = f"{seen}, so nobody knows whether the accuracy is at least {expected.accuracy:g}"
    return Finding(False, message, "Leave the threshold out, or publish with the data set's name.", name="accuracy")


def _dataset(target: ServerUnderTest) -> data.Dataset | None:
    """Return the data that the version was trained and measured on, sample and all, unless they are not here."""
    about = target.manifest.data
    try:
        found = data.load(str(about.get("name", "")), limit=about.get("train"), seed=target.manifest.seed or 0)
    except LabError:
        return None
    return found if found.checksum == about.get("sha256") else None


def _classified(target: ServerUnderTest, split: data.Split) -> ServerAnswers:
    classes: list[int] = []
    labels: tuple[str, ...] = ()
    for start in range(0, len(split), BATCH):
        said = target.client.classify(target.name, target.address, split.images[start : start + BATCH])
        expect(said.response["version"] == target.number, f"{said.response['version']} answered")
        classes += [one.class_index for one in said]
        labels = said[0].labels
    return ServerAnswers(labels, np.array(classes), split.labels)


def _labels(target: ServerUnderTest, answers: ServerAnswers, classes: tuple[str, ...]) -> str:
    expect(answers.labels == target.manifest.labels == classes, f"the labels are {answers.labels}, not {classes}")
    missing = sorted(set(range(len(classes))) - set(answers.classes.tolist()))
    expect(not missing, f"it never answers {', '.join(classes[one] for one in missing)}")
    return f"all {len(classes)} are the data set's, and each is said"


def _accuracy(target: ServerUnderTest, answers: ServerAnswers, expected: Expected) -> str:
    seen, promised = answers.accuracy, target.manifest.metrics.get("test_accuracy")
    over = f"{seen:.4f} on {len(answers.truth):,} test images over HTTP"
    expect(seen >= expected.accuracy, f"{over}; at least {expected.accuracy:g} is asked for")
    if promised is None:
        return f"{over}; the manifest promises none"
    difference = abs(seen - promised)
    expect(difference <= expected.tolerance, f"{over}; the manifest promises {promised:.4f} ± {expected.tolerance:g}")
    return f"{over}; the manifest promises {promised:.4f}"


def _compared(
    target: ServerUnderTest, answers: ServerAnswers, expected: Expected, baseline: ModelVersion | None
) -> Finding:
    """Hold the version against the one in production, where they can be compared."""
    name = "against production"
    if baseline is None or baseline.version == target.published.version:
        return skip(name, "no other version is in production")
    before = baseline.manifest.metrics.get("test_accuracy")
    if before is None or baseline.manifest.data.get("name") != target.manifest.data.get("name"):
        return skip(name, f"{baseline} was not measured on the same data")

    def check() -> str:
        message = f"{answers.accuracy:.4f}, and {baseline} has {before:.4f}"
        allowed = expected.max_accuracy_drop
        expect(answers.accuracy >= before - allowed, f"{message}: worse by more than {allowed:g}")
        return message

    return ask(name, check)


def _latency(target: ServerUnderTest, images: NDArray[Any], expected: Expected) -> str:
    taken = []
    for place in range(expected.images):
        image = images[place % len(images)]
        started = time.perf_counter()
        target.client.classify(target.name, target.address, image if target.manifest.input.size else [image])
        taken.append(1000 * (time.perf_counter() - started))
    p50, p95 = np.percentile(taken, [50, 95])
    message = f"p50 {p50:.1f} ms, p95 {p95:.1f} ms over {len(taken)} images, one after another"
    expect(p95 <= expected.milliseconds, f"{message}; the budget is {expected.milliseconds:g} ms")
    return message
