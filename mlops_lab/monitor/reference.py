"""The reference of a version: its answers to held-out data, and what was learned from disturbing these.

The summary is written when the version is published (:mod:`mlops_lab.summary.held_out`), to ``evidence/reference.npz``;
what is learned from disturbed images takes some ten seconds, and is added when a reference is first asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab import data, show
from mlops_lab.data import Split
from mlops_lab.errors import DamagedArtifact, NotFound, StoreError, WrongUsage
from mlops_lab.files import write_atomically
from mlops_lab.monitor.disturbances import KINDS
from mlops_lab.monitor.harm import Estimator, learn, leave_out
from mlops_lab.monitor.rehearsal import Rehearsals, rehearse
from mlops_lab.predict import Predictor
from mlops_lab.store import ModelStore, ModelVersion
from mlops_lab.summary.held_out import FILE, pack, summarise_held_out, unpack
from mlops_lab.summary.scale import Scale
from mlops_lab.summary.summary import Summary


@dataclass(frozen=True, eq=False)
class Reference:
    """The reference of a version: its answers to held-out data, and to the same data disturbed.

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
    summary = summarise_held_out(predictor, split.images, split.labels, published=published)
    plain = Reference(predictor.name, predictor.version, summary)
    return _rehearsed(plain, predictor, split, kinds=kinds, seed=seed)


def _rehearsed(plain: Reference, predictor: Predictor, split: Split, **options: Any) -> Reference:
    """Return a reference with what is learned from disturbing held-out images; as it is where there are none."""
    if not predictor.input.size:
        return plain
    rehearsals = rehearse(predictor, split, plain.scale, plain.summary, **options)
    return replace(plain, rehearsals=rehearsals, errors=leave_out(rehearsals))


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
    write_atomically(found.path / FILE, to_bytes(reference))


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
    """Return the stored reference of a version, with what it learns from disturbed images; make what is missing.

    What was made is stored where that is possible. Where the version's data are not here, nothing is learned: changes
    are seen, and what they cost is not estimated.
    """
    stored = None
    try:
        stored = load_reference(models, name, version)
    except NotFound:
        if name not in models.names():
            raise
    except DamagedArtifact:
        pass
    found = models.get(name, version)
    if stored is not None and (stored.rehearsals is not None or not found.manifest.input.size):
        return stored
    reference = _make(models, found) if stored is None else _complete(models, found, stored)
    if reference is not stored:
        with suppress(StoreError):  # a folder that is only read, such as an installed one
            _write(found, reference)
    return reference


def _complete(models: ModelStore, found: ModelVersion, stored: Reference) -> Reference:
    """Return a reference as it was published, on its own bins, with what is learned from disturbed images."""
    try:
        split = _held_out(found.manifest.data)
    except WrongUsage:
        return stored
    return _rehearsed(stored, models.load(found.name, found.version), split)


def _held_out(provenance: Any) -> Split:
    name = str(provenance.get("name", "")) if provenance else ""
    try:
        return data.load(name).test
    except NotFound as error:
        message = f"The version was trained on {name or 'data that its manifest does not name'}, which is not shipped."
        raise WrongUsage(message, "Pass held-out data: store_reference(models, name, split=…).") from error


def to_bytes(reference: Reference) -> bytes:
    """Return a reference as the bytes of its file."""
    rehearsals = reference.rehearsals
    about = {"model": reference.model, "version": reference.version}
    if rehearsals is None:
        return pack(reference.summary, {**about, "kinds": ()})
    learned = {"traits": rehearsals.traits.astype(np.float32), "accuracy": rehearsals.accuracy}
    return pack(reference.summary, {**about, "kinds": rehearsals.kinds}, **learned, errors=reference.errors)


def from_bytes(content: bytes, path: str = "the reference") -> Reference:
    """Return a reference from the bytes of its file.

    Raises
    ------
    DamagedArtifact
        They are not a reference, or one of another format.
    """
    summary, about, arrays = unpack(content, path)
    try:
        plain = Reference(about["model"], about["version"], summary)
        if not about["kinds"]:
            return plain
        traits = arrays["traits"].astype(np.float64)
        rehearsals = Rehearsals(traits, arrays["accuracy"], tuple(about["kinds"]))
        return replace(plain, rehearsals=rehearsals, errors=arrays["errors"])
    except (LookupError, ValueError, TypeError) as error:
        message = f"{Path(path)} is no reference: {error}."
        raise DamagedArtifact(message, "monitor.store_reference(models, name) makes it again.") from error
