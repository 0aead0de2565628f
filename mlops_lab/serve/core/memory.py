"""Giving memory back to the system: what glibc keeps for later is too much for a server with many threads."""

from __future__ import annotations

import ctypes
import sys

# From glibc's malloc.h; see mallopt(3).
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_MIB = 1024 * 1024


def limit_kept_memory() -> bool:
    """Have this process return memory that it no longer needs to the system; return whether it can.

    glibc gives threads up to eight heaps for each core. After one large block was freed it takes blocks of that size
    from the heaps too, and lets each keep twice as much for later: 10,000 requests of up to 2 MB left 47 MB behind, and
    70 MB where there are more cores. Two heaps are enough for threads that share Python's lock, and setting the
    thresholds keeps them where they are. A batch of 256 images as floats has 0.8 MB: blocks up to 1 MiB come from the
    heaps, because the page faults of a fresh block cost as much as the batch itself. Elsewhere than on glibc there is
    nothing to do.

    Only for a process that is a server: in one that trains, every large array would cost page faults.

    Examples
    --------
    >>> limit_kept_memory() or "another system"  # doctest: +SKIP
    True
    """
    if sys.platform != "linux":
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):  # musl
        return False
    settings = [(_ARENA_MAX, 2), (_MMAP_THRESHOLD, _MIB), (_TRIM_THRESHOLD, 4 * _MIB)]
    return all([library.mallopt(name, value) == 1 for name, value in settings])
