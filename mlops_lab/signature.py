"""The signature of a model: its named inputs and outputs, each with a type, a shape and a meaning.

An image classifier has one input, an image, and one output of role ``probabilities``; every other kind of model is
described by the same few words. A manifest of format 1, which knew classifiers alone, reads as that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np

from mlops_lab.inputs import TEXT, InputSpec, describe

Task = Literal["classification", "binary", "multilabel", "regression", "embedding", "segmentation", "anomaly", "other"]
Role = Literal["probabilities", "logits", "value", "vector", "mask", "score", "tensor"]
Activation = Literal["none", "softmax", "sigmoid"]

# The tasks whose answer is one row of probabilities for each example.
WITH_CLASSES: tuple[Task, ...] = ("classification", "binary", "multilabel")
# The name of the one output of an image classifier on the wire.
PROBABILITIES = "probabilities"


@dataclass(frozen=True)
class OutputSpec:
    """One output of a model.

    Parameters
    ----------
    name
        Its name on the wire.
    task
        What its answer is: decides the keys of the answer (``label``, ``value``, ``vector``, ``mask``, ``score``).
    shape
        Of one example, without the batch; ``None`` for a free side.
    dtype
        NumPy's name for the type of a number; ``"str"`` for text.
    role
        What its numbers are, as the model gives them.
    labels
        The names of its classes; empty where it has none.
    activation
        What this library applies to the model's numbers before it answers: ``"softmax"`` or ``"sigmoid"`` where they
        are logits.
    classes_first
        Whether the classes are the first axis of an example and not the last, as in a segmentation by PyTorch:
        ``(2, 28, 28)``.

    Examples
    --------
    >>> OutputSpec("price", "regression", (1,), role="value").to_dict()["task"]
    'regression'
    """

    name: str
    task: Task
    shape: tuple[int | None, ...]
    dtype: str = "float32"
    role: Role = "probabilities"
    labels: tuple[str, ...] = ()
    activation: Activation = "none"
    classes_first: bool = False

    @property
    def class_axis(self) -> int:
        """The axis of the classes in a batch."""
        return 1 if self.classes_first else -1

    def to_dict(self) -> dict[str, Any]:
        """Return one entry of a manifest's ``outputs``; ``classes_first`` is left out where it is false."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        if not self.classes_first:
            del plain["classes_first"]
        return {**plain, "shape": list(self.shape), "labels": list(self.labels)}

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> OutputSpec:
        """Read what :meth:`to_dict` wrote.

        Raises
        ------
        ValueError
            A task, role, activation, side or type is none that this library knows, or there is not a label for each
            class.
        """
        if not isinstance(entry["labels"], (list, tuple)):
            raise ValueError(f"labels that are no list: {entry['labels']!r}")
        shape, labels = tuple(entry["shape"]), tuple(map(str, entry["labels"]))
        known = {"task": Task, "role": Role, "activation": Activation}
        for key, kinds in known.items():
            if entry[key] not in get_args(kinds):
                raise ValueError(f"an output of {key} {entry[key]!r}")
        if not all(side is None or (type(side) is int and side > 0) for side in shape):
            raise ValueError(f"an output of shape {shape}")
        if entry["dtype"] != TEXT and np.dtype(entry["dtype"]).kind not in "fiub":
            raise ValueError(f"an output of type {entry['dtype']!r}")
        task, role, activation = entry["task"], entry["role"], entry["activation"]
        if task in ("classification", "multilabel") and shape and shape[-1] not in (None, len(labels)):
            raise ValueError(f"{len(labels)} labels for {shape[-1]} classes")
        first = entry.get("classes_first", False)
        if type(first) is not bool or (first and len(shape) < 2):
            raise ValueError(f"an output of shape {shape} with classes_first {first!r}")
        return cls(str(entry["name"]), task, shape, entry["dtype"], role, labels, activation, first)


@dataclass(frozen=True)
class Signature:
    """The inputs and outputs of a model.

    Parameters
    ----------
    inputs
        At least one; an input of images has a ``size``.
    outputs
        At least one.
    max_batch
        The only, and so the largest, number of examples the model takes in one call; ``None`` where any is right.

    Examples
    --------
    >>> Signature.classifier(InputSpec((4,)), ("no", "yes")).task
    'classification'
    """

    inputs: tuple[InputSpec, ...]
    outputs: tuple[OutputSpec, ...]
    max_batch: int | None = None

    @classmethod
    def classifier(cls, input: InputSpec, labels: tuple[str, ...], name: str = PROBABILITIES) -> Signature:
        """Return the signature of a model with one input and one row of probabilities."""
        return cls((input,), (OutputSpec(name, "classification", (len(labels) or None,), labels=labels),))

    def to_dict(self) -> dict[str, Any]:
        """Return the entries of a manifest: ``task``, ``inputs``, ``outputs`` and ``max_batch``."""
        return {
            "task": self.task,
            "inputs": [spec.to_dict() for spec in self.inputs],
            "outputs": [spec.to_dict() for spec in self.outputs],
            "max_batch": self.max_batch,
        }

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> Signature:
        """Read what :meth:`to_dict` wrote.

        Raises
        ------
        ValueError
            An input or output is none that this library knows, or two have the same name.
        """
        inputs = tuple(map(InputSpec.from_dict, entry["inputs"]))
        outputs = tuple(map(OutputSpec.from_dict, entry["outputs"]))
        largest = entry["max_batch"]
        for specs in (inputs, outputs):
            if not specs or len({spec.name for spec in specs}) != len(specs):
                raise ValueError("inputs or outputs that are missing, or of the same name")
        if largest is not None and not (type(largest) is int and largest > 0):
            raise ValueError(f"a largest batch of {largest!r}")
        return cls(inputs, outputs, largest)

    @property
    def task(self) -> Task:
        """The task of its only output; ``"other"`` where it has several."""
        return self.outputs[0].task if len(self.outputs) == 1 else "other"

    @cached_property
    def is_classifier(self) -> bool:
        """Whether one float input becomes one row of probabilities, as for every model of format 1."""
        first = self.inputs[0]
        output = self.outputs[0]
        return (
            (len(self.inputs), len(self.outputs), self.max_batch) == (1, 1, None)
            and first.dtype.startswith("float")
            and None not in first.shape
            and (output.task, output.role, output.activation) == ("classification", "probabilities", "none")
            and len(output.shape) == 1
        )


def changes(before: Signature, after: Signature) -> list[str]:
    """Return what a client of one version would notice of another: in words, empty where nothing.

    The names of an only input and of an only output are no matter to most clients, and are not compared.

    Examples
    --------
    >>> changes(Signature.classifier(InputSpec((4,)), ("a", "b")), Signature.classifier(InputSpec((3,)), ("a", "b")))
    ['it takes float32 arrays of shape (3,), not float32 arrays of shape (4,)']
    """
    found = []
    if len(before.inputs) != len(after.inputs) or len(before.outputs) != len(after.outputs):
        counts = [f"{len(one.inputs)} inputs and {len(one.outputs)} outputs" for one in (after, before)]
        return [f"it has {counts[0]}, not {counts[1]}"]
    for old, new in zip(before.inputs, after.inputs, strict=True):
        if len(before.inputs) > 1 and old.name != new.name:
            found.append(f"the input {old.name!r} is called {new.name!r}")
        if replace(old, name="", columns=()) != replace(new, name="", columns=()):
            found.append(f"it takes {describe(new)}, not {describe(old)}")
        elif old.columns != new.columns:
            found.append(f"its columns are {', '.join(new.columns)}, not {', '.join(old.columns)}")
    for given, said in zip(before.outputs, after.outputs, strict=True):
        if len(before.outputs) > 1 and given.name != said.name:
            found.append(f"the output {given.name!r} is called {said.name!r}")
        if (given.task, len(given.shape)) != (said.task, len(said.shape)):
            found.append(f"it answers {said.task} of {len(said.shape)} axes, not {given.task} of {len(given.shape)}")
        elif given.labels != said.labels:
            found.append(f"its labels are {', '.join(said.labels)}, not {', '.join(given.labels)}")
        elif (given.shape, given.classes_first) != (said.shape, said.classes_first):
            order = ", the classes first" if said.classes_first and not given.classes_first else ""
            found.append(f"it answers the shape {said.shape}{order}, not {given.shape}")
    return found
