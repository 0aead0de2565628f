"""Summaries by hour, kept in the log: a report reads a row for each hour and page, and not each prediction.

A kept summary is a part: all predictions up to ``last_id`` are in some part, each once. Feedback on a prediction that
is in a part adds another, small part; so nothing that was written is ever changed, and merging is addition.
"""

from __future__ import annotations

import time
from typing import Any

from mlops_lab.monitor.database import Database
from mlops_lab.monitor.rows import COLUMNS, LoggedModel, to_window
from mlops_lab.summary.scale import Scale
from mlops_lab.summary.summary import HOUR, Summary, empty, from_bytes, merge, summarise_hours

# Predictions are read so many at a time, so that a report's memory does not grow with the log.
PAGE = 5_000
_PARTS = (
    "SELECT hour, labelled, correct, body FROM summaries "
    "WHERE model = ? AND version = ? AND reference = ? AND hour >= ? AND hour <= ?"
)
_INSERT = (
    "INSERT INTO summaries (model, version, reference, hour, last_id, labelled, correct, body) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)


def by_hour(
    database: Database, logged: LoggedModel, scale: Scale, since: float, until: float
) -> list[tuple[int, Summary]]:
    """Return the summary of each hour that holds predictions; those of complete hours, and whole pages, are kept."""
    keep(database, logged, scale, HOUR * (time.time() // HOUR))
    first, last = _bounds(since, until)
    found: dict[int, Summary] = {}
    with database.snapshot():
        for hour, labelled, correct, body in database.run(_PARTS, (*_key(logged, scale), first, last)):
            _add(found, hour, from_bytes(body, scale) if body is not None else _feedback(scale, labelled, correct))
        after = _covered(database, logged, scale)
        while page := _page(database, logged, after):
            after = page[-1][0]
            for hour, part in summarise_hours(to_window(logged, page), scale):
                if first <= hour <= last:
                    _add(found, hour, part)
    return sorted(found.items())


def keep(database: Database, logged: LoggedModel, scale: Scale, before: float) -> None:
    """Write down the summaries of all predictions up to the newest one that was made before a moment.

    Each page is a transaction of its own: a writer of predictions waits for one page at most.
    """
    sql = "SELECT MAX(id) FROM predictions WHERE model = ? AND version = ? AND time < ?"
    last = database.run(sql, (logged.model, logged.version, before))[0][0] or 0
    while _keep_page(database, logged, scale, last):
        time.sleep(0.001)  # SQLite hands the lock to nobody: without a pause the same one takes it again


def _keep_page(database: Database, logged: LoggedModel, scale: Scale, last: int) -> bool:
    """Keep one page, what came after ``last`` only where it fills one; tell whether there may be another."""
    with database.transaction():
        page = _page(database, logged, _covered(database, logged, scale))
        whole = len(page) == PAGE
        page = page if whole else [row for row in page if row[0] <= last]
        if page:
            parts = summarise_hours(to_window(logged, page), scale)
            key, end = _key(logged, scale), page[-1][0]
            rows = [(*key, hour, end, s.labelled, s.correct, s.to_bytes()) for hour, s in parts]
            database.run_many(_INSERT, rows)
    return whole


def correct(database: Database, found: tuple[Any, ...], labelled: int, correct: int) -> None:
    """Add feedback to every reference's summaries that a prediction is in already."""
    row_id, model, version, moment = found
    covering = (
        "SELECT reference FROM summaries WHERE model = ? AND version = ? GROUP BY reference HAVING MAX(last_id) >= ?"
    )
    for (reference,) in database.run(covering, (model, version, row_id)):
        database.run(_INSERT, (model, version, reference, int(moment // HOUR), 0, labelled, correct, None))


def _page(database: Database, logged: LoggedModel, after: int) -> list[tuple[Any, ...]]:
    """Return the oldest predictions that came after one, at most a page of them."""
    # Sums and joins hide the columns from the index by time, which would be sorted anew for each page.
    sql = (
        f"SELECT {COLUMNS} FROM predictions WHERE model || '' = ? AND version + 0 = ? AND id > ? "
        f"ORDER BY id LIMIT {PAGE}"
    )
    return database.run(sql, (logged.model, logged.version, after))


def _add(hours: dict[int, Summary], hour: int, part: Summary) -> None:
    hours[hour] = merge(hours[hour], part) if hour in hours else part


def _covered(database: Database, logged: LoggedModel, scale: Scale) -> int:
    sql = "SELECT MAX(last_id) FROM summaries WHERE model = ? AND version = ? AND reference = ?"
    return int(database.run(sql, _key(logged, scale))[0][0] or 0)


def _key(logged: LoggedModel, scale: Scale) -> tuple[str, int, str]:
    return (logged.model, logged.version, scale.digest)


def _bounds(since: float, until: float) -> tuple[int, int]:
    """Return the first and the last hour of a time, both included."""
    first = int(since // HOUR)
    last = 2**40 if until == float("inf") else int(-(-until // HOUR)) - 1
    return first, last


def _feedback(scale: Scale, labelled: int, correct: int) -> Summary:
    sums = empty(scale).sums.copy()
    sums[1], sums[2] = labelled, correct
    return Summary(scale, sums)
