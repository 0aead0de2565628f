"""Build the notebooks of a clone from their sources: ``notebooks/src/NN_topic.py``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlops_lab
from mlops_lab.course.notebooks import as_notebook, as_text
from mlops_lab.course.sources import Cell, read
from mlops_lab.errors import NotFound
from mlops_lab.files import explained


@dataclass(frozen=True)
class Built:
    """The files that a build wrote, or found to differ from their sources.

    Attributes
    ----------
    files
        Every file that the sources give.
    stale
        Those that were missing or different.
    """

    files: tuple[Path, ...]
    stale: tuple[Path, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the paths as plain values."""
        return {"files": [str(path) for path in self.files], "stale": [str(path) for path in self.stale]}


def clone() -> Path:
    """Return the ``notebooks`` folder of the clone that this package is imported from.

    Raises
    ------
    NotFound
        The package was installed from a wheel, which has the notebooks and not their sources.
    """
    folder = Path(mlops_lab.__file__).resolve().parents[1] / "notebooks"
    if not (folder / "src").is_dir():
        message = "The sources of the notebooks are not here: this package was installed from a wheel."
        raise NotFound(message, "Run it in a clone of the project.")
    return folder


def sources(folder: Path | None = None) -> dict[str, list[Cell]]:
    """Return the cells of every source, by the name of its notebook."""
    folder = folder or clone()
    return {path.stem: read(path) for path in sorted((folder / "src").glob("[0-9]*.py"))}


def build(
    folder: str | Path | None = None, *, out: str | Path | None = None, check: bool = False, full: bool = False
) -> Built:
    """Write the student's notebook and the solution of every source.

    Parameters
    ----------
    folder
        What holds ``src``; by default ``notebooks`` in the clone.
    out
        Where the notebooks go; by default into ``folder``.
    check
        Write nothing, only compare.
    full
        Keep the long cells. Students' notebooks have the fast ones.

    Examples
    --------
    >>> build(check=True).stale
    ()
    """
    folder = Path(folder) if folder is not None else clone()
    out = Path(out) if out is not None else folder
    texts: dict[Path, str] = {}
    for name, cells in sources(folder).items():
        texts[out / f"{name}.ipynb"] = as_text(as_notebook(cells, "student", full=full))
        texts[out / "solutions" / f"{name}.ipynb"] = as_text(as_notebook(cells, "solution", full=full))
    return write(texts, check)


def write(texts: dict[Path, str], check: bool = False) -> Built:
    """Write the files whose text is another, or with ``check`` only say which they are."""
    stale = tuple(path for path, text in texts.items() if not _holds(path, text))
    for path in () if check else stale:
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(texts[path], encoding="utf-8", newline="\n")
    return Built(tuple(texts), stale)


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_bytes() == text.encode()
