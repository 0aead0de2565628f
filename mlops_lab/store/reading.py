"""Read a file of the store without following links: the author of a store does not choose what is opened.

A models folder may come from somebody else. A named pipe in it would make a reader wait for ever, a link would lead it
to another file, a sparse file would fill the memory. So every file is opened below the root of the store, one folder
after the other, without following a link, and only a regular file of a bounded size is read.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path, PurePosixPath

NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
NO_WAIT = getattr(os, "O_NONBLOCK", 0)  # so that opening a named pipe does not wait for its writer
FOLDER = getattr(os, "O_DIRECTORY", 0)
BINARY = getattr(os, "O_BINARY", 0)
BELOW = os.open in os.supports_dir_fd


def read_below(root: Path, name: str, limit: int) -> bytes:
    """Return the bytes of a file below a folder.

    Parameters
    ----------
    root
        The folder that the user named; it may be a link.
    name
        The path of the file below it, with ``/`` between its parts.
    limit
        The most bytes that are read.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    OSError
        It is a link or stands behind one, is no regular file, or is larger than the limit.
    """
    parts = PurePosixPath(name).parts
    if not parts or any(part in ("..", "/") for part in parts):
        raise OSError(errno.EINVAL, "the path leaves the folder", name)
    handle = _open(root, parts, name)
    with os.fdopen(handle, "rb") as file:
        info = os.fstat(handle)
        if not stat.S_ISREG(info.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", name)
        if info.st_size > limit:
            raise OSError(errno.EFBIG, f"it has {info.st_size:,} bytes; the limit is {limit:,}", name)
        content = file.read(limit + 1)
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"it grew beyond the limit of {limit:,} bytes", name)
    return content


def is_regular(path: Path | str) -> bool:
    """Return whether a path is a regular file, and no link to one."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


def is_real_folder(path: Path | str) -> bool:
    """Return whether a path is a folder, and no link to one."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def _open(root: Path, parts: tuple[str, ...], name: str) -> int:
    if not BELOW:
        return _open_checked(root, parts, name)
    folder = os.open(root, os.O_RDONLY | FOLDER)
    try:
        for part in parts[:-1]:
            inner = _open_one(part, os.O_RDONLY | FOLDER | NO_FOLLOW, folder, name)
            os.close(folder)
            folder = inner
        return _open_one(parts[-1], os.O_RDONLY | NO_FOLLOW | NO_WAIT | BINARY, folder, name)
    finally:
        os.close(folder)


def _open_one(part: str, flags: int, folder: int, name: str) -> int:
    try:
        return os.open(part, flags, dir_fd=folder)
    except OSError as error:
        try:
            link = stat.S_ISLNK(os.lstat(part, dir_fd=folder).st_mode)
        except OSError:
            link = False
        if link:
            raise OSError(errno.ELOOP, "it is a symbolic link, or stands behind one", name) from error
        raise


def _open_checked(root: Path, parts: tuple[str, ...], name: str) -> int:
    """Open a file where the system cannot open below a folder, such as on Windows: each part is looked at before."""
    path = root
    for part in parts:
        path = path / part
        if path.is_symlink():
            raise OSError(errno.ELOOP, "it is a symbolic link, or stands behind one", name)
    if path.exists() and not is_regular(path):
        raise OSError(errno.EINVAL, "it is not a regular file", name)
    return os.open(path, os.O_RDONLY | NO_FOLLOW | NO_WAIT | BINARY)
