"""A linter for the folder that TensorFlow Serving is given: it finds why the server would load no versions.

TensorFlow Serving takes a *base path* and serves the folders in it whose names are numbers. It ignores all other
folders without an error, so the only message is "No versions of servable clothes found under base path
/models/clothes". Each rule below states the cause and the hint before the server starts.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from mlops_lab import show
from mlops_lab.deploy import serving_config, warmup
from mlops_lab.errors import LabError
from mlops_lab.findings import Finding, table

NUMBER = re.compile(r"[0-9]{1,18}")
MODEL_FILES = {"model.keras", "model.skops", "model.onnx", "model.h5"}


@dataclass(frozen=True)
class Layout:
    """The result of :func:`examine`.

    Parameters
    ----------
    base
        The base path on this machine.
    versions
        The versions that TensorFlow Serving would try to load.
    findings
        The problems; empty where every version would be loaded.
    """

    base: Path
    versions: tuple[int, ...]
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Return whether no problem was found."""
        return not self.findings

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for ``--json``."""
        found = [finding.to_dict() for finding in self.findings]
        return {"base": str(self.base), "passed": self.passed, "versions": list(self.versions), "findings": found}

    def __str__(self) -> str:
        versions = ", ".join(map(str, self.versions)) or "none"
        head = f"{self.base}: versions that TensorFlow Serving finds: {versions}"
        return "\n".join([head, *map(str, self.findings or ("no problems",))])

    def _repr_html_(self) -> str:
        if self.passed:
            return show.card(str(self.base), show.state("ok", "no problems"))
        count = f"{len(self.findings)} problem{'' if len(self.findings) == 1 else 's'}"
        return show.card(str(self.base), show.state("error", count), table(self.findings))


def examine(base: str | Path, *, config: str = "", name: str = "") -> Layout:
    """Check a base path, and where it is given a ``models.config``, as TensorFlow Serving would read them.

    Parameters
    ----------
    base
        The folder that is mounted as ``/models/<name>``: the one that *contains* ``1/``.
    config
        The text of a ``models.config``; empty where there is none.
    name
        The name of the model; by default the folder's.

    Raises
    ------
    MissingPackage
        A ``models.config`` is given, and protobuf is not installed.

    Examples
    --------
    >>> examine("models/clothes").versions
    (1,)
    >>> print(examine("models/clothes/1").findings[0].message)
    This is the folder of one version, not the folder that contains it.
    """
    folder = Path(base)
    if not folder.is_dir():
        return Layout(folder, (), (no_folder(folder),))
    name = name or folder.resolve().name
    found = [finding for rule in FOLDER_RULES for finding in rule(folder)]
    found += [finding for version in numbered(folder) for rule in VERSION_RULES for finding in rule(version)]
    numbers = tuple(sorted({int(path.name) for path in numbered(folder)}))
    if config:
        found += serving_config.check(config, name, numbers)
    return Layout(folder, numbers, tuple(found))


def problem(rule: str, place: Path, message: str, hint: str) -> Finding:
    """Return a finding about a place in the folder."""
    return Finding(False, message, hint, rule, str(place))


def numbered(folder: Path) -> list[Path]:
    """Return the paths that are taken for versions: those whose names are numbers."""
    return sorted(path for path in folder.iterdir() if NUMBER.fullmatch(path.name))


def is_saved_model(folder: Path) -> bool:
    """Return whether this is the folder of a SavedModel."""
    return (folder / "saved_model.pb").is_file() or (folder / "saved_model.pbtxt").is_file()


def no_folder(folder: Path) -> Finding:
    """Return the finding for a base path that does not exist or is a file."""
    what = "is a file" if folder.exists() else "does not exist"
    return problem("no-folder", folder, f"The base path {what}.", "Use the folder that contains 1/, 2/, ….")


def version_mounted(folder: Path) -> Iterator[Finding]:
    """Find a mount that is one level too deep."""
    if is_saved_model(folder):
        message = "This is the folder of one version, not the folder that contains it."
        yield problem("version-mounted", folder, message, f"Mount {folder.resolve().parent} instead.")


def store_mounted(folder: Path) -> Iterator[Finding]:
    """Find a mount that is one level too high."""
    inside = [path for path in folder.iterdir() if path.is_dir() and any(map(is_saved_model, numbered(path)))]
    if not numbered(folder) and inside:
        names = ", ".join(sorted(path.name for path in inside))
        message = f"This is the folder of all models ({names}), not of one model."
        yield problem("store-mounted", folder, message, f"Mount {sorted(inside)[0]} instead.")


def not_a_number(folder: Path) -> Iterator[Finding]:
    """Find versions that are ignored because of their names: ``v1``, ``0.1``, ``latest``."""
    for path in sorted(folder.iterdir()):
        if not is_saved_model(path) or NUMBER.fullmatch(path.name):
            continue
        wanted = re.fullmatch(r"v([0-9]+)", path.name)
        rename = f"Rename it {wanted[1]}." if wanted else "Rename it to a whole number, such as 1."
        rule = "v-name" if wanted else "not-a-number"
        yield problem(rule, path, f"The name {path.name!r} is not a number, so the folder is ignored.", rename)


def nothing_inside(folder: Path) -> Iterator[Finding]:
    """Find a base path that contains no version under any name."""
    candidates = [path for path in [folder, *folder.iterdir()] if is_saved_model(path) or NUMBER.fullmatch(path.name)]
    if not candidates and not list(store_mounted(folder)):
        message = "It contains no folder whose name is a number."
        yield problem("no-version", folder, message, "Publish a version: mlops-lab train.")


def twice(folder: Path) -> Iterator[Finding]:
    """Find two folders with the same number, such as ``1`` and ``001``, of which only one is served."""
    first: dict[int, Path] = {}
    for path in numbered(folder):
        other = first.setdefault(int(path.name), path)
        if other is not path:
            message = f"It has the same number as {other.name}; only one of them is served."
            yield problem("twice", path, message, "Rename one of them to another number, or remove it.")


def file_for_version(version: Path) -> Iterator[Finding]:
    """Find a file whose name is a number, which is taken for a version."""
    if not version.is_dir():
        message = "A file whose name is a number is taken for a version."
        yield problem("file-for-version", version, message, "Rename the file, or move it to another folder.")


def no_saved_model(version: Path) -> Iterator[Finding]:
    """Find versions without ``saved_model.pb``, or with one that is not a model."""
    if not version.is_dir():
        return
    content = version / "saved_model.pb"
    deeper = sorted(path.name for path in version.iterdir() if is_saved_model(path))
    others = sorted(MODEL_FILES & {path.name for path in version.iterdir()})
    if deeper and not is_saved_model(version):
        message = f"saved_model.pb is one folder too deep, in {deeper[0]}/."
        yield problem("too-deep", version, message, f"Move the contents of {deeper[0]}/ one folder up.")
    elif not is_saved_model(version):
        message = f"There is no saved_model.pb{', only ' + ', '.join(others) if others else ''}."
        hint = "Write one from Keras with model.export(folder), or serve the model with mlops-lab serve."
        yield problem("no-saved-model", version, message, hint)
    elif content.is_file() and content.stat().st_size == 0:
        yield problem("empty-model", content, "saved_model.pb is empty.", "Copy the model again, or publish it again.")
    elif content.is_file() and _starts(content, b"version https://git-lfs"):
        message = "saved_model.pb is a Git LFS pointer, not the model."
        yield problem("lfs-pointer", content, message, "Fetch the files: git lfs pull.")


def _starts(path: Path, with_what: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(with_what)) == with_what
    except OSError:
        return False  # the rule "unreadable" reports it


def no_variables(version: Path) -> Iterator[Finding]:
    """Find versions without weights: copying tools often omit empty folders and large files."""
    if not version.is_dir() or not is_saved_model(version):
        return
    folder = version / "variables"
    present = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if not any(name.startswith("variables.data-") for name in present) or "variables.index" not in present:
        what = "is missing" if not folder.is_dir() else "is empty" if not present else "is incomplete"
        message = f"The folder variables/, which contains the weights, {what}."
        hint = "Copy the folder of the version again, with variables.index and the variables.data-… files."
        yield problem("no-variables", folder, message, hint)


def unreadable(version: Path) -> Iterator[Finding]:
    """Find files that a container which runs as another user could not read."""
    if os.name == "nt" or not version.exists():
        return
    paths = [version.parent, version, *sorted(version.rglob("*"))]
    closed = (path for path in paths if not path.is_symlink() and not _open_to_all(path))
    for path in islice(closed, 1):
        message = f"The mode is {stat.filemode(path.stat().st_mode)}, so only the owner can read it."
        hint = f"Run chmod -R a+rX {version.parent}."
        yield problem("unreadable", path, message, hint)


def _open_to_all(path: Path) -> bool:
    wanted = stat.S_IROTH | (stat.S_IXOTH if path.is_dir() else 0)
    return path.stat().st_mode & wanted == wanted


def link_outside(version: Path) -> Iterator[Finding]:
    """Find links to paths outside of the mounted folder, which do not exist in the container."""
    base = version.parent.resolve()
    for path in [version, *(sorted(version.rglob("*")) if version.is_dir() else ())]:
        if path.is_symlink() and not path.resolve().is_relative_to(base):
            message = f"It is a link to {path.readlink()}, which is outside of the mounted folder."
            yield problem("link-outside", path, message, "Copy the files instead of the link: cp -rL.")


def bad_warmup(version: Path) -> Iterator[Finding]:
    """Find warm-up requests that would make the server reject the version."""
    path = version / warmup.FILE
    if not path.is_file():
        return
    hint = "Remove the file, or write it again: mlops-lab deploy tfserving."
    try:
        count = sum(1 for _ in warmup.read_records(path.read_bytes()))
    except (LabError, OSError) as error:
        yield problem("bad-warmup", path, f"The warm-up requests cannot be read: {error}", hint)
        return
    if count > warmup.MAX_RECORDS:
        message = f"There are {count} warm-up requests; the server accepts at most {warmup.MAX_RECORDS}."
        yield problem("bad-warmup", path, message, hint)


Rule = Callable[[Path], Iterator[Finding]]
FOLDER_RULES: tuple[Rule, ...] = (version_mounted, store_mounted, not_a_number, nothing_inside, twice)
VERSION_RULES: tuple[Rule, ...] = (file_for_version, no_saved_model, no_variables, unreadable, link_outside, bad_warmup)
