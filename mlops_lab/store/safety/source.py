"""Read a file or a folder once, and judge and load those very bytes.

Checking a path and opening it again later would let somebody swap the file in between. So everything starts here: the
path is opened once, and the bytes are returned. A link that the caller names is followed, as a model hub's cache
consists of them; a link inside a folder is not, because the author of the folder chose where it leads.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mlops_lab.store.reading import BINARY, NO_FOLLOW, NO_WAIT, is_real_folder
from mlops_lab.store.safety.report import AuditRefusal

MIB = 2**20
COURSE_LIMIT = 64 * MIB
HARD_LIMIT = 512 * MIB
MAX_FILES = 1_000
MAX_FOLDERS = 8


@dataclass(frozen=True)
class Source:
    """The bytes of one file, or of every file in a folder, read once."""

    path: str
    """The path that they were read from."""
    data: bytes = b""
    """The bytes, for a file."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Relative name → bytes, for a folder."""
    folder: bool = False
    """Whether the path was a folder."""

    @property
    def sha256(self) -> str:
        """The digest of the bytes; empty for a folder."""
        return "" if self.folder else hashlib.sha256(self.data).hexdigest()


def read_source(path: str | os.PathLike[str] | bytes | Source, limit: int) -> Source:
    """Return the bytes behind a path, opened once; links are followed only where the path itself is one."""
    if isinstance(path, Source):
        return path
    if isinstance(path, bytes | bytearray | memoryview):
        return Source("<bytes>", _small(bytes(path), limit, "<bytes>"))
    name = os.fspath(path)
    if "\0" in name:
        raise AuditRefusal("not_a_file", "The path holds a NUL character.", name)
    real = os.path.realpath(name) if os.path.islink(name) else name
    if is_real_folder(real):
        return Source(name, files=_read_folder(Path(real), min(limit, HARD_LIMIT)), folder=True)
    return Source(name, _read_file(real, min(limit, HARD_LIMIT)))


def _small(data: bytes, limit: int, name: str) -> bytes:
    if len(data) > limit:
        raise AuditRefusal("too_large", f"{len(data):,} bytes; the limit is {limit:,}.", name)
    return data


def _read_file(name: str, limit: int) -> bytes:
    try:
        handle = os.open(name, os.O_RDONLY | NO_FOLLOW | NO_WAIT | BINARY)
    except OSError as error:
        raise _cannot_open(name, error) from None
    with os.fdopen(handle, "rb") as file:
        info = os.fstat(file.fileno())
        if not stat.S_ISREG(info.st_mode):
            raise AuditRefusal("not_a_file", "This is not a regular file.", name)
        if info.st_size > limit:
            raise AuditRefusal("too_large", f"The file has {info.st_size:,} bytes; the limit is {limit:,}.", name)
        return _small(file.read(limit + 1), limit, name)


def _cannot_open(name: str, error: OSError) -> AuditRefusal:
    try:
        link = stat.S_ISLNK(os.lstat(name).st_mode)
    except OSError:
        link = False
    if link:
        return AuditRefusal("symlink", "This is a symbolic link; links are not followed.", name)
    return AuditRefusal("not_a_file", f"The file cannot be opened: {error.strerror or error}.", name)


def _read_folder(root: Path, limit: int) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    left = limit
    for name in _names(root):
        if len(files) >= MAX_FILES:
            raise AuditRefusal("too_large", f"The folder has more than {MAX_FILES:,} files.", str(root))
        files[name] = _read_file(str(root / name), left)
        left -= len(files[name])
    return files


def _names(root: Path) -> list[str]:
    names: list[str] = []
    waiting = [(root, 0)]
    while waiting:
        folder, depth = waiting.pop()
        if depth > MAX_FOLDERS or len(names) > MAX_FILES:
            raise AuditRefusal("too_large", "The folder is too deep or has too many files.", str(root))
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_symlink():
                    raise AuditRefusal(
                        "symlink", "The folder holds a symbolic link; links are not followed.", entry.path
                    )
                if entry.is_dir(follow_symlinks=False):
                    waiting.append((Path(entry.path), depth + 1))
                else:
                    names.append(Path(entry.path).relative_to(root).as_posix())
    return sorted(names)
