"""The input of a model: its shape, its type, and how images become it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.errors import BadRequest

MAX_SIDE = 4096
# NumPy's name for the type of an input of text.
TEXT = "str"


@dataclass(frozen=True)
class InputSpec:
    """The input of a model, as its manifest describes it.

    Parameters
    ----------
    name
        The name of the input on the wire.
    shape
        The shape of one example, without the batch: ``(28, 28, 1)``; ``None`` for a side that may have any length.
    low, high
        What pixel 0 and pixel 255 become.
    size
        Height and width of the image, or ``None`` for a model that does not take images.
    mode
        ``"grey"`` or ``"rgb"``.
    dtype
        NumPy's name for the type of a number; ``"str"`` for text.
    columns
        The names of the numbers of an example, where it is a row of a table.
    mean, deviation
        One for each channel of an image: what is subtracted from the scaled pixels, and what divides them then.

    Examples
    --------
    >>> InputSpec(shape=(28, 28, 1), size=(28, 28)).range
    (0.0, 1.0)
    """

    shape: tuple[int | None, ...]
    size: tuple[int, int] | None = None
    name: str = "image"
    low: float = 0.0
    high: float = 1.0
    mode: str = "grey"
    dtype: str = "float32"
    columns: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()

    @property
    def range(self) -> tuple[float, float]:
        """The smallest and the largest number the model is given."""
        if not self.mean:
            return (self.low, self.high)
        channels = zip(self.mean, self.deviation, strict=True)
        ends = [(end - mean) / deviation for mean, deviation in channels for end in (self.low, self.high)]
        return (min(ends), max(ends))

    @cached_property
    def image_shape(self) -> tuple[int, ...]:
        """The shape of one image before it becomes input: ``(28, 28)`` or ``(28, 28, 3)``."""
        return (*(self.size or ()), 3) if self.mode == "rgb" else tuple(self.size or ())

    @cached_property
    def channels_first(self) -> bool:
        """Whether colours come before height and width, as PyTorch has them: ``(3, 28, 28)``."""
        return self.mode == "rgb" and self.shape == (3, *(self.size or ())) != self.image_shape

    @cached_property
    def example_shapes(self) -> tuple[tuple[int | None, ...], ...]:
        """The shapes in which one example may come as an array."""
        if self.size is None:
            return (self.shape,)
        shapes = (self.image_shape, (*self.image_shape, 1))
        return shapes if self.channels_first else (*shapes, self.shape)

    @cached_property
    def least_shape(self) -> tuple[int, ...]:
        """The smallest shape of one example: each free side is 1."""
        return tuple(1 if side is None else side for side in self.shape)

    def zeros(self, length: int = 1) -> NDArray[Any]:
        """Return a batch of zeros, or of empty texts, of the smallest shape.

        Examples
        --------
        >>> InputSpec((2, None)).zeros().shape
        (1, 2, 1)
        """
        shape = (length, *self.least_shape)
        return np.full(shape, "", object) if self.dtype == TEXT else np.zeros(shape, self.dtype)

    def to_dict(self) -> dict[str, Any]:
        """Return the entry of a manifest; what an input does not have is left out."""
        image = {"kind": "image", "size": list(self.size or ()), "mode": self.mode}
        if self.mean:
            image |= {"mean": list(self.mean), "deviation": list(self.deviation)}
        plain = {
            "name": self.name,
            "shape": list(self.shape),
            "dtype": self.dtype,
            "range": [self.low, self.high],
            "preprocessing": image if self.size else {"kind": "none"},
        }
        return {**plain, "columns": list(self.columns)} if self.columns else plain

    @classmethod
    def from_dict(cls, entry: dict[str, Any]) -> InputSpec:
        """Read what :meth:`to_dict` wrote.

        Raises
        ------
        ValueError
            A side, type, mode or number of columns is none that an input can have.
        """
        preprocessing = entry["preprocessing"]
        size = preprocessing.get("size")
        low, high = entry["range"]
        spec = cls(
            shape=tuple(entry["shape"]),
            size=(size[0], size[1]) if size else None,
            name=entry["name"],
            low=float(low),
            high=float(high),
            mode=preprocessing.get("mode", "grey"),
            dtype=entry["dtype"],
            columns=tuple(map(str, entry.get("columns", ()))),
            mean=tuple(map(float, preprocessing.get("mean", ()))),
            deviation=tuple(map(float, preprocessing.get("deviation", ()))),
        )
        spec.check()
        return spec

    def check(self) -> None:
        """Raise ``ValueError`` where this is no input that a model can have."""
        sides = (*(side for side in self.shape if side is not None or self.size), *(self.size or ()))
        if not all(type(side) is int and 0 < side <= MAX_SIDE * MAX_SIDE for side in sides):
            raise ValueError(f"an input of shape {self.shape} and size {self.size}")
        kind = "T" if self.dtype == TEXT else np.dtype(self.dtype).kind
        if self.mode not in ("grey", "rgb") or kind not in ("fiu" if self.size else "fiubT"):
            raise ValueError(f"an input of mode {self.mode!r} and type {self.dtype!r}")
        if kind in "iu" and self.size and (self.low, self.high, self.mean) != (0, 255, ()):
            raise ValueError(f"pixels of type {self.dtype} that are scaled to {self.low:g}–{self.high:g}")
        if self.size and math.prod(self.image_shape) != math.prod(side or 0 for side in self.shape):
            raise ValueError(f"images of shape {self.image_shape} for an input of shape {self.shape}")
        if self.columns and self.shape != (len(self.columns),):
            raise ValueError(f"{len(self.columns)} columns for an input of shape {self.shape}")
        channels = 3 if self.mode == "rgb" else 1
        if {len(self.mean), len(self.deviation)} not in ({0}, {channels}) or not all(self.deviation):
            raise ValueError(f"mean {self.mean} and deviation {self.deviation} for {channels} channels")


def fits(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    """Return whether a shape is the wanted one; ``None`` stands for any length.

    Examples
    --------
    >>> fits((28, 3), (None, 3)), fits((28,), (None, 3))
    (True, False)
    """
    if shape == wanted:
        return True
    return len(shape) == len(wanted) and all(side in (None, has) for side, has in zip(wanted, shape, strict=True))


def sides(shape: tuple[int | None, ...]) -> str:
    """Return the shape of a batch in words: ``(n, 28, any)``.

    Examples
    --------
    >>> sides((28, None))
    '(n, 28, any)'
    """
    return f"(n, {', '.join('any' if side is None else str(side) for side in shape)})" if shape else "(n,)"


def convert(array: NDArray[Any], spec: InputSpec) -> NDArray[Any]:
    """Return an array in the type of an input, once it holds what this type holds.

    Raises
    ------
    BadRequest
        It holds NaN, infinity, numbers too large, fractions where there should be whole numbers, or no text.

    Examples
    --------
    >>> convert(np.array([1.0, 2.0]), InputSpec((), dtype="int64"))
    array([1, 2])
    """
    if spec.dtype == TEXT:
        if array.dtype.kind not in "UO" or not all(type(item) is str for item in array.ravel().tolist()):
            raise BadRequest(f"The input {spec.name!r} takes text; received {array.dtype.name}.", "Send strings.")
        return array.astype(object)
    if array.dtype.kind not in "fiub":
        raise BadRequest(f"The input {spec.name!r} takes {spec.dtype}; received {array.dtype.name}.", "Send numbers.")
    with np.errstate(over="ignore", invalid="ignore"):
        converted = np.ascontiguousarray(array, dtype=spec.dtype).reshape(array.shape)
    if converted.dtype.kind == "f":
        if not np.isfinite(converted).all():
            raise BadRequest("The tensor holds NaN, infinity or numbers too large.", "Send finite numbers.")
    elif converted.dtype != array.dtype and not np.array_equal(converted, array):
        message = f"The input {spec.name!r} takes {spec.dtype}; received numbers that this type does not hold."
        raise BadRequest(message, "Send whole numbers in its range.")
    return converted


def describe(spec: InputSpec) -> str:
    """Return one sentence on what a model takes.

    Examples
    --------
    >>> describe(InputSpec(shape=(64,), size=(8, 8), high=16))
    'grey images of 8×8 pixels, scaled to 0–16'
    """
    if spec.size is None:
        if spec.columns:
            return f"rows of {len(spec.columns)} numbers: {', '.join(spec.columns)}"
        if spec.dtype == TEXT and not spec.shape:
            return "texts"
        return f"{spec.dtype} arrays of shape {spec.shape}"
    height, width = spec.size
    return f"{spec.mode} images of {width}×{height} pixels, scaled to {spec.low:g}–{spec.high:g}"
