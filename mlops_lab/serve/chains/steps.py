"""The links of a chain: models, and steps that cut images up and put answers together.

A link takes the output of the link before it. The type of that output is a :class:`Kind`; a link that cannot take it
raises an error when the chain is loaded, not when the first image arrives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from mlops_lab.errors import TooLarge, WrongUsage, nearest
from mlops_lab.image import InputSpec, describe
from mlops_lab.predict import Predictor, from_probabilities
from mlops_lab.serve.chains.finder import find_digits
from mlops_lab.serve.codecs.images import WHOLE
from mlops_lab.serve.core.inference import Batch, InferenceService
from mlops_lab.serve.core.limits import Limits
from mlops_lab.serve.core.timing import RequestContext
from mlops_lab.serve.core.traffic import Route


@dataclass(frozen=True)
class Kind:
    """The type of a value that is passed from one link to the next.

    Parameters
    ----------
    what
        ``"images"``, ``"predictions"`` or ``"text"``; ``"request"`` for the input of the first link.
    mode
        Mode of images: ``"grey"`` or ``"rgb"``.
    labels
        Names of the classes of predictions.

    Examples
    --------
    >>> print(Kind("images", mode="grey"))
    grey images
    """

    what: str
    mode: str = ""
    labels: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.mode} {self.what}".strip() + (f" of {len(self.labels)} classes" if self.labels else "")


class StepResult(NamedTuple):
    """The output of a link, and the facts about it that the answer reports."""

    value: Any
    facts: dict[str, Any]


class Step(Protocol):
    """One link of a chain. Any object with these members can be one.

    Examples
    --------
    >>> class Shout:
    ...     name = "shout"
    ...     input = None
    ...     def gives(self, given):
    ...         return Kind("text")
    ...     def run(self, value, limits):
    ...         return StepResult(value.upper(), {})
    >>> Shout().run("four", Limits()).value
    'FOUR'
    """

    @property
    def name(self) -> str:
        """The name of the link in errors and answers."""
        ...

    @property
    def input(self) -> InputSpec | None:
        """The input it reads from a request as the first link; ``None`` for a step that cannot be the first."""
        ...

    def gives(self, given: Kind) -> Kind:
        """Return the type of the output for a type of input, or raise :class:`WrongUsage` where it cannot take that."""
        ...

    def run(self, value: Any, limits: Limits) -> StepResult:
        """Return the output for an input."""
        ...


@dataclass(frozen=True)
class FindDigits:
    """Cuts one grey image into the handwritten digits on it, from left to right."""

    margin: float = 0.0
    name: str = "find-digits"
    input: InputSpec | None = WHOLE

    def __post_init__(self) -> None:
        if isinstance(self.margin, bool) or not isinstance(self.margin, int | float) or not 0 <= self.margin <= 1:
            raise WrongUsage(f"The margin of {self.name!r} is {self.margin!r}.", "Take a number from 0 to 1.")

    def gives(self, given: Kind) -> Kind:
        """Return images for images."""
        if given.what != "request" and (given.what, given.mode) != ("images", "grey"):
            raise WrongUsage(f"{self.name!r} takes grey images, and is given {given}.", "Put it first.")
        return Kind("images", mode="grey")

    def run(self, value: Any, limits: Limits) -> StepResult:
        """Return the cut-out digits of all images, and where they were."""
        found = [digit for image in value for digit in find_digits(image, self.margin)]
        if len(found) > limits.batch:
            message = f"{len(found)} patches of ink look like digits; the limit is batch={limits.batch}."
            raise TooLarge(message, "Send a smaller part of the image.")
        return StepResult([digit.pixels for digit in found], {"boxes": [list(digit.box) for digit in found]})


@dataclass(frozen=True)
class Join:
    """Writes the labels of predictions one after the other."""

    separator: str = ""
    name: str = "join"
    input: InputSpec | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.separator, str) or len(self.separator) > 20:
            raise WrongUsage(f"The separator of {self.name!r} is not a short text.", 'Take "" or ", ".')

    def gives(self, given: Kind) -> Kind:
        """Return text for predictions."""
        if given.what != "predictions":
            raise WrongUsage(f"{self.name!r} takes predictions, and is given {given}.", "Put it after a model.")
        return Kind("text")

    def run(self, value: Any, limits: Limits) -> StepResult:
        """Return the text."""
        return StepResult(self.separator.join(prediction.label for prediction in value), {})


@dataclass(frozen=True, eq=False)
class ModelStep:
    """Asks a loaded model. It takes images, or the probabilities of the model before."""

    route: Route

    @property
    def predictor(self) -> Predictor:
        """The version that answers."""
        return self.route.predictor

    @property
    def name(self) -> str:
        """The name of the model."""
        return self.predictor.name

    @property
    def input(self) -> InputSpec | None:
        """The input of the model."""
        return self.predictor.input

    def gives(self, given: Kind) -> Kind:
        """Return predictions for the input of the model."""
        spec = self.predictor.input
        images = given.what == "images" and spec.size is not None and spec.mode == given.mode
        numbers = given.what == "predictions" and spec.size is None and spec.shape == (len(given.labels),)
        if given.what != "request" and not (images or numbers):
            version = f"{self.predictor.name} v{self.predictor.version}"
            hint = "Name a model that takes that, or change the link before."
            raise WrongUsage(f"{version} takes {describe(spec)}, and is given {given}.", hint)
        return Kind("predictions", labels=self.predictor.labels)

    def ask(self, value: Any, service: InferenceService, context: RequestContext) -> StepResult:
        """Return a prediction for each image, or for each prediction of the model before."""
        predictor = self.predictor
        if predictor.input.size is None and not isinstance(value, np.ndarray):
            value = np.array([getattr(item, "probabilities", item) for item in value])
        predictions = []
        if len(value):
            rows = service.answer(self.route, lambda _: Batch(value), context).rows
            predictions = from_probabilities(rows, predictor.class_names(rows.shape[1]))
        facts = {"version": f"v{predictor.version}", "predictions": [item.to_dict() for item in predictions]}
        return StepResult(predictions, facts)


STEPS: dict[str, Callable[..., Step]] = {"find-digits": FindDigits, "join": Join}


def make_step(name: str, options: Mapping[str, Any]) -> Step:
    """Return a built-in step by its name.

    Examples
    --------
    >>> make_step("join", {"separator": "-"})
    Join(separator='-', name='join', input=None)
    """
    if name not in STEPS:
        raise WrongUsage(f"There is no step {name[:80]!r}.", nearest(name[:80], STEPS))
    known = {"find-digits": {"margin"}, "join": {"separator"}}[name]
    unknown = sorted(set(options) - known)
    if unknown:
        raise WrongUsage(f"The step {name!r} has no option {unknown[0][:80]!r}.", nearest(unknown[0][:80], known))
    return STEPS[name](**options)
