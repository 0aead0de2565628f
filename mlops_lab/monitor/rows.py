"""Events become rows of the log, and rows become a window."""

from __future__ import annotations

import json
from collections.abc import Sequence
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

INSERT = (
    "INSERT INTO predictions (request_id, place, time, model, version, class, confidence, probabilities, statistics, "
    "seconds, image) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
INSERT_MODEL = "INSERT INTO models (model, version, labels, statistics) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
COLUMNS = "id, time, probabilities, statistics, truth, seconds"


@dataclass(frozen=True)
class LoggedModel:
    """One version that a log knows."""

    model: str
    version: int
    labels: tuple[str, ...]
    statistics: tuple[str, ...]


def to_rows(events: Sequence[PredictionEvent], *, with_images: bool = False) -> list[tuple[Any, ...]]:
    """Return one row for each image of the events; inputs of one model are described together, which is quicker."""
    by_model: dict[int, list[PredictionEvent]] = {}
    for event in events:
        by_model.setdefault(id(event.predictor), []).append(event)
    return [row for group in by_model.values() for row in _rows_of_model(group, with_images)]


def _rows_of_model(events: list[PredictionEvent], with_images: bool) -> list[tuple[Any, ...]]:
    predictor = events[0].predictor
    described = _describe(events)
    rows = []
    place_of_all = 0
    for event in events:
        answers = np.asarray(event.rows, np.float32)
        said = answers.argmax(axis=1).tolist() if _has_classes(event) else [None] * len(answers)
        for place, (answer, index) in enumerate(zip(answers, said, strict=True)):
            image = _png(event.images[place], event) if with_images and predictor.input.size else None
            rows.append(
                (
                    *(event.request_id, place, event.time, predictor.name, predictor.version, index),
                    *(
                        None if index is None else float(answer[index]),
                        answer.tobytes(),
                        described[place_of_all].tobytes(),
                    ),
                    *(event.seconds, image),
                )
            )
            place_of_all += 1
    return rows


def _has_classes(event: PredictionEvent) -> bool:
    return event.task in ("classification", "binary")


def _describe(events: list[PredictionEvent]) -> NDArray[np.float32]:
    spec = events[0].predictor.input
    batches = [event.images for event in events]
    alike = {(batch.shape[1:], batch.dtype) for batch in batches if isinstance(batch, np.ndarray)}
    if len(alike) == 1 and all(isinstance(batch, np.ndarray) for batch in batches):
        return _describe_batch(np.concatenate(batches), spec)
    return np.concatenate([_describe_batch(batch, spec) for batch in batches])


def _describe_batch(batch: Any, spec: InputSpec) -> NDArray[np.float32]:
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
