"""Checks of scale: a route takes either pixels 0–255, or tensors that are scaled already.

A model answers either with a confident mistake and no error, so a request in the wrong scale is refused here, for every
protocol. Images that come encoded never are: their pixels are 0–255 by definition, however dark they are.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from mlops_lab.errors import BadImage, BadRequest
from mlops_lab.image import InputSpec

PIXELS = (0.0, 255.0)


def check_pixel_scale(images: NDArray[Any]) -> None:
    """Raise where an image of pixels 0–255 has no pixel above 1, but for one that is black all over.

    Parameters
    ----------
    images
        A batch ``(n, …)`` of numbers from 0 on.

    Raises
    ------
    BadImage
        The message says whether they look like a mask of 0 and 1, or divided by 255.

    Examples
    --------
    >>> import numpy as np
    >>> check_pixel_scale(np.array([[0, 1]]))
    Traceback (most recent call last):
        ...
    mlops_lab.errors.BadImage: Pixels are numbers 0–255; all of these are 0 or 1, like a mask. Send them times 255.
    """
    if images.size == 0:
        return
    highest = images.reshape(len(images), -1).max(axis=1)
    dim = (highest > 0) & (highest <= 1)
    if not dim.any():
        return
    number = int(dim.argmax())
    if images[number].dtype.kind == "f" and (images[number] % 1).any():
        looks, hint = "none of these is above 1, as if divided by 255 already", "Send the pixels as they are."
    else:
        looks, hint = "all of these are 0 or 1, like a mask", "Send them times 255."
    error = BadImage(f"Pixels are numbers 0–255; {looks}.", hint)
    raise error if len(images) == 1 else error.about(f"Image {number + 1} of {len(images)}")


def check_tensor_scale(tensor: NDArray[Any], spec: InputSpec) -> None:
    """Raise where a tensor holds numbers that no image becomes for a model.

    Half a pixel level more or less is rounding. A model without images, whose numbers have no scale, takes any.

    Raises
    ------
    BadRequest
        The message gives the range that was received and the model's.

    Examples
    --------
    >>> import numpy as np
    >>> check_tensor_scale(np.array([[0.0, 1.001]]), InputSpec((2,), size=(1, 2)))
    >>> check_tensor_scale(np.array([[0.0, 255.0]]), InputSpec((2,), size=(1, 2)))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    mlops_lab.errors.BadRequest: The tensor holds numbers from 0 to 255; the model takes images scaled to 0–1. These ...
    """
    if spec.size is None or tensor.size == 0:
        return
    if spec.range == PIXELS:
        check_pixel_scale(tensor)
    low, high = float(tensor.min()), float(tensor.max())
    lowest, highest = spec.range
    rounding = (highest - lowest) / 510
    if lowest - rounding <= low and high <= highest + rounding:
        return
    hint = "Scale them as in the training of the model, or send the image itself to /models."
    if spec.range == (0.0, 1.0) and low >= 0 and high <= 255:
        hint = "These look like pixels 0–255: divide them by 255, or send the image itself to /models."
    message = f"The tensor holds numbers from {low:g} to {high:g}; the model takes images scaled to"
    raise BadRequest(f"{message} {lowest:g}–{highest:g}.", hint)
