"""Tests of behaviour: what a model must do whatever its accuracy is.

Minimum functionality (very clear examples), invariance (small changes that a person would not notice), direction (more
noise must not make it surer), attention (every part of the image matters to some), consistency (the same image, alone
or in a batch, gets the same answer). Invariance needs no labels, and accuracy sees none of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.data import Dataset, Split
from mlops_lab.errors import WrongUsage
from mlops_lab.validate import perturbations
from mlops_lab.validate.answers import Model, asker
from mlops_lab.validate.behaviour_report import BehaviourFinding, BehaviourReport

Ask = Callable[[NDArray[Any]], NDArray[Any]]
MOVES_AN_ANSWER = 0.05


@dataclass(frozen=True)
class BehaviourLimits:
    """Thresholds of the tests of behaviour. The defaults accept every ordinary model that we tried.

    Parameters
    ----------
    move, rotation, noise, blur, contrast, one_pixel, occlusion
        The lowest accepted share of images whose answer survives the worst small change of that kind.
    clear, clear_class
        The lowest accepted share of very clear images that are answered rightly, over all and for each class.
    confidence_drop
        How much the mean confidence must fall, at least, under strong noise.
    attention
        The lowest accepted share of images to which each half matters.
    consistency
        The largest accepted difference of a probability between two answers to one image.
    """

    move: float = 0.65
    rotation: float = 0.7
    noise: float = 0.85
    blur: float = 0.8
    contrast: float = 0.7
    one_pixel: float = 0.8
    occlusion: float = 0.9
    clear: float = 0.8
    clear_class: float = 0.4
    confidence_drop: float = 0.02
    attention: float = 0.2
    consistency: float = 1e-3

    def to_dict(self) -> dict[str, float]:
        """Return plain values."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class _Subject:
    """The model under test, a sample of images, their labels and the answers to them as they are."""

    ask: Ask
    images: NDArray[Any]
    labels: NDArray[Any]
    places: NDArray[np.int64]
    rows: NDArray[Any]
    limits: BehaviourLimits

    @property
    def answers(self) -> NDArray[np.int64]:
        return np.asarray(self.rows.argmax(axis=1), np.int64)

    def named(self, chosen: NDArray[Any]) -> tuple[str, ...]:
        """Return how images are called: by their places in the test split."""
        return tuple(f"test[{self.places[place]}]" for place in chosen[:100])


def check_behaviour(
    model: Model, dataset: Dataset | Split, limits: BehaviourLimits | None = None, *, images: int = 500, seed: int = 0
) -> BehaviourReport:
    """Test how a model behaves, with images of a data set.

    Parameters
    ----------
    model
        A loaded version, a version on disk, the address of a server, or a function from images to probabilities.
    dataset
        A data set, whose test split is used and whose training split says what is clear; or a split.
    limits
        The thresholds.
    images
        How many images are changed.
    seed
        Which ones.

    Returns
    -------
    BehaviourReport

    Examples
    --------
    >>> from mlops_lab import data, store
    >>> digits = data.load("digits")
    >>> check_behaviour(store.ModelStore("models").load("digits", 1), digits, images=200).passed
    True
    >>> constant = lambda images: np.tile(np.eye(10)[3], (len(images), 1))
    >>> [finding.name for finding in check_behaviour(constant, digits, images=200).failed][:2]
    ['clear images', 'more noise']
    """
    test = dataset.test if isinstance(dataset, Dataset) else dataset
    if test.images.ndim not in (3, 4) or not len(test):
        raise WrongUsage(f"Behaviour is tested with images; received {test.images.shape}.", "Pass some images.")
    ask = asker(model, dataset)
    places = np.sort(np.random.default_rng(seed).permutation(len(test))[:images])
    chosen = test.images[places]
    subject = _Subject(ask, chosen, test.labels[places], places, ask(chosen), limits or BehaviourLimits())
    findings = [*_sound(subject)]
    if all(finding.passed for finding in findings):
        learned = dataset.train if isinstance(dataset, Dataset) else dataset
        names = dataset.classes if isinstance(dataset, Dataset) else ()
        findings += [_clear(ask, test, learned, names, subject.limits), _direction(subject), *_attention(subject)]
        findings += [_invariance(subject, kind) for kind in perturbations.SMALL]
    return BehaviourReport(tuple(findings), len(places))


def _sound(subject: _Subject) -> Iterator[BehaviourFinding]:
    """Look at the answers themselves: probabilities, and the same ones in whatever company an image comes."""
    rows = subject.rows
    sums = rows.sum(axis=1) if rows.ndim == 2 else np.array([np.nan])
    good = rows.ndim == 2 and bool(np.isfinite(rows).all() and rows.min() >= -1e-3 and np.abs(sums - 1).max() < 0.01)
    seen = "Each answer is a distribution over the classes." if good else "Answers are no distributions over classes."
    yield BehaviourFinding(good, seen, "" if good else "End the model with a softmax.", name="probabilities")
    if not good:
        return
    few = subject.images[:20]
    others: dict[str, Callable[[], NDArray[Any]]] = {
        "asked again": lambda: subject.ask(few),
        "alone": lambda: np.concatenate([subject.ask(one[np.newaxis]) for one in few]),
        "in another order": lambda: subject.ask(few[::-1])[::-1],
    }
    gaps = {name: float(np.abs(ask() - rows[: len(few)]).max(initial=0)) for name, ask in others.items()}
    largest = max(gaps, key=lambda name: gaps[name])
    good = gaps[largest] <= subject.limits.consistency
    seen = f"The same images get the same answers; the largest difference, {largest}, is {gaps[largest]:.2g}."
    bad = f"The same images get other answers {largest}: a probability differs by {gaps[largest]:.2g}."
    hint = "" if good else "An answer must not depend on the batch, on chance or on what was asked before."
    limit = subject.limits.consistency
    yield BehaviourFinding(good, seen if good else bad, hint, name="consistency", value=gaps[largest], limit=limit)


def _clear(ask: Ask, test: Split, learned: Split, names: tuple[str, ...], limits: BehaviourLimits) -> BehaviourFinding:
    """Ask about the images that lie nearest to the mean of their class."""
    chosen = np.concatenate([_nearest(test, learned, number) for number in np.unique(test.labels)])
    right = ask(test.images[chosen]).argmax(axis=1) == test.labels[chosen]
    shares = {
        (names[number] if names else str(number)): float(right[test.labels[chosen] == number].mean())
        for number in np.unique(test.labels).tolist()
    }
    worst, value = min(shares, key=lambda name: shares[name]), float(right.mean())
    good = value >= limits.clear and shares[worst] >= limits.clear_class
    seen = (
        f"{value:.3f} of {len(chosen)} very clear images are answered rightly; lowest: {shares[worst]:.2f} of {worst}."
    )
    needed = f" At least {limits.clear:g}, and {limits.clear_class:g} of each class, are asked for."
    wrong = chosen[~right]
    return BehaviourFinding(
        good,
        seen if good else seen + needed,
        "" if good else "Look at the labels' order, at the preparation of pixels and at the images of that class.",
        name="clear images",
        value=value,
        limit=limits.clear,
        worst=shares[worst],
        details=shares,
        images=tuple(f"test[{place}]" for place in wrong[:100]),
        samples=tuple(test.images[place] for place in wrong[:6]),
    )


def _nearest(test: Split, learned: Split, number: int, count: int = 20) -> NDArray[np.int64]:
    mean = learned.images[learned.labels == number].mean(axis=0, dtype=np.float64)
    places = np.flatnonzero(test.labels == number)
    away = ((test.images[places] - mean) ** 2).reshape(len(places), -1).sum(axis=1)
    return places[np.argsort(away, kind="stable")[:count]]


def _direction(subject: _Subject) -> BehaviourFinding:
    """Add more and more noise: the mean confidence must fall."""
    levels = {
        f"{level:g}": float(subject.ask(perturbations.noisy(subject.images, level)).max(axis=1).mean())
        for level in perturbations.NOISE_LEVELS
    }
    values = list(levels.values())
    drop = values[0] - values[-1]
    rises = [after - before for before, after in pairwise(values)]
    good = drop >= subject.limits.confidence_drop and max(rises) <= MOVES_AN_ANSWER
    steps = " → ".join(f"{value:.3f}" for value in values)
    limit = subject.limits.confidence_drop
    seen = f"With noise of 0, 10, 30 and 60% the mean confidence is {steps}."
    bad = f"{seen} It should fall by at least {limit:g}: noise must not be answered as surely as images."
    hint = "" if good else "Look whether pixels are scaled as in training; if all is sure, confidence means nothing."
    noise = perturbations.noisy(subject.images[:6], perturbations.NOISE_LEVELS[-1])
    samples = () if good else tuple(noise)
    return BehaviourFinding(
        good, seen if good else bad, hint, name="more noise", value=drop, limit=limit, details=levels, samples=samples
    )


def _attention(subject: _Subject) -> Iterator[BehaviourFinding]:
    """Cover each half: it must matter to some images."""
    shares = {}
    for name, cover in perturbations.PARTS.items():
        change = np.abs(subject.ask(cover(subject.images)) - subject.rows).max(axis=1)
        shares[name] = float((change > MOVES_AN_ANSWER).mean())
    worst, limit = min(shares, key=lambda name: shares[name]), subject.limits.attention
    good = shares[worst] >= limit
    seen = f"Covering the {worst} changes {shares[worst]:.2f} of the answers; every other half changes more."
    bad = f"Covering the {worst} changes {shares[worst]:.2f} of the answers, not {limit:g}: it is not looked at."
    hint = "" if good else "Look at the saliency of a few images, and at how they are cropped."
    yield BehaviourFinding(
        good, seen if good else bad, hint, name="every part", value=shares[worst], limit=limit, details=shares
    )


def _invariance(subject: _Subject, kind: str) -> BehaviourFinding:
    """Change images a little: the answer must survive. The worst change of the kind counts."""
    limit = float(getattr(subject.limits, kind.replace(" ", "_")))
    changed = {name: change(subject.images) for name, change in perturbations.SMALL[kind].items()}
    kept = {name: subject.ask(images).argmax(axis=1) == subject.answers for name, images in changed.items()}
    shares = {name: float(same.mean()) for name, same in kept.items()}
    worst = min(shares, key=lambda name: shares[name])
    every = float(np.logical_and.reduce(list(kept.values())).mean())
    lost = np.flatnonzero(~kept[worst])
    good = shares[worst] >= limit
    seen = f"{shares[worst]:.3f} of the answers survive the worst change ({worst}), {every:.3f} survive all."
    hint = "" if good else "Train with images that are changed like that."
    pairs = partial(_before_after, subject.images, changed[worst])
    return BehaviourFinding(
        good,
        seen if good else f"{seen} At least {limit:g} must survive each.",
        hint,
        name=kind,
        value=shares[worst],
        limit=limit,
        worst=every,
        details=shares,
        images=subject.named(lost),
        samples=tuple(pairs(place) for place in lost[:6]),
    )


def _before_after(before: NDArray[Any], after: NDArray[Any], place: int) -> NDArray[Any]:
    return np.concatenate([before[place], after[place]], axis=1)
