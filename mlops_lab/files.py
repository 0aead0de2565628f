"""Writing a file in one step, and the operating system's errors as ours."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlops_lab.errors import StoreError

# How what is not finished yet is called, beside what it will replace.
TEMPORARY = ".publishing-"


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
