"""The table of the keys that each version of Keras accepts, and the row that stands for a version.

``keras_keys.json`` is written by ``tools/keras_keys.py``, which asks the classes of each Keras wheel. A class is named
``layers.Dense``, ``initializers.GlorotUniform``, ``schedules.CosineDecay``; versions are spans, as
``"3.0.5..3.12.4 3.14.1.."``, where an open end means the newest.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from mlops_lab.errors import WrongUsage

# The Keras that was newest when each TensorFlow appeared. Up to 2.15 the two share their number.
KERAS_OF_TENSORFLOW = {
    (2, 16): "3.0.5", (2, 17): "3.4.1", (2, 18): "3.6.0", (2, 19): "3.9.2", (2, 20): "3.11.3", (2, 21): "3.12.4",
}  # fmt: skip
REQUIREMENT = re.compile(r"(tensorflow|tensorflow-cpu|keras)==(\d+\.\d+(?:\.\d+)?)(?:[.a-z-].*)?")
Release = tuple[int, int, int]


@dataclass(frozen=True)
class KerasTarget:
    """An environment to load a file in."""

    name: str
    """The requirement, as for pip: ``keras==3.4.1``."""
    keras: str
    """The Keras version there."""
    row: str
    """The version of the table that stands for it."""
    tensorflow: str | None = None
    here: bool = False
    note: str = ""

    @property
    def keras_name(self) -> str:
        """Return ``Keras 3.4.1``."""
        return f"Keras {self.keras}"

    @property
    def major(self) -> int:
        """Return 2 or 3: which Keras."""
        return release(self.row)[0]


@dataclass(frozen=True)
class ClassKeys:
    """The keys and values that one version of Keras accepts for one class."""

    keys: frozenset[str]
    refused: dict[str, list[Any]]
    """Values that some version writes by default and this one does not take."""

    needs: frozenset[str] = frozenset()
    """The keys that must be there."""

    def takes_value(self, key: str, value: Any) -> bool:
        """Return whether a value of a key that it takes is one that it takes."""
        return not any(_same(value, refused) for refused in self.refused.get(key, []))


def _same(value: Any, other: Any) -> bool:
    if isinstance(value, dict) and isinstance(other, dict):  # an object: its ids and module do not matter
        return (value.get("class_name"), value.get("config")) == (other.get("class_name"), other.get("config"))
    return type(value) is type(other) and bool(value == other)


def release(version: str) -> Release:
    """Return a version as three numbers.

    >>> release("3.15.1"), release("2.15")
    ((3, 15, 1), (2, 15, 0))
    """
    numbers = [int(n) for n in re.findall(r"\d+", version)[:3]] or [0]
    padded = [*numbers, 0, 0]
    return padded[0], padded[1], padded[2]


@lru_cache(maxsize=1)
def table() -> dict[str, Any]:
    """Return the table as it is on disk."""
    return dict(json.loads(Path(__file__).with_name("keras_keys.json").read_text()))


def versions() -> list[str]:
    """Return the versions in the table, oldest first."""
    return list(table()["versions"])


def within(spans: str, version: str) -> bool:
    """Return whether a tabulated version is in spans such as ``3.4.1..3.12.4 3.14.1..``."""
    number = release(version)
    for span in spans.split():
        first, last = span.split("..")
        if release(first) <= number and (not last or number <= release(last)):
            return True
    return False


@lru_cache(maxsize=4096)
def entry(identity: str, row: str) -> ClassKeys | None:
    """Return what a tabulated version takes for a class, or None where it has no such class."""
    found = table()["classes"].get(identity)
    if found is None or not within(found["in"], row):
        return None
    taken = {key for key, change in found.get("changed", {}).items() if within(change["in"], row)}
    refused = {
        key: [one["value"] for one in values if not within(one["in"], row)]
        for key, values in found.get("values", {}).items()
    }
    needs = frozenset(key for key, spans in found.get("needs", {}).items() if within(spans, row))
    return ClassKeys(frozenset(taken | set(found["keys"].split())), refused, needs)


def takes_policy(value: dict[str, Any], row: str) -> bool:
    """Return whether a tabulated version reads an object as the ``dtype`` of a layer."""
    form = (value.get("module"), value.get("class_name"))
    known = [
        policy
        for policy in table()["policies"]
        if (policy["value"].get("module"), policy["value"].get("class_name")) == form
    ]
    exact = [policy for policy in known if policy["value"].get("config") == value.get("config")]
    return any(within(policy["in"], row) for policy in exact or known)


@lru_cache(maxsize=256)
def _named(kind: str, row: str) -> frozenset[str]:
    found = [name.partition(".")[2] for name in table()["classes"] if name.startswith(f"{kind}.")]
    taken = [name for name in found if entry(f"{kind}.{name}", row)]
    return frozenset(form for name in taken for form in (name, name.lower(), _snake_case(name)))


def _snake_case(name: str) -> str:
    spaced = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", spaced).lower()


def has_class(kind: str, name: str, row: str) -> bool:
    """Return whether a tabulated version finds a class by a mere name, such as ``glorot_uniform`` or ``adam``.

    >>> has_class("initializers", "glorot_uniform", "3.15.1")
    True
    """
    return name in _named(kind, row)


def is_default(identity: str, key: str, value: Any) -> bool:
    """Return whether a value is what some version says by default, so that leaving it out says the same."""
    change = table()["classes"].get(identity, {}).get("changed", {}).get(key, {})
    return any(type(value) is type(default) and value == default for default in change.get("defaults", []))


def dropped_keys(row: str) -> list[str]:
    """Return the classes that a tabulated version cannot read back from the files that it writes itself."""
    return list(table()["forgets"].get(row, []))


def reads(way: str, row: str) -> bool:
    """Return whether a tabulated version reads a way to write a functional model, such as ``ends.flat``."""
    return within(table()["structure"].get(way, ""), row)


def has_function(kind: str, name: str, row: str) -> bool:
    """Return whether a tabulated version knows a function of ``activations``, ``losses`` or ``metrics`` by name."""
    return within(table()["functions"][kind].get(name, ""), row)


def is_known_name(kind: str, name: str) -> bool:
    """Return whether any tabulated version knows a function or class by its name; otherwise it is somebody's own."""
    return name in table()["functions"].get(kind, ()) or any(has_class(kind, name, row) for row in versions())


def spans(identity: str) -> str:
    """Return the versions that have a class; empty where none does."""
    return str(table()["classes"].get(identity, {}).get("in", ""))


def target(requirement: str | None = None) -> KerasTarget:
    """Return the environment that a requirement names, or this one.

    Parameters
    ----------
    requirement
        ``"keras==3.4.1"`` or ``"tensorflow==2.15.1"``; nothing means this environment.

    Raises
    ------
    WrongUsage
        It is neither.

    Examples
    --------
    >>> target("tensorflow==2.15.1").keras
    '2.15.0'
    >>> target("keras==3.4.1").row
    '3.4.1'
    """
    if requirement is None:
        return _here()
    match = REQUIREMENT.fullmatch(requirement.replace(" ", "").lower())
    if match is None:
        raise WrongUsage(f"The target {requirement!r} is not understood.", "Write keras==3.4.1 or tensorflow==2.15.1.")
    package, version = match.groups()
    if package == "keras":
        row, note = _row(version)
        return KerasTarget(f"keras=={version}", version, row, note=note)
    keras, note = _keras_of(version)
    row, second = _row(keras)
    return KerasTarget(
        f"tensorflow=={version}", keras, row, tensorflow=version, note=" ".join(filter(None, (note, second)))
    )


def installed(package: str) -> str | None:
    """Return the installed version of a package, without importing it."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _here() -> KerasTarget:
    keras = installed("keras")
    if keras is None:
        newest = versions()[-1]
        return KerasTarget("no Keras", newest, newest, here=True, note="Keras is not installed in this environment.")
    row, note = _row(keras)
    return KerasTarget(f"keras=={keras}", keras, row, installed("tensorflow"), here=True, note=note)


def _keras_of(tensorflow: str) -> tuple[str, str]:
    major, minor, _ = release(tensorflow)
    if (major, minor) < (2, 16):
        return f"{major}.{minor}.0", ""
    known = KERAS_OF_TENSORFLOW.get((major, minor))
    keras = known or versions()[-1]
    note = (
        f"TensorFlow {major}.{minor} takes any newer Keras too; the answer is for Keras {keras}, the one of its time."
    )
    return keras, note if known else f"TensorFlow {tensorflow} is newer than the table, so Keras {keras} stands for it."


def _row(version: str) -> tuple[str, str]:
    """Return the tabulated version that stands for any version, and a sentence where it is another."""
    rows, number = versions(), release(version)
    if exact := [row for row in rows if release(row) == number]:
        return exact[0], ""
    line = [row for row in rows if release(row)[:2] == number[:2]]
    lower = [row for row in rows if release(row)[0] == number[0] and release(row) < number]
    same = [row for row in line if release(row) < number] or line
    major = [row for row in rows if release(row)[0] == number[0]]
    found = (same or lower[-1:] or major or rows)[-1]
    return found, f"Keras {version} is not in the table; {found} stands for it."
