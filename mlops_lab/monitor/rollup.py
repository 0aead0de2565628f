"""Summaries by hour, kept in the log: a report reads some rows a day, however many predictions there were.

A kept summary is a part: all predictions up to ``last_id`` are in some part, each once. Feedback on a prediction that
is in a part adds another, small part; so nothing that was written is ever changed, and merging is addition.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from mlops_lab.monitor.database import Database
from mlops_lab.monitor.rows import COLUMNS, LoggedModel, to_window
from mlops_lab.summary.scale import Scale
from mlops_lab.summary.summary import HOUR, Summary, empty, from_bytes, merge, summarise_hours

# Predictions are read so many at a time, so that a report's memory does not grow with the log.
PAGE = 20_000
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
    """Return the summary of each hour that holds predictions; those of complete hours are kept."""
    keep(database, logged, scale, HOUR * (time.time() // HOUR))
    first, last = _bounds(since, until)
    found: dict[int, Summary] = {}
    for hour, labelled, correct, body in database.run(_PARTS, (*_key(logged, scale), first, last)):
        _add(found, hour, from_bytes(body, scale) if body is not None else _feedback(scale, labelled, correct))
    for hour, part in _open_hours(database, logged, scale, since=HOUR * first, until=HOUR * (last + 1.0)):
        _add(found, hour, part)
    return sorted(found.items())


def keep(database: Database, logged: LoggedModel, scale: Scale, before: float) -> None:
    """Write down the summaries of all predictions up to the newest one that was made before a moment."""
    sql = "SELECT MAX(id) FROM predictions WHERE model = ? AND version = ? AND time < ? AND id > ?"
    known = _covered(database, logged, scale)
    last = database.run(sql, (logged.model, logged.version, before, known))[0][0]
    if last is None:
        return
    parts: dict[int, Summary] = {}
    for hour, part in _open_hours(database, logged, scale, last_id=last):
        _add(parts, hour, part)
    rows = [(*_key(logged, scale), hour, last, s.labelled, s.correct, s.to_bytes()) for hour, s in parts.items()]
    database.insert(_INSERT, rows)


def correct(database: Database, found: tuple[Any, ...], labelled: int, correct: int) -> None:
    """Add feedback to every reference's summaries that a prediction is in already."""
    row_id, model, version, moment = found
    covering = (
        "SELECT reference FROM summaries WHERE model = ? AND version = ? GROUP BY reference HAVING MAX(last_id) >= ?"
    )
    for (reference,) in database.run(covering, (model, version, row_id)):
        database.run(_INSERT, (model, version, reference, int(moment // HOUR), 0, labelled, correct, None))


def _open_hours(
    database: Database,
    logged: LoggedModel,
    scale: Scale,
    *,
    last_id: int = 2**62,
    since: float = float("-inf"),
    until: float = float("inf"),
) -> Iterator[tuple[int, Summary]]:
    """Yield the hour and the summary of what is in no part yet, page by page."""
    sql = (
        f"SELECT {COLUMNS} FROM predictions WHERE model = ? AND version = ? AND id > ? AND id <= ? "
        f"AND time >= ? AND time < ? ORDER BY id LIMIT {PAGE}"
    )
    after = _covered(database, logged, scale)
    while rows := database.run(sql, (logged.model, logged.version, after, last_id, since, until)):
        after = rows[-1][0]
        yield from summarise_hours(to_window(logged, rows), scale)


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
