"""Which images to show: of a class, wrongly classified, or least confident. No widgets here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.client import Client
from mlops_lab.errors import WrongUsage

KINDS = {
    "all": "all images",
    "wrong": "wrongly classified, surest first",
    "unsure": "least confident first",
}


@dataclass(frozen=True, eq=False)
class Answers:
    """What a model said about many images.

    Parameters
    ----------
    predicted
        ``(n,)``, the class it named for each image.
    confidence
        ``(n,)``, the probability it gave that class.

    Examples
    --------
    >>> Answers(np.array([9, 2]), np.array([0.9, 0.4])).accuracy(np.array([9, 1]))
    0.5
    """

    predicted: NDArray[np.int64]
    confidence: NDArray[np.float64]

    def accuracy(self, labels: NDArray[np.int64]) -> float:
        """Return the share of images whose predicted class is their label."""
        return float((self.predicted == labels).mean())

    def to_dict(self) -> dict[str, Any]:
        """Return the answers as lists."""
        return {"predicted": self.predicted.tolist(), "confidence": self.confidence.tolist()}


def ask_all(
    client: Client,
    name: str,
    version: int | str,
    images: NDArray[np.uint8],
    *,
    batch: int = 250,
    progress: Callable[[int], None] = lambda done: None,
) -> Answers:
    """Ask a server about many images, in batches of NumPy arrays over HTTP.

    Parameters
    ----------
    client, name, version
        Whom to ask.
    images
        ``(n, height, width)``.
    batch
        Images to a request.
    progress
        Called with the number of images answered so far.

    Examples
    --------
    >>> ask_all(Client(server), "clothes", "v1", dataset.test.images)  # doctest: +SKIP
    """
    predicted: list[int] = []
    confidence: list[float] = []
    for start in range(0, len(images), batch):
        for prediction in client.classify(name, version, images[start : start + batch]):
            predicted.append(prediction.class_index)
            confidence.append(prediction.confidence)
        progress(len(predicted))
    return Answers(np.array(predicted, np.int64), np.array(confidence, np.float64))


def choose(
    labels: NDArray[np.int64], kind: str = "all", of_class: int | None = None, answers: Answers | None = None
) -> NDArray[np.int64]:
    """Return the places of the images to show, in the order to show them.

    Parameters
    ----------
    labels
        The class of each image.
    kind
        ``"all"`` in their own order; ``"wrong"``, the surest mistakes first; ``"unsure"``, the least confident first.
    of_class
        Only images of this class.
    answers
        What the model said; needed for all kinds but ``"all"``.

    Examples
    --------
    >>> labels = np.array([0, 1, 1, 0])
    >>> answers = Answers(np.array([0, 0, 1, 1]), np.array([0.9, 0.6, 0.4, 0.8]))
    >>> choose(labels, "wrong", answers=answers).tolist()
    [3, 1]
    >>> choose(labels, "unsure", of_class=1, answers=answers).tolist()
    [2, 1]
    """
    if kind not in KINDS:
        raise WrongUsage(f"There is no filter {kind!r}.", f"There are: {', '.join(map(repr, KINDS))}.")
    places = np.arange(len(labels)) if of_class is None else np.flatnonzero(labels == of_class)
    if kind == "all":
        return places
    if answers is None:
        raise WrongUsage(f"The filter {kind!r} needs a model's answers.", "Pass a client, so that they can be had.")
    if kind == "unsure":
        order = answers.confidence[places]
    else:
        places = places[answers.predicted[places] != labels[places]]
        order = -answers.confidence[places]
    return np.take(places, np.argsort(order, kind="stable"))


def captions(
    places: NDArray[np.int64],
    labels: NDArray[np.int64],
    classes: Sequence[str],
    kind: str = "all",
    answers: Answers | None = None,
) -> list[str]:
    """Return a line for each image: its number, its label, and what the filter is about.

    The number is not only for the reader: ipywidgets marks the chosen one of several buttons by its text, so no two may
    read alike.

    Examples
    --------
    >>> captions(np.array([1]), np.array([0, 1]), ("Coat", "Bag"))
    ['#1 Bag']
    >>> captions(np.array([1]), np.array([0, 1]), ("Coat", "Bag"), "wrong", Answers(np.array([0, 0]), np.ones(2)))
    ['#1 Bag → Coat']
    """
    names = [f"#{place} {classes[labels[place]]}" for place in places]
    if answers is None or kind == "all":
        return names
    if kind == "wrong":
        said = [classes[answers.predicted[place]] for place in places]
        return [f"{name} → {other}" for name, other in zip(names, said, strict=True)]
    return [f"{name} {answers.confidence[place]:.0%}" for name, place in zip(names, places, strict=True)]


def disagreements(left: Answers, right: Answers) -> NDArray[np.int64]:
    """Return the places where two models name different classes, those both are surest of first.

    Examples
    --------
    >>> disagreements(Answers(np.array([1, 2, 3]), np.ones(3)), Answers(np.array([1, 0, 3]), np.ones(3))).tolist()
    [1]
    """
    places = np.flatnonzero(left.predicted != right.predicted)
    return np.take(places, np.argsort(-(left.confidence[places] + right.confidence[places]), kind="stable"))


def confusion_counts(labels: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Return how often each class (row) was taken for each class (column).

    Examples
    --------
    >>> confusion_counts(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    return np.bincount(labels * classes + predicted, minlength=classes * classes).reshape(classes, classes)
