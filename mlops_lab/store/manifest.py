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
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab import strict_json
from mlops_lab.errors import DamagedArtifact
from mlops_lab.image import InputSpec

FORMAT = 1
MAX_BYTES = 8 * 1024 * 1024
FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")


@dataclass(frozen=True, eq=False)
class Golden:
    """Examples and what the model must answer to them, kept to notice a model that has changed.

    Parameters
    ----------
    inputs
        Images ``(n, height, width)``, 0–255, as they come before preprocessing; so preprocessing is checked too.
    outputs
        ``(n, classes)``.
    tolerance
        The largest difference that counts as the same.
    """

    inputs: NDArray[Any]
    outputs: NDArray[np.float32]
    tolerance: float = 1e-5

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists."""
        outputs = np.round(self.outputs.astype(np.float64), 9).tolist()
        return {
            "tolerance": self.tolerance,
            "dtype": self.inputs.dtype.name,
            "inputs": self.inputs.tolist(),
            "outputs": outputs,
        }

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> Golden:
        """Read what :meth:`to_dict` wrote."""
        if np.dtype(entry["dtype"]).kind not in "uif":
            raise ValueError(f"golden inputs of type {entry['dtype']}")
        inputs = np.array(entry["inputs"], dtype=entry["dtype"])
        outputs = np.array(entry["outputs"], dtype=np.float32)
        if len(inputs) == 0 or outputs.ndim != 2 or len(inputs) != len(outputs):
            raise ValueError(f"{len(inputs)} golden inputs and outputs of shape {outputs.shape}")
        if not np.isfinite(outputs).all():
            raise ValueError("golden outputs that are not finite")
        return cls(inputs, outputs, float(entry["tolerance"]))


@dataclass(frozen=True, eq=False)
class ModelManifest:
    """The description of one version: its origin, input, golden examples, and the hash of every file."""

    name: str
    version: int
    description: str
    framework: str
    engine: str
    versions: dict[str, str]
    files: dict[str, dict[str, Any]]
    input: InputSpec
    labels: tuple[str, ...]
    number_of_parameters: int
    trainable_parameters: int
    optimizer_parameters: int
    metrics: dict[str, float]
    training: dict[str, Any]
    data: dict[str, Any]
    seed: int | None
    created: str
    golden: Golden = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the manifest as plain values, ``format`` first."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        plain |= {"input": self.input.to_dict(), "labels": list(self.labels), "golden": self.golden.to_dict()}
        return {"format": FORMAT, **plain}

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
            "tensorflow_version": self.versions.get("tensorflow"),
            "keras_version": self.versions.get("keras"),
        }

    @classmethod
    def from_json(cls, text: bytes, where: str) -> ModelManifest:
        """Read a ``manifest.json``.

        Raises
        ------
        DamagedArtifact
            It is not a manifest, or one of a format this version of the lab does not know.
        """
        if len(text) > MAX_BYTES:
            raise _damaged(where, f"it has {len(text):,} bytes; the limit is {MAX_BYTES:,}")
        try:
            return cls.from_dict(strict_json.loads(text), where)
        except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError) as error:
            raise _damaged(where, f"{type(error).__name__}: {error}") from error

    @classmethod
    def from_dict(cls, entry: dict[str, Any], where: str) -> ModelManifest:
        """Read the plain values of a manifest."""
        if entry["format"] != FORMAT:
            raise DamagedArtifact(
                f"The manifest {where} has the format {entry['format']!r}; this mlops_lab reads {FORMAT}.",
                "Install a newer mlops_lab, or publish the version again.",
            )
        if not all(FILE_NAME.fullmatch(name) for name in entry["files"]):
            raise _damaged(where, "it lists a file name that leaves the folder")
        _check_kinds(entry)
        values = {name: entry[name] for name in cls.__dataclass_fields__}
        values |= {
            "input": InputSpec.from_dict(entry["input"]),
            "labels": tuple(map(str, entry["labels"])),
            "golden": Golden.from_dict(entry["golden"]),
        }
        if len(values["labels"]) != values["golden"].outputs.shape[1]:
            raise _damaged(where, "it has not one label for each class")
        return cls(**values)


_KINDS: dict[type, tuple[str, ...]] = {
    str: ("name", "description", "framework", "engine", "created"),
    int: ("version", "number_of_parameters", "trainable_parameters", "optimizer_parameters"),
    dict: ("versions", "files", "metrics", "training", "data"),
    list: ("labels",),
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
    words = [*entry["versions"].values(), *entry["labels"], *(file["sha256"] for file in entry["files"].values())]
    if not all(type(number) in (int, float) for number in numbers) or not all(type(word) is str for word in words):
        raise TypeError("a metric, version, label or SHA-256 is of the wrong kind")


def _damaged(where: str, why: str) -> DamagedArtifact:
    return DamagedArtifact(f"The manifest {where} cannot be read: {why}.", "Publish the version again.")
