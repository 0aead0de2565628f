"""The description of one version, written last: a folder without it does not exist.

``FORMAT`` is the number that a reader looks at first. To change what a manifest holds:

1. a new *optional* key needs no new number: readers ignore keys they do not know;
2. a new required key, or a key that changes its meaning, raises ``FORMAT`` by one;
3. ``ModelManifest.from_dict`` then gets a branch that reads the former number, and a test with a manifest of that
   number (``tests/data/manifests/<number>.json``) which must load for ever.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mlops_lab import strict_json
from mlops_lab.errors import DamagedArtifact
from mlops_lab.image import InputSpec
from mlops_lab.signature import Signature
from mlops_lab.store.golden_arrays import GOLDEN_FILE, Golden

FORMAT = 2
# Format 1 knew one input, one output of probabilities, and golden examples in the manifest itself.
READABLE = (1, 2)
MAX_BYTES = 8 * 1024 * 1024
FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")


@dataclass(frozen=True, eq=False)
class ModelManifest:
    """The description of one version: its origin, signature, golden examples, and the hash of every file."""

    name: str
    version: int
    description: str
    framework: str
    engine: str
    versions: dict[str, str]
    files: dict[str, dict[str, Any]]
    signature: Signature
    number_of_parameters: int
    trainable_parameters: int
    optimizer_parameters: int
    metrics: dict[str, float]
    training: dict[str, Any]
    data: dict[str, Any]
    seed: int | None
    created: str
    golden: Golden = field(repr=False)
    notes: tuple[str, ...] = ()

    @property
    def input(self) -> InputSpec:
        """Its first input."""
        return self.signature.inputs[0]

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of its first output."""
        return self.signature.outputs[0].labels

    def to_dict(self) -> dict[str, Any]:
        """Return the manifest as plain values, ``format`` first."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "signature"}
        plain |= {"golden": self.golden.to_dict(), "notes": list(self.notes)}
        return {"format": FORMAT, **plain, **self.signature.to_dict()}

    def to_json(self) -> str:
        """Return the text of ``manifest.json``: one line for each key, so that it reads and diffs well."""
        lines = (f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in self.to_dict().items())
        return "{\n" + ",\n".join(lines) + "\n}\n"

    def public(self) -> dict[str, Any]:
        """Return what a client may know: ``GET /models/clothes/v1`` answers this."""
        hidden = {"format", "files", "golden"}
        plain = {key: value for key, value in self.to_dict().items() if key not in hidden}
        return {
            **plain,
            "version": f"v{self.version}",
            "input": self.input.to_dict(),
            "labels": list(self.labels),
            "tensorflow_version": self.versions.get("tensorflow"),
            "keras_version": self.versions.get("keras"),
        }

    @classmethod
    def from_json(cls, text: bytes, where: str, read: Callable[[str], bytes] | None = None) -> ModelManifest:
        """Read a ``manifest.json``.

        Parameters
        ----------
        text
            What it holds.
        where
            Its place, for messages.
        read
            Returns the bytes of a file beside it; called when the golden examples are wanted.

        Raises
        ------
        DamagedArtifact
            It is not a manifest, or one of a format this version of the lab does not know.
        """
        if len(text) > MAX_BYTES:
            raise _damaged(where, f"it has {len(text):,} bytes; the limit is {MAX_BYTES:,}")
        try:
            return cls.from_dict(strict_json.loads(text), where, read)
        except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError) as error:
            raise _damaged(where, f"{type(error).__name__}: {error}") from error

    @classmethod
    def from_dict(cls, entry: dict[str, Any], where: str, read: Callable[[str], bytes] | None = None) -> ModelManifest:
        """Read the plain values of a manifest."""
        if type(entry["format"]) is not int or entry["format"] not in READABLE:
            raise DamagedArtifact(
                f"The manifest {where} has the format {entry['format']!r}; this mlops_lab reads {FORMAT}.",
                "Install a newer mlops_lab, or publish the version again.",
            )
        if not all(FILE_NAME.fullmatch(name) for name in entry["files"]):
            raise _damaged(where, "it lists a file name that leaves the folder")
        _check_kinds(entry)
        described = cls._from_format_1(entry, where) if entry["format"] == 1 else cls._from_format_2(entry, read)
        names = cls.__dataclass_fields__.keys() - described.keys()
        return cls(**{name: entry[name] for name in names}, **described)

    @staticmethod
    def _from_format_1(entry: dict[str, Any], where: str) -> dict[str, Any]:
        signature = Signature.classifier(InputSpec.from_dict(entry["input"]), tuple(map(str, entry["labels"])))
        golden = Golden.from_dict(entry["golden"], signature)
        if len(entry["labels"]) != golden.outputs.shape[1]:
            raise _damaged(where, "it has not one label for each class")
        return {"signature": signature, "golden": golden, "notes": ()}

    @staticmethod
    def _from_format_2(entry: dict[str, Any], read: Callable[[str], bytes] | None) -> dict[str, Any]:
        signature = Signature.from_dict(entry)
        if entry["golden"]["file"] != GOLDEN_FILE or GOLDEN_FILE not in entry["files"]:
            raise ValueError(f"golden examples that are not in {GOLDEN_FILE}")
        golden = Golden.from_file(signature, float(entry["golden"]["tolerance"]), read)
        return {"signature": signature, "golden": golden, "notes": tuple(map(str, entry["notes"]))}


_KINDS: dict[type, tuple[str, ...]] = {
    str: ("name", "description", "framework", "engine", "created"),
    int: ("version", "number_of_parameters", "trainable_parameters", "optimizer_parameters"),
    dict: ("versions", "files", "metrics", "training", "data"),
}


def _check_kinds(entry: dict[str, Any]) -> None:
    """Raise ``TypeError`` or ``KeyError`` where a value is not of its kind, so that no reader has to ask again."""
    for kind, names in _KINDS.items():
        for name in names:
            if type(entry[name]) is not kind:
                raise TypeError(f"{name} is a {type(entry[name]).__name__}")
    if not all(type(file["size"]) is int and file["size"] >= 0 for file in entry["files"].values()):
        raise TypeError("a size is no whole number")
    numbers = [*entry["metrics"].values()]
    words = [
        *entry["versions"].values(),
        *entry.get("labels", ()),
        *(file["sha256"] for file in entry["files"].values()),
    ]
    if not all(type(number) in (int, float) for number in numbers) or not all(type(word) is str for word in words):
        raise TypeError("a metric, version, label or SHA-256 is of the wrong kind")


def _damaged(where: str, why: str) -> DamagedArtifact:
    return DamagedArtifact(f"The manifest {where} cannot be read: {why}.", "Publish the version again.")
