"""A student's folder: the notebooks, models to write to, and an ``api.py`` and a ``Dockerfile`` to go on with."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops_lab.errors import NotFound, WrongUsage
from mlops_lab.files import TEMPORARY, explained
from mlops_lab.store.shipped import shipped_models

_HERE = Path(__file__).resolve().parent
# In a wheel they lie in the package; in a clone beside it.
PLACES = (_HERE / "notebooks", _HERE.parents[1] / "notebooks")
STARTER = _HERE / "starter"


@dataclass(frozen=True)
class Started:
    """A new folder.

    Attributes
    ----------
    folder
        Where.
    notebooks
        The names of its notebooks, in order.
    """

    folder: Path
    notebooks: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"{self.folder} has {len(self.notebooks)} notebooks, models, an api.py and a Dockerfile.\n"
            f"Next: cd {self.folder}, then jupyter lab {self.notebooks[0]}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the folder and its notebooks as plain values."""
        return {"folder": str(self.folder), "notebooks": list(self.notebooks)}


def shipped_notebooks() -> Path:
    """Return the folder of the notebooks that come with this package.

    Raises
    ------
    NotFound
        It is in neither of its places: the installation is not whole.
    """
    for folder in PLACES:
        if any(folder.glob("*.ipynb")):
            return folder
    raise NotFound(f"There are no notebooks in {PLACES[0]}.", "Install mlops-lab again.")


def start(folder: str | Path) -> Started:
    """Make a student's folder, whole or not at all. Nothing that exists is overwritten.

    Parameters
    ----------
    folder
        A new folder, or an empty one.

    Raises
    ------
    WrongUsage
        There is something in that folder, or a file of that name.
    StoreError
        The folder cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     sorted(path.name for path in start(Path(place, "mlops")).folder.iterdir())[-4:]
    ['README.md', 'api.py', 'files', 'models']
    """
    folder = Path(folder)
    refuse_filled(folder)
    source = shipped_notebooks()
    with explained(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=TEMPORARY) as place:
            made = Path(place, "course")  # the temporary folder itself is closed to everybody else
            made.mkdir()
            names = _fill(made, source)
            if folder.is_dir():
                folder.rmdir()
            made.rename(folder)
    return Started(folder, names)


def refuse_filled(folder: Path) -> None:
    """Refuse a folder that has something in it, or a file of that name."""
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise WrongUsage(f"{folder} is there already, and not empty.", "Choose another name; nothing was changed.")


def _fill(folder: Path, source: Path) -> tuple[str, ...]:
    notebooks = sorted(source.glob("*.ipynb"))
    copies = {folder / path.name: path for path in notebooks}
    for name, tree in {"files": source / "files", "models": shipped_models()}.items():
        copies |= {folder / name / path.relative_to(tree): path for path in tree.rglob("*") if path.is_file()}
    copies |= {folder / path.name.removesuffix(".txt"): path for path in STARTER.iterdir() if path.is_file()}
    # Contents only: what was installed, folders too, may be read-only, and belong to somebody else.
    for target, path in copies.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    return tuple(path.name for path in notebooks)
