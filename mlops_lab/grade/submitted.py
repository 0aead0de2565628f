"""Find the answers in a submission: cells of notebooks by their exercise's id, and ``answers.py``. Nothing is run."""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlops_lab.grade.exercises import Exercise

MAX_NOTEBOOK = 20_000_000  # bytes; outputs count
MAX_NOTEBOOKS = 30
ANSWERS = "answers.py"


@dataclass
class SubmittedAnswers:
    """The answers that a submission holds.

    Attributes
    ----------
    cells
        For each exercise the sources that lead to its answer, in order: name and text.
    names
        What those sources define at their top.
    """

    cells: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    answers: list[tuple[str, str]] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    warnings: list[str] = field(default_factory=list)

    def attempts(self, exercise: Exercise) -> bool:
        """Whether there is a cell for an exercise, or its names stand in ``answers.py``."""
        return exercise.id in self.cells or bool(set(exercise.names) & self.names)

    def sources(self, exercise: Exercise) -> list[tuple[str, str]]:
        """Return what to run for an exercise."""
        return [*self.answers, *self.cells.get(exercise.id, [])]


def look(folder: Path) -> SubmittedAnswers:
    """Read the notebooks and the answer file of a submission."""
    found = SubmittedAnswers()
    path = folder / ANSWERS
    if path.is_file():
        text = path.read_text(encoding="utf-8", errors="replace")
        found.answers.append((ANSWERS, text))
        found.names |= defined(text)
    for path in sorted(folder.rglob("*.ipynb"))[:MAX_NOTEBOOKS]:
        try:
            _read(path, found)
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            found.warnings.append(f"{path.name[:80]} is not a notebook: {type(error).__name__}.")
    return found


def _read(path: Path, found: SubmittedAnswers) -> None:
    if path.stat().st_size > MAX_NOTEBOOK:
        found.warnings.append(f"{path.name[:80]} is larger than {MAX_NOTEBOOK // 1_000_000} MB; clear its outputs.")
        return
    before: list[tuple[str, str]] = []
    own: dict[str, tuple[str, str]] = {}
    for number, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"]):
        if not isinstance(cell, dict) or cell.get("cell_type") != "code":
            continue
        id = _exercise(cell)
        text = without_magics(_text(cell["source"]))
        name = f"{path.stem[:60]}, cell {number + 1}"
        if id:
            if id in own:
                found.warnings.append(f"{path.name[:80]} has two cells for {id}; the first counts.")
                continue
            own[id] = (name, text)
            found.cells[id] = [*before, (name, text)]
            before.append((name, definitions(text)))
        else:
            before.append((name, definitions(text)))


def _exercise(cell: dict[str, Any]) -> str:
    metadata = cell.get("metadata", {}).get("mlops_lab", {})
    id = metadata.get("exercise", "") if isinstance(metadata, dict) else ""
    return id if isinstance(id, str) else ""


def _text(source: Any) -> str:
    return source if isinstance(source, str) else "".join(map(str, source))


def without_magics(text: str) -> str:
    r"""Return a cell without the lines that only IPython reads.

    Examples
    --------
    >>> without_magics("%matplotlib inline\nx = 1")
    'pass\nx = 1'
    """
    lines = text.split("\n")
    return "\n".join(
        line[: len(line) - len(line.lstrip())] + "pass" if line.lstrip()[:1] in ("%", "!") else line for line in lines
    )


def definitions(text: str) -> str:
    r"""Return what a cell defines: imports, functions, classes and constants; not what it does.

    Examples
    --------
    >>> definitions("import os\nSIZE = 28\nprint(os.getcwd())")
    'import os\nSIZE = 28'
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return ""
    kept = [node for node in tree.body if isinstance(node, _DEFINES) or _is_constant(node)]
    return ast.unparse(ast.Module(kept, []))


_DEFINES = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def _is_constant(node: ast.stmt) -> bool:
    if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
        return False
    return not any(isinstance(one, ast.Call | ast.Await) for one in ast.walk(node.value))


def defined(text: str) -> set[str]:
    r"""Return the names that a file defines at its top.

    Examples
    --------
    >>> sorted(defined("a = 1\ndef b(): pass"))
    ['a', 'b']
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return set()
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names
