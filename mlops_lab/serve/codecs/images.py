"""Request bodies to images, and predictions to JSON: the encodings of the course's routes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from mlops_lab import image
from mlops_lab.errors import BadImage, BadRequest, TooLarge, UnsupportedMedia, WrongShape
from mlops_lab.image import InputSpec
from mlops_lab.predict import Predictor
from mlops_lab.serve.codecs.body import check_containers, check_depth
from mlops_lab.serve.codecs.spellings import decode_base64, media_type
from mlops_lab.serve.core.inference import Images
from mlops_lab.serve.core.limits import Limits
from mlops_lab.serve.core.scale import check_pixel_scale
from mlops_lab.strict_json import loads

# A grey image of any size, for steps that search in it: compared by identity.
WHOLE = InputSpec(shape=(0, 0), size=(0, 0), name="image", high=255.0)

TYPES = ("image/png", "image/jpeg", "multipart/form-data", "application/json", "application/x-npy")
# The header that numpy.save writes. NumPy's own reader evaluates it as Python text and warns about old forms.
_NPY_LENGTH_BYTES = {b"\x93NUMPY\x01\x00": 2, b"\x93NUMPY\x02\x00": 4, b"\x93NUMPY\x03\x00": 4}
_NPY_HEADER = re.compile(
    rb"\{'descr': ?(?P<type>'[^']*'|\[.*\]), ?'fortran_order': ?(?P<fortran>True|False), ?"
    rb"'shape': ?\((?P<shape>(?:\d{1,9}, ?)*(?:\d{1,9})?)\),? ?\}\s*",
    re.DOTALL,
)
_NPY_NUMBER = re.compile(r"'[<>|=]?[uif][1248]'")


class Form(NamedTuple):
    """The parts of a multipart form: the files and texts in its fields ``image``, and the names of all its fields."""

    files: Sequence[bytes]
    texts: Sequence[str]
    fields: Sequence[str]


def decode(kind: str, body: bytes | Form, spec: InputSpec, limits: Limits) -> Images:
    """Return the images in a body of any content type.

    Raises
    ------
    BadRequest
        Or one of its kinds: what is wrong, what was received, and what to send.
    """
    if isinstance(body, Form):
        return decode_form(body, spec, limits)
    if kind not in TYPES:
        kind = media_type(kind, body)
    if kind in ("image/png", "image/jpeg"):
        return [decode_image(body, spec, limits)]
    if kind == "application/json":
        return decode_json(body, spec, limits)
    if kind == "application/x-npy":
        return decode_npy(body, spec, limits)
    received = f"The content type {kind[:100]!r} is not supported." if kind else "The request has no content type."
    hint = f"Send one of: {', '.join(TYPES)}."
    if kind == "application/x-www-form-urlencoded" and body.startswith(b"image="):
        hint += ' With Python: requests.post(url, files={"image": …}), or json={"image": …} for base64.'
    elif kind == "application/x-www-form-urlencoded":
        hint += ' It is the default of curl: add -H "Content-Type: image/png".'
    elif body[:1] == b"{":
        hint += " requests.post(url, json=…) sets it."
    raise UnsupportedMedia(received, hint)


def decode_form(form: Form, spec: InputSpec, limits: Limits) -> Images:
    """Return the images of a form's ``image`` fields: files, and texts in base64."""
    files, texts, fields = form
    if not files and not texts:
        sent = f"it has {', '.join(repr(field[:40]) for field in fields[:8])}" if fields else "it is empty"
        raise BadRequest(f"The form has no file in a field 'image': {sent}.", "curl -F image=@image.png sends one.")
    check_batch(len(files) + len(texts), limits)
    budget = PixelBudget(limits)
    return _each([*files, *texts], lambda item: _form_image(item, spec, limits, budget))


def _form_image(item: bytes | str, spec: InputSpec, limits: Limits, budget: PixelBudget) -> NDArray[Any]:
    if isinstance(item, bytes):
        return decode_image(item, spec, limits, budget)
    try:
        return decode_image(decode_base64(item), spec, limits, budget)
    except BadImage as error:
        message = f"The field 'image' is text and not a file, and the text is no image in base64: {error.message}"
        raise BadImage(message, "curl -F image=@image.png sends a file; mind the @.") from error


class PixelBudget:
    """The pixels that one request may still have decoded: many small files cost as much as a large one.

    Examples
    --------
    >>> PixelBudget(Limits(request_pixels=10)).spend(11)  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    TooLarge: The images up to this one have 11 pixels; the limit is request_pixels=10.
    """

    def __init__(self, limits: Limits) -> None:
        self._limit = limits.request_pixels
        self._spent = 0

    def spend(self, pixels: int) -> None:
        """Count pixels that are about to be decoded."""
        self._spent += pixels
        if self._spent > self._limit:
            message = f"The images up to this one have {self._spent} pixels; the limit is request_pixels={self._limit}."
            raise TooLarge(message, "Send several requests.")


def decode_image(data: bytes, spec: InputSpec, limits: Limits, budget: PixelBudget | None = None) -> NDArray[np.uint8]:
    """Return the pixels of one PNG or JPEG, in the model's mode and size."""
    if spec.size is None:
        raise UnsupportedMedia("This model does not take images.", f"Send JSON or npy arrays of shape {spec.shape}.")
    pixels = image.decode(
        data,
        spec.mode,
        image_pixels=limits.image_pixels,
        image_side=limits.image_side,
        image_scans=limits.image_scans,
        spend=(budget or PixelBudget(limits)).spend,
    )
    return pixels if spec is WHOLE else image.fit(pixels, spec)


def decode_json(body: bytes, spec: InputSpec, limits: Limits) -> Images:
    """Return the images of ``{"image": …}`` or ``{"images": […]}``."""
    message = parse_json(body, limits)
    keys = sorted(message) if isinstance(message, dict) else []
    if keys == ["image"]:
        items = [message["image"]]
    elif keys == ["images"] and isinstance(message["images"], list):
        items = message["images"]
    elif keys == ["inputs"] and spec.size is None:
        items = only_rows(message["inputs"], spec)
    else:
        named = ", ".join(key[:40] for key in keys[:8]) or "nothing in it"
        received = f"an object with {named}" if isinstance(message, dict) else f"a {type(message).__name__}"
        raise BadRequest(f"The JSON body is {received}.", 'Send {"image": …} or {"images": [ … ]}.')
    check_batch(len(items), limits)
    return read_images(items, spec, limits, PixelBudget(limits))


def only_rows(content: Any, spec: InputSpec) -> list[Any]:
    """Return the examples in ``inputs``: a list, or an object that names the only input.

    Examples
    --------
    >>> only_rows({"flower": [[1, 2]]}, InputSpec((2,), name="flower"))
    [[1, 2]]
    """
    if isinstance(content, dict) and list(content) == [spec.name]:
        content = content[spec.name]
    if not isinstance(content, list):
        sent = f"an object with {', '.join(content)[:80]}" if isinstance(content, dict) else type(content).__name__
        message = f"The 'inputs' are {sent}, and not a list of examples."
        raise BadRequest(message, f'Send {{"inputs": [ … ]}} or {{"inputs": {{"{spec.name}": [ … ]}}}}.')
    return content


def _each(items: Sequence[Any], read: Callable[[Any], NDArray[Any]]) -> list[NDArray[Any]]:
    """Read every image; an error says which of several images it is about."""
    images = []
    for number, item in enumerate(items, 1):
        try:
            images.append(read(item))
        except BadRequest as error:
            if len(items) == 1:
                raise
            raise error.about(f"Image {number} of {len(items)}") from error
    return images


def read_images(items: Sequence[Any], spec: InputSpec, limits: Limits, budget: PixelBudget) -> list[NDArray[Any]]:
    """Return the images in a list of JSON; the budget is that of the whole request."""
    return _each(items, lambda item: _json_image(item, spec, limits, budget))


def _json_image(item: Any, spec: InputSpec, limits: Limits, budget: PixelBudget) -> NDArray[Any]:
    """Return one image, or one array for a model that takes no images: base64 of a file, or nested lists."""
    if isinstance(item, str):
        return decode_image(decode_base64(item), spec, limits, budget)
    if not isinstance(item, list):
        raise BadImage(
            f"An image is a {type(item).__name__}.", "Send base64 of a PNG, or nested lists of pixels 0–255."
        )
    kinds = _kinds(item)
    if not kinds <= {int, float}:
        received = ", ".join(sorted(kind.__name__ for kind in kinds - {int, float}))
        raise BadImage(f"The pixels in the body hold {received}.", "Send nested lists of numbers 0–255.")
    try:
        array = np.array(item)
    except (ValueError, OverflowError) as error:
        raise WrongShape("The rows of an image differ in length.", f"Send {_wanted(spec)}.") from error
    return check_image(array, spec)


def _kinds(item: list[Any]) -> set[type]:
    """Return the types in nested lists. NumPy would make one long string widen every number beside it."""
    kinds = set(map(type, item))
    if list in kinds:
        kinds = (kinds - {list}).union(*(_kinds(part) for part in item if type(part) is list))
    return kinds


def decode_npy(body: bytes, spec: InputSpec, limits: Limits) -> Images:
    """Return the images of an array in NumPy's ``.npy`` format: one, or a batch with the batch first."""
    array = read_npy(body, spec)
    if array.ndim > 0 and array.shape[1:] != () and not _is_one(array, spec):
        check_batch(len(array), limits)
        return check_batch_shape(array, spec)
    return [check_image(array, spec)]


def read_npy(body: bytes, spec: InputSpec) -> NDArray[Any]:
    """Return the array in NumPy's ``.npy`` format; the model's input is for errors."""
    dtype, order, shape, start = _npy_header(body)
    if len(shape) > 5:
        raise WrongShape(f"The array has {len(shape)} axes.", f"Send {_wanted(spec)}.")
    declared, sent = math.prod(shape) * dtype.itemsize, len(body) - start
    if declared != sent:
        message = f"The header of the array declares {declared} bytes of numbers; the body has {sent}."
        raise BadRequest(message, "Send what numpy.save wrote, whole.")
    return np.frombuffer(body, dtype, offset=start, count=math.prod(shape)).reshape(shape, order=order)


def _npy_header(body: bytes) -> tuple[np.dtype[Any], Literal["C", "F"], tuple[int, ...], int]:
    """Return the type, order and shape of an ``.npy`` array, and where its numbers begin."""
    first = 8 + _NPY_LENGTH_BYTES.get(body[:8], 0)
    start = first + int.from_bytes(body[8:first], "little")
    found = _NPY_HEADER.fullmatch(body, first, start) if first > 8 and start <= len(body) else None
    if found is None:
        raise BadRequest(f"The body of {len(body)} bytes is not an .npy array.", "Send what numpy.save wrote, whole.")
    kind = found["type"].decode("latin-1")
    if not _NPY_NUMBER.fullmatch(kind) or "f1" in kind:
        raise BadImage(f"The array holds {kind[:80]}.", "Send numbers: uint8 pixels 0–255.")
    shape = tuple(int(side) for side in re.findall(rb"\d+", found["shape"]))
    return np.dtype(kind.strip("'")), "F" if found["fortran"] == b"True" else "C", shape, start


def _is_one(array: NDArray[Any], spec: InputSpec) -> bool:
    if spec is WHOLE:
        return array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 1)
    return array.shape in spec.example_shapes


def check_image(array: NDArray[Any], spec: InputSpec) -> NDArray[Any]:
    """Return one array of pixels that has just the shape the model takes."""
    if spec.size is None:
        one: NDArray[Any] = image.to_input(array[np.newaxis], spec)[0]
        return one
    if array.dtype.kind not in "uif":
        raise BadImage(f"The pixels are of the type {array.dtype.name}.", "Send numbers 0–255.")
    if not _is_one(array, spec):
        raise WrongShape(f"The image has the shape {array.shape}.", f"Send {_wanted(spec)}.")
    pixels = image.check_pixels(array.reshape(array.shape[:2] if spec is WHOLE else spec.image_shape))
    check_pixel_scale(pixels[np.newaxis])
    return pixels


def check_batch_shape(batch: NDArray[Any], spec: InputSpec) -> NDArray[Any]:
    """Return an array of images whose shape, but for the first number, is just what the model takes."""
    if spec.size is None:
        return image.to_input(batch, spec)
    if not _is_one(batch[0], spec):
        raise WrongShape(f"The array has the shape {batch.shape}.", f"Send {_wanted(spec)}.")
    shape = batch.shape[1:3] if spec is WHOLE else spec.image_shape
    pixels = image.check_pixels(batch.reshape(len(batch), *shape))
    check_pixel_scale(pixels)
    return pixels


def _wanted(spec: InputSpec) -> str:
    if spec is WHOLE:
        return "one grey image of any size: an array of shape (height, width)"
    shape = ", ".join(map(str, spec.image_shape or spec.shape))
    # Not the model's own range: pixels that a client scaled to it would be refused.
    numbers = "numbers" if spec.size is None else "pixels 0–255"
    return f"{numbers}: an array of shape ({shape}), or of (n, {shape})"


def check_batch(length: int, limits: Limits) -> None:
    """Raise where there are no images, or more than the limit."""
    if length == 0:
        raise BadRequest("There is no image in the request.", "Send at least one.")
    if length > limits.batch:
        raise TooLarge(f"The request has {length} images; the limit is batch={limits.batch}.", "Send several requests.")


def parse_json(body: bytes, limits: Limits) -> Any:
    """Parse JSON strictly: no NaN, no duplicate key, no deeper than the limit."""
    check_containers(body, limits)
    check_depth(body, limits)
    try:
        return loads(body)
    except ValueError as error:
        raise BadRequest(
            f"The body of {len(body)} bytes is not JSON: {str(error).removesuffix('.')}.", "Use json.dumps."
        ) from error


def encode(predictor: Predictor, rows: NDArray[np.floating[Any]]) -> bytes:
    r"""Return the JSON answer for ``(n, classes)`` probabilities.

    Examples
    --------
    >>> from mlops_lab.image import InputSpec
    >>> coin = Predictor("coin", 1, InputSpec((4,)), ("heads", "tails"), engine=None)
    >>> encode(coin, np.array([[0.25, 0.75]])).partition(b":[")[2]
    b'{"label":"tails","class":1,"confidence":0.75,"probabilities":[0.25,0.75]}]}\n'
    """
    labels = predictor.class_names(rows.shape[1])
    best = rows.argmax(axis=1).tolist()
    # Seven decimals are all a float32 holds; more would only be noise in the JSON.
    values = np.round(rows.astype(np.float64), 7).tolist()
    predictions = [
        {"label": labels[index], "class": index, "confidence": row[index], "probabilities": row}
        for index, row in zip(best, values, strict=True)
    ]
    return orjson.dumps(
        {"model": predictor.name, "version": f"v{predictor.version}", "predictions": predictions},
        option=orjson.OPT_APPEND_NEWLINE,
    )
