"""What a chain is made of besides models: steps that cut images up and put answers together.

A link takes what the link before gives. What that is, is a :class:`Kind`; a link that cannot take it says so when the
chain is loaded, not when the first image comes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from mlops_lab.errors import TooLarge, WrongUsage, nearest
from mlops_lab.image import InputSpec, describe
from mlops_lab.predict import Prediction, Predictor
from mlops_lab.serve.chains.finder import find_digits
from mlops_lab.serve.codec import WHOLE
from mlops_lab.serve.limits import Limits


@dataclass(frozen=True)
class Kind:
    """What flows from one link to the next.

    Parameters
    ----------
    what
        ``"images"``, ``"predictions"`` or ``"text"``; ``"request"`` for what the first link is given.
    mode
        Of images: ``"grey"`` or ``"rgb"``.
    labels
        Of predictions: the names of the classes.

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


class Outcome(NamedTuple):
    """What a link hands on, and what the answer tells about it."""

    value: Any
    facts: dict[str, Any]


class Step(Protocol):
    """One link of a chain. Anything with these members can be one.

    Examples
    --------
    >>> class Shout:
    ...     name = "shout"
    ...     input = None
    ...     def gives(self, given):
    ...         return Kind("text")
    ...     def run(self, value, limits):
    ...         return Outcome(value.upper(), {})
    >>> Shout().run("four", Limits()).value
    'FOUR'
    """

    @property
    def name(self) -> str:
        """What errors and answers call it."""
        ...

    @property
    def input(self) -> InputSpec | None:
        """What it takes from a request as the first link; ``None`` for a step that cannot be the first."""
        ...

    def gives(self, given: Kind) -> Kind:
        """Return what it makes of what it is given, or raise :class:`WrongUsage` where it cannot take that."""
        ...

    def run(self, value: Any, limits: Limits) -> Outcome:
        """Do it."""
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

    def run(self, value: Any, limits: Limits) -> Outcome:
        """Return the cut-out digits of all images, and tell where they were."""
        found = [digit for image in value for digit in find_digits(image, self.margin)]
        if len(found) > limits.batch:
            message = f"{len(found)} patches of ink look like digits; the limit is batch={limits.batch}."
            raise TooLarge(message, "Send a smaller part of the image.")
        return Outcome([digit.pixels for digit in found], {"boxes": [list(digit.box) for digit in found]})


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

    def run(self, value: Any, limits: Limits) -> Outcome:
        """Return the text."""
        return Outcome(self.separator.join(prediction.label for prediction in value), {})


@dataclass(frozen=True, eq=False)
class Ask:
    """Asks a loaded model. It takes images, or the probabilities of the model before."""

    predictor: Predictor
    on_prediction: Callable[[Predictor, Any, Sequence[Prediction]], None] | None = None

    @property
    def name(self) -> str:
        """The model's."""
        return self.predictor.name

    @property
    def input(self) -> InputSpec | None:
        """The model's."""
        return self.predictor.input

    def gives(self, given: Kind) -> Kind:
        """Return predictions for what the model takes."""
        spec = self.predictor.input
        images = given.what == "images" and spec.size is not None and spec.mode == given.mode
        numbers = given.what == "predictions" and spec.size is None and spec.shape == (len(given.labels),)
        if given.what != "request" and not (images or numbers):
            who = f"{self.predictor.name} v{self.predictor.version}"
            hint = "Name a model that takes that, or change the link before."
            raise WrongUsage(f"{who} takes {describe(spec)}, and is given {given}.", hint)
        return Kind("predictions", labels=self.predictor.labels)

    def run(self, value: Any, limits: Limits) -> Outcome:
        """Return a prediction for each image, or for each prediction of the model before."""
        if self.predictor.input.size is None and not isinstance(value, np.ndarray):
            value = np.array([getattr(item, "probabilities", item) for item in value])
        predictions = self.predictor.predict(value) if len(value) else []
        if self.on_prediction is not None and len(value):
            self.on_prediction(self.predictor, value, predictions)
        facts = {"version": f"v{self.predictor.version}", "predictions": [item.to_dict() for item in predictions]}
        return Outcome(predictions, facts)


STEPS: dict[str, Callable[..., Step]] = {"find-digits": FindDigits, "join": Join}


def make_step(word: str, options: Mapping[str, Any]) -> Step:
    """Return a built-in step by its word.

    Examples
    --------
    >>> make_step("join", {"separator": "-"})
    Join(separator='-', name='join', input=None)
    """
    if word not in STEPS:
        raise WrongUsage(f"There is no step {word[:80]!r}.", nearest(word[:80], STEPS))
    known = {"find-digits": {"margin"}, "join": {"separator"}}[word]
    unknown = sorted(set(options) - known)
    if unknown:
        raise WrongUsage(f"The step {word!r} has no option {unknown[0][:80]!r}.", nearest(unknown[0][:80], known))
    return STEPS[word](**options)
