"""Folders of versions: written so that a crash, a full disk or a second writer never leaves half a thing behind."""

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

from mlops_lab.files import TEMPORARY, explained, sync_folder
from mlops_lab.store.reading import is_regular

ORPHAN_SECONDS = 3600


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


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a model's folder; a lock that is no regular file is refused, because opening it empties it."""
    lock = folder / ".lock"
    with explained(folder):
        if os.path.lexists(lock) and not is_regular(lock):
            raise OSError(errno.EINVAL, "its .lock is not a regular file")
        with FileLock(lock, timeout=10):
            yield
