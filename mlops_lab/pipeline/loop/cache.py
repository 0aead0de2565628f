"""The cache of step results, by their inputs: a step whose inputs are unchanged is not run again.

A step's folder is named after the SHA-256 of all that it depends on. Its record is written last and in one piece, so a
step that was killed has none, and is run again with the same inputs in the same folder.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlops_lab.files import explained, write_atomically

FORMAT = 1  # raise it when a step begins to do something else with the same inputs
RECORD = "record.json"
INTENT = "intent.json"


def digest(value: Any) -> str:
    """Return the SHA-256 of plain values, whatever the order of their keys.

    Examples
    --------
    >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    True
    """
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class StepResult:
    """The result of a step.

    Parameters
    ----------
    message
        The observation in one line.
    outputs
        Plain values, which later steps take as inputs.
    evidence
        The measurements behind the message, as plain values.
    """

    message: str
    outputs: Mapping[str, Any] = field(default_factory=dict)
    evidence: Mapping[str, Any] = field(default_factory=dict, repr=False)


class StepCache:
    """Records of steps in a folder.

    Parameters
    ----------
    folder
        Made where it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def key(self, name: str, inputs: Mapping[str, Any]) -> str:
        """Return the digest of a step and of all that it depends on."""
        return digest({"format": FORMAT, "step": name, "inputs": inputs})

    def folder(self, name: str, key: str) -> Path:
        """Return the folder of a step; it need not be there."""
        return self._folder / f"{name.replace(' ', '-')}-{key[:20]}"

    def find(self, name: str, key: str) -> StepResult | None:
        """Return what a step has made; ``None`` where it never ended, or its record is damaged."""
        try:
            found = json.loads((self.folder(name, key) / RECORD).read_text(encoding="utf-8"))
            if found["key"] != key:
                return None
            return StepResult(found["message"], found["outputs"], found["evidence"])
        except (OSError, ValueError, LookupError, TypeError):
            return None

    def begin(self, name: str, key: str) -> Path:
        """Return the folder of a step, without what an attempt that was killed has left; its intent is kept."""
        folder = self.folder(name, key)
        with explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
            for path in folder.iterdir():
                if path.is_dir():
                    shutil.rmtree(path)
                elif path.name != INTENT:
                    path.unlink()
        return folder

    def forget_intent(self, name: str, key: str) -> None:
        """Remove the note of what a step was about to do, once that is undone."""
        (self.folder(name, key) / INTENT).unlink(missing_ok=True)

    def keep(self, name: str, key: str, result: StepResult) -> None:
        """Write the record of a step that ended."""
        entry = {"key": key, "message": result.message, "outputs": result.outputs, "evidence": result.evidence}
        text = json.dumps(entry, ensure_ascii=False, indent=1)
        write_atomically(self.folder(name, key) / RECORD, text.encode() + b"\n")


def intend(folder: Path, make: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """Return what a step was about to do when it was killed, or note what it is about to do now.

    Parameters
    ----------
    folder
        Of the step.
    make
        Returns plain values; called only where there is no note yet.
    """
    path = folder / INTENT
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        found = dict(make())
        write_atomically(path, json.dumps(found).encode() + b"\n")
        return found
