"""SQLite and PostgreSQL behind the same few calls: one SQL for both, and the places where they differ."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

from mlops_lab.errors import MissingPackage, StoreError

# How long a connection waits for another program's transaction before it gives up, in seconds.
BUSY_SECONDS = 0.5
# How many rows a statement inserts: few different ones, so that each is prepared once.
ROWS_AT_ONCE = (64, 8, 1)


class Database(Protocol):
    """One connection. SQL is written for both, with ``?`` for values, and ``{bytes}`` and ``{serial}`` for types."""

    def run(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows."""
        ...

    def run_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> int:
        """Run one statement for each row, and return how many rows it changed."""
        ...

    def insert(self, table: str, columns: str, rows: Sequence[Sequence[Any]]) -> int:
        """Insert the rows that are not there yet, and return how many those were."""
        ...

    def transaction(self) -> Any:
        """Return a context whose statements all happen or none; one at a time among all programs."""
        ...

    def snapshot(self) -> Any:
        """Return a context whose statements all read the same state, and which holds nobody up."""
        ...

    def has_table(self, name: str) -> bool:
        """Return whether there is such a table."""
        ...

    def used_bytes(self) -> int:
        """Return how much the predictions occupy."""
        ...

    def is_current(self) -> bool:
        """Tell whether what is written here still lands in the named place."""
        ...

    def close(self) -> None:
        """End the connection."""
        ...


def connect(target: str | Path, *, durable: bool = False) -> Database:
    """Open a file, or a PostgreSQL server by its ``postgresql://`` address.

    Parameters
    ----------
    target
        The path of an SQLite file, which is made where it is missing, or an address.
    durable
        Whether a committed transaction must survive a loss of power. It survives the end of the program in any case.

    Raises
    ------
    StoreError
        The file or the server cannot be opened.
    MissingPackage
        PostgreSQL is asked for, and psycopg is not installed.
    """
    if str(target).startswith(("postgresql://", "postgres://")):
        return Postgres(str(target), durable=durable)
    return Sqlite(Path(target), durable=durable)


def failures() -> tuple[type[Exception], ...]:
    """Return what the databases raise when something goes wrong with them."""
    try:
        import psycopg
    except ImportError:
        return (sqlite3.Error, OSError, StoreError)
    return (sqlite3.Error, OSError, StoreError, psycopg.Error)


class Sqlite:
    """A file in WAL mode: readers never wait for the writer, and a program that is killed loses nothing committed."""

    def __init__(self, path: Path, *, durable: bool = False) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            try:
                self._connection.execute("PRAGMA journal_mode=WAL")
                self._connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            except sqlite3.Error:
                self._connection.close()
                raise
            self._file = path.stat().st_ino
        except (sqlite3.Error, OSError) as error:
            message = f"The prediction log {path} cannot be opened: {error}."
            raise StoreError(message, "Name a file in a folder that can be written.") from error

    def run(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows."""
        return self._connection.execute(_types(sql, "BLOB", "INTEGER PRIMARY KEY AUTOINCREMENT"), values).fetchall()

    def run_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> int:
        """Run one statement for each row, and return how many rows it changed."""
        return self._connection.executemany(sql, rows).rowcount

    def insert(self, table: str, columns: str, rows: Sequence[Sequence[Any]]) -> int:
        """Insert the rows that are not there yet, and return how many those were."""
        # OR IGNORE cannot fail half-way, so that SQLite keeps no copy of each page for the case that it does.
        return _insert(self, f"INSERT OR IGNORE INTO {table} ({columns}) VALUES", "", rows)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Hold the file for writing; whatever raises leaves it as it was."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Read the file as it is at the first statement."""
        self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.execute("ROLLBACK")

    def has_table(self, name: str) -> bool:
        """Return whether there is such a table."""
        return bool(self.run("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (name,)))

    def used_bytes(self) -> int:
        """Return the size of the pages in use; what was deleted leaves free pages that are used again."""
        pages, free, size = (self.run(f"PRAGMA {name}")[0][0] for name in ("page_count", "freelist_count", "page_size"))
        return int((pages - free) * size)

    def is_current(self) -> bool:
        """Tell whether the file still stands under its name."""
        try:
            return self.path.stat().st_ino == self._file
        except OSError:
            return False

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


class Postgres:
    """A PostgreSQL server, through psycopg."""

    def __init__(self, address: str, *, durable: bool = False) -> None:
        try:
            import psycopg
        except ImportError as error:
            message = "A prediction log in PostgreSQL needs the package psycopg."
            raise MissingPackage(message, "pip install 'mlops-lab[postgres]'") from error
        try:
            self._connection = psycopg.connect(address, autocommit=True, connect_timeout=3)
            self._connection.execute(f"SET synchronous_commit = {'on' if durable else 'off'}")
            self._connection.execute(f"SET lock_timeout = '{round(1000 * BUSY_SECONDS)}ms'")
        except psycopg.Error as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            message = f"The PostgreSQL server of the prediction log cannot be reached: {reason}."
            raise StoreError(message, "Start it, and check the address, the user and the database.") from error

    def run(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows."""
        text = _types(sql, "BYTEA", "BIGSERIAL PRIMARY KEY").replace("?", "%s")
        cursor = self._connection.execute(text, values)
        return cursor.fetchall() if cursor.description else []

    def run_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> int:
        """Run one statement for each row, and return how many rows it changed."""
        with self._connection.cursor() as cursor:
            cursor.executemany(sql.replace("?", "%s"), rows)
            return int(cursor.rowcount)

    def insert(self, table: str, columns: str, rows: Sequence[Sequence[Any]]) -> int:
        """Insert the rows that are not there yet, and return how many those were."""
        return _insert(self, f"INSERT INTO {table} ({columns}) VALUES", "ON CONFLICT DO NOTHING", rows)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Hold the log for writing, as one advisory lock that only prediction logs take."""
        with self._connection.transaction():
            self._connection.execute("SELECT pg_advisory_xact_lock(hashtext('mlops_lab.monitor'))")
            yield

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Read the tables as they are at the first statement."""
        with self._connection.transaction():
            self._connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield

    def has_table(self, name: str) -> bool:
        """Return whether there is such a table."""
        return self.run("SELECT to_regclass(?)", (name,))[0][0] is not None

    def used_bytes(self) -> int:
        """Return about how much the rows occupy; the server keeps the space of those deleted for new ones."""
        rows = self.run("SELECT COUNT(*) FROM predictions")[0][0]
        sample = "SELECT AVG(pg_column_size(p)) FROM (SELECT * FROM predictions ORDER BY id DESC LIMIT 1000) AS p"
        return int(rows * float(self.run(sample)[0][0] or 0))

    def is_current(self) -> bool:
        """Tell whether the connection stands."""
        return not self._connection.closed

    def close(self) -> None:
        """End the connection."""
        self._connection.close()


def _insert(database: Database, head: str, tail: str, rows: Sequence[Sequence[Any]]) -> int:
    """Insert many rows by one statement: the interpreter's lock changes hands at each, while others answer requests."""
    written = start = 0
    for size in ROWS_AT_ONCE:
        end = start + (len(rows) - start) // size * size
        values = [tuple(chain.from_iterable(rows[first : first + size])) for first in range(start, end, size)]
        if values:
            row = f"({', '.join('?' * len(rows[0]))})"
            written += database.run_many(f"{head} {', '.join([row] * size)} {tail}", values)
        start = end
    return written


def _types(sql: str, binary: str, serial: str) -> str:
    return sql.replace("{bytes}", binary).replace("{serial}", serial)
