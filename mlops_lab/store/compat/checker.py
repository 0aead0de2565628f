"""Would this model file load here, or in another environment? Answered before Keras is asked, and without it.

Keras writes its version into a file and never reads it again; when something does not fit it says so in the last line
of several thousand characters. :func:`check` compares what the file contains with what the target's classes accept,
and names the layer, the key and the hint.
"""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_lab import show
from mlops_lab.errors import LabError, StoreError, WrongUsage
from mlops_lab.store.compat import formats, keys, other_formats, rewrite, verdict
from mlops_lab.store.compat.description import Incompatibility, Judgement
from mlops_lab.store.compat.formats import ModelFile
from mlops_lab.store.compat.keys import KerasTarget

if TYPE_CHECKING:
    from mlops_lab.store.safety.report import AuditFinding

TITLES = {
    "keras": "a .keras file", "keras_folder": "an unzipped Keras model", "h5": "a legacy .h5 file",
    "saved_model": "a SavedModel folder", "version": "a version folder", "onnx": "an ONNX file",
    "skops": "a skops file", "unknown": "not a model file",
}  # fmt: skip
MODELS = {"model.keras": "keras", "model.onnx": "onnx", "model.skops": "skops"}
READERS = {"onnx": "onnxruntime", "skops": "skops"}
MAX_REASONS = 12
SUFFIXES = (".keras", ".h5", ".hdf5")
PREDICTS = "Only the settings of compile stand in the way, and predictions do not need them."


@dataclass(frozen=True)
class CompatReport:
    """Whether a model file loads in an environment, and whether it is safe to load at all."""

    path: str
    format: str
    """``keras``, ``keras_folder``, ``h5``, ``saved_model``, ``version``, ``onnx``, ``skops`` or ``unknown``."""
    written_by: str
    """``keras==3.15.1, tensorflow==2.21.0``, as far as the file says it."""
    target: str
    """The environment asked about, ``keras==3.4.1``; for the formats that Keras does not read, what reads them."""
    loads: bool
    """Whether the target would load it as it is, with the same answers."""
    loads_without_compile: bool = False
    """Whether Keras loads it with ``compile=False``: predictions need no loss, metric or optimizer."""
    reasons: tuple[str, ...] = ()
    """Why not, a sentence each; also what the reader should know about the verdict."""
    hint: str = ""
    """The command that helps; empty when nothing is wrong."""
    safe: bool = False
    """Whether the audit found nothing."""
    code: str = ""
    """``ok``, or the code of the audit's first finding."""
    runs_code: bool = False
    """Whether loading it would run code, or call something that it names."""
    bounded: bool = True
    """Whether its cost in time and memory has a bound."""
    findings: tuple[AuditFinding, ...] = ()
    """The findings of the audit."""

    def to_dict(self) -> dict[str, Any]:
        """Return the report as ``mlops-lab check --json`` prints it."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {**plain, "reasons": list(self.reasons), "findings": [finding.to_dict() for finding in self.findings]}

    def __str__(self) -> str:
        by = f", written by {self.written_by}" if self.written_by else ""
        loads = [self._state(), *(f"  · {reason}" for reason in self.reasons)]
        loads += [f"  → {self.hint}"] if self.hint else []
        safe = [self._safety(), *(f"  · {_located(finding)}" for finding in self.findings)]
        # What must not be loaded is said before whether it could be.
        return "\n".join([f"{self.path}: {TITLES[self.format]}{by}", *(loads + safe if self.safe else safe + loads)])

    def _safety(self) -> str:
        if self.safe:
            return "✓ safe: nothing in it but a model"
        return f"✗ not safe: {self.code}{', so do not load it' if self.runs_code else ''}"

    def _state(self) -> str:
        if self.loads:
            return f"✓ loads with {self.target}"
        more = " as it is; with compile=False it does" if self.loads_without_compile else ""
        return f"✗ does not load with {self.target}{more}"

    def _repr_html_(self) -> str:
        kind = "ok" if self.loads else "warning" if self.loads_without_compile else "error"
        words = "loads" if self.loads else "loads with compile=False" if self.loads_without_compile else "does not load"
        loads = show.state(kind, words)
        safe = show.state("ok", "safe") if self.safe else show.state("error", self._safety().removeprefix("✗ "))
        verdicts = [(f"with {self.target}", show.Html(loads)), ("audit", show.Html(safe))]
        rows = [
            ("what it is", TITLES[self.format]),
            ("written by", self.written_by or "it does not say"),
            *(verdicts if self.safe else reversed(verdicts)),
            *(("", reason) for reason in (*self.reasons, *map(_located, self.findings))),
        ]
        return show.card(self.path, show.table([*rows, *([("do this", self.hint)] if self.hint else [])]))


def _located(finding: AuditFinding) -> str:
    """Return the sentence of a finding, and which member, layer or file it is about."""
    return f"{finding.message} [{finding.where}]" if finding.where else finding.message


def check(path: str | Path, target: str | None = None) -> CompatReport:
    """Report whether a model file would load, and whether it is safe, without loading it.

    Parameters
    ----------
    path
        A ``.keras``, ``.h5``, ``.onnx`` or ``.skops`` file, a SavedModel folder or a version folder.
    target
        ``"keras==3.4.1"`` or ``"tensorflow==2.15.1"``; nothing means the environment that runs this.

    Returns
    -------
    CompatReport
        Also for a file that is damaged or no model at all: it does not load, and the reason says why.

    Raises
    ------
    StoreError
        There is no such file.
    WrongUsage
        The target is not understood, or the path is of a file that is only a part of a model.

    Examples
    --------
    >>> report = check("tests/data/keras-matrix/files/3.15.1_lenet.keras", "keras==3.12.4")
    >>> report.loads, report.written_by
    (False, 'keras==3.15.1')
    """
    wanted = keys.target(target)
    path, reader = Path(path), wanted.name
    if not os.path.lexists(path):
        raise StoreError(f"There is no file {path}.", "Look at the path.")
    if path.name == "saved_model.pb":
        raise WrongUsage(f"{path} is only a part of a SavedModel.", f"Give its folder: {path.parent}.")
    try:
        file = formats.read(path)
        found = _judge(file, wanted)
        reader = _reader(file, wanted)
    except (LabError, ValueError, RecursionError) as error:
        file = ModelFile(path, "unknown")
        message = error.message if isinstance(error, LabError) else f"{path.name} cannot be read: {error}."
        found = Judgement(False, (message,), getattr(error, "hint", ""))
    audited = _audit(path)
    written = ", ".join(f"{package}=={version}" for package, version in sorted(file.written_by.items()))
    loads, reasons, hint, without_compile = found
    if audited["runs_code"]:  # nobody is to be helped to load it
        hint = audited["findings"][0].hint
    without_compile = loads or without_compile
    kind = "keras_folder" if file.container == "folder" else file.format
    return CompatReport(str(path), kind, written, reader, loads, without_compile, tuple(reasons), hint, **audited)


def _audit(path: Path) -> dict[str, Any]:
    from mlops_lab.store import safety  # only here: the table alone does not need the audit

    report = safety.inspect(path)
    keys = ("safe", "code", "runs_code", "bounded", "findings")
    return {key: getattr(report, key) for key in keys}


def _reader(file: ModelFile, target: KerasTarget) -> str:
    package = READERS.get(MODELS.get(_model_name(file), file.format))
    if package is None:
        return target.name
    version = keys.installed(package)
    return f"{package}=={version}" if version else package


def _judge(file: ModelFile, target: KerasTarget) -> Judgement:
    if file.format == "version":
        return _version(file, target)
    if file.format == "saved_model":
        return other_formats.saved_model(file, target)
    if file.format == "onnx":
        return other_formats.onnx(file)
    if file.format == "skops":
        return other_formats.skops(file)
    return _keras(file, target)


def _keras(file: ModelFile, target: KerasTarget) -> Judgement:
    notes = (target.note,) if target.note else ()
    if target.here and keys.installed("keras") is None:
        return Judgement(False, notes, _install(file, target))
    if misnamed := _misnamed(file, target):
        return misnamed
    found = verdict.incompatibilities(file, target)
    if not found:
        return Judgement(True, notes)
    if all(objection.training for objection in found):
        return Judgement(False, (*_sentences(found), PREDICTS, *notes), _uncompiled(file, target), True)
    return Judgement(False, (*_sentences(found), *notes), _hint_for(file, target))


def _misnamed(file: ModelFile, target: KerasTarget) -> Judgement | None:
    """Refuse a model under a name that Keras does not read it from: it goes by the suffix, and not by the content."""
    if file.container == "file":
        return None
    other = "none" if file.container == "folder" else "other"
    suffix = next((suffix for suffix in SUFFIXES if file.path.name.endswith(suffix)), other)
    if keys.reads(f"file.{file.container}.{suffix.lstrip('.')}", target.row):
        return None
    if file.container == "folder":
        reason = f"{target.keras_name} does not read an unzipped model."
        pack = f"zip -0 -X {shlex.quote(file.path.name)}.keras config.json metadata.json model.weights.h5"
        return Judgement(False, (reason,), f"(cd {shlex.quote(str(file.path))} && {pack})")
    wanted = ".keras" if file.container == "zip" else ".h5"
    inside = TITLES[file.format].capitalize()
    reason = f"{inside} is inside, and {target.keras_name} goes by the name, which must end in {wanted}."
    better = str(file.path.with_suffix(wanted))
    return Judgement(False, (reason,), f"mv {shlex.quote(str(file.path))} {shlex.quote(better)}")


def _uncompiled(file: ModelFile, target: KerasTarget) -> str:
    """Return the hint where only the settings of ``compile`` are refused."""
    if file.format == "keras" and file.container == "zip" and _can_migrate(file, target):
        return _hint_for(file, target)
    return f"keras.saving.load_model({str(file.path)!r}, compile=False)"


def _sentences(found: list[Incompatibility]) -> tuple[str, ...]:
    """Return one sentence for each key of a class, which names the first layer and counts the others."""
    groups: dict[tuple[str, str], list[Incompatibility]] = {}
    for objection in found:
        whose = "" if objection.key == "dtype" else objection.class_name  # every layer has a dtype
        groups.setdefault((whose, objection.key), []).append(objection)
    sentences = [
        group[0].message if len(group) == 1 else f"{group[0].message[:-1]} (and {len(group) - 1} more like it)."
        for group in groups.values()
    ]
    rest = len(sentences) - MAX_REASONS
    return (*sentences[:MAX_REASONS], *([f"… and {rest} more reasons."] if rest > 0 else []))


def _hint_for(file: ModelFile, target: KerasTarget) -> str:
    """Return the command that helps: rewrite the file where that loses nothing, else install what reads it."""
    if file.format == "keras" and file.container == "zip" and _can_migrate(file, target):
        out = file.path.with_name(f"{file.path.stem}-{target.name.replace('==', '-')}.keras")
        return f"mlops-lab migrate {shlex.quote(str(file.path))} {shlex.quote(str(out))} --for {target.name}"
    return _install(file, target)


def _can_migrate(file: ModelFile, target: KerasTarget) -> bool:
    try:
        return not rewrite.convert_config(file, target).refused
    except (StoreError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        return False  # a graph that cannot be said otherwise, or a description that Keras never wrote


def _install(file: ModelFile, target: KerasTarget) -> str:
    """Return the line that installs what wrote the file, or what reads what it wrote."""
    version = file.written_by.get("keras", "")
    row = keys.target(f"keras=={version}").row if re.fullmatch(r"\d+\.\d+\.\d+", version) else keys.versions()[-1]
    candidates = [row, *reversed(keys.versions())]
    readers = [
        r for r in candidates if r != target.row and not verdict.incompatibilities(file, keys.target(f"keras=={r}"))
    ]
    if not readers:
        return "No tabulated Keras loads it as it is: build the model anew and load its weights."
    if readers[0].startswith("2."):
        return 'pip install "tensorflow==2.15.1"  # Keras 2.15; needs Python 3.9 to 3.11'
    wanted = version if readers[0] == row and version else readers[0]
    return (
        f'pip install "keras=={wanted}"' if target.major == 3 else f'pip install "tensorflow>=2.16" "keras=={wanted}"'
    )


def _version(file: ModelFile, target: KerasTarget) -> Judgement:
    """Judge the file that the version's engine loads, once everything the manifest lists is there."""
    listed = file.config.get("files")
    listed = listed if isinstance(listed, dict) else {}
    missing = [name for name in listed if not (file.path / name).exists()]
    if missing:
        reason = f"The manifest lists {missing[0]!r}, which is not there."
        return Judgement(False, (reason,), "Publish the version again.")
    name = _model_name(file)
    if name:
        inner = formats.read(file.path / name)
        versions = {**file.written_by, **inner.written_by}
        found = _judge(replace(inner, written_by=versions), target)
        return Judgement(True) if found.without_compile else found  # the engine of a version loads with compile=False
    return Judgement(True, ("The manifest lists no model file that depends on Keras, ONNX or scikit-learn.",))


def _model_name(file: ModelFile) -> str:
    """Return the name of the file of a version that is judged for it; empty where there is none."""
    listed = file.config.get("files") if file.format == "version" else None
    return next((name for name in MODELS if isinstance(listed, dict) and name in listed), "")
