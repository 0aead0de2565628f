"""A model from elsewhere with what its framework tells of it, before its examples are run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlops_lab.data import Split
from mlops_lab.predict import Engine
from mlops_lab.signature import WITH_CLASSES, Signature, Task
from mlops_lab.store.golden_arrays import TOLERANCE, Arrays
from mlops_lab.tensors import in_batches


class Slot(NamedTuple):
    """An input as a framework describes it; ``None`` where it says nothing."""

    name: str
    shape: tuple[int | None, ...] | None = None
    dtype: str | None = None


@dataclass(frozen=True)
class OutputInfo:
    """The kind of an output, as far as the framework tells it before the model is run.

    Parameters
    ----------
    kind
        ``"probabilities"``, ``"softmax"``, ``"sigmoid"``, ``"linear"``, ``"scores"``, ``"value"``, ``"vector"``,
        ``"score"`` (of an outlier), or ``""`` where nothing is known.
    task
        The task, where the framework tells it: by a loss, or by the kind of an estimator.
    shape
        Of one example, with free sides, where the framework tells it.
    classes
        The names of its classes, where the model knows them.
    named
        Whether these are names, so that their order is the model's own, and not numbers.
    """

    kind: str = ""
    task: Task | None = None
    shape: tuple[int | None, ...] | None = None
    classes: tuple[str, ...] = ()
    named: bool = False


Write = Callable[[Path, Signature, Arrays], list[str]]


@dataclass(frozen=True, eq=False)
class Source:
    """A model from elsewhere.

    Parameters
    ----------
    model
        The model itself; the bytes of an ONNX file.
    framework
        ``"keras"``, ``"scikit-learn"``, ``"xgboost"``, ``"lightgbm"``, ``"onnx"`` or ``"python"``.
    engine
        The model as it is, which every form that is written must agree with.
    write
        Writes its forms into a folder, for a signature and some examples, and returns what a reader of the card should
        know.
    inputs
        What the framework tells of its inputs; empty where it tells nothing.
    output_infos
        What is known of its outputs, by name; an output that is not there is unknown.
    max_batch
        The only length of a batch that it takes.
    scales
        Whether it scales pixels itself, so that it takes them as they are, 0–255.
    outputs
        The names of the outputs that are kept; empty for all.
    tolerance
        The largest difference between its forms that counts as the same.
    ties
        Whether its answer to an example may depend on the order in which it searches, as where neighbours are equally
        near; up to a tenth of the examples may then be answered differently.
    """

    model: Any = field(repr=False)
    framework: str
    engine: Engine
    write: Write = field(repr=False)
    inputs: tuple[Slot, ...] = ()
    output_infos: Mapping[str, OutputInfo] = field(default_factory=dict)
    max_batch: int | None = None
    scales: bool = False
    outputs: tuple[str, ...] = ()
    tolerance: float = 1e-5
    ties: bool = False

    def ask(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Return what the model answers, by the names that its engine gives, whatever these answers are."""
        if hasattr(self.engine, "run"):
            answers = in_batches(self.engine.run, inputs, self.max_batch)
        else:
            answers = {"probabilities": self.engine.predict(next(iter(inputs.values())))}
        return {name: np.asarray(answers[name]) for name in self.outputs or answers}


@dataclass(frozen=True, eq=False)
class Prepared:
    """A model with its signature and examples, ready to be written as a version.

    Parameters
    ----------
    source
        The model.
    signature
        Its inputs and outputs.
    examples
        As they come before preprocessing: images 0–255.
    metrics, settings, data, seed
        As in the manifest.
    notes
        What a reader of the card should know.
    held_out
        Examples that a classifier was not trained on, with their classes.
    """

    source: Source
    signature: Signature
    examples: Arrays = field(repr=False)
    metrics: Mapping[str, float] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    notes: tuple[str, ...] = ()
    held_out: Split | None = field(default=None, repr=False)

    @property
    def tolerance(self) -> float:
        """The largest difference that counts as the same; numbers that are no probabilities may differ by more."""
        bounded = all(spec.task in WITH_CLASSES for spec in self.signature.outputs)
        half = any(spec.dtype == "float16" for spec in self.signature.outputs)
        return max(self.source.tolerance, TOLERANCE if bounded else 10 * TOLERANCE, 2e-2 if half else 0.0)
