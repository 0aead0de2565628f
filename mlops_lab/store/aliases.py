"""Names for versions (``production`` → 3), and the history of who moved them, when and why."""

from __future__ import annotations

import getpass
import json
import os
import re
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from mlops_lab.errors import StoreError, WrongUsage
from mlops_lab.store.disk import explained, write_atomically

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
RESERVED = re.compile(r"latest|v?[0-9]+")


def check_name(name: str, what: str = "a model") -> str:
    """Return the name if it can be one.

    Raises
    ------
    WrongUsage
        Names are small letters, digits, ``-`` and ``_``, at most 64 of them.
    """
    if not NAME.fullmatch(name):
        raise WrongUsage(
            f"{name!r} cannot be the name of {what}.",
            "Take small letters, digits, '-' and '_', at most 64, and begin with a letter or digit.",
        )
    return name


def read_aliases(folder: Path) -> dict[str, int]:
    """Return the aliases of a model; none where the file is not there.

    Raises
    ------
    StoreError
        The file is not a JSON object of whole numbers.
    """
    path = folder / "aliases.json"
    try:
        aliases = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError(f"{path} cannot be read: {error}.", "Mend it, or remove it and promote again.") from error
    if not isinstance(aliases, dict) or not all(type(number) is int for number in aliases.values()):
        raise StoreError(f"{path} is not an object of version numbers.", 'It should look like {"production": 3}.')
    return aliases


def move_alias(folder: Path, alias: str, version: int | None, *, event: str, why: str = "") -> int | None:
    """Point an alias at a version, or remove it (``None``), and note it. Returns where it pointed before."""
    check_name(alias, "an alias")
    if RESERVED.fullmatch(alias):
        raise WrongUsage(f"{alias!r} is taken: it already means a version.", "Take a word such as 'production'.")
    with explained(folder), FileLock(folder / ".lock", timeout=10):
        aliases = read_aliases(folder)
        before = aliases.pop(alias, None)
        if version is not None:
            aliases[alias] = version
        write_atomically(folder / "aliases.json", json.dumps(aliases, sort_keys=True).encode() + b"\n")
        append_history(folder, event, version=version, alias=alias, before=before, why=why)
    return before


def append_history(folder: Path, event: str, *, why: str = "", **details: Any) -> None:
    """Add one line to ``history.jsonl``. One write call, so lines of two writers do not mix."""
    given = {key: value for key, value in details.items() if value != ""}
    entry = {"time": now(), "event": event, "by": user(), **given, "why": why}
    handle = os.open(folder / "history.jsonl", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        size = os.fstat(handle).st_size
        os.lseek(handle, max(size - 1, 0), os.SEEK_SET)
        # After a line that a crash cut short, begin a new one.
        torn = b"\n" if size and os.read(handle, 1) != b"\n" else b""
        os.write(handle, torn + json.dumps(entry).encode() + b"\n")
        os.fsync(handle)
    finally:
        os.close(handle)


def read_history(folder: Path) -> list[dict[str, Any]]:
    """Return what happened to a model, oldest first. A line that a crash cut short is left out."""
    path = folder / "history.jsonl"
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}.", "Make it readable.") from error
    entries = []
    for line in lines:
        with suppress(ValueError, RecursionError):
            entries.append(json.loads(line))
    return [entry for entry in entries if isinstance(entry, dict)]


def now() -> str:
    """Return the time in UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def user() -> str:
    """Return who is at work, as the operating system knows it."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return "unknown"
