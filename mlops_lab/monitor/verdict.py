"""Two answers about production: whether it has changed, and whether that hurts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mlops_lab import show
from mlops_lab.errors import WrongUsage
from mlops_lab.monitor.drift import ALPHA, Difference, examine
from mlops_lab.monitor.harm import Estimate, labels_needed, measure
from mlops_lab.monitor.reference import Reference
from mlops_lab.monitor.rehearsal import describe_summary
from mlops_lab.summary.summary import HOUR, Summary, merge, summarise_hours
from mlops_lab.summary.window import Window

# An estimate this far below the reference is harm: less is within the error of an estimate for 200 predictions, and of
# a reference of some hundred images. At 3 points one harmless change in nine rang (`benchmarks/drift.py`).
MARGIN = 0.04
# An estimate alone must not ring on chance: something must have moved about as much as chance does one time in four.
MOVED = 0.25
# From so many judged predictions on, what they say counts, and no estimate.
ENOUGH_LABELS = 50
FEWEST = 30
SIGNIFICANT = 0.05

Hours = Sequence[tuple[int, Summary]]


@dataclass(frozen=True)
class Verdict:
    """The result of a comparison with the reference.

    Parameters
    ----------
    model, version, predictions
        What was looked at.
    changed
        Whether any statistic is more than chance, or the accuracy is.
    harmful
        Whether the model is probably less often right than it was: what an alarm rings on.
    reason
        Why.
    estimate
        The accuracy, with interval and trust.
    expected
        The accuracy on the reference.
    labels_needed
        How many more random predictions to judge, to know the accuracy to five points.
    evidence
        Every statistic, those that changed most first.
    """

    model: str
    version: int
    predictions: int
    changed: bool
    harmful: bool
    reason: str
    estimate: Estimate
    expected: float
    labels_needed: int
    evidence: tuple[Difference, ...] = field(repr=False)

    @property
    def passed(self) -> bool:
        """Whether there is no harm."""
        return not self.harmful

    @property
    def changes(self) -> tuple[Difference, ...]:
        """The statistics that changed, most first."""
        return tuple(one for one in self.evidence if one.changed)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as ``mlops-lab monitor drift --json`` prints them."""
        return {
            "model": self.model,
            "version": self.version,
            "predictions": self.predictions,
            "changed": self.changed,
            "harmful": self.harmful,
            "reason": self.reason,
            "estimate": self.estimate.to_dict(),
            "expected": round(self.expected, 4),
            "labels_needed": self.labels_needed,
            "evidence": [one.to_dict() for one in self.evidence],
        }

    def __str__(self) -> str:
        lines = [
            f"{self.model} v{self.version}, {self.predictions:,} predictions",
            f"  changed: {'yes' if self.changed else 'no'}"
            + "".join(f"\n    {_since(one)}" for one in self.changes[:5]),
            f"  harmful: {'yes' if self.harmful else 'no'}: {self.reason}",
            f"  accuracy: {self.estimate}; {self.expected:.3f} on the reference",
            f"  trust: {'yes' if self.estimate.trust else 'no'}: {self.estimate.reason}",
            f"  labels needed to know it to 5 points: {self.labels_needed}",
        ]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        harm = show.state("error", "harmful") if self.harmful else show.state("ok", "no harm")
        change = show.state("warning", "changed") if self.changed else show.state("ok", "as before")
        trust = show.state("ok", "trusted") if self.estimate.trust else show.state("warning", "not trusted")
        rows = [
            ("accuracy", f"{self.estimate}"),
            ("on the reference", f"{self.expected:.3f}"),
            (show.Html(trust), self.estimate.reason),
            ("labels to ask for", f"{self.labels_needed:,}"),
        ]
        drawn, bars = "", [(one.statistic, one.effect, f"{one.effect:.2f}") for one in self.changes[:8]]
        if bars:
            names, effects, words = zip(*bars, strict=True)
            drawn = show.bars(names, effects, strongest=0, words=words)
        title = f"{self.model} v{self.version}: {self.predictions:,} predictions beside the reference"
        heads = f"{harm} · {change}"
        text = show.text(self.reason)
        return show.card(
            title, heads, text, show.table(rows), _heading("What changed, by its distance") if bars else "", drawn
        )


def _heading(words: str) -> str:
    return f'<div style="color: {show.MUTED}; margin: 6px 0 2px">{words}</div>'


def _since(one: Difference) -> str:
    if one.since is None:
        return str(one)
    return f"{one}, since {time.strftime('%Y-%m-%d %H:%M', time.gmtime(one.since))} UTC"


def compare(reference: Reference, observed: Window | Summary | Hours, *, alpha: float = ALPHA) -> Verdict:
    """Return whether production has changed, and whether that hurts.

    Parameters
    ----------
    reference
        Of the version that made the predictions.
    observed
        Predictions, a summary of them, or summaries by hour as :meth:`PredictionLog.summaries` returns them; with
        times, the verdict says since when.
    alpha
        How often "changed" may be said of what has not.

    Raises
    ------
    WrongUsage
        There are no predictions, or they are of a model with other classes; or the reference knows no truth.

    Examples
    --------
    >>> verdict = compare(reference, window)  # doctest: +SKIP
    >>> verdict.changed, verdict.harmful, verdict.estimate.trust  # doctest: +SKIP
    (True, False, True)
    """
    hours = _by_hour(reference, observed)
    summary = merge(*(one for _, one in hours)) if hours else None
    if summary is None or not summary.count:
        raise WrongUsage("There are no predictions to compare.", "Wait for some, or look at a longer time.")
    return _verdict(reference, summary, hours, alpha, _estimate_all(reference, [summary])[0])


def compare_each(reference: Reference, summaries: Sequence[Summary]) -> list[Verdict]:
    """Return a verdict on each of many summaries, which takes little longer than one.

    Parameters
    ----------
    reference
        As for :func:`compare`.
    summaries
        None of them empty.
    """
    estimates = _estimate_all(reference, summaries)
    return [
        _verdict(reference, one, [(0, one)], ALPHA, estimate)
        for one, estimate in zip(summaries, estimates, strict=True)
    ]


def _verdict(reference: Reference, summary: Summary, hours: Hours, alpha: float, estimate: Estimate) -> Verdict:
    evidence = _dated(examine(summary, reference.summary, alpha=alpha), hours, reference, alpha)
    harmful, reason = _judge(reference, summary, estimate, evidence)
    return Verdict(
        reference.model,
        reference.version,
        summary.count,
        harmful or any(one.changed for one in evidence),
        harmful,
        reason,
        estimate,
        reference.accuracy,
        max(0, labels_needed(estimate.accuracy) - summary.labelled),
        evidence,
    )


def _by_hour(reference: Reference, observed: Window | Summary | Hours) -> list[tuple[int, Summary]]:
    if isinstance(observed, Summary):
        return [(0, observed)]
    if not isinstance(observed, Window):
        return sorted(observed, key=lambda pair: pair[0])
    return list(summarise_hours(observed, reference.scale))


def _dated(
    evidence: tuple[Difference, ...], hours: Hours, reference: Reference, alpha: float
) -> tuple[Difference, ...]:
    """Add to each change the first hour in which it showed by itself."""
    if not any(one.changed for one in evidence) or hours[0][0] == 0:
        return evidence
    first: dict[str, float] = {}
    for hour, summary in hours:
        if summary.count < FEWEST:
            continue
        for one in examine(summary, reference.summary, alpha=alpha / len(hours)):
            if one.changed:
                first.setdefault(one.statistic, float(HOUR * hour))
    return tuple(replace(one, since=first.get(one.statistic)) if one.changed else one for one in evidence)


def _estimate_all(reference: Reference, summaries: Sequence[Summary]) -> list[Estimate]:
    if not summaries:
        return []
    traits = np.stack([describe_summary(one, reference.summary) for one in summaries])
    if reference.estimator is None:
        reason = "it is the model's own confidence, calibrated, which does not know what it has never seen"
        found = [Estimate(float(row[0]), 0.0, 1.0, False, "estimate", reason) for row in traits]
    else:
        found = reference.estimator.estimate_all(traits, [one.count for one in summaries])
        few = "{} predictions are too few"
        found = [
            replace(estimate, trust=False, reason=few.format(one.count)) if one.count < FEWEST else estimate
            for one, estimate in zip(summaries, found, strict=True)
        ]
    return [
        measure(one.correct, one.labelled) if one.labelled >= ENOUGH_LABELS else estimate
        for one, estimate in zip(summaries, found, strict=True)
    ]


def _judge(
    reference: Reference, summary: Summary, estimate: Estimate, evidence: tuple[Difference, ...]
) -> tuple[bool, str]:
    if estimate.source == "labels":
        return _judge_by_labels(reference, summary)
    changed = [one for one in evidence if one.changed]
    lost = reference.accuracy - estimate.accuracy
    if lost > MARGIN and min(one.p_value for one in evidence) < MOVED:
        return True, f"{100 * lost:.0f} points of accuracy are probably lost"
    if not estimate.trust and any(one.large for one in changed) and reference.estimator is not None:
        return True, f"{changed[0].statistic} changed much, and the estimate cannot be trusted: ask for labels"
    if changed:
        return False, "it has changed, but the model is probably right as often as before"
    return False, "it is as on the reference"


def _judge_by_labels(reference: Reference, summary: Summary) -> tuple[bool, str]:
    """Hold two counts against each other by Fisher's exact test: the reference's accuracy is a count, too."""
    from scipy.stats import hypergeom

    known = reference.summary
    right, judged = known.correct + summary.correct, known.labelled + summary.labelled
    chance = float(hypergeom.cdf(summary.correct, judged, right, summary.labelled))
    words = f"{summary.correct:,} of {summary.labelled:,} judged predictions were right"
    if chance < SIGNIFICANT:
        return True, f"{words}, {reference.accuracy:.3f} were on the reference: chance does that in {chance:.2g}"
    return False, f"{words}, as on the reference"
