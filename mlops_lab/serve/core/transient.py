"""Errors that come from what the machine lacks at the moment, and pass."""

from __future__ import annotations

import errno

# Too many open files here or in the system, no memory, no room on the disk, try again.
TRANSIENT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.EAGAIN, errno.EINTR})


def is_transient(error: BaseException) -> bool:
    """Return whether an error comes from what the machine lacks at the moment, and not from the files.

    Examples
    --------
    >>> is_transient(OSError(errno.EMFILE, "Too many open files")), is_transient(ValueError("damaged"))
    (True, False)
    """
    seen: BaseException | None = error
    for _ in range(10):
        if isinstance(seen, MemoryError) or (isinstance(seen, OSError) and seen.errno in TRANSIENT):
            return True
        seen = (seen.__cause__ or seen.__context__) if seen is not None else None
    return False
