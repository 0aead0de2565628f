"""Events become rows of the log, and rows become a window."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.data import Split
from mlops_lab.errors import LabError
from mlops_lab.image import RGB, InputSpec, decode, encode_png, fit, read_plain_png
from mlops_lab.predict import PredictionEvent
from mlops_lab.summary.image_statistics import describe_inputs, names
from mlops_lab.summary.window import UNKNOWN, Window

WRITTEN = "request_id, place, time, model, version, class, confidence, probabilities, statistics, seconds, image"
INSERT_MODEL = "INSERT INTO models (model, version, labels, statistics) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
COLUMNS = "id, time, probabilities, statistics, truth, seconds"


@dataclass(frozen=True)
class LoggedModel:
    """One version that a log knows."""

    model: str
    version: int
    labels: tuple[str, ...]
    statistics: tuple[str, ...]


def size_of(event: PredictionEvent) -> tuple[int, int]:
    """Return the rows and bytes of an event; of one that makes no sense more bytes than anybody takes."""
    images = event.images
    try:
        size = images.nbytes if isinstance(images, np.ndarray) else sum(getattr(one, "nbytes", 0) for one in images)
        return len(event.rows), size + event.rows.nbytes
    except (TypeError, AttributeError):  # whatever a hook may be handed: the answer goes out
        return 1, 1 << 62


def to_rows(events: Sequence[PredictionEvent], *, with_images: bool = False) -> list[tuple[Any, ...]]:
    """Return one row of :data:`WRITTEN` for each image of the events; events that are alike are described together.

    Small calls of NumPy are most of what one event would cost alone: 250 events together cost a tenth of that each.
    """
    alike: dict[Any, list[tuple[PredictionEvent, Any]]] = {}
    for event in events:
        batch = _as_batch(event.images)
        shape = (batch.shape[1:], batch.dtype.char) if isinstance(batch, np.ndarray) else id(event)
        alike.setdefault((id(event.predictor), event.rows.shape[1:], shape), []).append((event, batch))
    return [row for group in alike.values() for row in _rows_of_alike(group, with_images)]


def _as_batch(images: Any) -> Any:
    """Return images as one array where that changes nothing: as they are decoded, images of one size come in a list."""
    if isinstance(images, np.ndarray) or not all(
        isinstance(one, np.ndarray) and one.dtype.char == "B" for one in images
    ):
        return images
    if len(images) == 1:
        return images[0][np.newaxis]  # without a copy
    return np.stack(images) if len({one.shape for one in images}) == 1 else images


def _rows_of_alike(alike: Sequence[tuple[PredictionEvent, Any]], with_images: bool) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of events whose inputs have one shape, each given with its inputs."""
    events, batches = [event for event, _ in alike], [batch for _, batch in alike]
    predictor = events[0].predictor
    answers = np.concatenate([event.rows for event in events]).astype(np.float32, copy=False)
    said: Sequence[int | None] = [None] * len(answers)
    sure: Sequence[float | None] = said
    if events[0].task in ("classification", "binary"):
        said, sure = answers.argmax(axis=1).tolist(), answers.max(axis=1).tolist()
    numbers = _describe(np.concatenate(batches) if len(batches) > 1 else batches[0], predictor.input)
    own = zip(said, sure, _cut(answers), _cut(numbers), strict=True)
    keep = with_images and predictor.input.size
    for event in events:
        for place in range(len(event.rows)):
            index, confidence, probabilities, statistics = next(own)
            image = _png(event.images[place], event) if keep else None
            yield (
                *(event.request_id, place, event.time, predictor.name, predictor.version, index, confidence),
                *(probabilities, statistics, event.seconds, image),
            )


def _cut(array: NDArray[np.float32]) -> list[bytes]:
    """Return the bytes of each row."""
    whole, width = array.tobytes(), array.itemsize * array.shape[1]
    return [whole[start : start + width] for start in range(0, len(whole), width)]


def _describe(batch: Any, spec: InputSpec) -> NDArray[np.float32]:
    """Return the statistics of inputs; zeros for those that are no numbers, such as text."""
    try:
        return describe_inputs(batch, spec)
    except (LabError, ValueError, TypeError):
        return np.zeros((len(batch), len(names(spec))), np.float32)


def _png(image: Any, event: PredictionEvent) -> bytes | None:
    """Return an image at the model's size; a tensor that came as model input is no image, and is not kept."""
    pixels = np.asarray(image)
    return encode_png(fit(pixels, event.predictor.input)) if pixels.dtype == np.uint8 else None


def model_row(event: PredictionEvent) -> tuple[Any, ...]:
    """Return what the log keeps of a version: its classes and what its statistics are called."""
    predictor = event.predictor
    classes = json.dumps(list(predictor.class_names(event.rows.shape[1])), ensure_ascii=False)
    return (predictor.name, predictor.version, classes, json.dumps(names(predictor.input)))


def to_window(logged: LoggedModel, rows: Sequence[tuple[Any, ...]]) -> Window:
    """Return rows of :data:`COLUMNS` as arrays."""
    return Window(
        logged.model,
        logged.version,
        logged.labels,
        logged.statistics,
        np.array([row[1] for row in rows], np.float64),
        _floats([row[2] for row in rows], len(logged.labels)),
        _floats([row[3] for row in rows], len(logged.statistics)),
        np.array([UNKNOWN if row[4] is None else row[4] for row in rows], np.int64),
        np.array([row[5] for row in rows], np.float64),
    )


def to_split(rows: Sequence[tuple[Any, ...]]) -> Split:
    """Return rows of an image and its class as examples; an image in colour stays one."""
    if not rows:
        return Split(np.empty((0, 0, 0), np.uint8), np.empty(0, np.int64))
    header = read_plain_png(rows[0][0])
    mode = "rgb" if header is not None and header.colour == RGB else "grey"
    images = np.stack([decode(row[0], mode) for row in rows])
    return Split(images, np.array([row[1] for row in rows], np.int64))


def _floats(blobs: Sequence[bytes], width: int) -> NDArray[np.float32]:
    return np.frombuffer(b"".join(blobs), np.float32).reshape(len(blobs), width)
