"""A student's folder: the notebooks, models to write to, and an ``api.py`` and a ``Dockerfile`` to go on with."""

from __future__ import annotations

import os
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
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise WrongUsage(f"{folder} is there already, and not empty.", "Choose another name; nothing was changed.")
    source = shipped_notebooks()
    with explained(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=folder.parent))
        try:
            names = _fill(made, source)
            made.chmod(0o777 & ~_umask())
            if folder.is_dir():
                folder.rmdir()
            made.rename(folder)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    return Started(folder, names)


def _fill(folder: Path, source: Path) -> tuple[str, ...]:
    notebooks = sorted(source.glob("*.ipynb"))
    # Contents only: what was installed may be read-only, and belong to somebody else.
    for path in notebooks:
        shutil.copyfile(path, folder / path.name)
    trees = {"files": source / "files", "models": shipped_models()}
    for name, tree in trees.items():
        shutil.copytree(tree, folder / name, copy_function=shutil.copyfile)
    for path in STARTER.iterdir():
        if path.is_file():
            shutil.copyfile(path, folder / path.name.removesuffix(".txt"))
    return tuple(path.name for path in notebooks)


def _umask() -> int:
    """Return the permissions that new files do not get; reading it takes setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
