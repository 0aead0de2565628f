"""Writing a new version: whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from mlops_lab import engines
from mlops_lab.errors import StoreError, VersionExists, WrongUsage
from mlops_lab.files import explained, sync_folder
from mlops_lab.predict import Predictor
from mlops_lab.provenance import utc_now
from mlops_lab.store.card import readme
from mlops_lab.store.disk import sync_tree, temporary_folder
from mlops_lab.store.history import append_history
from mlops_lab.store.intake.source import Prepared
from mlops_lab.store.keras_file import running_versions
from mlops_lab.store.manifest import ModelManifest
from mlops_lab.store.parameters import count_parameters
from mlops_lab.store.verification import Written, verify
from mlops_lab.store.version import ModelVersion, digest, trust_in_this_process
from mlops_lab.summary.held_out import keep_summary

# A folder of a higher number is not seen as a version.
LAST = 999_999


def publish_model(make: Callable[[], Prepared], parent: Path, version: int | None, description: str) -> ModelVersion:
    """Write everything into a temporary folder, the manifest last, push it to the disk, and rename the folder.

    Parameters
    ----------
    make
        Returns the model; called once it is known that a version could be written.
    parent
        The folder of the model's versions.
    version, description
        See :meth:`mlops_lab.store.ModelStore.publish`.
    """
    if version is not None and not (type(version) is int and 0 < version <= LAST):
        raise WrongUsage(f"{version!r} cannot be a version.", f"Take a whole number from 1 to {LAST}, or leave it out.")
    with temporary_folder(parent) as folder:
        if version is not None and (parent / str(version)).exists():
            raise _version_exists(parent.name, version)
        prepared = make()
        notes = prepared.source.write(folder, prepared.signature, prepared.examples)
        written = verify(prepared, folder, parent.name, notes)
        while True:
            number = version or next_number(parent)
            sentence = description or str(prepared.data.get("task", ""))
            manifest = _describe(prepared, written, parent.name, number, sentence)
            trained = Predictor.of(prepared.signature, prepared.source.engine, parent.name, number)
            keep_summary(prepared, trained, folder)
            (folder / "README.md").write_text(readme(manifest), encoding="utf-8")
            text = manifest.to_json()
            (folder / "manifest.json").write_text(text, encoding="utf-8")
            sync_tree(folder)
            if _rename(folder, parent / str(number)):
                break
            if version is not None:
                raise _version_exists(parent.name, version)
    with suppress(OSError):  # the version is published; a disk that filled up just now does not undo that
        append_history(parent, "published", version=number, description=description)
    found = ModelVersion(parent.name, number, parent / str(number), manifest, digest(text.encode()))
    if manifest.engine in engines.RUNS_CODE:
        trust_in_this_process(found.digest)
    return found


def next_number(parent: Path) -> int:
    """Return the number after the highest folder, finished or not, so that a number is never used twice."""
    taken = [int(path.name) for path in parent.iterdir() if path.name.isdecimal()]
    number = max(taken, default=0) + 1
    if number > LAST:
        raise StoreError(f"{parent.name} has used its last version, {LAST}.", "Publish under another name.")
    return number


def _describe(prepared: Prepared, written: Written, name: str, number: int, description: str) -> ModelManifest:
    files = {path: {"size": len(data), "sha256": digest(data)} for path, data in written.files.items()}
    return ModelManifest(
        name=name,
        version=number,
        description=description,
        framework=prepared.source.framework,
        engine=written.engines[0],
        versions=running_versions(prepared.source.framework),
        files=dict(sorted(files.items())),
        signature=prepared.signature,
        **count_parameters(prepared.source.model, prepared.source.framework),
        metrics=dict(prepared.metrics),
        training=dict(prepared.settings),
        data=dict(prepared.data),
        seed=prepared.seed,
        created=utc_now(),
        golden=written.golden,
        notes=(*prepared.notes, *written.notes),
    )


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
