"""Temporary folders of the grader: removed after use, or by a later grader where theirs was killed."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

if sys.platform != "win32":
    import fcntl

PREFIX = "mlops-lab-grade-"
YOUNG = 60.0  # seconds: a folder may be younger than the lock on it
_locks: dict[Path, int] = {}


def new() -> Path:
    """Return a new folder. A lock on it tells other graders that it is in use; it ends with this process.

    Examples
    --------
    >>> folder = new()
    >>> list(folder.iterdir()), remove(folder), folder.exists()
    ([], None, False)
    """
    sweep(tempfile.gettempdir())
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    with suppress(OSError):  # a file system without locks: nothing is removed there either
        _locks[folder] = _locked(folder)
    return folder


def remove(folder: Path) -> None:
    """Remove a folder of :func:`new`, with all that is in it."""
    shutil.rmtree(folder, ignore_errors=True)
    descriptor = _locks.pop(folder, None)
    if descriptor is not None:
        os.close(descriptor)


@contextmanager
def temporary() -> Iterator[Path]:
    """Give a new folder, and remove it afterwards."""
    folder = new()
    try:
        yield folder
    finally:
        remove(folder)


def _locked(folder: Path) -> int:
    """Return a descriptor that holds the lock on a folder.

    Raises
    ------
    OSError
        Somebody else holds it, or it is no folder.
    """
    if sys.platform == "win32":
        raise OSError("folders cannot be locked")
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


@cache
def sweep(place: str) -> None:
    """Remove the folders whose grader was killed, and their containers; once in each process."""
    if sys.platform == "win32":
        return
    for folder in Path(place).glob(f"{PREFIX}*"):
        with suppress(OSError):
            status = folder.lstat()
            if status.st_uid == os.getuid() and time.time() - status.st_mtime > YOUNG:
                descriptor = _locked(folder)
                try:
                    _remove_left(folder)
                finally:
                    os.close(descriptor)


def _remove_left(folder: Path) -> None:
    if next(folder.glob("entrance-*"), None) is not None:  # its programs ran in containers
        from mlops_lab.grade.sandbox import container

        container.sweep(folder.name)
    shutil.rmtree(folder, ignore_errors=True)
