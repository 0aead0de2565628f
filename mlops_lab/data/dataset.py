"""What a data set is: two splits of labelled images, and what their pixels mean to a model."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab import show
from mlops_lab.errors import WrongUsage
from mlops_lab.image import InputSpec, encode_png


@dataclass(frozen=True, eq=False)
class Split:
    """Images and their labels.

    Parameters
    ----------
    images
        ``(n, height, width)``, whole numbers 0–255.
    labels
        ``(n,)``, the class of each image, 0 to the number of classes less one.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def sample(self, limit: int, seed: int = 0) -> Split:
        """Return ``limit`` examples with the classes in the proportions they have here.

        Examples
        --------
        >>> split = Split(np.zeros((100, 8, 8), np.uint8), np.arange(100) % 10)
        >>> np.bincount(split.sample(20).labels).tolist()
        [2, 2, 2, 2, 2, 2, 2, 2, 2, 2]
        """
        if limit >= len(self):
            return self
        chosen = _stratified(self.labels, limit, np.random.default_rng(seed))
        return Split(self.images[chosen], self.labels[chosen])

    def __repr__(self) -> str:
        height, width = self.images.shape[1:3]
        return f"<Split: {len(self):,} images of {width}×{height}>"

    def _repr_html_(self) -> str:
        names = tuple(f"class {label}" for label in range(int(self.labels.max(initial=-1)) + 1))
        return show.card(repr(self)[1:-1], sample_grid(self, names))


def _stratified(labels: NDArray[np.int64], limit: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Return ``limit`` places in random order, each class as often as its share (largest remainders first)."""
    classes, counts = np.unique(labels, return_counts=True)
    shares = counts * limit / len(labels)
    wanted = np.floor(shares).astype(int)
    wanted[np.argsort(wanted - shares, kind="stable")[: limit - wanted.sum()]] += 1
    parts = [
        random.choice(np.flatnonzero(labels == name), n, replace=False) for name, n in zip(classes, wanted, strict=True)
    ]
    return random.permutation(np.concatenate(parts))


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled images in two splits.

    Parameters
    ----------
    name
        Such as ``"fashion-mnist"``.
    classes
        The name of each class, in the order of the labels.
    train, test
        The splits. A model never sees ``test`` before it is judged.
    input
        What a model that is trained on these images takes.
    source
        Where the images come from, and under which licence.
    task
        What a model that is trained on them does: one sentence.

    Examples
    --------
    >>> from mlops_lab import data
    >>> digits = data.load("digits")
    >>> digits.classes[3], digits.train.images.shape
    ('3', (1438, 8, 8))
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    test: Split
    input: InputSpec
    source: str = field(default="", repr=False)
    task: str = field(default="", repr=False)

    @property
    def checksum(self) -> str:
        """SHA-256 of all pixels and labels, so that a training run can say what it saw."""
        digest = hashlib.sha256()
        for split in (self.train, self.test):
            digest.update(np.ascontiguousarray(split.images).data)
            digest.update(np.ascontiguousarray(split.labels).data)
        return digest.hexdigest()

    def limited(self, limit: int | None, seed: int = 0) -> Dataset:
        """Return a stratified sample: ``limit`` training examples, and test examples in proportion."""
        if limit is None:
            return self
        if not len(self.classes) <= limit:
            raise WrongUsage(
                f"limit={limit} is fewer than the {len(self.classes)} classes.",
                f"Take a limit from {len(self.classes)} to {len(self.train)}.",
            )
        test_limit = max(len(self.classes), round(limit * len(self.test) / len(self.train)))
        return replace(self, train=self.train.sample(limit, seed), test=self.test.sample(test_limit, seed))

    def to_dict(self) -> dict[str, Any]:
        """Return what the data set is, without its pixels."""
        return {
            "name": self.name,
            "classes": list(self.classes),
            "train": len(self.train),
            "test": len(self.test),
            "input": self.input.to_dict(),
            "source": self.source,
            "task": self.task,
        }

    def __repr__(self) -> str:
        height, width = self.train.images.shape[1:3]
        sizes = f"{len(self.train):,} train + {len(self.test):,} test"
        return f"<Dataset {self.name}: {sizes} images of {width}×{height}, {len(self.classes)} classes>"

    def _repr_html_(self) -> str:
        return show.card(repr(self)[1:-1], sample_grid(self.test, self.classes))


def sample_grid(split: Split, classes: tuple[str, ...], per_class: int = 2) -> str:
    """Return a grid of examples, a few of each class, each with its label under it and as its alt text."""
    cells = []
    for index, name in enumerate(classes):
        for image in split.images[split.labels == index][:per_class]:
            image = show.image(encode_png(image), f"{name}, an example", width=56, pixelated=True)
            style = "margin: 0; width: 84px; text-align: center"
            cells.append(f'<figure style="{style}">{image}<figcaption>{escape(name)}</figcaption></figure>')
    return f'<div style="display: flex; flex-wrap: wrap; gap: 6px">{"".join(cells)}</div>'
