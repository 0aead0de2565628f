"""The selection of images: by class, wrongly classified, or least confident. No widgets here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.client import Client
from mlops_lab.errors import WrongUsage

FILTERS = {
    "all": "all images",
    "wrong": "wrongly classified, most confident first",
    "unsure": "least confident first",
}


@dataclass(frozen=True, eq=False)
class ModelPredictions:
    """The predictions of a model for many images.

    Parameters
    ----------
    predicted
        The predicted class of each image, ``(n,)``.
    confidence
        The probability of that class, ``(n,)``.

    Examples
    --------
    >>> ModelPredictions(np.array([9, 2]), np.array([0.9, 0.4])).accuracy(np.array([9, 1]))
    0.5
    """

    predicted: NDArray[np.int64]
    confidence: NDArray[np.float64]

    def accuracy(self, labels: NDArray[np.int64]) -> float:
        """Return the share of images that are classified correctly."""
        return float((self.predicted == labels).mean())

    def to_dict(self) -> dict[str, Any]:
        """Return the predictions as lists."""
        return {"predicted": self.predicted.tolist(), "confidence": self.confidence.tolist()}


def as_client(server: Any) -> Client:
    """Return a client of a running server or of a URL; a client stays as it is."""
    return server if isinstance(server, Client) else Client(server)


def classify_all(
    client: Client,
    name: str,
    version: int | str,
    images: NDArray[np.uint8],
    *,
    batch: int = 250,
    progress: Callable[[int], None] = lambda done: None,
) -> ModelPredictions:
    """Classify many images on a server, in batches of NumPy arrays over HTTP.

    Parameters
    ----------
    client, name, version
        The client, the model and its version.
    images
        ``(n, height, width)``.
    batch
        The number of images in a request.
    progress
        A function that is called with the number of images classified so far.

    Examples
    --------
    >>> classify_all(Client(server), "clothes", "v1", dataset.test.images)  # doctest: +SKIP
    """
    predicted: list[int] = []
    confidence: list[float] = []
    for start in range(0, len(images), batch):
        for prediction in client.classify(name, version, images[start : start + batch]):
            predicted.append(prediction.class_index)
            confidence.append(prediction.confidence)
        progress(len(predicted))
    return ModelPredictions(np.array(predicted, np.int64), np.array(confidence, np.float64))


def select_images(
    labels: NDArray[np.int64],
    filter_name: str = "all",
    of_class: int | None = None,
    predictions: ModelPredictions | None = None,
) -> NDArray[np.int64]:
    """Return the indices of the images to show, in order.

    Parameters
    ----------
    labels
        The class of each image.
    filter_name
        ``"all"`` in the order of the data set; ``"wrong"``, the most confident errors first; ``"unsure"``, the least
        confident first.
    of_class
        Select only images of this class.
    predictions
        The predictions of the model, required by all filters but ``"all"``.

    Examples
    --------
    >>> labels = np.array([0, 1, 1, 0])
    >>> predictions = ModelPredictions(np.array([0, 0, 1, 1]), np.array([0.9, 0.6, 0.4, 0.8]))
    >>> select_images(labels, "wrong", predictions=predictions).tolist()
    [3, 1]
    >>> select_images(labels, "unsure", of_class=1, predictions=predictions).tolist()
    [2, 1]
    """
    if filter_name not in FILTERS:
        raise WrongUsage(f"There is no filter {filter_name!r}.", f"There are: {', '.join(map(repr, FILTERS))}.")
    indices = np.arange(len(labels)) if of_class is None else np.flatnonzero(labels == of_class)
    if filter_name == "all":
        return indices
    if predictions is None:
        raise WrongUsage(f"The filter {filter_name!r} needs the predictions of a model.", "Pass a client.")
    if filter_name == "unsure":
        order = predictions.confidence[indices]
    else:
        indices = indices[predictions.predicted[indices] != labels[indices]]
        order = -predictions.confidence[indices]
    return np.take(indices, np.argsort(order, kind="stable"))


def captions(
    indices: NDArray[np.int64],
    labels: NDArray[np.int64],
    classes: Sequence[str],
    filter_name: str = "all",
    predictions: ModelPredictions | None = None,
) -> list[str]:
    """Return a caption for each image: its number, its label, and the prediction or confidence that the filter uses.

    The number makes each caption unique: ipywidgets identifies the selected button by its text.

    Examples
    --------
    >>> captions(np.array([1]), np.array([0, 1]), ("Coat", "Bag"))
    ['#1 Bag']
    >>> predictions = ModelPredictions(np.array([0, 0]), np.ones(2))
    >>> captions(np.array([1]), np.array([0, 1]), ("Coat", "Bag"), "wrong", predictions)
    ['#1 Bag → Coat']
    """
    names = [f"#{index} {classes[labels[index]]}" for index in indices]
    if predictions is None or filter_name == "all":
        return names
    if filter_name == "wrong":
        wrong = [classes[predictions.predicted[index]] for index in indices]
        return [f"{name} → {other}" for name, other in zip(names, wrong, strict=True)]
    return [f"{name} {predictions.confidence[index]:.0%}" for name, index in zip(names, indices, strict=True)]


def disagreements(left: ModelPredictions, right: ModelPredictions) -> NDArray[np.int64]:
    """Return the indices of the images that two models classify differently, the most confident first.

    Examples
    --------
    >>> left, right = (ModelPredictions(np.array([1, other, 3]), np.ones(3)) for other in (2, 0))
    >>> disagreements(left, right).tolist()
    [1]
    """
    indices = np.flatnonzero(left.predicted != right.predicted)
    return np.take(indices, np.argsort(-(left.confidence[indices] + right.confidence[indices]), kind="stable"))


def confusion_counts(labels: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Return the number of images of each class (row) by predicted class (column).

    Examples
    --------
    >>> confusion_counts(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    return np.bincount(labels * classes + predicted, minlength=classes * classes).reshape(classes, classes)
