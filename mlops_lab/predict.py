"""Engines, predictors and predictions, the same for every framework. No Keras here, and no HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mlops_lab import show, tensors
from mlops_lab.answers.kinds import Prediction as Prediction
from mlops_lab.answers.kinds import draw as draw
from mlops_lab.answers.reading import from_outputs
from mlops_lab.answers.reading import from_probabilities as from_probabilities
from mlops_lab.errors import WrongUsage
from mlops_lab.image import InputSpec, describe, to_input
from mlops_lab.signature import WITH_CLASSES, Signature


class Engine(Protocol):
    """The interface of an engine: any object with this one method is one.

    An engine of a model that is no plain classifier (several inputs or outputs, whole numbers, text) may have a second
    one, ``run({name: array}) -> {name: array}``, with the names of the signature.

    Examples
    --------
    >>> class Coin:
    ...     def predict(self, inputs):
    ...         return np.full((len(inputs), 2), 0.5, np.float32)
    >>> spec = InputSpec(shape=(4,))
    >>> Predictor("coin", 1, spec, ("heads", "tails"), Coin()).predict(np.zeros((1, 4)))[0].confidence
    0.5
    """

    def predict(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return one row of probabilities, ``(n, classes)``, for each example of ``(n, *shape)``."""
        ...


@dataclass(frozen=True, eq=False, slots=True)
class PredictionEvent:
    """One answered request, as hooks and logs receive it.

    Parameters
    ----------
    request_id
        The ``X-Request-Id`` of the answer.
    time
        When it was answered, in seconds since 1970.
    predictor
        The version that answered.
    images
        The examples as they were given to the model, ``n`` first: images 0–255, or arrays; of several inputs the first.
    rows
        ``(n, classes)`` probabilities; by a model without classes, what :func:`mlops_lab.answers.summary_rows` makes of
        its first output.
    seconds
        How long the engine took.
    inputs, outputs
        All named inputs and outputs of a model that is not a plain classifier; ``None`` for one that is.
    """

    request_id: str
    time: float
    predictor: Predictor
    images: Sequence[NDArray[Any]] | NDArray[Any]
    rows: NDArray[np.float32]
    seconds: float
    inputs: Mapping[str, NDArray[Any]] | None = None
    outputs: Mapping[str, NDArray[Any]] | None = None

    @property
    def task(self) -> str:
        """What the answers are: ``"classification"``, ``"regression"`` and so on."""
        return self.predictor.signature.task

    @property
    def predictions(self) -> list[Any]:
        """The answer to each example, a class of :mod:`mlops_lab.answers`: a :class:`Prediction` by a classifier."""
        if self.outputs is not None:
            return from_outputs(self.outputs, self.predictor.signature)
        return from_probabilities(self.rows, self.predictor.class_names(self.rows.shape[1]))


# Stands for the signature of a classifier until the predictor's input and labels are known.
_CLASSIFIER: Any = None


@dataclass(frozen=True, eq=False)
class Predictor:
    """One version of a model, loaded and ready to answer.

    Parameters
    ----------
    name, version
        Of the model.
    input
        What it takes; images become that in :func:`mlops_lab.image.to_input`.
    labels
        The names of its classes.
    engine
        What computes.
    info
        What else its manifest tells about it.
    signature
        All its inputs and outputs; by default those of a classifier with this input and these labels.
    """

    name: str
    version: int
    input: InputSpec
    labels: tuple[str, ...]
    engine: Engine
    info: Mapping[str, Any] = field(default_factory=dict, repr=False)
    signature: Signature = field(default=_CLASSIFIER, repr=False)

    def __post_init__(self) -> None:
        signature = self.signature
        if signature is _CLASSIFIER or (
            # A copy of a classifier with another input or other labels, as by dataclasses.replace.
            signature.is_classifier and (signature.inputs[0], signature.outputs[0].labels) != (self.input, self.labels)
        ):
            object.__setattr__(self, "signature", Signature.classifier(self.input, self.labels))

    @classmethod
    def of(
        cls,
        signature: Signature,
        engine: Engine,
        name: str = "model",
        version: int = 1,
        info: Mapping[str, Any] | None = None,
    ) -> Predictor:
        """Return a predictor of any signature, which has its input and its labels.

        Examples
        --------
        >>> from mlops_lab.engines.python import PythonEngine
        >>> Predictor.of(Signature.classifier(InputSpec((2,)), ("a", "b")), PythonEngine(lambda inputs: inputs)).labels
        ('a', 'b')
        """
        return cls(name, version, signature.inputs[0], signature.outputs[0].labels, engine, info or {}, signature)

    def class_names(self, number: int) -> Sequence[str]:
        """Return the names of the classes, or their numbers where they have no names."""
        return self.labels or [str(index) for index in range(number)]

    def probabilities(self, images: Sequence[NDArray[Any]] | NDArray[Any]) -> NDArray[np.float32]:
        """Return ``(n, classes)`` for a batch of images, or of arrays where the model takes no images.

        Raises
        ------
        WrongUsage
            The first output of the model has no classes.
        """
        if self.signature.is_classifier:
            return self.engine.predict(to_input(images, self.input))
        first = self.signature.outputs[0]
        if first.task not in WITH_CLASSES:
            message = (
                f"{self.name} v{self.version} has no classes: the task of its output {first.name!r} is {first.task}."
            )
            raise WrongUsage(message, "Call predict, which answers for every task.")
        return tensors.class_rows(self.outputs(images)[first.name], first)

    def outputs(self, examples: Any) -> tensors.Tensors:
        """Return the named outputs, activations applied, for examples before preprocessing.

        Parameters
        ----------
        examples
            A batch of its only input, or of several inputs a dictionary by name.

        Examples
        --------
        >>> from mlops_lab.engines.python import PythonEngine
        >>> model = Predictor("twice", 1, InputSpec((2,)), ("a", "b"), PythonEngine(lambda inputs: 2 * inputs))
        >>> model.outputs([[1, 1]])
        {'probabilities': array([[2., 2.]], dtype=float32)}
        """
        named = examples if isinstance(examples, Mapping) else {self.input.name: examples}
        specs = {spec.name: spec for spec in self.signature.inputs}
        # An unknown name is refused by the check of the tensors, with the names there are.
        return tensors.run(
            self, {name: to_input(part, specs[name]) if name in specs else part for name, part in named.items()}
        )

    def infer(self, tensor: NDArray[Any]) -> NDArray[np.float32]:
        """Return the first output for an only input that is model input already: scaled, in its shape, the batch first.

        Raises
        ------
        WrongShape
            The tensor is not ``(n, *input.shape)``.
        BadRequest
            It holds NaN or infinity, or numbers so large that the model has no finite answer to them.

        Examples
        --------
        >>> from mlops_lab.engines.python import PythonEngine
        >>> model = Predictor("twice", 1, InputSpec((2,)), ("a", "b"), PythonEngine(lambda inputs: 2 * inputs))
        >>> model.infer(np.ones((1, 2)))
        array([[2., 2.]], dtype=float32)
        """
        signature = self.signature
        answers = tensors.run(self, {signature.inputs[0].name: tensor})
        return answers[signature.outputs[0].name]

    def predict(self, images: Any) -> list[Any]:
        """Return the answer to each example of a batch, in order: a :class:`Prediction` by a classifier.

        Parameters
        ----------
        images
            A batch of images, or of arrays where the model takes none; of several inputs a dictionary by name.

        Returns
        -------
        list
            A class of :mod:`mlops_lab.answers` for each example.
        """
        shown = list(images) if self.input.size and not isinstance(images, Mapping) else None
        if not self.signature.is_classifier:
            return from_outputs(self.outputs(images), self.signature, shown)
        rows = self.probabilities(images)
        return from_probabilities(rows, self.class_names(rows.shape[1]), shown)

    def __repr__(self) -> str:
        engine = type(self.engine).__name__
        return f"<{type(self).__name__} {self.name} v{self.version}: {describe(self.input)}, by {engine}>"

    def about(self) -> dict[str, Any]:
        """Return what a client may know: what the manifest tells, and without one what the predictor itself knows.

        Examples
        --------
        >>> sorted(Predictor("coin", 1, InputSpec((4,)), ("heads", "tails"), engine=None).about())
        ['input', 'labels', 'name', 'version']
        """
        known = {"name": self.name, "version": f"v{self.version}", "labels": list(self.labels)}
        described = {} if self.signature.is_classifier else self.signature.to_dict()
        return {**known, "input": self.input.to_dict(), **described, **self.info}

    def _repr_html_(self) -> str:
        rows = [("engine", type(self.engine).__name__), ("classes", ", ".join(self.labels))]
        return show.card(f"{self.name} v{self.version}, ready", show.table(rows))


def draw_png(prediction: Prediction) -> bytes:
    """Return a prediction as a PNG image: the image, where it is known, beside the bars."""
    drawing = show.figure(7, 3)
    image_axes, bar_axes = drawing.subplots(1, 2, width_ratios=(1, 2))
    image_axes.set_axis_off()
    if prediction.image is not None:
        image_axes.imshow(prediction.image, cmap="gray", vmin=0, vmax=255)
    image_axes.set_title(str(prediction))
    names = prediction.labels or tuple(map(str, range(len(prediction.probabilities))))
    colours = [show.COLOURS[0] if place == prediction.class_index else "#8c8c8c" for place in range(len(names))]
    bar_axes.barh(names, prediction.probabilities, color=colours)
    bar_axes.invert_yaxis()
    bar_axes.set(xlim=(0, 1), xlabel="probability")
    bar_axes.spines[["top", "right"]].set_visible(False)
    return show.figure_png(drawing)
