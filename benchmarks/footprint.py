"""How long a server takes to start, and how much memory it holds: with one version, and with hundreds."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from contenders import CLASSIFY, MODEL, Contender, echo, end, launch, ours, started, wait
from pairs import alternate
from results import Effort, Result
from wrk import drive


def first_answer(contender: Contender) -> tuple[float, float]:
    """Return the seconds from starting a process to its first right answer, and its megabytes then."""
    began = time.perf_counter()
    server = launch(contender)
    try:
        wait(server, contender.post)
        return time.perf_counter() - began, server.megabytes
    finally:
        end(server)


def cold_start(effort: Effort) -> Iterator[Result]:
    """Compare the start with the Flask echo's, in turn."""
    seen: dict[str, list[tuple[float, float]]] = {"ours": [], "echo": []}

    def seconds(name: str, contender: Contender) -> float:
        seen[name].append(first_answer(contender))
        return seen[name][-1][0]

    peer = echo()
    ratios = alternate(lambda: seconds("ours", ours()), lambda: seconds("echo", peer), effort.pairs)
    medians = {name: [statistics.median(column) for column in zip(*rows, strict=True)] for name, rows in seen.items()}
    details = {"ratios": list(ratios.each), "null": list(ratios.null), "medians": medians}
    yield Result("seconds from start to the first answer", medians["ours"][0], "at most", 0.8, details)
    # Either bar is enough: 0.8 s and 100 MB, or 1.5 times the echo's start.
    yield Result(f"  the same over those of {peer.name}", ratios.median, details=details)
    with started(ours()) as server:
        drive(server, CLASSIFY, 16, effort.seconds)
        used = server.megabytes
    yield Result("megabytes of resident memory, under load", used, "at most", 100, {"at start": medians["ours"][1]})


def store_of(folder: Path, count: int) -> Path:
    """Return a store with so many versions of the shipped model; their files are links to the same bytes."""
    for version in range(1, count + 1):
        target = folder / "clothes" / str(version)
        shutil.copytree(MODEL, target, copy_function=os.link)
        manifest = json.loads((target / "manifest.json").read_text())
        (target / "manifest.json").unlink()
        (target / "manifest.json").write_text(json.dumps({**manifest, "version": version}))
    (folder / "clothes" / "aliases.json").write_text(json.dumps({"production": count}))
    return folder


def versions(effort: Effort) -> Iterator[Result]:
    """Start servers over stores of more and more versions; each figure is compared with that of one version."""
    first: tuple[float, float, float] | None = None
    with tempfile.TemporaryDirectory(dir=MODEL.parents[2], prefix=".versions_", suffix="_cache") as folder:
        for count in effort.versions:
            models = store_of(Path(folder) / str(count), count)
            found = _started_with(models, effort)
            first = first or found
            yield from _growth(count, first, found)


def _started_with(models: Path, effort: Effort) -> tuple[float, float, float]:
    """Return the seconds to the first answer, the megabytes, and p50 in milliseconds."""
    contender = ours(models=models, post=replace(CLASSIFY, path="/models/clothes"))
    starts = [first_answer(contender) for _ in range(effort.pairs)]
    seconds, megabytes = (statistics.median(column) for column in zip(*starts, strict=True))
    with started(contender) as server:
        p50 = statistics.median(drive(server, contender.post, 1, effort.seconds).p50 for _ in range(effort.pairs))
    return seconds, megabytes, p50


def _growth(count: int, first: tuple[float, float, float], found: tuple[float, float, float]) -> Iterator[Result]:
    details = {"versions": count, **dict(zip(("seconds", "megabytes", "p50"), found, strict=True))}
    more = max(1, count - 1)
    of = f"{count} versions: "
    start, memory, p50 = (b - a for a, b in zip(first, found, strict=True))
    bar = None if count == 1 else 1.0
    yield Result(f"{of}milliseconds of start a version more", 1000 * start / more, "at most", bar and 10.0, details)
    yield Result(f"{of}megabytes a version more", memory / more, "at most", bar and 0.3, details)
    yield Result(f"{of}p50 over that of one version", 1 + p50 / first[2], "at most", bar and 1.1, details)
