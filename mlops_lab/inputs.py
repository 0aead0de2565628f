"""The input of a model: its shape, its type, and how images become it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

MAX_SIDE = 4096


@dataclass(frozen=True)
class InputSpec:
    """The input of a model, as its manifest describes it.

    Parameters
    ----------
    name
        The name of the input on the wire.
    shape
        The shape of one example, without the batch: ``(28, 28, 1)``.
    low, high
        What pixel 0 and pixel 255 become.
    size
        Height and width of the image, or ``None`` for a model that does not take images.
    mode
        ``"grey"`` or ``"rgb"``.
    dtype
        NumPy's name for the type of a number.

    Examples
    --------
    >>> InputSpec(shape=(28, 28, 1), size=(28, 28)).range
    (0.0, 1.0)
    """

    shape: tuple[int, ...]
    size: tuple[int, int] | None = None
    name: str = "image"
    low: float = 0.0
    high: float = 1.0
    mode: str = "grey"
    dtype: str = "float32"

    @property
    def range(self) -> tuple[float, float]:
        """The smallest and the largest number the model is given."""
        return (self.low, self.high)

    @cached_property
    def image_shape(self) -> tuple[int, ...]:
        """The shape of one image before it becomes input: ``(28, 28)`` or ``(28, 28, 3)``."""
        return (*(self.size or ()), 3) if self.mode == "rgb" else tuple(self.size or ())

    @cached_property
    def channels_first(self) -> bool:
        """Whether colours come before height and width, as PyTorch has them: ``(3, 28, 28)``."""
        return self.mode == "rgb" and self.shape == (3, *(self.size or ())) != self.image_shape

    @cached_property
    def example_shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shapes in which one example may come as an array."""
        if self.size is None:
            return (self.shape,)
        shapes = (self.image_shape, (*self.image_shape, 1))
        return shapes if self.channels_first else (*shapes, self.shape)

    def to_dict(self) -> dict[str, Any]:
        """Return the ``input`` entry of a manifest."""
        image = {"kind": "image", "size": list(self.size or ()), "mode": self.mode}
        return {
            "name": self.name,
            "shape": list(self.shape),
            "dtype": self.dtype,
            "range": [self.low, self.high],
            "preprocessing": image if self.size else {"kind": "none"},
        }

    @classmethod
    def from_dict(cls, entry: dict[str, Any]) -> InputSpec:
        """Read the ``input`` entry of a manifest."""
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
        )
        sides = (*spec.shape, *(size or ()))
        if not all(type(side) is int and 0 < side <= MAX_SIDE * MAX_SIDE for side in sides):
            raise ValueError(f"an input of shape {spec.shape} and size {size}")
        if spec.mode not in ("grey", "rgb") or np.dtype(spec.dtype).kind != "f":
            raise ValueError(f"an input of mode {spec.mode!r} and type {spec.dtype!r}")
        if size and math.prod(spec.image_shape) != math.prod(spec.shape):
            raise ValueError(f"images of shape {spec.image_shape} for an input of shape {spec.shape}")
        return spec


def describe(spec: InputSpec) -> str:
    """Return one sentence on what a model takes.

    Examples
    --------
    >>> describe(InputSpec(shape=(64,), size=(8, 8), high=16))
    'grey images of 8×8 pixels, scaled to 0–16'
    """
    if spec.size is None:
        return f"{spec.dtype} arrays of shape {spec.shape}"
    height, width = spec.size
    return f"{spec.mode} images of {width}×{height} pixels, scaled to {spec.low:g}–{spec.high:g}"
