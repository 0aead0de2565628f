"""From the cells of a source to notebooks: the student's and the solution's.

=============  =====================================================================================
tag            what becomes of the cell
=============  =====================================================================================
``stub``       only in the student's notebook: it runs, and its answer is wrong
``solution``   only in the solution
``check``      in both: ``grade.check(ID, …)``
``hint``       text in both, folded until it is opened
``predict``    the guess of a *predict, then run* question; with ``stub`` it is empty, with ``solution`` it is typed
``long``       only where the notebooks are built with ``full``: it takes minutes
``fast``       not where they are built with ``full``: it stands for the long one
=============  =====================================================================================
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

from mlops_lab.course.sources import Cell

VERSIONS = {"student": {"stub"}, "solution": {"solution"}}


def chosen(cells: Iterable[Cell], version: str, *, full: bool = False) -> list[Cell]:
    """Return the cells that a version of the notebook has.

    Parameters
    ----------
    cells
        Of a source.
    version
        ``"student"`` or ``"solution"``.
    full
        Whether the long cells run, and not those that stand for them.

    Examples
    --------
    >>> cells = [Cell("code", "pass", {"tags": ["stub"]}), Cell("code", "x = 1"), Cell("code", "y", {"tags": ["long"]})]
    >>> [cell.text for cell in chosen(cells, "solution")]
    ['x = 1']
    """
    left_out = {"stub", "solution"} - VERSIONS[version] | {"fast" if full else "long"}
    return [cell for cell in cells if not cell.tags & left_out]


def as_notebook(cells: Sequence[Cell], version: str = "student", *, full: bool = False) -> dict[str, Any]:
    """Return a notebook in Jupyter's format 4.5, without outputs.

    The ids of cells come from their exercise, or from their place and text, so a source gives the same bytes each time.
    """
    return {
        "cells": [_cell(place, cell) for place, cell in enumerate(chosen(cells, version, full=full))],
        "metadata": {
            "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def as_text(notebook: dict[str, Any]) -> str:
    """Return a notebook as the bytes of its file, the same each time."""
    return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _cell(place: int, cell: Cell) -> dict[str, Any]:
    text = _folded(cell) if "hint" in cell.tags else cell.text
    answers = cell.tags & {"stub", "solution"} and cell.exercise
    id = cell.exercise if answers else hashlib.sha256(f"{place}\n{text}".encode()).hexdigest()[:8]
    found: dict[str, Any] = {
        "cell_type": cell.kind, "id": id, "metadata": cell.metadata, "source": text.splitlines(True),
    }  # fmt: skip
    if cell.kind == "code":
        found |= {"execution_count": None, "outputs": []}
    return found


def _folded(cell: Cell) -> str:
    summary = cell.metadata.get("mlops_lab", {}).get("summary", "Hint")
    return f"<details>\n<summary>{summary}</summary>\n\n{cell.text}\n\n</details>"
