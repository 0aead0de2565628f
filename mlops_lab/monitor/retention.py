"""How long predictions are kept, and how the oldest go."""

from __future__ import annotations

import time
from dataclasses import dataclass

from mlops_lab.monitor.database import Database

DAY = 86_400


@dataclass(frozen=True)
class Retention:
    """How long predictions are kept; the oldest go first. Their summaries stay.

    Parameters
    ----------
    days
        Older predictions are removed.
    megabytes
        When the log occupies more, the oldest tenth is removed, and again.
    image_days
        Images, where they are kept, go earlier.
    """

    days: float = 90
    megabytes: float = 2048
    image_days: float = 7


def remove(database: Database, retention: Retention) -> int:
    """Remove what is older or more than the retention allows; return how many predictions went."""
    now, before = time.time(), _count(database)
    forgotten = "UPDATE predictions SET image = NULL WHERE image IS NOT NULL AND time < ?"
    database.run(forgotten, (now - DAY * retention.image_days,))
    database.run("DELETE FROM predictions WHERE time < ?", (now - DAY * retention.days,))
    while (left := _count(database)) and database.used_bytes() > retention.megabytes * 2**20:
        oldest = f"SELECT id FROM predictions ORDER BY id LIMIT {max(1, left // 10)}"
        database.run(f"DELETE FROM predictions WHERE id IN ({oldest})")
    return before - left


def _count(database: Database) -> int:
    return int(database.run("SELECT COUNT(*) FROM predictions")[0][0])
