"""What is kept of releases: one JSON file each, in ``evidence/`` beside the version, and a line in the history."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from mlops_lab.errors import StoreError
from mlops_lab.pipeline.outcome import Release, word
from mlops_lab.store import ModelStore
from mlops_lab.store.disk import explained, write_atomically
from mlops_lab.store.history import append_history

LOCK = ".pipeline.lock"


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the releases of a model, so that there is one at a time.

    Raises
    ------
    StoreError
        Another one is under way.
    """
    lock = FileLock(folder / LOCK)
    with explained(folder):
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            message = f"Another release of {folder.name} is under way."
            raise StoreError(message, f"mlops-lab pipeline status {folder.name}") from error
    try:
        yield
    finally:
        lock.release()


def keep(store: ModelStore, release: Release) -> Path:
    """Write a release as it stands, in place of what was written of it before."""
    stamp = release.started.replace("-", "").replace(":", "")
    path = store.root / release.name / str(release.version) / "evidence" / f"release-{stamp}.json"
    write_atomically(path, json.dumps(release.to_dict(), indent=1, ensure_ascii=False).encode() + b"\n")
    return path


def note(store: ModelStore, release: Release) -> None:
    """Add the line to the history: what was decided, by whom, why, and where the evidence lies."""
    append_history(
        store.root / release.name,
        "pipeline",
        state=release.state,
        version=release.version,
        environment=release.environment,
        production=word(release.production),
        why=release.reason or release.why,
    )


def releases(store: ModelStore, name: str) -> list[Release]:
    """Return the releases of a model, oldest first. One that ended without a word is told as it stood."""
    store.resolve(name)
    found = []
    for path in (store.root / name).glob("*/evidence/release-*.json"):
        with suppress(OSError, ValueError, LookupError, TypeError):
            found.append(Release.from_dict(json.loads(path.read_text(encoding="utf-8"))))
    return sorted(found, key=lambda one: one.started)


def last(store: ModelStore, name: str) -> Release | None:
    """Return the latest release of a model."""
    found = releases(store, name)
    return found[-1] if found else None


def under_way(store: ModelStore, name: str) -> bool:
    """Tell whether a release of a model is running now."""
    try:
        with alone(store.root / name):
            return False
    except StoreError:
        return True
