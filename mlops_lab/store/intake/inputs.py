"""Infer the inputs of a model from examples of what it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.errors import WrongUsage
from mlops_lab.image import from_input
from mlops_lab.inputs import TEXT, InputSpec, fits
from mlops_lab.store.golden_arrays import Arrays
from mlops_lab.store.intake.source import Slot

LEAST_SIDE = 4  # of an image; what is smaller is taken for an array
# The ranges in which models take pixels: what pixel 0 and pixel 255 become.
RANGES = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))


def named_examples(examples: Any, slots: Sequence[Slot]) -> tuple[Arrays, tuple[str, ...]]:
    """Return examples by the name of their input, and the columns of a table that names them.

    Parameters
    ----------
    examples
        An array or list of examples, a table of pandas, or ``{name: array}`` for a model of several inputs.
    slots
        The inputs as the framework tells them.

    Raises
    ------
    WrongUsage
        They are for other inputs, or there are none.

    Examples
    --------
    >>> named_examples([[1.0, 2.0]], ())
    ({'input': array([[1., 2.]])}, ())
    """
    columns: tuple[str, ...] = ()
    if isinstance(examples, Mapping):
        arrays = {str(name): _array(array) for name, array in examples.items()}
    elif hasattr(examples, "columns") and hasattr(examples, "to_numpy"):
        columns = tuple(map(str, examples.columns))
        kinds = {dtype.kind for dtype in examples.dtypes}
        if kinds <= set("fiub"):
            arrays = {"input": np.asarray(examples.to_numpy(), float)}
        else:
            arrays, columns = {name: _array(examples[name].to_numpy()) for name in examples.columns}, ()
    elif len(slots) > 1 and isinstance(examples, list | tuple) and len(examples) == len(slots):
        arrays = {slot.name: _array(array) for slot, array in zip(slots, examples, strict=True)}
    else:
        arrays = {slots[0].name if slots else "input": _array(examples)}
    if slots and len(arrays) == len(slots) == 1:
        arrays = {slots[0].name: next(iter(arrays.values()))}
    wanted = [slot.name for slot in slots] or list(arrays)
    if sorted(wanted) != sorted(arrays):
        message = f"The model takes the inputs {', '.join(wanted)}; the examples are for {', '.join(arrays)}."
        raise WrongUsage(message, "Pass examples={name: array} with each of them.")
    lengths = {len(array) if array.ndim else 0 for array in arrays.values()}
    if lengths == {0}:
        raise WrongUsage("There are no examples.", "Pass a few inputs, so that the store can keep golden examples.")
    if len(lengths) > 1:
        raise WrongUsage(f"The inputs have {sorted(lengths)} examples.", "Pass the same number for each input.")
    return {name: arrays[name] for name in wanted}, columns


def _array(examples: Any) -> NDArray[Any]:
    try:
        array = np.asarray(examples)
    except ValueError as error:
        raise WrongUsage("The examples differ in shape.", "Pass an array whose first axis is the batch.") from error
    if array.dtype.kind in "UT":
        return array.astype(object)
    if array.dtype.kind == "O" and not all(isinstance(item, str) for item in array.ravel().tolist()):
        raise WrongUsage("The examples are objects of Python.", "Pass arrays of numbers, or lists of strings.")
    return array


def input_spec(slot: Slot, array: NDArray[Any], columns: tuple[str, ...] = ()) -> InputSpec:
    """Return an input for examples of just what the model takes.

    Pixels are recognised by their values: whole numbers 0–255, or these scaled to 0–1 or to −1–1.

    Examples
    --------
    >>> input_spec(Slot("x"), np.zeros((5, 3)), ("a", "b", "c")).columns
    ('a', 'b', 'c')
    """
    shape = slot.shape if slot.shape is not None else array.shape[1:]
    # Grey images may come without the axis of their only channel.
    if not fits(array.shape[1:], shape) and (array.shape[1:], (1,)) != (shape[:-1], shape[-1:]):
        message = f"The model takes {shape} as {slot.name!r}; its examples have the shape {array.shape[1:]}."
        raise WrongUsage(message, "Pass examples as the model's own predict takes them.")
    if array.dtype == object:
        return InputSpec(shape, name=slot.name, dtype=TEXT)
    # A table of whole numbers is one of numbers: the next row may hold a fraction.
    loose = "float64" if len(shape) == 1 and array.dtype.kind in "iu" and array.dtype != np.uint8 else array.dtype.name
    dtype = slot.dtype or loose
    scaled = None if None in shape else _pixels(array, shape, dtype)
    if scaled is None:
        named = columns if shape == (len(columns),) else ()
        return InputSpec(shape, name=slot.name, dtype=dtype, columns=named)
    size, mode, (low, high) = scaled
    return InputSpec(shape, size, slot.name, low, high, mode, dtype)


def _pixels(array: NDArray[Any], shape: Any, dtype: str) -> tuple[tuple[int, int], str, tuple[float, float]] | None:
    """Return size, mode and range of images, or ``None`` where the examples do not look like any."""
    form = _image_form(shape)
    span = _range(array) if form else None
    if form is None or span is None or (np.dtype(dtype).kind != "f" and (dtype != "uint8" or span != RANGES[2])):
        return None
    return (*form, span)


def _image_form(shape: tuple[int, ...]) -> tuple[tuple[int, int], str] | None:
    sides, mode = shape, "grey"
    if len(shape) == 3 and shape[-1] in (1, 3):
        sides, mode = shape[:2], "rgb" if shape[-1] == 3 else "grey"
    elif len(shape) == 3 and shape[0] in (1, 3):
        sides, mode = shape[1:], "rgb" if shape[0] == 3 else "grey"
    if len(sides) != 2 or min(sides) < LEAST_SIDE:
        return None
    return (sides[0], sides[1]), mode


def _range(array: NDArray[Any]) -> tuple[float, float] | None:
    if array.dtype == np.uint8:
        return RANGES[2]
    if array.dtype.kind not in "fiu" or array.max() == array.min():
        return None
    for low, high in RANGES:
        if array.min() >= low and array.max() <= high:
            levels = (array.astype(np.float64) - low) * 255 / (high - low)
            if np.abs(levels - np.rint(levels)).max() < (0.2 if array.dtype == np.float16 else 1e-3):
                return low, high
    return None


def raw_examples(examples: Arrays, specs: Sequence[InputSpec]) -> Arrays:
    """Return examples as they come before preprocessing: images as pixels 0–255."""
    return {
        spec.name: from_input(_as_input(examples[spec.name], spec), spec) if spec.size else examples[spec.name]
        for spec in specs
    }


def _as_input(array: NDArray[Any], spec: InputSpec) -> NDArray[Any]:
    return array.reshape(len(array), *spec.least_shape)


def fitted_input(given: InputSpec, slot: Slot | None, scales: bool) -> InputSpec:
    """Return the input of a data set in the name, shape and type in which a model takes it.

    Parameters
    ----------
    given
        The input of the data set.
    slot
        The input as the framework tells it.
    scales
        Whether the model scales pixels itself.
    """
    if scales and given.size:
        given = replace(given, low=0.0, high=255.0)
    if slot is None:
        return given
    same = slot.shape is not None and None not in slot.shape and given.size is not None
    shape = slot.shape if same and slot.shape is not None else given.shape
    return replace(given, name=slot.name, shape=shape, dtype=slot.dtype or given.dtype)
