"""Windows whose accuracy is known, from held-out images that were disturbed on purpose: what an estimate learns from.

Each window gets a kind of disturbance, often a second, weaker one, a strength, a share of images that stay as they
were, a size and a mix of classes, all by chance. A model that never saw a change cannot say what it costs; one that saw
many can tell a harmless one from another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mlops_lab.data import Split
from mlops_lab.monitor.disturbances import KINDS, disturb
from mlops_lab.predict import Predictor
from mlops_lab.summary.scale import Scale
from mlops_lab.summary.summary import Summary, summarise
from mlops_lab.summary.window import observe

QUIET = "quiet"
WINDOWS_OF_A_KIND = 60
QUIET_WINDOWS = 240
SMALLEST, LARGEST = 100, 500


@dataclass(frozen=True, eq=False)
class Rehearsals:
    """Windows with a known accuracy.

    Parameters
    ----------
    traits
        ``(windows, traits)``: what :func:`describe_summary` says of each.
    accuracy
        ``(windows,)``: the share of right answers.
    kinds
        What was done to each; ``"quiet"`` where nothing was.
    """

    traits: NDArray[np.float64] = field(repr=False)
    accuracy: NDArray[np.float64] = field(repr=False)
    kinds: tuple[str, ...] = field(repr=False)

    def __len__(self) -> int:
        return len(self.accuracy)


def describe_summary(summary: Summary, reference: Summary) -> NDArray[np.float64]:
    """Return what a summary looks like beside the reference's: the traits from which its accuracy is estimated."""
    shares, usual = (one.histograms / max(1, one.count) for one in (summary, reference))
    distances = np.abs(np.cumsum(shares - usual, axis=1)).max(axis=1)
    classes = (one.classes / max(1, one.count) for one in (summary, reference))
    mix = np.abs(np.subtract(*classes)).sum() / 2
    outputs = len(summary.scale.outputs)
    middle = [distances[:outputs].mean() if outputs else 0.0, distances[outputs + 1 :].mean(), mix]
    doubtful = shares[outputs, : summary.scale.bins // 5]  # the share of the least confident answers
    return np.concatenate([summary.means, summary.deviations, distances, middle, doubtful])


def rehearse(
    predictor: Predictor,
    split: Split,
    scale: Scale,
    reference: Summary,
    *,
    kinds: Sequence[str] = KINDS,
    seed: int = 0,
) -> Rehearsals:
    """Disturb held-out images, let the model answer, and note what the windows look like and how right it was.

    Parameters
    ----------
    predictor
        The version.
    split
        Held-out images.
    scale, reference
        What the summaries are measured with, and the summary of the images as they are.
    kinds
        Which disturbances.
    seed
        Of all that is left to chance.
    """
    random = np.random.default_rng(seed)
    names = [kind for kind in kinds for _ in range(WINDOWS_OF_A_KIND)] + [QUIET] * QUIET_WINDOWS
    traits, accuracy = [], []
    for kind in names:
        shifted = _draw(split, kind, kinds, random)
        window = observe(predictor, shifted.images, shifted.labels)
        traits.append(describe_summary(summarise(window, scale), reference))
        accuracy.append(window.accuracy)
    return Rehearsals(np.array(traits), np.array(accuracy, np.float64), tuple(names))


def _draw(split: Split, kind: str, kinds: Sequence[str], random: np.random.Generator) -> Split:
    size = int(np.exp(random.uniform(np.log(SMALLEST), np.log(LARGEST))))
    chosen = random.choice(len(split), size, p=_class_weights(split, random, mixed=kind == "seasons"))
    drawn = Split(split.images[chosen], split.labels[chosen])
    if kind == QUIET:
        return drawn
    # Small shares as often as large ones: a tenth of the images that is always wrong is a harm, too.
    share = 1.0 if random.random() < 0.4 else float(np.exp(random.uniform(np.log(0.05), 0)))
    seed = int(random.integers(1 << 31))
    drawn = disturb(drawn, kind, random.uniform(0.03, 1), share=share, seed=seed)
    if random.random() < 0.3:
        second = str(random.choice([one for one in kinds if one not in (kind, "new clothes")] or [kind]))
        drawn = disturb(drawn, second, random.uniform(0, 0.4), share=share, seed=seed)
    return drawn


def _class_weights(split: Split, random: np.random.Generator, *, mixed: bool) -> NDArray[np.float64]:
    """Return the chance of each image: the classes as they are, or in shares drawn by chance."""
    classes = np.unique(split.labels)
    even = not mixed and random.random() < 0.6
    shares = np.ones(len(classes)) if even else random.dirichlet(np.ones(len(classes)) * random.uniform(0.3, 3))
    weights = shares[np.searchsorted(classes, split.labels)]
    return np.asarray(weights / weights.sum())
