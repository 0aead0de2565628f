"""What a corpus is made of: right answers, and wrong ones with what must become of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Wrong:
    """A wrong answer, the check that must lose points, and the key of the hint that must be given."""

    answer: Any
    check: str
    hint: str


@dataclass(frozen=True)
class Answers:
    """Answers to one exercise."""

    right: list[Any]
    wrong: list[Wrong] = field(default_factory=list)


def write(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write files, each with its path in a folder, and return the folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder
