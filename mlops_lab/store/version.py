"""One published version: its files, read only when they are what was published, and loaded only when they answer so."""

from __future__ import annotations

import errno
import hashlib
import os
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlops_lab import engines, show
from mlops_lab.errors import DamagedArtifact, IncompatibleFile, LabError, UnsafeFile
from mlops_lab.inputs import describe
from mlops_lab.predict import Predictor
from mlops_lab.store import safety
from mlops_lab.store.card import curl, describe_output
from mlops_lab.store.golden import check_agreement, golden_answers
from mlops_lab.store.keras_file import OnMismatch, differences
from mlops_lab.store.manifest import ModelManifest
from mlops_lab.store.reading import read_below

MAX_VERSION_BYTES = 2**30
# Digests of versions that are code, with spaces or commas between them: trusted by the user who started this process.
TRUST_VARIABLE = "MLOPS_LAB_TRUST"


@dataclass(frozen=True)
class ModelVersion:
    """One published version on disk."""

    name: str
    version: int
    path: Path
    manifest: ModelManifest = field(repr=False)
    digest: str = field(default="", repr=False)
    """The SHA-256 of its manifest, which has the hashes of all other files."""

    def read(self) -> dict[str, bytes]:
        """Return the bytes of every file that the manifest lists, once their hashes are right.

        Raises
        ------
        DamagedArtifact
            A file is missing or is not what was published.
        """
        total = sum(entry["size"] for entry in self.manifest.files.values())
        if total > MAX_VERSION_BYTES:
            message = f"The files of {self} come to {total:,} bytes; the limit is {MAX_VERSION_BYTES:,}."
            raise DamagedArtifact(message, "Publish a smaller model.")
        return {name: read_published(self.path, name, entry) for name, entry in self.manifest.files.items()}

    def to_dict(self) -> dict[str, Any]:
        """Return what a client may know, and where it lies."""
        return {**self.manifest.public(), "path": str(self.path)}

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"

    def _repr_html_(self) -> str:
        facts = self.manifest
        rows = [
            ("made with", " ".join(f"{name} {number}" for name, number in facts.versions.items())),
            ("parameters", f"{facts.number_of_parameters:,}, of which {facts.trainable_parameters:,} are weights"),
            *((name.replace("_", " "), f"{value:.4f}") for name, value in facts.metrics.items()),
            ("takes", "; ".join(describe(spec) for spec in facts.signature.inputs)),
            ("answers", "; ".join(describe_output(spec) for spec in facts.signature.outputs)),
            ("served by", facts.engine),
            *(("note", note) for note in facts.notes),
            ("files", ", ".join(facts.files)),
            ("folder", self.path),
        ]
        ask = show.text(curl(facts))
        return show.card(f"{self}: {facts.description}" if facts.description else str(self), show.table(rows), ask)


def read_published(folder: Path, name: str, entry: Mapping[str, Any]) -> bytes:
    """Return the bytes of one file of a version's folder, once its size and hash are what the manifest says.

    Raises
    ------
    DamagedArtifact
        It is missing, or is not what was published.
    """
    place = folder / name
    again = "Publish the version again, or restore the file from where it was published."
    try:
        below = place.relative_to(folder.parents[1]).as_posix()
        content = read_below(folder.parents[1], below, entry["size"])
    except OSError as error:
        differs = "is not the file that was published: its size differs" if error.errno == errno.EFBIG else ""
        what = differs or f"cannot be read: {error.strerror}"
        raise DamagedArtifact(f"{place} {what}.", again) from error
    if len(content) != entry["size"]:
        raise DamagedArtifact(f"{place} is not the file that was published: its size differs.", again)
    if digest(content) != entry["sha256"]:
        raise DamagedArtifact(f"{place} is not the file that was published: its SHA-256 differs.", again)
    return content


def digest(data: bytes) -> str:
    """Return the SHA-256 of some bytes."""
    return hashlib.sha256(data).hexdigest()


# The versions made of code that this very process published, which it need not be told to trust.
_published_here: set[str] = set()


def trust_in_this_process(sha256: str) -> None:
    """Trust a version that this process has published."""
    _published_here.add(sha256)


def load_version(
    found: ModelVersion,
    *,
    engine: str | None = None,
    on_mismatch: OnMismatch = "warn",
    trusted: Collection[str] = (),
) -> Predictor:
    """Return a version on disk, ready to answer: see :meth:`ModelStore.load`."""
    manifest = found.manifest
    wanted = engine or manifest.engine
    if wanted in engines.RUNS_CODE:
        require_trust(found, trusted)
    files = found.read()
    if wanted == "keras":
        _compare_versions(found, on_mismatch)
    if wanted in engines.FILES and engines.FILES[wanted] in files and wanted not in engines.RUNS_CODE:
        safety.audit(files[engines.FILES[wanted]], max_bytes=safety.HARD_LIMIT)
    golden = manifest.golden
    try:
        computes = engines.load(wanted, files)
        predictor = Predictor.of(manifest.signature, computes, found.name, found.version, manifest.public())
        answers = golden_answers(predictor, golden.examples)
    except LabError:
        raise
    except Exception as error:  # frameworks raise whatever they like on a file that is not what they wrote
        reason = str(error).strip().splitlines()[-1:] or [type(error).__name__]
        message = f"{found} cannot be loaded by the {wanted} engine: {reason[0][:300]}."
        raise DamagedArtifact(message, "Publish the version again.") from error
    check_agreement(wanted, golden.answers, answers, golden.tolerance)
    return predictor


def require_trust(found: ModelVersion, trusted: Collection[str]) -> None:
    """Raise unless the caller, or the environment of this process, trusts the digest of a version that is code.

    Raises
    ------
    UnsafeFile
        Nobody does; the message names the digest.
    """
    digests = [*trusted, *os.environ.get(TRUST_VARIABLE, "").replace(",", " ").split()]
    if found.digest and found.digest in {*_published_here, *(item.strip().lower() for item in digests)}:
        return
    raise UnsafeFile(
        f"{found} is code, which runs when it is loaded, and it is not trusted.",
        f"If you trust its author, name its digest: --trust {found.digest}, the variable {TRUST_VARIABLE}, or "
        "ModelStore(folder, trusted=[digest]) in Python.",
        code="needs_pin",
    )


def _compare_versions(found: ModelVersion, on_mismatch: OnMismatch) -> None:
    differing = differences(found.manifest.versions)
    if not differing or on_mismatch == "ignore":
        return
    message = f"{found} was written by {differing}."
    hint = "Install the same versions, or serve it with the onnx engine, which does not depend on them."
    if on_mismatch == "error":
        raise IncompatibleFile(message, hint)
    warnings.warn(f"{message} {hint}", stacklevel=4)
