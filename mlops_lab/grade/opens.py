"""Count how often files are opened, from outside of whoever opens them: inotify on Linux."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from contextlib import suppress
from pathlib import Path

IN_OPEN, IN_Q_OVERFLOW, IN_ISDIR = 0x20, 0x4000, 0x40000000
IN_CLOSE = 0x8 | 0x10  # whether it was opened to be written or only to be read
EVENT = struct.Struct("iIII")


class OpenCounter:
    """Counts how often the files below a folder are opened while this stands.

    Parameters
    ----------
    folder
        Watched with all folders in it.

    Attributes
    ----------
    available : bool
        Whether the machine can tell: not where a folder is a link, or where its user has no watch left.

    Examples
    --------
    >>> with OpenCounter(Path(__file__).parent) as counter:
    ...     _ = Path(__file__).read_bytes()
    ...     opened = counter.opened()
    >>> opened.get("opens.py", 1)
    1
    """

    def __init__(self, folder: Path) -> None:
        self._descriptor = -1
        self._counts: dict[str, int] = {}
        if sys.platform == "linux":
            with suppress(OSError, AttributeError):
                self._descriptor = _watch(folder)

    @property
    def available(self) -> bool:
        """Whether opens can be counted here, and none was missed."""
        return self._descriptor >= 0

    def opened(self) -> dict[str, int]:
        """Return how often each file was opened so far, by its name."""
        while self.available:
            try:
                data = os.read(self._descriptor, 65536)
            except BlockingIOError:
                break
            place = 0
            while place + EVENT.size <= len(data):
                _, mask, _, length = EVENT.unpack_from(data, place)
                name = data[place + EVENT.size : place + EVENT.size + length].rstrip(b"\0")
                place += EVENT.size + length
                if mask & IN_Q_OVERFLOW:  # more was opened than the kernel kept
                    self.close()
                elif name and mask & IN_OPEN and not mask & IN_ISDIR:  # a folder that was looked into is not meant
                    self._counts[os.fsdecode(name)] = self._counts.get(os.fsdecode(name), 0) + 1
        return dict(self._counts)

    def close(self) -> None:
        """Stop counting."""
        if self.available:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> OpenCounter:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _watch(folder: Path) -> int:
    """Return a descriptor that tells of what is opened in a folder and all folders in it; no link is followed.

    Raises
    ------
    OSError
        One of them cannot be watched, or there is none.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    watched = 0
    try:
        for _, _, _, place in os.fwalk(folder):
            # The kernel merges equal events that follow each other; a close between two opens keeps them apart.
            if libc.inotify_add_watch(descriptor, f"/proc/self/fd/{place}".encode(), IN_OPEN | IN_CLOSE) < 0:
                raise OSError(ctypes.get_errno(), "it cannot be watched")
            watched += 1
        if not watched:
            raise NotADirectoryError(folder)
    except BaseException:
        if descriptor >= 0:
            os.close(descriptor)
        raise
    return descriptor
