"""The history of a model: one line of JSON for each event, with its time, its user and the reason."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlops_lab.errors import StoreError
from mlops_lab.provenance import user_name, utc_now
from mlops_lab.store.reading import NO_FOLLOW, NO_WAIT, read_below

MAX_BYTES = 64 * 2**20


def append_history(folder: Path, event: str, *, why: str = "", **details: Any) -> None:
    """Add one line to ``history.jsonl``. One write call, so lines of two writers do not mix."""
    given = {key: value for key, value in details.items() if value != ""}
    entry = {"time": utc_now(), "event": event, "by": user_name(), **given, "why": why}
    handle = os.open(folder / "history.jsonl", os.O_RDWR | os.O_CREAT | os.O_APPEND | NO_FOLLOW | NO_WAIT, 0o644)
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
        lines = read_below(folder, path.name, MAX_BYTES).splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}.", "Make it readable.") from error
    entries = []
    for line in lines:
        with suppress(ValueError, RecursionError):
            entries.append(json.loads(line))
    return [entry for entry in entries if isinstance(entry, dict)]
