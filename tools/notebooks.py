"""Build the notebooks from their sources: ``notebooks/src/NN_topic.py`` to ``notebooks/NN_topic.ipynb``.

A source is Python with ``# %%`` before a code cell and ``# %% [markdown]`` before text, whose lines are comments.
Cell ids come from the position and the text, and no outputs are stored, so the same source gives the same bytes.
``python tools/notebooks.py`` writes; ``--check`` only says whether the notebooks are up to date.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "notebooks"


def cells(source: str) -> list[tuple[str, str]]:
    """Return the cells of a source as (kind, text)."""
    found: list[tuple[str, list[str]]] = []
    for line in source.splitlines():
        if line.startswith("# %%"):
            found.append(("markdown" if "[markdown]" in line else "code", []))
        elif found:
            found[-1][1].append(line)
    return [(kind, _text(kind, lines)) for kind, lines in found]


def _text(kind: str, lines: list[str]) -> str:
    if kind == "markdown":
        lines = [line.removeprefix("#").removeprefix(" ") for line in lines]
    return "\n".join(lines).strip("\n")


def notebook(source: str) -> dict[str, Any]:
    """Return a notebook, in Jupyter's format 4.5, without outputs."""
    return {
        "cells": [_cell(place, kind, text) for place, (kind, text) in enumerate(cells(source))],
        "metadata": {
            "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _cell(place: int, kind: str, text: str) -> dict[str, Any]:
    digest = hashlib.sha256(f"{place}\n{text}".encode()).hexdigest()
    cell: dict[str, Any] = {"cell_type": kind, "id": digest[:8], "metadata": {}, "source": text.splitlines(True)}
    if kind == "code":
        cell |= {"execution_count": None, "outputs": []}
    return cell


def built(source: Path) -> tuple[Path, str]:
    """Return where the notebook of a source lies, and what it holds."""
    text = json.dumps(notebook(source.read_text(encoding="utf-8")), indent=1, ensure_ascii=False, sort_keys=True)
    return FOLDER / source.with_suffix(".ipynb").name, text + "\n"


def main() -> int:
    """Write the notebooks, or compare them; the exit status is 1 where one is out of date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, only compare")
    check = parser.parse_args().check
    stale = 0
    for source in sorted((FOLDER / "src").glob("*.py")):
        path, text = built(source)
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        stale += 1
        if check:
            print(f"{path.name} is not what {source.name} gives: run python tools/notebooks.py")
        else:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.name}")
    return stale if check else 0


if __name__ == "__main__":
    sys.exit(main())
