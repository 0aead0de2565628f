"""How right a model probably is when nobody has said what is right, and how far that can be believed.

The model's own confidence is blind to what it has never seen: to a mask before the object it says "shirt, 0.9". So the
accuracy is learned: from windows of held-out images that were disturbed on purpose (``rehearsal``), an ensemble of
trees learns how right the model is when outputs, confidence and input statistics look as they do. How wrong that is for
a kind of change it has not seen is measured by leaving each kind out in turn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.monitor.rehearsal import QUIET, Rehearsals

TREES = 150
NEIGHBOURS = 5
# The interval holds so many of the windows of kinds that were left out.
COVERAGE = 0.95
DEVIATIONS = 1.96  # as many on either side hold 95 of 100 normal errors
# An estimate is trusted while it is expected to be wrong by less than this …
LARGEST_ERROR = 0.05
# … and while the model's own confidence does not promise more than this above it.
LARGEST_CONTRADICTION = 0.08
# How well labels that are asked for shall tell the accuracy.
KNOWN_TO = 0.05


@dataclass(frozen=True)
class Estimate:
    """The accuracy of a window.

    Parameters
    ----------
    accuracy
        The share of right answers, 0–1.
    low, high
        An interval that holds it in 95 of 100 windows.
    trust
        Whether to believe it. Where it is false, ask for labels.
    source
        ``"labels"`` where it was measured on feedback, ``"estimate"`` where it was estimated without.
    reason
        Why it is trusted or not.
    """

    accuracy: float
    low: float
    high: float
    trust: bool
    source: str
    reason: str

    @property
    def range(self) -> tuple[float, float, float]:
        """The accuracy, and the ends of its interval."""
        return (self.accuracy, self.low, self.high)

    def __str__(self) -> str:
        word = "measured" if self.source == "labels" else "estimated"
        return f"{self.accuracy:.3f} ({self.low:.3f} to {self.high:.3f}), {word}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "accuracy": round(self.accuracy, 4),
            "interval": [round(self.low, 4), round(self.high, 4)],
            "trust": self.trust,
            "source": self.source,
            "reason": self.reason,
        }


@dataclass(frozen=True, eq=False)
class Estimator:
    """A model of the accuracy of a window, learned from rehearsals, and of its own expected error.

    ``unseen`` and ``seen`` expect the error for a kind of change that was not rehearsed and for one that was; which of
    them holds for a window is told by how far its traits lie from those of the nearest rehearsals.
    """

    accuracy: Any = field(repr=False)
    unseen: ErrorModel = field(repr=False)
    seen: ErrorModel = field(repr=False)
    novelty: Novelty = field(repr=False)

    def estimate(self, traits: NDArray[np.float64], count: int) -> Estimate:
        """Return the accuracy of a window of so many predictions that looks like this."""
        return self.estimate_all(traits[np.newaxis], [count])[0]

    def estimate_all(self, traits: NDArray[np.float64], counts: Sequence[int]) -> list[Estimate]:
        """Return the accuracy of each of many windows, ``(n, traits)``: in one pass, which takes no longer than one."""
        accuracy = np.clip(self.accuracy.predict(traits), 0, 1)
        new = self.novelty.find_new(traits)
        errors = np.where(new, self.unseen.trees.predict(traits), self.seen.trees.predict(traits))
        widening = np.where(new, self.unseen.widening, self.seen.widening)
        rows = zip(accuracy, np.maximum(errors, 0), widening, traits[:, 0], counts, strict=True)
        return [_interval(*map(float, row)) for row in rows]


@dataclass(frozen=True, eq=False)
class ErrorModel:
    """How wrong an estimate is expected to be, and by how much that must be widened to hold 95 of 100 windows."""

    trees: Any
    widening: float


@dataclass(frozen=True, eq=False)
class Novelty:
    """Whether a window looks like none that was rehearsed."""

    centre: NDArray[np.float64]
    spread: NDArray[np.float64]
    rehearsed: NDArray[np.float64]
    farthest: float

    def find_new(self, traits: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tell of each window whether it is farther from its neighbours than nearly all rehearsals are from theirs."""
        near = _nearest((traits - self.centre) / self.spread, self.rehearsed, NEIGHBOURS)
        new: NDArray[np.bool_] = near.mean(axis=1) > self.farthest
        return new


def _nearest(rows: NDArray[np.float64], others: NDArray[np.float64], number: int) -> NDArray[np.float64]:
    """Return the distances of each row to so many nearest others, in order."""
    from scipy.spatial.distance import cdist

    return np.sort(np.partition(cdist(rows, others), number - 1, axis=1)[:, :number], axis=1)


def _interval(accuracy: float, error: float, widening: float, confidence: float, count: float) -> Estimate:
    chance = DEVIATIONS * math.sqrt(max(accuracy * (1 - accuracy), 0.01) / max(1.0, count))
    width = math.hypot(widening * error, chance)
    trust, reason = _judge(error, accuracy, confidence)
    return Estimate(accuracy, max(0.0, accuracy - width), min(1.0, accuracy + width), trust, "estimate", reason)


def _judge(error: float, accuracy: float, confidence: float) -> tuple[bool, str]:
    # A model that is less sure than it is right is only modest; one that is surer does not see what the inputs show.
    if confidence - accuracy > LARGEST_CONTRADICTION:
        words = f"the model's confidence would give {confidence:.2f}, what the inputs look like {accuracy:.2f}"
        return False, f"{words}: they contradict each other"
    if error > LARGEST_ERROR:
        return False, f"for changes like this one, such estimates are wrong by {error:.2f}"
    return True, f"for changes like this one, such estimates are wrong by {error:.2f} only"


def leave_out(rehearsals: Rehearsals, *, seed: int = 0) -> NDArray[np.float64]:
    """Return how wrong each window is estimated without it: ``(2, windows)``.

    First by who has seen no window of its kind, then by who has seen four fifths of all windows.
    """
    kinds = np.array(rehearsals.kinds)
    folds = np.random.default_rng(seed).permutation(len(rehearsals)) % 5
    seen = _errors_without(rehearsals, folds, seed)
    unseen = np.where(kinds == QUIET, seen, _errors_without(rehearsals, kinds, seed))
    return np.stack([unseen, seen])


def _errors_without(rehearsals: Rehearsals, groups: NDArray[Any], seed: int) -> NDArray[np.float64]:
    traits, accuracy = rehearsals.traits, rehearsals.accuracy
    errors = np.zeros(len(rehearsals))
    for group in sorted(set(groups.tolist())):
        out = groups == group
        trees = _trees(seed, trees=40).fit(traits[~out], accuracy[~out])
        errors[out] = np.abs(trees.predict(traits[out]) - accuracy[out])
    return errors


def learn(rehearsals: Rehearsals, errors: NDArray[np.float64], *, seed: int = 0) -> Estimator:
    """Learn to estimate the accuracy of a window, and how wrong that will be."""
    unseen, seen = (_learn_errors(rehearsals.traits, row, seed) for row in errors)
    accuracy = _trees(seed).fit(rehearsals.traits, rehearsals.accuracy)
    return Estimator(accuracy, unseen, seen, _learn_novelty(rehearsals.traits))


def _learn_errors(traits: NDArray[np.float64], errors: NDArray[np.float64], seed: int) -> ErrorModel:
    trees = _trees(seed, trees=60, leaf=5).fit(traits, errors)
    widening = float(np.quantile(errors / np.maximum(trees.predict(traits), 0.005), COVERAGE))
    return ErrorModel(trees, widening)


def _learn_novelty(traits: NDArray[np.float64]) -> Novelty:
    centre, spread = traits.mean(axis=0), traits.std(axis=0) + 1e-6
    scaled = (traits - centre) / spread
    distances = _nearest(scaled, scaled, NEIGHBOURS + 1)[:, 1:].mean(axis=1)  # the nearest is the window itself
    return Novelty(centre, spread, scaled, float(np.quantile(distances, COVERAGE)))


def _trees(seed: int, *, trees: int = TREES, leaf: int = 2) -> Any:
    from sklearn.ensemble import ExtraTreesRegressor

    return ExtraTreesRegressor(trees, min_samples_leaf=leaf, max_features=0.5, random_state=seed, n_jobs=1)


def measure(correct: int, labelled: int) -> Estimate:
    """Return the accuracy on feedback, with Wilson's interval.

    Examples
    --------
    >>> str(measure(90, 100))
    '0.900 (0.826 to 0.945), measured'
    """
    from mlops_lab.validate.intervals import pair, wilson  # here, so that serving does not load stage 5

    low, high = pair(wilson(correct, labelled))
    reason = f"measured on {labelled:,} predictions that were judged"
    return Estimate(correct / labelled, low, high, True, "labels", reason)


def labels_needed(accuracy: float) -> int:
    """Return how many random predictions must be judged to know the accuracy to plus or minus five points.

    Examples
    --------
    >>> labels_needed(0.9)
    139
    """
    return math.ceil(DEVIATIONS**2 * max(accuracy * (1 - accuracy), 0.01) / KNOWN_TO**2)
