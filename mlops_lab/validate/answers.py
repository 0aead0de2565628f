"""Ask whatever can answer, a loaded version, a server, a function or its rows, about labelled examples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from mlops_lab.client import Client
from mlops_lab.data import Dataset, Split
from mlops_lab.errors import WrongUsage
from mlops_lab.predict import Predictor
from mlops_lab.store.version import ModelVersion, load_version

Model = Predictor | ModelVersion | str | Callable[[Any], Any] | NDArray[Any]
Examples = Dataset | Split | tuple[Any, Any]
BATCH = 1000
OVER_HTTP = 100


@dataclass(frozen=True, eq=False)
class Answers:
    """The answers of a model to labelled examples; where both name classes, in the order of the data's.

    Parameters
    ----------
    model, data
        What was asked, about what.
    classes
        The names of the classes, in the order of the columns; empty for another task than classification.
    images, labels
        The examples.
    outputs
        ``(n, classes)``, or what else the task answers.
    unsorted
        The same in the order of the model's own labels, where that is another.
    """

    model: str
    data: str
    classes: tuple[str, ...]
    images: NDArray[Any] = field(repr=False)
    labels: NDArray[Any] = field(repr=False)
    outputs: NDArray[Any] = field(repr=False)
    unsorted: NDArray[Any] | None = field(default=None, repr=False)

    @property
    def predicted(self) -> NDArray[np.int64]:
        """The most probable class of each example."""
        return np.asarray(self.outputs.argmax(axis=1), np.int64)


def collect(
    model: Model, dataset: Examples, *, name: str = "", version: int | str = "latest", api_key: str | None = None
) -> Answers:
    """Return the answers of a model to the test split of a data set, to a split, or to inputs and their truth.

    Parameters
    ----------
    model
        A :class:`~mlops_lab.predict.Predictor`, a :class:`~mlops_lab.store.version.ModelVersion`, the address of a
        server, a function from inputs to outputs, or the outputs themselves.
    dataset
        A :class:`~mlops_lab.data.Dataset` (its test split is used), a :class:`~mlops_lab.data.Split`, or a pair.
    name, version, api_key
        At an address: which model, unless the address names it, as ``http://127.0.0.1:8000/models/clothes/v1`` does.

    Raises
    ------
    WrongUsage
        The model's labels are not the data's classes, or it does not answer each example.
    """
    images, truth, classes, title = _examples(dataset)
    said, labels, outputs = _outputs(model, images, name, version, api_key)
    if len(outputs) != len(truth):
        raise WrongUsage(f"{said} gives {len(outputs)} answers to {len(truth)} examples.", "Answer each, in order.")
    classes = classes or labels
    answers = Answers(said, title, classes, images, truth, outputs)
    return _in_order_of_data(answers, labels) if labels and classes else answers


def asker(model: Model, dataset: Examples) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Return a function from images to probabilities in the order of the data's classes; the model is loaded once."""
    if isinstance(model, ModelVersion):
        model = load_version(model, on_mismatch="ignore")
    classes = dataset.classes if isinstance(dataset, Dataset) else ()

    def ask(images: NDArray[Any]) -> NDArray[Any]:
        said, labels, outputs = _outputs(model, images, "", "latest", None)
        named = Answers(said, "", classes or labels, images, np.zeros(len(images), int), outputs)
        return _in_order_of_data(named, labels).outputs if labels and classes else outputs

    return ask


def _examples(dataset: Examples) -> tuple[NDArray[Any], NDArray[Any], tuple[str, ...], str]:
    if isinstance(dataset, Dataset):
        return dataset.test.images, dataset.test.labels, dataset.classes, f"{dataset.name}, test"
    if isinstance(dataset, Split):
        return dataset.images, dataset.labels, (), "a split"
    images, truth = dataset
    return np.asarray(images), np.asarray(truth), (), "examples"


def _outputs(
    model: Any, images: NDArray[Any], name: str, version: int | str, api_key: str | None
) -> tuple[str, tuple[str, ...], NDArray[Any]]:
    """Return what was asked, the labels of its columns where it knows them, and its outputs."""
    if isinstance(model, ModelVersion):
        model = load_version(model, on_mismatch="ignore")
    if isinstance(model, str):
        return _over_http(model, images, name, version, api_key)
    if isinstance(model, Predictor):
        return f"{model.name} v{model.version}", model.labels, _batched(model.probabilities, images)
    if callable(model):
        return getattr(model, "__name__", type(model).__name__), (), _batched(model, images)
    return "given answers", (), np.asarray(model)


def _batched(function: Callable[[Any], Any], images: NDArray[Any]) -> NDArray[Any]:
    parts = [np.asarray(function(images[start : start + BATCH])) for start in range(0, len(images), BATCH)]
    return np.concatenate(parts) if parts else np.empty((0, 0))


def _over_http(
    url: str, images: NDArray[Any], name: str, version: int | str, api_key: str | None
) -> tuple[str, tuple[str, ...], NDArray[Any]]:
    address = urlsplit(url)
    parts = [part for part in address.path.split("/") if part]
    if "models" in parts[:-1]:
        place = parts.index("models") + 1
        name = parts[place]
        version = parts[place + 1] if len(parts) > place + 1 else version
    client = Client(f"{address.scheme}://{address.netloc}", 30.0, api_key=api_key)
    if not name:
        names = [model["name"] for model in client.models()]
        if len(names) != 1:
            raise WrongUsage(f"{url} has the models {', '.join(names)}.", 'Say which: name="clothes".')
        name = names[0]
    rows: list[tuple[float, ...]] = []
    labels: Sequence[str] = ()
    for start in range(0, len(images), OVER_HTTP):
        said = client.classify(name, version, images[start : start + OVER_HTTP])
        rows += [one.probabilities for one in said]
        labels = said[0].labels
    return f"{name} {version} at {address.netloc}", tuple(labels), np.array(rows)


def _in_order_of_data(answers: Answers, labels: tuple[str, ...]) -> Answers:
    """Return answers whose columns are the data's classes: by name, for the places may differ."""
    if labels == answers.classes:
        return answers
    if set(labels) != set(answers.classes) or len(labels) != len(answers.classes):
        message = f"The labels of {answers.model} are {', '.join(labels)}; the data's are {', '.join(answers.classes)}."
        raise WrongUsage(message, "Ask it about the data that it was made for.")
    columns = [labels.index(name) for name in answers.classes]
    outputs = answers.outputs[:, columns]
    facts = (answers.model, answers.data, answers.classes, answers.images, answers.labels)
    return Answers(*facts, outputs, unsorted=answers.outputs)
