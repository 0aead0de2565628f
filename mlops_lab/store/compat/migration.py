"""Rewrite a ``.keras`` file for another version of Keras, where that loses nothing.

Only ``config.json`` changes. The weights are copied byte for byte, and the predictions are compared wherever a Keras
that can read one of the two files is at hand.
"""

from __future__ import annotations

import copy
import io
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops_lab import show
from mlops_lab.errors import IncompatibleFile, StoreError, WrongUsage
from mlops_lab.files import write_atomically
from mlops_lab.store.compat import formats, keys, rewrite, verdict
from mlops_lab.store.compat.formats import ModelFile
from mlops_lab.store.compat.keys import KerasTarget

TOLERANCE = 1e-6
CHILD = Path(__file__).with_name("migration_child.py")


@dataclass(frozen=True)
class MigrationReport:
    """The changes of a rewritten file, and the checks that it passed."""

    source: str
    out: str
    target: str
    """The environment it was rewritten for: ``keras==3.4.1``."""
    changes: tuple[str, ...]
    """The changes to the configuration; empty where none was needed."""
    verified: tuple[str, ...]
    """The checks that passed."""
    not_verified: tuple[str, ...]
    """The checks that could not be run here, and why."""
    difference: float | None
    """The largest difference between two predictions, where both files could be loaded here."""

    def to_dict(self) -> dict[str, Any]:
        """Return the report as ``mlops-lab migrate --json`` prints it."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}

    def __str__(self) -> str:
        lines = [f"{self.source} → {self.out}, for {self.target}"]
        lines += [f"  · {change}" for change in self.changes or ("nothing had to change",)]
        lines += [f"  ✓ {what}" for what in self.verified]
        return "\n".join([*lines, *(f"  ! {what}" for what in self.not_verified)])

    def _repr_html_(self) -> str:
        rows = [("changed", change) for change in self.changes or ("nothing had to change",)]
        checks = [(show.Html(show.state("ok", "verified")), what) for what in self.verified]
        open_ = [(show.Html(show.state("warning", "not verified")), what) for what in self.not_verified]
        return show.card(f"{self.out}, for {self.target}", show.table([*rows, *checks, *open_]))


def migrate(
    source: str | Path, out: str | Path, target: str | None = None, *, verify: bool = True, overwrite: bool = False
) -> MigrationReport:
    """Rewrite a ``.keras`` file so that another version of Keras loads it.

    Parameters
    ----------
    source
        A ``.keras`` file of Keras 2.15 or 3.
    out
        The path of the new file.
    target
        ``"keras==3.4.1"`` or ``"tensorflow==2.15.1"``; nothing means the environment that runs this.
    verify
        Load what can be loaded here in a child process and compare predictions.
    overwrite
        Replace ``out`` if it is there.

    Raises
    ------
    IncompatibleFile
        The target lacks something that the file says; the message names the layer and the key.
    StoreError
        A file cannot be read, is no ``.keras`` file, or is there already.
    WrongUsage
        ``out`` does not end in ``.keras``.

    Examples
    --------
    >>> report = migrate("clothes.keras", "older.keras", "keras==3.4.1")  # doctest: +SKIP
    >>> report.difference  # doctest: +SKIP
    0.0
    """
    wanted, source, out = keys.target(target), Path(source), Path(out)
    _refuse_place(source, out, overwrite)
    file = formats.read(source)
    if file.format != "keras":
        raise StoreError(
            f"{source.name} is not a .keras file, and only those are rewritten.",
            "Load it where it loads, and save it as .keras.",
        )
    written = _rewrite(file, wanted)
    archive = _archive(source, written.config, wanted)
    checks = _Checks.of(file, written, archive, wanted, verify)
    write_atomically(out, archive)
    return MigrationReport(
        str(source), str(out), wanted.name, written.changes, checks.verified, checks.not_verified, checks.difference
    )


def _refuse_place(source: Path, out: Path, overwrite: bool) -> None:
    if out.suffix != ".keras":
        raise WrongUsage(f"{out.name!r} does not end in .keras.", f"Write to {out.stem}.keras.")
    if out.exists() and source.exists() and out.samefile(source):
        raise StoreError(f"{out} is the file itself, and the original is worth keeping.", "Choose another name.")
    if out.exists() and not overwrite:
        raise StoreError(f"{out} is there already.", "Choose another name, or replace it: --overwrite, overwrite=True.")


def _rewrite(file: ModelFile, target: KerasTarget) -> rewrite.Rewritten:
    try:
        written = rewrite.convert_config(file, target)
    except (KeyError, TypeError, AttributeError, IndexError, ValueError, RecursionError) as error:
        raise StoreError(
            f"The description in {file.path.name} is not one that Keras writes: {type(error).__name__}: {error}.",
            "Save the model again.",
        ) from error
    if written.refused:
        more = f" ({len(written.refused) - 1} more.)" if len(written.refused) > 1 else ""
        raise IncompatibleFile(
            f"{file.path.name} cannot be said in {target.keras_name}: {written.refused[0].message}{more}",
            "Load it with the Keras that wrote it, and build the model without that.",
        )
    return written


def _archive(source: Path, config: dict[str, Any], target: KerasTarget) -> bytes:
    """Return the archive with another ``config.json``; every other member is copied as it is."""
    out = io.BytesIO()
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as new:
        for member in old.infolist():
            content = old.read(member)
            if member.filename == "config.json":
                content = json.dumps(config).encode()
            elif member.filename == "metadata.json":
                content = _metadata(content, target)
            new.writestr(zipfile.ZipInfo(member.filename, member.date_time), content)
    return out.getvalue()


def _metadata(content: bytes, target: KerasTarget) -> bytes:
    """Return the stamp with the version that the description is now written for, and the one before."""
    try:
        entries = dict(json.loads(content))
    except (ValueError, TypeError):
        entries = {}
    before = entries.get("keras_version")
    versions = {"keras_version": target.keras} | ({"migrated_from": f"keras=={before}"} if before else {})
    return json.dumps({**entries, **versions}).encode()


@dataclass(frozen=True)
class _Checks:
    verified: tuple[str, ...]
    not_verified: tuple[str, ...]
    difference: float | None = None

    @classmethod
    def of(
        cls, file: ModelFile, written: rewrite.Rewritten, archive: bytes, target: KerasTarget, verify: bool
    ) -> _Checks:
        """Check what can be checked here: by the table always, by loading where this Keras reads the file."""
        kept = "the weights are the same bytes"
        table = f"{target.keras_name} takes every class and key of the new file, by the table"
        here = keys.target()
        if not verify:
            return cls((kept, table), ("predictions were not compared: you asked for none",))
        if keys.installed("keras") is None:
            return cls((kept, table), ("predictions were not compared: Keras is not installed here",))
        new = _with(file, written.config)
        notes = []
        if target.row != here.row:
            notes.append(f"the new file was not loaded with {target.keras_name} itself, which is not installed here")
        if verdict.incompatibilities(new, here):  # the new file in this Keras's words stands in for it
            notes.append(f"{here.keras_name} cannot read the new file, so a translation of it was loaded")
        if verdict.incompatibilities(file, here):  # then there is nothing independent to compare with
            _ask(file, written.config, archive, here, with_source=False)
            notes.append(f"predictions were not compared: {here.keras_name} cannot read the source")
            return cls((kept, table, f"it loads and predicts, with {here.keras_name}"), tuple(notes))
        difference = float(_ask(file, written.config, archive, here, with_source=True))
        if not difference <= TOLERANCE:
            raise IncompatibleFile(
                f"The new file was not written: its predictions differ by {difference:.1e}.",
                "Use the file where it was written.",
            )
        compared = f"predictions differ by {difference:.1e} between the source and the new file, with {here.keras_name}"
        return cls((kept, table, compared), tuple(notes), difference)


def _with(file: ModelFile, config: dict[str, Any]) -> ModelFile:
    return ModelFile(file.path, file.format, file.written_by, copy.deepcopy(config))


def _ask(file: ModelFile, config: dict[str, Any], archive: bytes, here: KerasTarget, *, with_source: bool) -> float:
    """Load the new file, and the source where asked, in a child process; return how far their predictions differ."""
    with tempfile.TemporaryDirectory(prefix="mlops-lab-") as folder:
        new, source = Path(folder, "new.keras"), Path(folder, "source.keras")
        new.write_bytes(archive)
        if verdict.incompatibilities(_with(file, config), here):
            new.write_bytes(_archive(new, _rewrite(_with(file, config), here).config, here))
        source.write_bytes(file.path.read_bytes())
        places = [str(new), str(source)] if with_source else [str(new)]
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
        command = [sys.executable, str(CHILD), *places]
        try:
            done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
            answer = json.loads(done.stdout.strip().splitlines()[-1])
        except (subprocess.TimeoutExpired, ValueError, IndexError):
            answer = {"error": "the child process that loads it ended without an answer"}
    if "error" in answer:
        raise IncompatibleFile(
            f"The new file was not written, because it does not load: {answer['error']}.",
            "Use the file where it was written.",
        )
    return float(answer["difference"])
