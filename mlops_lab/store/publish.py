"""Writing a new version: whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab import engines
from mlops_lab.errors import LabError, StoreError, VersionExists, WrongUsage
from mlops_lab.predict import Engine, Predictor
from mlops_lab.provenance import utc_now
from mlops_lab.store.disk import explained, sync_folder, sync_tree, temporary_folder
from mlops_lab.store.export import Run, card, check_agreement, count_parameters, export_run
from mlops_lab.store.history import append_history
from mlops_lab.store.keras_file import running_versions
from mlops_lab.store.manifest import Golden, ModelManifest
from mlops_lab.store.version import ModelVersion
from mlops_lab.summary.held_out import keep_summary

# A folder of a higher number is not seen as a version.
LAST = 999_999
# What rounding may add to a probability.
PROBABILITY = 1e-3


def publish_run(run: Run, parent: Path, version: int | None, description: str) -> ModelVersion:
    """Write everything into a temporary folder, the manifest last, push it to the disk, and rename the folder."""
    if version is not None and not (type(version) is int and 0 < version <= LAST):
        raise WrongUsage(f"{version!r} cannot be a version.", f"Take a whole number from 1 to {LAST}, or leave it out.")
    with temporary_folder(parent) as folder:
        if version is not None and (parent / str(version)).exists():
            raise _version_exists(parent.name, version)
        source = export_run(run, folder)
        while True:
            number = version or next_number(parent)
            sentence = description or str(run.data.get("task", ""))
            manifest = _describe(run, source, folder, parent.name, number, sentence)
            keep_summary(run, Predictor(parent.name, number, run.input, run.labels, source), folder)
            (folder / "README.md").write_text(card(manifest.to_dict()), encoding="utf-8")
            (folder / "manifest.json").write_text(manifest.to_json(), encoding="utf-8")
            sync_tree(folder)
            if _rename(folder, parent / str(number)):
                break
            if version is not None:
                raise _version_exists(parent.name, version)
    with suppress(OSError):  # the version is published; a disk that filled up just now does not undo that
        append_history(parent, "published", version=number, description=description)
    return ModelVersion(parent.name, number, parent / str(number), manifest)


def next_number(parent: Path) -> int:
    """Return the number after the highest folder, finished or not, so that a number is never used twice."""
    taken = [int(path.name) for path in parent.iterdir() if path.name.isdecimal()]
    number = max(taken, default=0) + 1
    if number > LAST:
        raise StoreError(f"{parent.name} has used its last version, {LAST}.", "Publish under another name.")
    return number


def _describe(run: Run, source: Engine, folder: Path, name: str, number: int, description: str) -> ModelManifest:
    """Make the manifest of what was exported, once every engine agrees with the model that was trained."""
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("README.md", "manifest.json", "reference.npz")
    }
    trained = Predictor(name, number, run.input, run.labels, source)
    golden = Golden(run.examples, _answers(trained, run.examples))
    available = [engine for engine, file in engines.FILES.items() if file in files]
    for engine in available:
        predictor = Predictor(name, number, run.input, run.labels, engines.load(engine, files))
        check_agreement(engine, golden.outputs, predictor.probabilities(golden.inputs), golden.tolerance)
    return ModelManifest(
        name=name,
        version=number,
        description=description,
        framework=run.framework,
        engine=available[0],
        versions=running_versions(),
        files={path: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for path, data in files.items()},
        input=run.input,
        labels=run.labels,
        **count_parameters(run),
        metrics=dict(run.metrics),
        training=dict(run.settings),
        data=dict(run.data),
        seed=run.seed,
        created=utc_now(),
        golden=golden,
    )


def _answers(trained: Predictor, examples: NDArray[Any]) -> NDArray[np.float32]:
    """Return the model's answers to its examples, which must be one probability for each label."""
    try:
        rows = trained.probabilities(examples)
    except LabError:
        raise
    except Exception as error:  # frameworks raise whatever they like on a shape that is not theirs
        reason = " ".join((str(error) or type(error).__name__).split())[:300]
        message = f"The model does not take its {len(examples)} examples of shape {trained.input.shape}: {reason}."
        hint = "Look at the input's shape; the model's first axis, the batch, must be free."
        raise WrongUsage(message, hint) from error
    if rows.shape != (len(examples), len(trained.labels)):
        message = f"The model answers {rows.shape} to {len(examples)} examples; there are {len(trained.labels)} labels."
        raise WrongUsage(message, "Pass one label for each class, in the order of the model's output.")
    if not (rows.min() >= -PROBABILITY and rows.max() <= 1 + PROBABILITY):
        message = f"The model's answers are no probabilities: they lie from {rows.min():.3g} to {rows.max():.3g}."
        raise WrongUsage(message, "Let it end with a softmax, or a sigmoid.")
    return rows


def _rename(folder: Path, final: Path) -> bool:
    """Give the finished folder its name; ``False`` where another publisher was first."""
    with explained(final):
        try:
            os.rename(folder, final)
        except OSError as error:
            if final.exists() and error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.EACCES):
                return False
            raise
        sync_folder(final.parent)
    return True


def _version_exists(name: str, version: int) -> VersionExists:
    return VersionExists(f"{name} v{version} is published already.", "Versions never change: publish a new one.")
