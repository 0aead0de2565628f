"""Hand out the files that an exercise begins with."""

from __future__ import annotations

from pathlib import Path

from mlops_lab.errors import NotFound, WrongUsage

MATERIAL = Path(__file__).parent / "material"
CLASSMATE = MATERIAL / "classmate"
GIVEN = {"deploy-4": MATERIAL / "k8s", "grade-1": CLASSMATE}


def files_of(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder of the material under the names that a student sees.

    A program is kept as ``.txt``, so that nothing takes it for one of this package.
    """
    names = {"api.txt": "api.py", "test_api.txt": "test_api.py"}
    return {names.get(path.name, path.name): path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def hand_out(id: str, folder: str | Path) -> Path:
    """Write the files that an exercise begins with into a new folder, and return the folder.

    Parameters
    ----------
    id
        The exercise: ``"deploy-4"`` or ``"grade-1"``.
    folder
        A folder that is not there yet.

    Raises
    ------
    NotFound
        This exercise begins with nothing.
    WrongUsage
        There is something of that name: what a student has written is never replaced.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     sorted(path.name for path in hand_out("deploy-4", f"{place}/k8s").iterdir())
    ['deployment.yaml', 'pdb.yaml', 'service.yaml']
    """
    if id not in GIVEN:
        raise NotFound(f"Exercise {id!r} begins with no files.", f"There are files for {', '.join(GIVEN)}.")
    folder = Path(folder)
    if folder.exists():
        raise WrongUsage(f"{folder} is there already.", "Give another name, or move it away first.")
    folder.mkdir(parents=True)
    for name, content in files_of(GIVEN[id]).items():
        (folder / name).write_bytes(content)
    return folder
