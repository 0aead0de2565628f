"""The answer of a model to one example: one small class for each task, with its wire form and its HTML."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from mlops_lab import show
from mlops_lab.image import encode_png

# Over this probability, an example has a label of several that do not exclude each other.
THRESHOLD = 0.5
_SHOWN = 12


@dataclass(frozen=True, eq=False)
class Prediction:
    """The answer of a classifier to one example.

    Parameters
    ----------
    label
        The name of the most probable class.
    class_index
        Its place among the labels (``class`` on the wire).
    confidence
        Its probability, 0–1.
    probabilities
        The probability of every class, in the order of ``labels``.
    labels
        The names of the classes.
    image
        The image, where it is known, for drawing.
    """

    label: str
    class_index: int
    confidence: float
    probabilities: tuple[float, ...]
    labels: tuple[str, ...] = field(default=(), repr=False)
    image: NDArray[np.uint8] | None = field(default=None, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the prediction as it goes over the wire."""
        return {
            "label": self.label,
            "class": self.class_index,
            "confidence": self.confidence,
            "probabilities": list(self.probabilities),
        }

    def __str__(self) -> str:
        return f"{self.label} ({100 * self.confidence:.1f}%)"

    def _repr_html_(self) -> str:
        return show.card(str(self), draw(self))


def draw(prediction: Prediction) -> str:
    """Return a prediction as HTML: the image, where it is known, beside the bars."""
    labels = prediction.labels or tuple(map(str, range(len(prediction.probabilities))))
    bars = show.bars(labels, prediction.probabilities, strongest=prediction.class_index)
    return _beside(prediction.image, f"The image that was classified as {prediction}", bars)


def _beside(pixels: NDArray[Any] | None, alt: str, drawing: str) -> str:
    if pixels is None:
        return drawing
    image = show.image(encode_png(pixels), alt, width=140, pixelated=True)
    return f'<div style="display: flex; gap: 16px; align-items: center">{image}{drawing}</div>'


@dataclass(frozen=True, eq=False)
class LabelSet:
    """The labels that one example has, of several that do not exclude each other.

    Parameters
    ----------
    found
        The names of the labels whose probability is over :data:`THRESHOLD` (``labels`` on the wire).
    probabilities
        The probability of every label, in the order of ``labels``.
    labels
        The names of all labels.
    """

    found: tuple[str, ...]
    probabilities: tuple[float, ...]
    labels: tuple[str, ...] = field(default=(), repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the labels as they go over the wire."""
        return {"labels": list(self.found), "probabilities": list(self.probabilities)}

    def __str__(self) -> str:
        return ", ".join(self.found) or "none of the labels"

    def _repr_html_(self) -> str:
        names = self.labels or tuple(map(str, range(len(self.probabilities))))
        strongest = int(np.argmax(self.probabilities)) if self.found else -1
        return show.card(str(self), show.bars(names, self.probabilities, strongest=strongest))


@dataclass(frozen=True, eq=False)
class Value:
    """The number that a regressor gives one example, or a tuple of them.

    Examples
    --------
    >>> Value(23.4).to_dict()
    {'value': 23.4}
    """

    value: float | tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the value as it goes over the wire."""
        return {"value": list(self.value) if isinstance(self.value, tuple) else self.value}

    def __str__(self) -> str:
        return _short(self.value if isinstance(self.value, tuple) else (self.value,))

    def _repr_html_(self) -> str:
        return show.card(str(self))


@dataclass(frozen=True, eq=False)
class Vector:
    """The place of one example in the space of an embedding, ``(dimensions,)``."""

    vector: NDArray[Any]

    def to_dict(self) -> dict[str, Any]:
        """Return the vector as it goes over the wire."""
        return {"vector": plain_numbers(self.vector)}

    def __str__(self) -> str:
        with np.errstate(over="ignore"):
            return f"a vector of {self.vector.size} numbers, of length {np.linalg.norm(self.vector):.4g}"

    def _repr_html_(self) -> str:
        return show.card(str(self), show.text(_short(self.vector.ravel().tolist())))


@dataclass(frozen=True, eq=False)
class Mask:
    """The class of every pixel of one image.

    Parameters
    ----------
    mask
        ``(height, width)``, the place of each pixel's class among the labels.
    labels
        The names of the classes.
    image
        The image, where it is known, for drawing.
    """

    mask: NDArray[Any]
    labels: tuple[str, ...] = field(default=(), repr=False)
    image: NDArray[np.uint8] | None = field(default=None, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the mask as it goes over the wire."""
        return {"mask": self.mask.tolist()}

    def __str__(self) -> str:
        shares = [f"{self._name(index)} {100 * share:.1f}%" for index, share in self._shares()[:_SHOWN]]
        return f"{' × '.join(map(str, self.mask.shape))} pixels: {', '.join(shares)}"

    def _shares(self) -> list[tuple[int, float]]:
        classes, counts = np.unique(self.mask, return_counts=True)
        return list(zip(classes.astype(int).tolist(), (counts / self.mask.size).tolist(), strict=True))

    def _name(self, index: int) -> str:
        return self.labels[index] if index < len(self.labels) else str(index)

    def _repr_html_(self) -> str:
        if self.mask.ndim != 2:
            return show.card(str(self))
        shares = self._shares()
        colours = {index: _colour(index) for index, _ in shares}
        painted = np.zeros((*self.mask.shape, 3), np.uint8)
        for index, colour in colours.items():
            painted[self.mask == index] = colour
        drawn = show.image(encode_png(painted), f"The mask: {self}", width=140, pixelated=True)
        rows = [(show.Html(_swatch(colours[i])), self._name(i), f"{100 * share:.1f}%") for i, share in shares[:_SHOWN]]
        drawn = f'<div style="display: flex; gap: 16px; align-items: center">{drawn}{show.table(rows)}</div>'
        return show.card("Segmentation", _beside(self.image, "The image that was segmented", drawn))


@dataclass(frozen=True, eq=False)
class Score:
    """The anomaly score of one example, and whether it is an outlier.

    Parameters
    ----------
    score
        What the model's ``decision_function`` says: below 0 for an outlier, the lower the more unusual.
    outlier
        Whether it is one.
    """

    score: float
    outlier: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the score as it goes over the wire."""
        return {"score": self.score, "outlier": self.outlier}

    def __str__(self) -> str:
        return f"{'an outlier' if self.outlier else 'usual'}, score {self.score:.4g}"

    def _repr_html_(self) -> str:
        word = show.state("warning", "outlier") if self.outlier else show.state("ok", "usual")
        return show.card(f"score {self.score:.4g}", word)


@dataclass(frozen=True, eq=False)
class Tensor:
    """The answer of a model whose task is none of the others, as an array."""

    tensor: NDArray[Any]

    def to_dict(self) -> dict[str, Any]:
        """Return the array as it goes over the wire."""
        return {"tensor": plain_numbers(self.tensor)}

    def __str__(self) -> str:
        if self.tensor.ndim == 0:
            return _short([self.tensor.item()])
        kind = self.tensor.dtype.name if self.tensor.dtype.kind in "fiub" else "text"
        return f"{kind} of shape {self.tensor.shape}"

    def _repr_html_(self) -> str:
        return show.card(str(self), show.text(_short(self.tensor.ravel().tolist())) if self.tensor.ndim else "")


@dataclass(frozen=True, eq=False)
class NamedAnswers:
    """The answer of a model with several outputs to one example: that of each output by its name."""

    outputs: Mapping[str, Answer]

    def to_dict(self) -> dict[str, Any]:
        """Return the answers as they go over the wire."""
        return {"outputs": {name: answer.to_dict() for name, answer in self.outputs.items()}}

    def __getitem__(self, name: str) -> Answer:
        return self.outputs[name]

    def __str__(self) -> str:
        return "; ".join(f"{name}: {answer}" for name, answer in self.outputs.items())

    def _repr_html_(self) -> str:
        parts = [show.table([(name, show.Html(answer._repr_html_()))]) for name, answer in self.outputs.items()]
        return show.card(f"{len(self.outputs)} outputs", *parts)


Answer = Prediction | LabelSet | Value | Vector | Mask | Score | Tensor | NamedAnswers


def plain_numbers(array: NDArray[Any]) -> Any:
    """Return an array as lists, its numbers as short as their type allows: 23.4, and not 23.399999618530273."""
    if array.dtype.kind != "f":
        return array.tolist()
    return orjson.loads(orjson.dumps(np.ascontiguousarray(array), option=orjson.OPT_SERIALIZE_NUMPY))


def _short(numbers: Sequence[Any]) -> str:
    shown = ", ".join(f"{item:.6g}" if isinstance(item, float) else str(item) for item in numbers[:_SHOWN])
    return shown + (f" and {len(numbers) - _SHOWN} more" if len(numbers) > _SHOWN else "")


def _colour(index: int) -> tuple[int, ...]:
    """Return the colour of a class: grey for the first, then hues that lie far apart."""
    if index == 0:
        return (112, 112, 112)
    red, green, blue = colorsys.hsv_to_rgb((0.58 + 0.618034 * (index - 1)) % 1.0, 0.65, 0.95)
    return (round(255 * red), round(255 * green), round(255 * blue))


def _swatch(colour: tuple[int, ...]) -> str:
    pixels = np.full((1, 1, 3), colour, np.uint8)
    return show.image(encode_png(pixels), f"rgb({', '.join(map(str, colour))})", width=12, pixelated=True)
