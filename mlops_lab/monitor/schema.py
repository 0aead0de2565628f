"""The tables of a prediction log, and how an older file becomes a newer one.

The recipe for a change: append a tuple of statements to ``MIGRATIONS`` and change no earlier one. A log remembers how
many of them it has seen; the missing ones are run in one transaction when it is opened for writing.
"""

from __future__ import annotations

from mlops_lab.errors import StoreError
from mlops_lab.monitor.database import Database

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    # 1: predictions, one row for each image
    (
        """CREATE TABLE predictions (
            id {serial}, request_id TEXT NOT NULL, place INTEGER NOT NULL, time DOUBLE PRECISION NOT NULL,
            model TEXT NOT NULL, version INTEGER NOT NULL, class INTEGER,
            confidence DOUBLE PRECISION, probabilities {bytes} NOT NULL, statistics {bytes} NOT NULL,
            seconds DOUBLE PRECISION NOT NULL, image {bytes},
            UNIQUE (request_id, model, version, place))""",
        "CREATE INDEX predictions_by_time ON predictions (model, version, time)",
        """CREATE TABLE models (
            model TEXT NOT NULL, version INTEGER NOT NULL, labels TEXT NOT NULL, statistics TEXT NOT NULL,
            PRIMARY KEY (model, version))""",
    ),
    # 2: feedback, and the summaries that stay when predictions go
    (
        "ALTER TABLE predictions ADD COLUMN truth INTEGER",
        """CREATE TABLE summaries (
            id {serial}, model TEXT NOT NULL, version INTEGER NOT NULL, reference TEXT NOT NULL, hour BIGINT NOT NULL,
            last_id BIGINT NOT NULL, labelled BIGINT NOT NULL, correct BIGINT NOT NULL, body {bytes})""",
        "CREATE INDEX summaries_by_hour ON summaries (model, version, reference, hour)",
    ),
)


def migrate(database: Database) -> None:
    """Bring a log to the newest schema.

    Raises
    ------
    StoreError
        A newer release wrote it.
    """
    if read_version(database) == len(MIGRATIONS):
        return
    with database.transaction():
        database.run("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)")
        found = read_version(database)  # another program may have been first
        for statements in MIGRATIONS[found:]:
            for statement in statements:
                database.run(statement)
        database.run("DELETE FROM schema_version")
        database.run("INSERT INTO schema_version VALUES (?)", (len(MIGRATIONS),))


def read_version(database: Database) -> int:
    """Return how many migrations a log has seen; 0 for an empty file."""
    if not database.has_table("schema_version"):
        return 0
    found = database.run("SELECT MAX(version) FROM schema_version")[0][0] or 0
    if found > len(MIGRATIONS):
        message = f"The prediction log has schema {found}; this release knows up to {len(MIGRATIONS)}."
        raise StoreError(message, "Update mlops-lab, or name another file.")
    return int(found)
