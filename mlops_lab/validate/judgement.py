"""Hold what was measured of a version against the thresholds: one gate for each, with the images it fails for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.validate.gates import Gate
from mlops_lab.validate.quality import Quality
from mlops_lab.validate.report import Report

if TYPE_CHECKING:
    from mlops_lab.validate.measured import Measured

SHOWN = 6
Gates = dict[str, dict[str, Any]]


def judge(found: Measured, gates: Gates, promised: float | None) -> Iterator[Gate]:
    """Yield every gate over what was measured without a server.

    Parameters
    ----------
    found
        What was measured.
    gates
        The thresholds.
    promised
        The accuracy that the manifest names.
    """
    for one in found.data.findings:
        if one.passed is not None:
            yield Gate(
                one.state != "failed", one.message, one.hint, name=one.name, section="data",
                images=one.images, samples=one.samples[:SHOWN] if one.state == "failed" else (),
            )  # fmt: skip
    yield from _quality(found, gates["quality"], promised)
    yield from _groups(found, gates["groups"])
    for test in found.behaviour.findings if found.behaviour else ():
        yield Gate(
            test.passed, test.message, test.hint, name=test.name, section="behaviour",
            value=test.value, limit=test.limit, images=test.images if not test.passed else (),
            samples=() if test.passed else test.samples[:SHOWN],
        )  # fmt: skip
    if found.robustness:
        yield _robustness(found, gates["robustness"])


def _quality(found: Measured, limits: dict[str, float], promised: float | None) -> Iterator[Gate]:
    quality = found.quality
    wrong = (
        np.flatnonzero(quality.answers.predicted != quality.answers.labels) if quality.answers else np.array([], int)
    )
    low, high = quality.accuracy_interval
    seen = f"The accuracy is {quality.accuracy:.4f} ({low:.4f} to {high:.4f}) on {quality.count} examples"
    yield _least(quality, "accuracy", seen, quality.accuracy, limits["min_accuracy"], "", wrong)
    if promised is not None:
        least = promised - limits["max_below_promise"]
        text = f"{seen}; the manifest promises {promised:.4f}"
        hint = "Publish what was measured, or look whether pixels are prepared as in training."
        yield _least(quality, "promised accuracy", text, quality.accuracy, least, hint, wrong)
    weakest = min((one for one in quality.classes if one.support), key=lambda one: one.recall)
    number = [one.name for one in quality.classes].index(weakest.name)
    missed = wrong[quality.answers.labels[wrong] == number] if quality.answers else wrong
    text = f"The lowest recall is {weakest.recall:.4f}, of {weakest.name}"
    hint = f"Look at the images of {weakest.name}: what are they answered as?"
    yield _least(quality, "class recall", text, weakest.recall, limits["min_class_recall"], hint, missed)
    error, most = quality.calibration.error, limits["max_calibration_error"]
    yield Gate(
        error <= most, f"The calibration error is {error:.4f}; at most {most:g} is accepted.",
        "Confidence means little: train longer with smoothed labels, or calibrate.", name="calibration",
        section="quality", value=error, limit=most,
    )  # fmt: skip
    if found.comparison:
        compared, most = found.comparison, limits["max_accuracy_drop"]
        worse = compared.verdict == "worse" and compared.difference < -most
        yield Gate(
            not worse, f"Against production: {compared.summary}.", f"Keep production: at most {most:g} may be lost.",
            name="against production", section="quality", value=compared.difference, limit=-most,
        )  # fmt: skip


def _least(
    quality: Quality, name: str, seen: str, value: float, least: float, hint: str, wrong: NDArray[np.int64]
) -> Gate:
    if value >= least:
        return Gate(True, f"{seen}.", name=name, section="quality", value=value, limit=least)
    message = f"{seen}; at least {least:.4f} is asked for."
    if quality.hint:  # nothing else is worth looking at before the labels are in order
        message, hint = f"{message} {quality.hint}", "Publish it with the labels in the order of its outputs."
    images, samples = _shown(quality, wrong)
    return Gate(
        False, message, hint or "Look at the confusions.", name=name, section="quality", value=value, limit=least,
        images=images, samples=samples,
    )  # fmt: skip


def _shown(quality: Quality, places: NDArray[np.int64]) -> tuple[tuple[str, ...], tuple[NDArray[Any], ...]]:
    if quality.answers is None:
        return (), ()
    pictures = quality.answers.images if quality.answers.images.ndim in (3, 4) else None
    named = tuple(f"test[{place}]" for place in places[:100])
    return named, tuple(pictures[place] for place in places[:SHOWN]) if pictures is not None else ()


def _groups(found: Measured, limits: dict[str, Any]) -> Iterator[Gate]:
    quality = found.quality
    for report in found.groups:
        seen = report.check(max_difference=limits["max_difference"], min_ratio=limits["min_ratio"])
        images: tuple[str, ...] = ()
        samples: tuple[NDArray[Any], ...] = ()
        if seen.passed is False and quality.answers:
            weak = np.asarray(found.groups_of[report.attribute]).astype(str) == report.ranked[0].name
            wrong = quality.answers.predicted != quality.answers.labels
            images, samples = _shown(quality, np.flatnonzero(weak & wrong))
        yield Gate(
            seen.passed, seen.message, seen.hint, name=f"accuracy by {report.attribute}", section="groups",
            value=report.difference, limit=float(limits["max_difference"]), images=images, samples=samples,
        )  # fmt: skip


def _robustness(found: Measured, limits: dict[str, float]) -> Gate:
    assert found.robustness is not None
    kind, value = found.robustness.worst
    least = limits["min_kept"] * found.robustness.clean
    seen = f"Under mild {kind} the accuracy is {value:.4f}, and {found.robustness.clean:.4f} without"
    hint = "Train with images that are disturbed like that."
    message = f"{seen}." if value >= least else f"{seen}; at least {least:.4f} should be left."
    return Gate(value >= least, message, hint, name=kind, section="robustness", value=value, limit=least)


def judge_server(reports: list[Report]) -> Iterator[Gate]:
    """Yield a gate for each check of a server that ran."""
    for report in reports:
        for check in report.checks:
            if check.passed is not None:
                yield Gate(check.passed, check.message, check.hint, name=check.name, section="server")
