"""Store releases: one JSON file each, in ``evidence/`` beside the version, and a line in the model's history."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from mlops_lab.errors import StoreError
from mlops_lab.files import explained, write_atomically
from mlops_lab.pipeline.outcome import Release, version_label
from mlops_lab.store import ModelStore
from mlops_lab.store.history import append_history

LOCK = ".pipeline.lock"


@contextmanager
def release_lock(folder: Path) -> Iterator[None]:
    """Hold the lock of a model's releases, so that only one runs at a time.

    Raises
    ------
    StoreError
        Another release is running.
    """
    lock = FileLock(folder / LOCK)
    with explained(folder):
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            message = f"Another release of {folder.name} is running."
            raise StoreError(message, f"mlops-lab pipeline status {folder.name}") from error
    try:
        yield
    finally:
        lock.release()


def write_evidence(store: ModelStore, release: Release) -> Path:
    """Write the current state of a release, and replace the file that was written for it before."""
    stamp = release.started.replace("-", "").replace(":", "")
    path = store.root / release.name / str(release.version) / "evidence" / f"release-{stamp}.json"
    write_atomically(path, json.dumps(release.to_dict(), indent=1, ensure_ascii=False).encode() + b"\n")
    return path


def record(store: ModelStore, release: Release) -> None:
    """Append a release to the model's history: its state, the user, the reason."""
    append_history(
        store.root / release.name,
        "pipeline",
        state=release.state,
        version=release.version,
        environment=release.environment,
        production=version_label(release.production),
        why=release.reason or release.why,
    )


def releases(store: ModelStore, name: str) -> list[Release]:
    """Return the releases of a model, oldest first; one that was killed is returned in its last state."""
    store.resolve(name)
    found = []
    for path in (store.root / name).glob("*/evidence/release-*.json"):
        with suppress(OSError, ValueError, LookupError, TypeError):
            found.append(Release.from_dict(json.loads(path.read_text(encoding="utf-8"))))
    return sorted(found, key=lambda one: one.started)


def last(store: ModelStore, name: str) -> Release | None:
    """Return the latest release of a model; ``None`` where there is none."""
    found = releases(store, name)
    return found[-1] if found else None


def is_running(store: ModelStore, name: str) -> bool:
    """Return whether a release of a model is running now."""
    try:
        with release_lock(store.root / name):
            return False
    except StoreError:
        return True
