"""A folder where a check and a student's code leave files for each other, wherever that code runs."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from mlops_lab.errors import LabError
from mlops_lab.grade.cases import Failed
from mlops_lab.grade.sandbox.tree import plain_files, put, remove
from mlops_lab.store.reading import read_below

MOST_READ = 32_000_000  # bytes of one file


class SharedFolder:
    """A new folder below one that both can reach.

    Parameters
    ----------
    root
        The folder as the grader sees it.
    seen
        The same folder as the student's code sees it.
    give
        Lets the student's code own what was put there.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     shared = SharedFolder(Path(folder), folder, lambda: None)
    ...     path = shared.put("models/a.txt", b"text")
    ...     shared.read("models/a.txt"), shared.files(), shared.read("nothing")
    (b'text', ['models/a.txt'], None)
    """

    def __init__(self, root: Path, seen: str, give: Callable[[], None]) -> None:
        name = f"shared-{secrets.token_hex(4)}"
        self._root, self._name, self._seen, self._give = root, name, seen, give
        (root / name).mkdir(mode=0o755)
        give()

    @property
    def folder(self) -> Path:
        """The folder as the grader sees it."""
        return self._root / self._name

    def path(self, name: str) -> str:
        """Return the path of a file, for the student's code."""
        return str(PurePosixPath(self._seen, self._name, name)) if name else str(PurePosixPath(self._seen, self._name))

    def put(self, name: str, content: bytes) -> str:
        """Write a file; return its path for the student's code."""
        with _explained(name):
            put(self._root, Path(self._name, name), content)
        self._give()
        return self.path(name)

    def read(self, name: str, limit: int = MOST_READ) -> bytes | None:
        """Return a file's bytes; ``None`` where there is no plain file of that name."""
        try:
            return read_below(self._root, f"{self._name}/{name}", limit)
        except (OSError, LabError):
            return None

    def remove(self, name: str) -> None:
        """Remove a file, if it is there; no link is followed."""
        with _explained(name):
            remove(self._root, Path(self._name, name))

    def files(self, below: str = "") -> list[str]:
        """Return the plain files below a folder, in order; no link is followed."""
        return sorted(path.as_posix() for path in plain_files(self.folder / below))


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Fail the check where a student's code left something in the way."""
    try:
        yield
    except OSError as error:
        raise Failed(f"Nothing can be done with {name}: {error.strerror}.") from None
