"""nbgrader: a cell for the answer and a cell for the grade of each exercise.

nbgrader takes a cell's points from the plain text of its result, and gives none to a cell that wrote on standard error.
While it grades, the plain text of a :class:`~mlops_lab.grade.CheckResult` is the bare number of points, its HTML is the
explanation, and :func:`mlops_lab.grade.check` lets nothing out on standard error; so the number and the explanation are
both kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from mlops_lab.grade.exercises import Exercise

SCHEMA = 3
GRADE = """from mlops_lab import grade

secret = None
### BEGIN HIDDEN TESTS
secret = {secret!r}
### END HIDDEN TESTS
grade.check({id!r}, {answer}, secret=secret{rubric})"""


def cells(
    exercise: Exercise, *, solution: str = "", secret: bytes = b"", rubric: str | None = None
) -> list[dict[str, Any]]:
    """Return the two cells of an exercise for the instructor's notebook.

    Parameters
    ----------
    exercise
        Which.
    solution
        The text of the answer's cell; what stands between nbgrader's own marks is taken out for students.
    secret
        What held-out cases are drawn from. It stands between ``BEGIN HIDDEN TESTS`` and its end, which nbgrader takes
        out of what students get.
    rubric
        A folder with exercises of one's own, as seen where the notebook runs.
    """
    names = exercise.names
    answer = repr(names[0]) if exercise.kind != "functions" else ", ".join(names)
    answer = f"({answer})" if exercise.kind == "functions" and len(names) > 1 else answer
    own = f", rubric={rubric!r}" if rubric else ""
    text = GRADE.format(id=exercise.id, answer=answer, secret=secret.hex() or None, rubric=own)
    return [
        _cell(exercise.id, solution, {"grade": False, "solution": True, "locked": False}, 0.0, exercise),
        _cell(f"{exercise.id}-grade", text, {"grade": True, "solution": False, "locked": True}, exercise.max_points),
    ]


def notebook(exercises: Iterable[Exercise], *, kernel: str = "python3", **options: Any) -> dict[str, Any]:
    """Return a notebook, format 4.5, with the cells of several exercises. Options as for :func:`cells`."""
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": {"name": kernel, "display_name": kernel, "language": "python"}},
        "cells": [cell for one in exercises for cell in cells(one, **options)],
    }


def _cell(
    id: str, source: str, kind: dict[str, bool], points: float, exercise: Exercise | None = None
) -> dict[str, Any]:
    entry: dict[str, Any] = {**kind, "task": False, "schema_version": SCHEMA, "grade_id": id, "cell_type": "code"}
    if kind["grade"]:
        entry["points"] = points
    entry["checksum"] = hashlib.md5((id + source).encode(), usedforsecurity=False).hexdigest()
    metadata: dict[str, Any] = {"nbgrader": entry}
    if exercise is not None:
        metadata["mlops_lab"] = {"exercise": exercise.id}
    return {
        "cell_type": "code", "id": id, "metadata": metadata, "source": source, "outputs": [], "execution_count": None,
    }  # fmt: skip
