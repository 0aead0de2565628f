"""What a corpus is made of: right answers, and wrong ones with what must become of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlops_lab.course.sources import read

NOTEBOOKS = Path(__file__).parents[2] / "notebooks" / "src"


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


def edited(source: str, *pairs: tuple[str, str]) -> str:
    """Return the source of an answer with some text replaced, each of which must be there."""
    for old, new in pairs:
        assert old in source, old
        source = source.replace(old, new)
    return source


def solution(id: str, imports: str = "", *, file: str = "") -> str:
    """Return the answer to an exercise that stands in its notebook, after what the notebook imports elsewhere.

    With a file, only the cells that write that one.
    """
    (source,) = NOTEBOOKS.glob(f"*_{id.partition('-')[0]}.py")
    cells = [cell.text for cell in read(source) if "solution" in cell.tags and id in (cell.exercise, cell.part_of)]
    cells = [text for text in cells if text.partition("\n")[0].endswith(file)]
    assert cells, f"{source.name} has no such cell of {id}"
    bodies = [text.partition("\n")[2] if text.startswith("%%") else text for text in cells]
    return imports + "\n\n\n".join(bodies) + "\n"


def defined(source: str, names: tuple[str, ...]) -> dict[str, Any]:
    """Return what a source defines of the names that an exercise asks for."""
    namespace: dict[str, Any] = {"__name__": "answers"}
    exec(compile(source, "answers.py", "exec"), namespace)
    return {name: namespace[name] for name in names if name in namespace}
