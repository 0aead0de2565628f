"""Assignments made of the notebooks: for otter-grader, for nbgrader, or for nobody but the instructor."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops_lab.course.building import sources
from mlops_lab.course.notebooks import as_notebook, as_text
from mlops_lab.course.sources import Cell
from mlops_lab.course.starting import refuse_filled, start
from mlops_lab.errors import WrongUsage, nearest
from mlops_lab.files import explained
from mlops_lab.grade import secret as secrets
from mlops_lab.grade.exercises import Exercise, all_exercises
from mlops_lab.grade.exporters import nbgrader, otter

KINDS = ("otter", "nbgrader", "plain")
NBGRADER_CONFIG = """\
c = get_config()
c.CourseDirectory.course_id = "mlops"
# What stands in the place of a solution; the stub above it runs, so that no open exercise stops a notebook.
c.ClearSolutions.code_stub = {"python": "# Your answer goes here."}
# Some cells train a network or start a server.
c.ExecutePreprocessor.timeout = 600
"""


@dataclass(frozen=True)
class Released:
    """An assignment for each notebook.

    Attributes
    ----------
    folder
        Where.
    kind
        ``"otter"``, ``"nbgrader"`` or ``"plain"``.
    assignments
        The names of the notebooks.
    """

    folder: Path
    kind: str
    assignments: tuple[str, ...]

    def __str__(self) -> str:
        hand_out = "source" if self.kind == "nbgrader" else "student"
        return (
            f"{len(self.assignments)} assignments for {self.kind}. Hand out {self.folder / hand_out}"
            + (" with nbgrader generate_assignment." if self.kind == "nbgrader" else ".")
            + " The rest has solutions or the secret of the held-out cases: keep it to yourself."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the folder and the assignments as plain values."""
        return {"folder": str(self.folder), "kind": self.kind, "assignments": list(self.assignments)}


def release(
    out: str | Path, kind: str = "plain", *, only: Iterable[str] = (), secret: str | Path | None = None,
    rubric: str | Path | None = None, folder: Path | None = None,
) -> Released:  # fmt: skip
    """Write an assignment for each notebook.

    Parameters
    ----------
    out
        A new folder.
    kind
        ``"otter"``: notebooks with visible tests, and a zip for the autograder. ``"nbgrader"``: the instructor's
        notebooks, from which ``nbgrader generate_assignment`` makes the students'. ``"plain"``: notebooks, graded with
        ``mlops-lab grade --class``.
    only
        Names of notebooks, such as ``"03_store"``.
    secret
        A file that held-out cases are drawn from; by default one is drawn and kept in ``instructor/secret``.
    rubric
        A folder of exercises of one's own, which replace those of their id.
    folder
        What holds ``src``; by default ``notebooks`` in the clone.

    Raises
    ------
    WrongUsage
        There is something in ``out``, or a notebook or kind of that name does not exist.
    NotFound
        This is no clone of the project.
    """
    out = Path(out)
    lessons = _chosen(sources(folder), tuple(only))
    if kind not in KINDS:
        raise WrongUsage(f"There is no kind {kind!r}.", nearest(kind, KINDS))
    refuse_filled(out)
    drawn, exercises = secrets.read(Path(secret) if secret else None), all_exercises(rubric)
    given = None if rubric is None else str(Path(rubric).resolve())
    with explained(out):
        solutions = {f"{name}.ipynb": _text(cells, "solution") for name, cells in lessons.items()}
        _write(out / "instructor" / "solutions", solutions)
        (out / "instructor" / "secret").write_bytes(drawn)
        if kind == "nbgrader":
            for name, cells in lessons.items():
                place = _material(out / "source" / name, {name: nbgrader_text(cells, exercises, drawn, given)})
                (place / "README.md").unlink()
            _write(out, {"nbgrader_config.py": NBGRADER_CONFIG})
        else:
            _material(out / "student", {name: _text(cells, "student") for name, cells in lessons.items()})
        if kind == "otter":
            for name, cells in lessons.items():
                asked = [exercises[cell.exercise] for cell in cells if "check" in cell.tags]
                otter.write(out / "student" / "tests", otter.files(asked, rubric=given))
                _autograder(out / "autograder" / f"{name}.zip", otter.files(asked, secret=drawn, rubric=given), out)
    return Released(out, kind, tuple(lessons))


def _chosen(lessons: dict[str, list[Cell]], only: tuple[str, ...]) -> dict[str, list[Cell]]:
    for name in only:
        if name not in lessons:
            raise WrongUsage(f"There is no notebook {name!r}.", nearest(name, lessons))
    return {name: cells for name, cells in lessons.items() if not only or name in only}


def _text(cells: Sequence[Cell], version: str) -> str:
    return as_text(as_notebook(cells, version))


def _material(folder: Path, notebooks: Mapping[str, str]) -> Path:
    """Fill a folder as ``mlops-lab start`` does, with these notebooks only."""
    start(folder)
    for path in folder.glob("*.ipynb"):
        path.unlink()
    _write(folder, {f"{name}.ipynb": text for name, text in notebooks.items()})
    return folder


def _write(folder: Path, texts: Mapping[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")


def _autograder(path: Path, tests: Mapping[str, str], out: Path) -> None:
    """Write what ``otter run -a`` takes: the tests, and the files that a notebook finds beside it."""
    config = {"tests_dir": "/autograder/source/tests", "lang": "python"}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("otter_config.json", json.dumps(config))
        for name, text in tests.items():
            archive.writestr(f"tests/{name}", text)
        for place in ("files", "models"):
            for file in sorted((out / "student" / place).rglob("*")):
                if file.is_file():
                    archive.write(file, f"files/{file.relative_to(out / 'student').as_posix()}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(buffer.getvalue())


def nbgrader_text(
    cells: Sequence[Cell], exercises: Mapping[str, Exercise], secret: bytes, rubric: str | None = None
) -> str:
    """Return the instructor's notebook for nbgrader: an answer's cell has the stub, and the solution between marks."""
    book = as_notebook(cells, "student")
    solutions = {cell.exercise: cell for cell in cells if "solution" in cell.tags and cell.exercise}
    parts: dict[str, list[Cell]] = {}
    for cell in cells:
        if "solution" in cell.tags and cell.part_of:
            parts.setdefault(cell.part_of, []).append(cell)
    found: list[dict[str, Any]] = []
    for cell in book["cells"]:
        text = "".join(cell["source"])
        source = Cell(cell["cell_type"], text, cell["metadata"])
        if source.exercise and source.exercise in solutions and "stub" in source.tags:
            answer = [*parts.get(source.exercise, ()), solutions[source.exercise]]
            whole = "\n\n\n".join(_inside(one.text, text) for one in answer)
            marked = f"{text}\n\n\n### BEGIN SOLUTION\n{whole}\n### END SOLUTION"
            found.append(nbgrader.cells(exercises[source.exercise], solution=marked, secret=secret, rubric=rubric)[0])
        elif "check" in source.tags:
            found.append(nbgrader.cells(exercises[source.exercise], secret=secret, rubric=rubric)[1])
        else:
            found.append(cell)
    return as_text({**book, "cells": found})


def _inside(text: str, stub: str) -> str:
    """Return a cell of a solution as a part of its stub's cell, where ``%%writefile`` may only begin the whole cell."""
    if not text.startswith("%%"):
        return text
    first, _, body = text.partition("\n")
    if stub.startswith("%%"):  # the stub has that line already
        return body
    magic, _, options = first[2:].partition(" ")
    return f"get_ipython().run_cell_magic({magic!r}, {options!r}, r'''{body}\n''')"
