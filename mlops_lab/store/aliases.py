"""Aliases of versions, such as ``production`` → 3; moving one is recorded in the history."""

from __future__ import annotations

import json
from pathlib import Path

from mlops_lab import strict_json
from mlops_lab.errors import StoreError, WrongUsage
from mlops_lab.files import write_atomically
from mlops_lab.store.disk import locked
from mlops_lab.store.history import append_history
from mlops_lab.store.names import RESERVED, check_name
from mlops_lab.store.reading import read_below

MAX_BYTES = 2**20


def read_aliases(folder: Path) -> dict[str, int]:
    """Return the aliases of a model; none where the file is not there.

    Raises
    ------
    StoreError
        The file is not a JSON object of whole numbers.
    """
    path = folder / "aliases.json"
    try:
        aliases = strict_json.loads(read_below(folder, path.name, MAX_BYTES))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError(f"{path} cannot be read: {error}.", "Correct it, or remove it and promote again.") from error
    if not isinstance(aliases, dict) or not all(type(number) is int for number in aliases.values()):
        raise StoreError(f"{path} is not an object of version numbers.", 'It should look like {"production": 3}.')
    return aliases


def move_alias(
    folder: Path, alias: str, version: int | None, *, event: str, why: str = "", **details: str
) -> int | None:
    """Point an alias at a version, or remove it (``None``), and note it. Returns where it pointed before."""
    check_name(alias, "an alias")
    if RESERVED.fullmatch(alias):
        raise WrongUsage(f"{alias!r} is taken: it already means a version.", "Take a word such as 'production'.")
    with locked(folder):
        aliases = read_aliases(folder)
        before = aliases.pop(alias, None)
        if version is not None:
            aliases[alias] = version
        write_atomically(folder / "aliases.json", json.dumps(aliases, sort_keys=True).encode() + b"\n")
        append_history(folder, event, version=version, alias=alias, before=before, **details, why=why)
    return before
