"""Count how often files are opened, from outside of whoever opens them: inotify on Linux."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from contextlib import suppress
from pathlib import Path

IN_OPEN = 0x20
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
        Whether the machine can tell.

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
        if sys.platform != "linux":
            return
        with suppress(OSError, AttributeError):
            libc = ctypes.CDLL(None, use_errno=True)
            self._descriptor = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
            for place, _, _ in os.walk(folder):
                libc.inotify_add_watch(self._descriptor, os.fsencode(place), IN_OPEN)

    @property
    def available(self) -> bool:
        """Whether opens can be counted here."""
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
                if name and not mask & 0x40000000:  # a folder was looked into
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
