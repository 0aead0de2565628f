"""Old data and new ones in one set, and the ways to train that are refused."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mlops_lab.data import Dataset, Split
from mlops_lab.errors import GateFailed
from mlops_lab.pipeline.loop.datasets import joined

# Labels that agree with the model far more often than people ever did were not given by people.
OWN_ANSWERS = 1e-4
FEWEST_OLD = 0.5
NEW = "production"


@dataclass(frozen=True, eq=False)
class Mixture:
    """The training data of a retrained version: old and new examples.

    Parameters
    ----------
    dataset
        The old training examples with those of production; the old test split.
    fresh
        Examples of production that were held out.
    old, new, repeated
        How many training examples are old and new, and how often each new one stands there.
    """

    dataset: Dataset
    fresh: Split
    old: int
    new: int
    repeated: int

    def __str__(self) -> str:
        times = f", each {self.repeated} times" if self.repeated > 1 else ""
        return f"{self.old:,} old examples and {self.new:,} new ones{times}; {len(self.fresh):,} new ones are held out"


def mix(
    old: Dataset | None, new: Split, *, held_out: float = 0.4, share: float = 0.3, before: Split | None = None,
    seed: int = 0,
) -> Mixture:  # fmt: skip
    """Return old and new examples as one data set.

    Parameters
    ----------
    old
        What the version in production was trained and tested on.
    new
        Examples of production that people have judged.
    held_out
        The part of the new ones that no training sees.
    share
        New examples are repeated until they are this part of the training.
    before
        New examples that were held out the last time; they stay held out.
    seed
        Of the draw.

    Raises
    ------
    GateFailed
        There are no old data, or hardly any: a version that is trained on new data alone forgets.

    Examples
    --------
    >>> from mlops_lab import data
    >>> digits = data.load("digits")
    >>> print(mix(digits, digits.test.sample(100)))
    1,438 old examples and 60 new ones, each 10 times; 40 new ones are held out
    """
    count = 0 if old is None else len(old.train)
    if old is None or count < FEWEST_OLD * len(new):
        message = (
            f"{len(new):,} new examples and {count:,} old ones: a version that is trained on new data forgets the old."
        )
        raise GateFailed(message, "Train on both: the data of the version in production, and the new ones.")
    random = np.random.default_rng(seed)
    order = random.permutation(len(new))
    edge = max(1, round(held_out * len(new)))
    kept, learned = order[:edge], order[edge:]
    if not len(learned):
        raise GateFailed(f"{len(new)} new examples are too few to learn from.", "Have more predictions judged.")
    repeated = max(1, round(share / (1 - share) * count / len(learned)))
    repeated = min(repeated, 10)  # the same image again and again teaches itself only
    again = np.repeat(learned, repeated)
    whole = joined(old.train, Split(new.images[again], new.labels[again]))
    shuffled = random.permutation(len(whole))  # the last examples are those that training validates on
    train = Split(whole.images[shuffled], whole.labels[shuffled])
    fresh = Split(new.images[kept], new.labels[kept])
    name = old.name if old.name.endswith(f"+{NEW}") else f"{old.name}+{NEW}"
    return Mixture(
        replace(old, name=name, train=train),
        fresh if before is None else joined(before, fresh),
        count,
        len(learned),
        repeated,
    )


def refuse_own_answers(answered: NDArray[np.int64], labels: NDArray[np.int64], expected: float) -> None:
    """Raise where labels are what the model itself has said.

    Parameters
    ----------
    answered, labels
        ``(n,)``: what the model said, and what is called right.
    expected
        The accuracy of the model on held-out data.

    Raises
    ------
    GateFailed
        They agree more often than the model is ever right.

    Examples
    --------
    >>> refuse_own_answers(np.array([1, 2, 3, 3]), np.array([1, 2, 3, 4]), 0.9)
    """
    from scipy.stats import binom

    if not len(labels):
        return
    agreed = int((answered == labels).sum())
    chance = float(binom.sf(agreed - 1, len(labels), expected))
    if chance < OWN_ANSWERS:
        message = (
            f"{agreed:,} of {len(labels):,} labels are what the model itself answered, and it is right {expected:.0%}"
        )
        text = f"{message} of the time: chance does that in {chance:.1g}. Trained on them, it learns its own mistakes."
        raise GateFailed(text, "Let people judge, without showing them what the model said.")
