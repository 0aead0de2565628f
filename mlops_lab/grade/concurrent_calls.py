"""Call what a student made from several threads at once, as a server does; on a full disk, if asked."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from mlops_lab.grade.calls import describe
from mlops_lab.grade.cases import CheckTimeout, Failed

if TYPE_CHECKING:
    from flask import Flask

# The client address of the concurrent requests, as Flask sees it: one reserved for documentation (RFC 5737).
ADDRESS = "203.0.113.77"


def run(
    make: Callable[..., Any], arguments: Sequence[Any], given: Sequence[Any], threads: int, pages: int = 0
) -> dict[str, Any]:
    """Make an object and call it with each of what is given, from several threads.

    Parameters
    ----------
    make
        Makes the object: a class, say.
    arguments
        What ``make`` is given.
    given
        The object is called with each of these.
    threads
        How many call it at the same time.
    pages
        The size at which an SQLite file that is opened meanwhile is full, in its pages; 0 for no limit.

    Returns
    -------
    dict
        ``made``, the object; ``errors``, one text for each call, empty where it raised nothing; ``lost``, the
        object's attribute of that name.

    Examples
    --------
    >>> found = run(list, (), [1, 2], threads=2)
    >>> found["errors"][0], found["lost"]
    ("TypeError: 'list' object is not callable", None)
    """
    from flask import Flask

    with _full_at(pages, make):
        made = make(*arguments)
        with ThreadPoolExecutor(threads) as pool:
            errors = list(pool.map(partial(_call, made, Flask(__name__)), given))
        close = getattr(made, "close", None)
        if pages and callable(close):  # what is left must not be written when there is room again
            with suppress(Exception):
                close()
    return {"made": made, "errors": errors, "lost": getattr(made, "lost", None)}


def _call(made: Any, app: Flask, one: Any) -> str:
    try:
        # So that Flask says whose request this is, as in a server's hook.
        with app.test_request_context(environ_base={"REMOTE_ADDR": ADDRESS}):
            made(one)
    except (CheckTimeout, Failed):
        raise
    except BaseException as error:  # SystemExit is an answer as well
        return describe(error)
    return ""


@contextmanager
def _full_at(pages: int, make: Callable[..., Any]) -> Iterator[None]:
    """Let every SQLite file that is opened meanwhile be full at so many pages."""
    connect = sqlite3.connect

    def connect_full(*arguments: Any, **keywords: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*arguments, **keywords)
        connection.execute(f"PRAGMA max_page_count = {pages}").close()
        return connection

    own = getattr(getattr(make, "__init__", make), "__globals__", {})
    places = [vars(sqlite3), vars(sqlite3.dbapi2), own] if pages else []
    patched = [(place, name) for place in places for name, value in place.items() if value is connect]
    for place, name in patched:
        place[name] = connect_full
    try:
        yield
    finally:
        for place, name in patched:
            place[name] = connect
