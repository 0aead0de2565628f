"""Test data of any task, and the metrics of a model on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.answers import THRESHOLD, masks_of
from mlops_lab.data import Dataset
from mlops_lab.errors import WrongUsage
from mlops_lab.image import to_input
from mlops_lab.inputs import InputSpec
from mlops_lab.predict import Predictor
from mlops_lab.signature import OutputSpec, Signature
from mlops_lab.store.golden_arrays import Arrays
from mlops_lab.store.intake.inputs import named_examples
from mlops_lab.store.intake.source import Slot, Source
from mlops_lab.tensors import Model, class_rows, run

BATCH = 256
# From how many examples on, and for how much more accuracy, the labels are taken to be in another order.
FEWEST, SUSPICIOUS = 20, 0.3
# The names under which a file of NumPy holds examples and what is right for them, the first that is there.
EXAMPLES = ("examples", "images", "x_test", "X_test", "x", "X", "inputs")
TRUTH = ("truth", "labels", "y_test", "y", "targets", "outputs")


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Examples that a model was not trained on, with what is right for them."""

    examples: Any = field(repr=False)
    truth: Any = field(repr=False)
    input: InputSpec | None = None
    classes: tuple[str, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)

    def first(self, number: int) -> Any:
        """Return some examples, spread over all of them."""
        places = np.unique(np.linspace(0, len(self) - 1, min(number, len(self))).astype(int))
        return _at(self.examples, places)

    def __len__(self) -> int:
        examples = next(iter(self.examples.values())) if isinstance(self.examples, Mapping) else self.examples
        return len(examples)

    def labels(self, source: Source) -> tuple[str, ...] | None:
        """Return the names of the classes of the data, where the model has no names of its own for them."""
        own = next((info.classes for info in source.output_infos.values() if info.named), ())
        return None if own and set(own) == set(self.classes) else self.classes


def _at(examples: Any, places: NDArray[Any]) -> Any:
    if isinstance(examples, Mapping):
        return {name: np.asarray(array)[places] for name, array in examples.items()}
    return examples.iloc[places] if hasattr(examples, "iloc") else np.asarray(examples)[places]


def read_held_out(data: Any) -> HeldOut:
    """Return test data from a data set, a pair of examples and truth, or a file of NumPy.

    Parameters
    ----------
    data
        A :class:`mlops_lab.data.Dataset`, ``(X, y)``, or the path of an ``.npz`` file with ``x_test`` and ``y_test``
        (or ``images`` and ``labels``, or ``x`` and ``y``).

    Raises
    ------
    WrongUsage
        It is none of these, or the lengths differ.

    Examples
    --------
    >>> len(read_held_out(([[1.0], [2.0]], [0, 1])))
    2
    """
    if isinstance(data, Dataset):
        about = {"name": data.name, "task": data.task, "test": len(data.test), "sha256": data.checksum}
        return HeldOut(data.test.images, data.test.labels, data.input, data.classes, about)
    if isinstance(data, str | Path):
        found = _read_file(Path(data))
    elif isinstance(data, tuple | list) and len(data) == 2:
        found = HeldOut(data[0], data[1], about={"name": "unnamed data"})
    else:
        raise WrongUsage(f"A {type(data).__name__} is no test data.", "Pass a Dataset, (X, y), or an .npz file.")
    lengths = {name: len(array) for name, array in found.truth.items()} if isinstance(found.truth, Mapping) else None
    length = next(iter(lengths.values())) if lengths else len(found.truth)
    if length != len(found) or length == 0:
        raise WrongUsage(f"There are {len(found)} examples and {length} answers.", "Pass one answer for each example.")
    return found


def _read_file(path: Path) -> HeldOut:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except FileNotFoundError as error:
        raise WrongUsage(f"There is no file {path}.", "Look at the path.") from error
    except (OSError, ValueError, EOFError, AttributeError) as error:
        raise WrongUsage(f"{path} is no file of NumPy arrays: {error}.", "Save it with np.savez(x=…, y=…).") from error
    examples = next((arrays[name] for name in EXAMPLES if name in arrays), None)
    truth = next((arrays[name] for name in TRUTH if name in arrays), None)
    if examples is None or truth is None:
        message = f"{path} holds {', '.join(arrays) or 'nothing'}; examples and answers are wanted."
        raise WrongUsage(message, f"Name them x and y: np.savez({path.name!r}, x=examples, y=answers).")
    classes = tuple(map(str, arrays["classes"])) if "classes" in arrays else ()
    texts = examples.astype(object) if examples.dtype.kind == "U" else examples
    return HeldOut(texts, truth, None, classes, {"name": path.name, "test": len(truth)})


def score(source: Source, signature: Signature, test: HeldOut) -> dict[str, float]:
    """Return the metrics of a model from elsewhere on test data: see :func:`measure`."""
    return measure(Predictor.of(signature, source.engine), test, raw=test.input is not None)


def measure(model: Model, test: HeldOut, *, raw: bool = False) -> dict[str, float]:
    """Return the metrics of a model on test data, by the task of each output.

    Parameters
    ----------
    model
        The model.
    test
        Examples and what is right for them: classes by number or name, values, masks, or ``{output: array}``.
    raw
        Whether images are pixels 0–255, and not yet what the model takes.

    Returns
    -------
    dict
        ``test_accuracy`` of a classifier, ``test_mae`` and ``test_r2`` of a regressor, ``test_iou`` of masks; with the
        name of the output before it where there are several.

    Raises
    ------
    WrongUsage
        What is right is not of the kind that the model answers.
    """
    signature = model.signature
    answers = _answers(model, test, raw)
    found: dict[str, float] = {}
    for spec in signature.outputs:
        truth = test.truth.get(spec.name) if isinstance(test.truth, Mapping) else test.truth
        if truth is None or (not isinstance(test.truth, Mapping) and len(signature.outputs) > 1):
            continue
        prefix = f"{spec.name}_" if len(signature.outputs) > 1 else ""
        metrics = metrics_of(answers[spec.name], np.asarray(truth), spec, test.classes)
        found |= {f"{prefix}{name}": value for name, value in metrics.items()}
    return found


def _answers(model: Model, test: HeldOut, raw: bool) -> Arrays:
    specs = model.signature.inputs
    slots = tuple(Slot(spec.name, spec.shape, spec.dtype) for spec in specs)
    parts = []
    for start in range(0, len(test), BATCH):
        places = np.arange(start, min(start + BATCH, len(test)))
        arrays, _ = named_examples(_at(test.examples, places), slots)
        ready = {
            spec.name: to_input(arrays[spec.name], spec)
            if spec.size and (raw or arrays[spec.name].dtype == np.uint8)
            else arrays[spec.name].reshape(len(places), *_whole(spec, arrays[spec.name]))
            for spec in specs
        }
        parts.append(run(model, ready, prepared=False))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _whole(spec: InputSpec, array: NDArray[Any]) -> tuple[int, ...]:
    return spec.least_shape if None not in spec.shape and spec.shape else array.shape[1:]


def label_order(rows: NDArray[Any], right: NDArray[Any]) -> tuple[float, tuple[int, ...]]:
    """Return the best accuracy that another order of the labels would give, and that order.

    Parameters
    ----------
    rows
        ``(n, classes)`` probabilities.
    right
        ``(n,)`` numbers of the right classes.

    Examples
    --------
    >>> label_order(np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([1, 0]))
    (1.0, (1, 0))
    """
    from scipy.optimize import linear_sum_assignment

    number = rows.shape[1]
    counts = np.zeros((number, number), int)
    np.add.at(counts, (rows.argmax(axis=1), right), 1)
    _, order = linear_sum_assignment(-counts)
    return float(counts[np.arange(number), order].sum() / len(right)), tuple(map(int, order))


def check_label_order(rows: NDArray[Any], right: NDArray[Any], labels: Sequence[str]) -> None:
    """Raise where the labels are in another order than the model's answers.

    Raises
    ------
    WrongUsage
        In another order, they would be right for far more examples.
    """
    accuracy = float((rows.argmax(axis=1) == right).mean())
    best, order = label_order(rows, right)
    if len(right) >= FEWEST and best > 0.5 and best - accuracy > SUSPICIOUS:
        message = (
            f"The labels are in another order than the model's answers: as {', '.join(labels)} they are right for "
            f"{accuracy:.1%} of the test data, and as {', '.join(labels[place] for place in order)} for {best:.1%}."
        )
        raise WrongUsage(message, "Pass the labels in the order of the model's output, or check the test data.")


def metrics_of(
    answers: NDArray[Any], truth: NDArray[Any], spec: OutputSpec, classes: Sequence[str] = ()
) -> dict[str, float]:
    """Return the metrics of one output.

    Examples
    --------
    >>> metrics_of(np.array([[1.0], [3.0]]), np.array([1.0, 2.0]), OutputSpec("y", "regression", (1,)))["test_mae"]
    0.5
    """
    if spec.task in ("classification", "binary"):
        right, rows = class_numbers(truth, spec.labels, classes), class_rows(answers, spec)
        check_label_order(rows, right, spec.labels)
        return {"test_accuracy": float((rows.argmax(axis=1) == right).mean())}
    if spec.task == "multilabel":
        return {"test_accuracy": float(((answers > THRESHOLD) == _alike(truth, answers)).mean())}
    if spec.task == "anomaly":
        outlier = truth == -1 if (truth == -1).any() else truth.astype(bool)
        return {"test_accuracy": float(((answers < 0) == outlier).mean())}
    if spec.task == "segmentation":
        return _mask_metrics(answers, truth, spec)
    if spec.task == "regression":
        difference = _alike(truth, answers).astype(np.float64) - answers
        spread = float(((truth - truth.mean(axis=0)) ** 2).mean()) or 1.0
        return {"test_mae": float(np.abs(difference).mean()), "test_r2": 1 - float((difference**2).mean()) / spread}
    return {}


def _alike(truth: NDArray[Any], answers: NDArray[Any]) -> NDArray[Any]:
    if truth.size != answers.size or truth.dtype.kind not in "fiub":
        message = f"What is right has the shape {truth.shape}; the model answers {answers.shape}."
        raise WrongUsage(message, "Pass one number for each number that the model answers.")
    return truth.reshape(answers.shape)


def class_numbers(truth: NDArray[Any], labels: Sequence[str], classes: Sequence[str] = ()) -> NDArray[Any]:
    """Return classes as their numbers among the labels: from names, from rows of ones and zeros, or from numbers.

    Parameters
    ----------
    truth
        The right class of each example.
    labels
        The labels of the model.
    classes
        The names of the numbers, where the data set has names: its class 0 is then the label of that name.

    Raises
    ------
    WrongUsage
        A name is none of the labels.

    Examples
    --------
    >>> class_numbers(np.array(["no", "yes"]), ["yes", "no"])
    array([1, 0])
    """
    place = {name: number for number, name in enumerate(labels)}
    if truth.ndim == 2 and truth.shape[1] == len(labels) > 1:
        truth = truth.argmax(axis=1)
    truth = truth.ravel()
    numbers = truth.dtype.kind in "iub" or (truth.dtype.kind == "f" and not (truth % 1).any())
    if numbers and not classes:
        whole = truth.astype(int)
        outside = whole.min() < 0 or whole.max() >= len(labels)
        if not outside and not _own_numbers(labels):
            return whole
    names = [classes[int(item)] for item in truth] if numbers and classes else [_name(item) for item in truth.tolist()]
    unknown = sorted(set(names) - place.keys())
    if unknown:
        message = f"The test data has the classes {', '.join(unknown[:5])}; the labels are {', '.join(labels)}."
        raise WrongUsage(message, "Pass the labels of this data, in the order of the model's output.")
    return np.array([place[name] for name in names])


def _own_numbers(labels: Sequence[str]) -> bool:
    """Return whether the labels are numbers of their own, such as 3 and 7, by which the truth names them."""
    return all(label.lstrip("-").isdecimal() for label in labels) and list(labels) != list(map(str, range(len(labels))))


def _name(item: Any) -> str:
    return str(int(item)) if isinstance(item, float) and item.is_integer() else str(item)


def _mask_metrics(answers: NDArray[Any], truth: NDArray[Any], spec: OutputSpec) -> dict[str, float]:
    masks = masks_of(answers, spec)
    right = truth[..., 0] if truth.ndim == masks.ndim + 1 and truth.shape[-1] == 1 else truth
    if right.shape != masks.shape:
        message = f"The masks have the shape {right.shape}; the model answers {masks.shape}."
        raise WrongUsage(message, "Pass one class for each pixel.")
    shares = []
    for number in np.unique(right):
        ours, theirs = masks == number, right == number
        shares.append((ours & theirs).sum() / (ours | theirs).sum())
    return {"test_accuracy": float((masks == right).mean()), "test_iou": float(np.mean(shares))}
