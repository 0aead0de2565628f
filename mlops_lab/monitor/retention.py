"""Retention: how long predictions are kept, and how the oldest are removed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from mlops_lab.monitor.database import Database

DAY = 86_400
PAGE = 2_000
_FORGET_IMAGE = "UPDATE predictions SET image = NULL WHERE id = ?"
_DELETE = "DELETE FROM predictions WHERE id = ?"


@dataclass(frozen=True)
class Retention:
    """The limits on age and size of a log; the oldest predictions are removed first, and their summaries stay.

    Parameters
    ----------
    days
        Older predictions are removed.
    megabytes
        When the log occupies more, the oldest are removed, at most a tenth at a time.
    image_days
        Images, where they are kept, go earlier.
    """

    days: float = 90
    megabytes: float = 2048
    image_days: float = 7


def remove(database: Database, retention: Retention) -> int:
    """Remove what is older or more than the retention allows; return how many predictions went.

    The oldest are those that were written first. Each page goes in a transaction of its own, so that whoever writes
    predictions meanwhile waits for a page at most.
    """
    now, gone = time.time(), 0
    imaged = f"SELECT id FROM predictions WHERE image IS NOT NULL AND time < ? LIMIT {PAGE}"
    while _do(database, _FORGET_IMAGE, imaged, (now - DAY * retention.image_days,)):
        pass
    oldest = f"SELECT id FROM (SELECT id, time FROM predictions ORDER BY id LIMIT {PAGE}) AS oldest WHERE time < ?"
    while went := _do(database, _DELETE, oldest, (now - DAY * retention.days,)):
        gone += went
    while database.used_bytes() > retention.megabytes * 2**20:
        tenth = max(1, database.run("SELECT COUNT(*) FROM predictions")[0][0] // 10)
        went = _do(database, _DELETE, f"SELECT id FROM predictions ORDER BY id LIMIT {min(PAGE, tenth)}")
        gone += went
        if not went:
            break
    return gone


def _do(database: Database, change: str, which: str, values: tuple[Any, ...] = ()) -> int:
    """Change the rows that a query finds, and return how many."""
    with database.transaction():
        found = database.run(which, values)
        return database.run_many(change, found) if found else 0
