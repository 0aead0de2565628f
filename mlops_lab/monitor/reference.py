"""What a version does on held-out data: made when it is published, kept beside it, and what production is held against.

The file is ``evidence/reference.npz`` in the version's folder: arrays only, so reading it runs no code.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab import data, show
from mlops_lab.data import Split
from mlops_lab.errors import DamagedArtifact, NotFound, StoreError, WrongUsage
from mlops_lab.monitor.disturbances import KINDS
from mlops_lab.monitor.harm import Estimator, learn, leave_out
from mlops_lab.monitor.rehearsal import Rehearsals, rehearse
from mlops_lab.monitor.scale import Scale, make_scale
from mlops_lab.monitor.summary import Summary, summarise
from mlops_lab.monitor.window import observe
from mlops_lab.predict import Predictor
from mlops_lab.store import ModelStore, ModelVersion, disk

FILE = "evidence/reference.npz"
FORMAT = 1  # raise it when the arrays change their meaning; a file of another format is made anew
LEAST = 200
# Accuracy on held-out data that is so many standard errors above the published one was not held out.
SUSPICIOUS = 4.0


@dataclass(frozen=True, eq=False)
class Reference:
    """What a version does on held-out data, and what it learned about being disturbed.

    Parameters
    ----------
    model, version
        Whose.
    summary
        Of the held-out data.
    rehearsals
        Windows of it that were disturbed; none where the model takes no images.
    errors
        ``(2, windows)``: how wrong the accuracy of each is estimated without its kind, and without only it.
    """

    model: str
    version: int
    summary: Summary = field(repr=False)
    rehearsals: Rehearsals | None = field(repr=False, default=None)
    errors: NDArray[np.float64] | None = field(repr=False, default=None)

    @property
    def scale(self) -> Scale:
        """The bins and features."""
        return self.summary.scale

    @property
    def accuracy(self) -> float:
        """The share of right answers on the held-out data."""
        if not self.summary.labelled:
            message = f"The reference of {self.model} v{self.version} holds no prediction whose truth is known."
            raise WrongUsage(message, "Make it from held-out examples with their classes.")
        return self.summary.correct / self.summary.labelled

    @cached_property
    def estimator(self) -> Estimator | None:
        """What estimates the accuracy of a window; learned when it is first asked for, in about a second."""
        if self.rehearsals is None or self.errors is None:
            return None
        return learn(self.rehearsals, self.errors)

    def to_dict(self) -> dict[str, Any]:
        """Return what it is."""
        return {
            "model": self.model,
            "version": self.version,
            "accuracy": round(self.accuracy, 4),
            "predictions": self.summary.count,
            "rehearsals": len(self.rehearsals) if self.rehearsals is not None else 0,
            "digest": self.scale.digest,
        }

    def _repr_html_(self) -> str:
        rehearsed = len(self.rehearsals) if self.rehearsals is not None else 0
        rows = [
            ("held-out predictions", f"{self.summary.count:,}"),
            ("accuracy on them", f"{self.accuracy:.4f}"),
            ("disturbed windows", f"{rehearsed:,}"),
        ]
        return show.card(f"Reference of {self.model} v{self.version}", show.table(rows))


def make_reference(
    predictor: Predictor, split: Split, *, kinds: Sequence[str] = KINDS, seed: int = 0, published: float | None = None
) -> Reference:
    """Return the reference of a version, from held-out data: it takes some ten seconds.

    Parameters
    ----------
    predictor
        The version.
    split
        Held-out images and their classes; never what it was trained on.
    kinds
        The disturbances to rehearse.
    seed
        Of what is left to chance.
    published
        The accuracy that the version was published with, to notice training data by.

    Raises
    ------
    WrongUsage
        There are too few images, or the model knows them.
    """
    if len(split) < LEAST:
        message = f"A reference needs at least {LEAST} held-out examples; received {len(split)}."
        raise WrongUsage(message, "Pass the test split.")
    window = observe(predictor, split.images, split.labels)
    _refuse_training_data(window.accuracy, published, len(split))
    scale = make_scale(window)
    summary = summarise(window, scale)
    if not predictor.input.size:
        return Reference(predictor.name, predictor.version, summary)
    rehearsals = rehearse(predictor, split, scale, summary, kinds=kinds, seed=seed)
    return Reference(predictor.name, predictor.version, summary, rehearsals, leave_out(rehearsals))


def _refuse_training_data(accuracy: float | None, published: float | None, examples: int) -> None:
    if accuracy is None or published is None:
        return
    error = math.sqrt(max(published * (1 - published), 1e-4) / examples)
    if accuracy > published + SUSPICIOUS * error:
        message = f"The accuracy on these examples is {accuracy:.3f}, and {published:.3f} was published."
        raise WrongUsage(message, "The model knows them from its training: pass held-out data.")


def store_reference(
    models: ModelStore, name: str, version: int | str = "latest", split: Split | None = None
) -> Reference:
    """Make the reference of a published version, and keep it beside the version as evidence.

    Parameters
    ----------
    models
        The store.
    name, version
        As for :meth:`mlops_lab.store.ModelStore.get`.
    split
        Held-out data; by default the test split of the shipped data set that the version was trained on.

    Raises
    ------
    WrongUsage
        No split is given, and the version's data set is not one of the shipped ones.
    StoreError
        The folder cannot be written.
    """
    found = models.get(name, version)
    reference = _make(models, found, split)
    _write(found, reference)
    return reference


def _make(models: ModelStore, found: ModelVersion, split: Split | None = None) -> Reference:
    predictor = models.load(found.name, found.version)
    published = found.manifest.metrics.get("test_accuracy")
    return make_reference(predictor, split or _held_out(found.manifest.data), published=published)


def _write(found: ModelVersion, reference: Reference) -> None:
    disk.write_atomically(found.path / FILE, to_bytes(reference))


def load_reference(models: ModelStore, name: str, version: int | str = "latest") -> Reference:
    """Return the reference that is kept beside a version.

    Raises
    ------
    NotFound
        None was stored.
    DamagedArtifact
        It cannot be read.
    """
    found = models.get(name, version)
    path = found.path / FILE
    try:
        about = path.stat()
        return _read(path, about.st_mtime_ns, about.st_size)
    except FileNotFoundError:
        hint = f"mlops-lab monitor reference {name} --version v{found.version} makes one from held-out data."
        raise NotFound(f"{found} has no reference.", hint) from None
    except OSError as error:
        raise DamagedArtifact(f"{path} cannot be read: {error.strerror}.", "Store the reference again.") from error


@lru_cache(maxsize=8)
def _read(path: Path, changed: int, size: int) -> Reference:
    """Return the reference in a file as it was last changed, with what it has learned since it was first read."""
    return from_bytes(path.read_bytes(), str(path))


def find_reference(models: ModelStore, name: str, version: int | str = "latest") -> Reference:
    """Return the stored reference of a version; where there is none, make it, and store it where that is possible."""
    try:
        return load_reference(models, name, version)
    except NotFound:
        if name not in models.names():
            raise
    except DamagedArtifact:
        pass
    found = models.get(name, version)
    reference = _make(models, found)
    with suppress(StoreError):  # a folder that is only read, such as an installed one
        _write(found, reference)
    return reference


def _held_out(provenance: Any) -> Split:
    name = str(provenance.get("name", "")) if provenance else ""
    try:
        return data.load(name).test
    except NotFound as error:
        message = f"The version was trained on {name or 'data that its manifest does not name'}, which is not shipped."
        raise WrongUsage(message, "Pass held-out data: store_reference(models, name, split=…).") from error


def to_bytes(reference: Reference) -> bytes:
    """Return a reference as the bytes of its file."""
    scale, rehearsals = reference.scale, reference.rehearsals
    about = {
        "format": FORMAT,
        "model": reference.model,
        "version": reference.version,
        "labels": scale.labels,
        "statistics": scale.statistics,
        "kinds": rehearsals.kinds if rehearsals is not None else (),
    }
    arrays: dict[str, Any] = {
        **{name: getattr(scale, name) for name in _SCALE},
        "sums": reference.summary.sums,
        "about": np.array(json.dumps(about, ensure_ascii=False)),
    }
    if rehearsals is not None:
        arrays |= {"traits": rehearsals.traits.astype(np.float32), "accuracy": rehearsals.accuracy}
        arrays["errors"] = reference.errors
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


_SCALE = ("edges", "centre", "spread", "class_centre", "class_spread", "calibration")


def from_bytes(content: bytes, path: str = "the reference") -> Reference:
    """Return a reference from the bytes of its file.

    Raises
    ------
    DamagedArtifact
        They are not a reference, or one of another format.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            about = json.loads(str(arrays["about"]))
            if about["format"] != FORMAT:
                raise ValueError(f"its format is {about['format']}, not {FORMAT}")
            scale = Scale(tuple(about["labels"]), tuple(about["statistics"]), *(arrays[name] for name in _SCALE))
            summary = Summary(scale, arrays["sums"])
            rehearsals = errors = None
            if about["kinds"]:
                traits = arrays["traits"].astype(np.float64)
                rehearsals, errors = Rehearsals(traits, arrays["accuracy"], tuple(about["kinds"])), arrays["errors"]
    except Exception as error:  # zip, npz, JSON and shapes each have their own
        message = f"{Path(path)} is no reference: {error}."
        raise DamagedArtifact(message, "monitor.store_reference(models, name) makes it again.") from error
    return Reference(about["model"], about["version"], summary, rehearsals, errors)
