"""A data set: two splits of labelled images, and the model input that they become."""

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

# The hint where a file of the package is damaged.
REINSTALL = "Install mlops-lab again: pip install --force-reinstall --no-deps mlops-lab"


@dataclass(frozen=True, eq=False)
class Split:
    """Images and their labels.

    Parameters
    ----------
    images
        Pixels 0–255 of type ``uint8``, ``(n, height, width)``.
    labels
        The class of each image, ``(n,)``, from 0 to the number of classes less one.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def sample(self, limit: int, seed: int = 0) -> Split:
        """Return a stratified sample of ``limit`` examples.

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
    """Return ``limit`` indices in random order, with each class in proportion (largest remainders first)."""
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
        The name of the data set, such as ``"fashion-mnist"``.
    classes
        The name of each class, in the order of the labels.
    train, test
        The splits. ``test`` is used only to evaluate a trained model.
    input
        The input of a model that is trained on these images.
    source
        The origin and the licence of the images.
    task
        The task of a model that is trained on them, in one sentence.
    note
        How its images differ from what somebody might expect who tries such a model, in one sentence.

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
    note: str = field(default="", repr=False)

    @property
    def checksum(self) -> str:
        """The SHA-256 of all pixels and labels, which a training run records."""
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
        """Return the description of the data set, without its pixels."""
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
    """Return a grid of examples, a few of each class, with the label as caption and alt text."""
    cells = []
    for index, name in enumerate(classes):
        for image in split.images[split.labels == index][:per_class]:
            image = show.image(encode_png(image), f"{name}, an example", width=56, pixelated=True)
            style = "margin: 0; width: 84px; text-align: center"
            cells.append(f'<figure style="{style}">{image}<figcaption>{escape(name)}</figcaption></figure>')
    return f'<div style="display: flex; flex-wrap: wrap; gap: 6px">{"".join(cells)}</div>'
