"""Why TensorFlow Serving finds no versions in a folder, said before it is started.

It is given a *base path* and serves the folders in it whose names are numbers, passing over all others without a word:
then "No versions of servable clothes found under base path /models/clothes" is all that one reads. Each rule below is
one sentence on what is wrong, and one on how to mend it.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from mlops_lab import show
from mlops_lab.deploy import textproto, warmup
from mlops_lab.deploy.lint.findings import Finding
from mlops_lab.errors import LabError

NUMBER = re.compile(r"[0-9]{1,18}")
MODEL_FILES = {"model.keras", "model.skops", "model.onnx", "model.h5"}
BASE_PATH = "/models"


@dataclass(frozen=True)
class Layout:
    """What TensorFlow Serving would make of a folder.

    Parameters
    ----------
    base
        The base path on this machine.
    versions
        The versions that it would try to load.
    findings
        What is wrong; nothing where it would load them all.
    """

    base: Path
    versions: tuple[int, ...]
    findings: tuple[Finding, ...]

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for ``--json``."""
        found = [asdict(finding) for finding in self.findings]
        return {"base": str(self.base), "good": self.good, "versions": list(self.versions), "findings": found}

    def __str__(self) -> str:
        known = ", ".join(map(str, self.versions)) or "none"
        head = f"{self.base}: versions that TensorFlow Serving sees: {known}"
        return "\n".join([head, *(f"  {finding}" for finding in self.findings or ("nothing is wrong",))])

    def _repr_html_(self) -> str:
        if self.good:
            return show.card(str(self.base), show.state("ok", "nothing is wrong"))
        rows = [(item.rule, item.where, item.says, item.remedy) for item in self.findings]
        table = show.table(rows, ("rule", "where", "what is wrong", "what to do"))
        return show.card(str(self.base), show.state("error", f"{len(rows)} wrong"), table)


def examine(base: str | Path, *, config: str = "", name: str = "") -> Layout:
    """Look at a base path the way TensorFlow Serving does, and say what it would not.

    Parameters
    ----------
    base
        The folder that is mounted as ``/models/<name>``: the one that *contains* ``1/``.
    config
        The text of a ``models.config``, where there is one.
    name
        Of the model; by default the folder's.

    Returns
    -------
    Layout

    Examples
    --------
    >>> examine("models/clothes").versions
    (1,)
    >>> print(examine("models/clothes/1").findings[0].says)
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
        found += config_rules(config, name, numbers)
    return Layout(folder, numbers, tuple(found))


def numbered(folder: Path) -> list[Path]:
    """Return what is taken for a version: whatever has a number for a name."""
    return sorted(path for path in folder.iterdir() if NUMBER.fullmatch(path.name))


def is_saved_model(folder: Path) -> bool:
    """Tell whether this is the folder of a SavedModel."""
    return (folder / "saved_model.pb").is_file() or (folder / "saved_model.pbtxt").is_file()


def no_folder(folder: Path) -> Finding:
    """Refuse a base path that is not there, or is a file."""
    what = "is a file" if folder.exists() else "does not exist"
    return Finding("no-folder", str(folder), f"The base path {what}.", "Name the folder that contains 1/, 2/, ….")


def version_mounted(folder: Path) -> Iterator[Finding]:
    """Find a mount that is one level too deep."""
    if is_saved_model(folder):
        says = "This is the folder of one version, not the folder that contains it."
        yield Finding("version-mounted", str(folder), says, f"Mount {folder.resolve().parent} instead.")


def store_mounted(folder: Path) -> Iterator[Finding]:
    """Find a mount that is one level too high."""
    inside = [path for path in folder.iterdir() if path.is_dir() and any(map(is_saved_model, numbered(path)))]
    if not numbered(folder) and inside:
        names = ", ".join(sorted(path.name for path in inside))
        says = f"This is the folder of all models ({names}), not that of one."
        yield Finding("store-mounted", str(folder), says, f"Mount {sorted(inside)[0]} instead.")


def not_a_number(folder: Path) -> Iterator[Finding]:
    """Find versions that are passed over because of their names: ``v1``, ``0.1``, ``latest``."""
    for path in sorted(folder.iterdir()):
        if not is_saved_model(path) or NUMBER.fullmatch(path.name):
            continue
        wanted = re.fullmatch(r"v([0-9]+)", path.name)
        rename = f"Rename it {wanted[1]}." if wanted else "Rename it to a whole number, such as 1."
        rule = "v-name" if wanted else "not-a-number"
        yield Finding(rule, str(path), f"The name {path.name!r} is not a number, so it is passed over.", rename)


def nothing_inside(folder: Path) -> Iterator[Finding]:
    """Find a base path without anything that could be a version, whatever its name."""
    candidates = [path for path in [folder, *folder.iterdir()] if is_saved_model(path) or NUMBER.fullmatch(path.name)]
    if not candidates and not list(store_mounted(folder)):
        says = "There is no folder with a number for a name in it."
        yield Finding("no-version", str(folder), says, "Publish a version: mlops-lab train.")


def twice(folder: Path) -> Iterator[Finding]:
    """Find two folders with the same number, of which only one is taken: ``1`` and ``001``."""
    first: dict[int, Path] = {}
    for path in numbered(folder):
        other = first.setdefault(int(path.name), path)
        if other is not path:
            says = f"It and {other.name} are the same number; only one of them is served."
            yield Finding("twice", str(path), says, "Give one another number, or remove it.")


def file_for_version(version: Path) -> Iterator[Finding]:
    """Find a file with a number for a name, which is taken for a version."""
    if not version.is_dir():
        says = "A file with a number for a name is taken for a version."
        yield Finding("file-for-version", str(version), says, "Rename it, or move it away.")


def no_saved_model(version: Path) -> Iterator[Finding]:
    """Find versions without ``saved_model.pb``, or with one that is not a model."""
    if not version.is_dir():
        return
    content = version / "saved_model.pb"
    deeper = sorted(path.name for path in version.iterdir() if is_saved_model(path))
    others = sorted(MODEL_FILES & {path.name for path in version.iterdir()})
    if deeper and not is_saved_model(version):
        says = f"saved_model.pb lies one folder too deep, in {deeper[0]}/."
        yield Finding("too-deep", str(version), says, f"Move what is in {deeper[0]}/ one folder up.")
    elif not is_saved_model(version):
        says = f"There is no saved_model.pb{', only ' + ', '.join(others) if others else ''}."
        remedy = "A Keras model writes one with model.export(folder); others are served by mlops-lab serve."
        yield Finding("no-saved-model", str(version), says, remedy)
    elif content.is_file() and content.stat().st_size == 0:
        yield Finding("empty-model", str(content), "saved_model.pb is empty.", "Copy or publish it again.")
    elif content.is_file() and _starts(content, b"version https://git-lfs"):
        says = "saved_model.pb is a pointer of Git LFS, not the model."
        yield Finding("lfs-pointer", str(content), says, "Fetch the files: git lfs pull.")


def _starts(path: Path, with_what: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(with_what)) == with_what
    except OSError:
        return False  # unreadable says so


def no_variables(version: Path) -> Iterator[Finding]:
    """Find versions whose weights did not come along: copying tools like to leave empty folders and large files out."""
    if not version.is_dir() or not is_saved_model(version):
        return
    folder = version / "variables"
    present = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if not any(name.startswith("variables.data-") for name in present) or "variables.index" not in present:
        what = "is missing" if not folder.is_dir() else "is empty" if not present else "is not complete"
        says = f"The folder variables/, which holds the weights, {what}."
        remedy = "Copy the folder of the version again, with variables.index and the variables.data-… files."
        yield Finding("no-variables", str(folder), says, remedy)


def unreadable(version: Path) -> Iterator[Finding]:
    """Find what a container that runs as another user could not read."""
    if os.name == "nt" or not version.exists():
        return
    paths = [version.parent, version, *sorted(version.rglob("*"))]
    closed = (path for path in paths if not path.is_symlink() and not _open_to_all(path))
    for path in islice(closed, 1):
        says = f"Its mode is {stat.filemode(path.stat().st_mode)}: only its owner can read it."
        remedy = f"Let others read, and enter folders: chmod -R a+rX {version.parent}."
        yield Finding("unreadable", str(path), says, remedy)


def _open_to_all(path: Path) -> bool:
    wanted = stat.S_IROTH | (stat.S_IXOTH if path.is_dir() else 0)
    return path.stat().st_mode & wanted == wanted


def link_outside(version: Path) -> Iterator[Finding]:
    """Find links that lead out of the mounted folder: in the container there is nothing at their end."""
    base = version.parent.resolve()
    for path in [version, *(sorted(version.rglob("*")) if version.is_dir() else ())]:
        if path.is_symlink() and not path.resolve().is_relative_to(base):
            says = f"It is a link to {path.readlink()}, which is not in the mounted folder."
            yield Finding("link-outside", str(path), says, "Put the files themselves there: cp -rL.")


def bad_warmup(version: Path) -> Iterator[Finding]:
    """Find warm-up requests because of which the server would refuse the version."""
    path = version / warmup.FILE
    if not path.is_file():
        return
    remedy = "Remove it, or write it again: mlops-lab deploy tfserving."
    try:
        count = sum(1 for _ in warmup.read_records(path.read_bytes()))
    except (LabError, OSError) as error:
        yield Finding("bad-warmup", str(path), f"The warm-up requests cannot be read: {error}", remedy)
        return
    if count > warmup.MAX_RECORDS:
        says = f"There are {count} warm-up requests; the server takes at most {warmup.MAX_RECORDS}."
        yield Finding("bad-warmup", str(path), says, remedy)


Rule = Callable[[Path], Iterator[Finding]]
FOLDER_RULES: tuple[Rule, ...] = (version_mounted, store_mounted, not_a_number, nothing_inside, twice)
VERSION_RULES: tuple[Rule, ...] = (file_for_version, no_saved_model, no_variables, unreadable, link_outside, bad_warmup)


def config_rules(text: str, name: str, numbers: tuple[int, ...]) -> Iterator[Finding]:
    """Hold a ``models.config`` against the folder that is mounted as ``/models/<name>``."""
    where = "models.config"
    try:
        lists = textproto.parse(text).get("model_config_list", [])
        known = {entry["name"][0]: entry for part in lists for entry in part.get("config", [])}
    except (LabError, LookupError, AttributeError, TypeError) as error:
        says = f"It cannot be read: {error}" if isinstance(error, LabError) else "A config in it has no name."
        yield Finding("bad-config", where, says, "Render it again: mlops-lab deploy tfserving.")
        return
    if name not in known:
        names = ", ".join(map(str, known)) or "none"
        yield Finding("not-configured", where, f"There is no model {name!r} in it, only: {names}.", "Add a config.")
        return
    entry = known[name]
    path = str(entry.get("base_path", [""])[0]).rstrip("/")
    if path != f"{BASE_PATH}/{name}":
        says = f"The base_path of {name!r} is {path!r}; the folder is mounted as {BASE_PATH}/{name}."
        yield Finding("base-path", where, says, f"Write base_path: '{BASE_PATH}/{name}', or change the mount.")
    yield from _versions_asked(entry, numbers)


def _versions_asked(entry: textproto.Message, numbers: tuple[int, ...]) -> Iterator[Finding]:
    where = "models.config"
    policy = entry.get("model_version_policy", [{}])[0]
    asked = [number for part in policy.get("specific", []) for number in part.get("versions", [])]
    for number in sorted(set(asked) - set(numbers)):
        says = f"It asks for version {number}, which is not in the folder."
        yield Finding("version-missing", where, says, f"There are: {', '.join(map(str, numbers)) or 'none'}.")
    latest = policy.get("latest", [{}])[0].get("num_versions", [1])[0]
    served = set(asked) or set(numbers if "all" in policy else numbers[-latest:])
    for label in entry.get("version_labels", []):
        key, number = label.get("key", [""])[0], label.get("value", [0])[0]
        if number not in served:
            says = f"The label {key!r} is for version {number}, which the version policy does not load."
            yield Finding("label-unserved", where, says, f"Add {number} to the policy, or take the label away.")
