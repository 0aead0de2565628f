"""The summary of a version on held-out data, made when it is published and kept beside it as ``reference.npz``.

The file holds arrays only, so reading it runs no code. The monitor adds to it what it learns from disturbed images.
"""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.errors import DamagedArtifact, WrongUsage
from mlops_lab.predict import Predictor
from mlops_lab.summary.scale import Scale, make_scale
from mlops_lab.summary.summary import Summary, summarise
from mlops_lab.summary.window import observe

FILE = "evidence/reference.npz"
FORMAT = 1  # raise it when the arrays change their meaning; a file of another format is made anew
LEAST, MOST = 200, 10_000
# Accuracy on held-out data that is so many standard errors above the published one was not held out.
SUSPICIOUS = 4.0
_SCALE = ("edges", "centre", "spread", "class_centre", "class_spread", "calibration")


def summarise_held_out(
    predictor: Predictor, images: NDArray[Any], labels: NDArray[Any], *, published: float | None = None
) -> Summary:
    """Return the summary of a version's answers to held-out examples, on bins that they fix.

    Parameters
    ----------
    predictor
        The version.
    images, labels
        At least 200 held-out examples and their classes, ``(n, …)`` and ``(n,)``; never what it was trained on.
    published
        The accuracy that the version was published with, to notice training data by.

    Raises
    ------
    WrongUsage
        There are too few examples, or the model knows them.
    """
    if len(labels) < LEAST:
        message = f"A reference needs at least {LEAST} held-out examples; received {len(labels)}."
        raise WrongUsage(message, "Pass the test split.")
    window = observe(predictor, images, labels)
    _refuse_training_data(window.accuracy, published, len(labels))
    return summarise(window, make_scale(window))


def _refuse_training_data(accuracy: float | None, published: float | None, examples: int) -> None:
    if accuracy is None or published is None:
        return
    error = math.sqrt(max(published * (1 - published), 1e-4) / examples)
    if accuracy > published + SUSPICIOUS * error:
        message = f"The accuracy on these examples is {accuracy:.3f}, and {published:.3f} was published."
        raise WrongUsage(message, "The model knows them from its training: pass held-out data.")


def keep_summary(run: Any, predictor: Predictor, folder: Path) -> None:
    """Write what a run's model does on the run's held-out data beside the version; nothing where it has too little.

    Parameters
    ----------
    run
        What is published; ``run.held_out`` is a :class:`~mlops_lab.data.Split`, or it has none.
    predictor
        The trained model.
    folder
        Of the version.

    Raises
    ------
    WrongUsage
        The model knows the examples from its training.
    """
    held_out = getattr(run, "held_out", None)
    if held_out is None or len(held_out) < LEAST or not predictor.labels:
        return
    # A part of a large split: its places are drawn, since many data sets are sorted by class.
    chosen = np.sort(np.random.default_rng(0).permutation(len(held_out))[:MOST])
    published = run.metrics.get("test_accuracy")
    summary = summarise_held_out(predictor, held_out.images[chosen], held_out.labels[chosen], published=published)
    path = folder / FILE
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(pack(summary, {"model": predictor.name, "version": predictor.version, "kinds": ()}))


def pack(summary: Summary, about: dict[str, Any], **arrays: Any) -> bytes:
    """Return a summary, its bins and more arrays as the bytes of a file."""
    scale = summary.scale
    header = {"format": FORMAT, **about, "labels": scale.labels, "statistics": scale.statistics}
    kept = {name: getattr(scale, name) for name in _SCALE}
    buffer = io.BytesIO()
    text = np.array(json.dumps(header, ensure_ascii=False))
    np.savez_compressed(buffer, **kept, sums=summary.sums, about=text, **arrays)
    return buffer.getvalue()


def unpack(content: bytes, path: str) -> tuple[Summary, dict[str, Any], dict[str, NDArray[Any]]]:
    """Return the summary in the bytes of a file, what the file says of itself, and all of its arrays.

    Raises
    ------
    DamagedArtifact
        They are not such a file, or one of another format.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        about = json.loads(str(arrays["about"]))
        if about["format"] != FORMAT:
            raise ValueError(f"its format is {about['format']}, not {FORMAT}")
        scale = Scale(tuple(about["labels"]), tuple(about["statistics"]), *(arrays[name] for name in _SCALE))
        return Summary(scale, arrays["sums"]), about, arrays
    except Exception as error:  # zip, npz, JSON and shapes each have their own
        message = f"{Path(path)} is no reference: {error}."
        raise DamagedArtifact(message, "monitor.store_reference(models, name) makes it again.") from error
