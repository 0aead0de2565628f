"""Writing so that a crash, a full disk or a second writer never leaves half a thing behind."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock

from mlops_lab.errors import StoreError
from mlops_lab.store.reading import is_regular

TEMPORARY = ".publishing-"
ORPHAN_SECONDS = 3600


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file in one step: readers see the old content or the new, never a mixture."""
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=TEMPORARY)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(0o644)
            temporary.replace(path)
            sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """Make a folder beside the versions that is gone afterwards, unless it was renamed."""
    with explained(parent):
        parent.mkdir(parents=True, exist_ok=True)
        remove_orphans(parent)
        folder = Path(tempfile.mkdtemp(dir=parent, prefix=TEMPORARY))
        try:
            folder.chmod(0o755)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def remove_orphans(parent: Path) -> None:
    """Remove what a publisher that was killed left behind, once it is surely dead."""
    for path in parent.glob(f"{TEMPORARY}*"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime < ORPHAN_SECONDS:
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


def sync_tree(folder: Path) -> None:
    """Push every file and folder below here to the disk itself."""
    for path in folder.rglob("*"):
        if path.is_dir():
            sync_folder(path)
        else:
            with path.open("rb+") as file:
                os.fsync(file.fileno())
    sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Push a folder's entries to the disk. Windows has no such call and needs none."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a model's folder; a lock that is no regular file is refused, because opening it empties it."""
    lock = folder / ".lock"
    with explained(folder):
        if os.path.lexists(lock) and not is_regular(lock):
            raise OSError(errno.EINVAL, "its .lock is not a regular file")
        with FileLock(lock, timeout=10):
            yield


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn the operating system's errors into ours."""
    try:
        yield
    except OSError as error:
        hints = {
            errno.ENOSPC: "Free some space on that disk, then try again; nothing half-written is left.",
            errno.EACCES: "Choose another folder, or make this one writable.",
            errno.EPERM: "Choose another folder, or make this one writable.",
            errno.EROFS: "The disk is read-only: choose a folder on another one.",
            errno.ENOTDIR: "A file is where a folder should be: choose another folder.",
            errno.EEXIST: "A file is where a folder should be: choose another folder.",
        }
        hint = hints.get(error.errno or 0, "Look at the folder and try again.")
        raise StoreError(f"{path} cannot be written: {error.strerror or error}.", hint) from error
