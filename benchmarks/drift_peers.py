"""Evidently and NannyML on the windows that ours judges: windows of 200, and streams. Called by `benchmarks/drift.py`.

One model for each data set, ten fresh splits. Of each split thirty windows (nine of them quiet), two thousand quiet
images as a stream, and three streams in which something changes after 200 images. A look is the last 200 images, every
50; the delay is how many images came until the alarm, at most 500.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import drift_grid as grid
import environments
import numpy as np

from mlops_lab import monitor
from mlops_lab.monitor.verdict import compare_each
from mlops_lab.summary.summary import summarise

NAMES = ("nannyml", "evidently")
SPLITS, SIZE, EVERY, DAY, AFTER = 10, 200, 50, 2000, 500
# A stream's false alarms are held to so many in all its quiet images, or to those of ours where it has more.
FALSE_ALARMS = 1
Rows = list[dict[str, Any]]


def judge(datasets: list[str]) -> None:
    """Write the windows, and let each peer judge those that it has not yet."""
    folder = grid.FOLDER / "windows"
    folder.mkdir(parents=True, exist_ok=True)
    for split in range(SPLITS):  # all of one split before the next, so that what there is can be compared at any time
        for dataset in datasets:
            if not (folder / f"{dataset}-{split}.json").exists():
                export(folder / f"{dataset}-{split}", dataset, split)
        for name in NAMES:
            script = environments.PEERS / name / "judge.py"
            subprocess.run([environments.interpreter(name), script, folder, *datasets], check=True)


def export(path: Path, dataset: str, split: int) -> None:
    """Write the windows of a split for the peers, and beside them what ours says of each."""
    model = grid.MODELS[dataset][0]
    reference = grid.reference_of(dataset, model, split)
    images = grid.split_of(dataset, split)[0]
    seen = monitor.observe(grid.predictor_of(dataset, model), images.images, images.labels, start=0.0)
    about: Rows = []
    arrays: dict[str, Any] = {"reference": _frame(seen), "reference_truth": seen.truth}
    for one, window in [*_windows(dataset, model, split), *_streams(dataset, model, split, reference)]:
        arrays[f"window_{len(about)}"] = _frame(window)
        about.append(one)
    columns = [*(f"p{place}" for place in range(len(seen.labels))), *seen.statistics, "class"]
    np.savez_compressed(path.with_suffix(".npz"), **arrays)
    path.with_suffix(".json").write_text(json.dumps({"columns": columns, "windows": about}), encoding="utf-8")


def _windows(dataset: str, model: str, split: int) -> Iterator[tuple[dict[str, Any], monitor.Window]]:
    """Yield nine quiet windows, and three of each of seven shifts: the splits take turns."""
    reference = grid.reference_of(dataset, model, split)
    quiet_cell, *ours = [cell for cell in grid.cells_of(dataset, model, split) if cell.grid != "published"]
    turn = np.random.default_rng(0).permutation(len(ours))[split::SPLITS]
    for cell in [quiet_cell, *(ours[place] for place in turn)]:
        shifted, quiet = grid.production(cell)
        lost = quiet - float((shifted.classes == shifted.truth).mean())
        for chosen in grid.draws(cell, len(shifted), 9 if cell.kind == "quiet" else 3):
            window = shifted.take(chosen)
            (verdict,) = compare_each(reference, [summarise(grid.blind(window), reference.scale)])
            said = {"ours": verdict.harmful, "ours_estimate": verdict.estimate.accuracy}
            yield {"use": "window", "kind": cell.kind, "lost": lost, "accuracy": quiet - lost, **said}, window


def _streams(
    dataset: str, model: str, split: int, reference: monitor.Reference
) -> Iterator[tuple[dict[str, Any], monitor.Window]]:
    """Yield the looks at a quiet day, and at three streams in which something changes."""
    calm = next(grid.cells_of(dataset, model, split))
    quiet, accuracy = grid.production(calm)
    chance = np.random.default_rng(split)
    day = quiet.take(chance.integers(0, len(quiet), DAY))
    yield from _looks("quiet", day, reference, 0.0)
    for turn in range(3):
        kind = monitor.KINDS[(split + 5 * turn) % len(monitor.KINDS)]
        shifted, _ = grid.production(grid.Cell(dataset, model, split, "ours", kind, "0.8", SIZE))
        lost = accuracy - float((shifted.classes == shifted.truth).mean())
        after = shifted.take(chance.integers(0, len(shifted), AFTER))
        yield from _looks(kind, _join(day.take(slice(0, SIZE)), after), reference, lost)


def _looks(
    kind: str, stream: monitor.Window, reference: monitor.Reference, lost: float
) -> Iterator[tuple[dict[str, Any], monitor.Window]]:
    watched = monitor.watch(reference, grid.blind(stream), size=SIZE, every=EVERY)
    alarms = [alarm.place for alarm in watched.alarms]
    for end, verdict in watched.looks:
        said = {"ours_alarms": alarms, "ours_loss": verdict.expected - verdict.estimate.accuracy}
        yield {"use": "stream", "kind": kind, "lost": lost, "place": end, **said}, stream.take(slice(end - SIZE, end))


def _join(first: monitor.Window, second: monitor.Window) -> monitor.Window:
    columns = ("times", "probabilities", "inputs", "truth", "seconds")
    joined: dict[str, Any] = {name: np.concatenate([getattr(one, name) for one in (first, second)]) for name in columns}
    return replace(first, **joined)


def _frame(window: monitor.Window) -> Any:
    return np.column_stack([window.probabilities, window.inputs, window.classes])


def tables(datasets: list[str]) -> str:
    """Return what the peers said, at their defaults and calibrated to 5% quiet alarms, and the delays on streams."""
    head = ("who", "data", "windows", "quiet alarms", "harmful found", "harmless alarmed", "error")
    lines = [f"| {' | '.join(head)} |", "|---" * 7 + "|"]
    delays = ("who", "data", "quiet images", "false alarms", "streams", "found", "median delay", "mean delay")
    slow = [f"| {' | '.join(delays)} |", "|---" * 8 + "|"]
    for dataset in datasets:
        for name, rows, score, default in _answers(dataset):
            windows = [row for row in rows if row["use"] == "window"]
            quiet = sorted(score(row) for row in windows if row["kind"] == "quiet")
            if not quiet:
                continue
            if name == "ours":
                lines.append(_line("ours", dataset, windows, lambda row: row["ours"]))
            else:
                allowed = quiet[-1 - int(0.05 * len(quiet))]  # at most one quiet window in twenty lies above
                lines.append(_line(f"{name}, defaults", dataset, windows, default))
                lines.append(_line(f"{name}, calibrated", dataset, windows, _above(score, allowed)))
            streams = [row for row in rows if row["use"] == "stream"]
            if all(row["kind"] == "quiet" for row in streams):  # an interrupted run has not come so far
                continue
            if name == "ours":
                slow.append(_delays("ours", dataset, streams, score))
            slow.append(_delays(f"{name}, calibrated", dataset, streams, score))
    return "\n".join([*lines, "", *slow])


def _answers(dataset: str) -> Iterator[tuple[str, Rows, Callable[[Any], float], Callable[[Any], bool]]]:
    """Yield who said something, what, how loud it is, and whether that is an alarm by default."""
    folder = grid.FOLDER / "windows"
    exported = [_read(folder / f"{dataset}-{split}.json", split) for split in range(SPLITS)]
    yield "ours", [row for rows in exported for row in rows], lambda row: row.get("ours_loss", 0.0), bool
    found = [_read(folder / f"{dataset}-{split}.nannyml.json", split) for split in range(SPLITS)]
    # An estimate, held against that of the split's reference, so that splits can be compared.
    yield (
        "NannyML CBPE",
        [row for rows in found for row in rows],
        lambda row: row["usual"] - row["estimate"],
        lambda row: row["alert"],
    )
    found = [_read(folder / f"{dataset}-{split}.evidently.json", split) for split in range(SPLITS)]
    said = [row for rows in found for row in rows]
    yield "Evidently", said, lambda row: row["share"], lambda row: row["share"] >= 0.5


def _read(path: Path, split: int) -> Rows:
    if not path.exists():
        return []
    found = json.loads(path.read_text(encoding="utf-8"))
    return [{**row, "split": split} for row in (found["windows"] if isinstance(found, dict) else found)]


def _line(name: str, dataset: str, rows: Rows, alarms: Callable[[Any], bool]) -> str:
    shifted = [row for row in rows if row["kind"] != "quiet"]
    groups = (
        [row for row in rows if row["kind"] == "quiet"],
        [row for row in shifted if row["lost"] > grid.HARMFUL],
        [row for row in shifted if row["lost"] < grid.HARMLESS],
    )
    said = "ours_estimate" if name == "ours" else "estimate"
    errors = [abs(row[said] - row["accuracy"]) for row in shifted if said in row]
    error = f"{np.mean(errors):.3f}" if errors else "–"
    shares = [grid.share(sum(bool(alarms(row)) for row in group), len(group)) for group in groups]
    return f"| {name} | {dataset} | {len(rows)} | {' | '.join(shares)} | {error} |"


def _delays(name: str, dataset: str, rows: Rows, score: Callable[[Any], float]) -> str:
    streams: dict[tuple[int, str], Rows] = {}
    for row in rows:
        streams.setdefault((row["split"], row["kind"]), []).append(row)
    quiet = [looks for (_, kind), looks in streams.items() if kind == "quiet"]
    harmful = [looks for (_, kind), looks in streams.items() if kind != "quiet" and looks[0]["lost"] > grid.HARMFUL]
    ours = sum(len(looks[0]["ours_alarms"]) for looks in quiet)
    if name == "ours":
        false, delays = ours, [_first(looks[0]["ours_alarms"]) for looks in harmful]
    else:
        alarms = _calibrated(quiet, score, max(FALSE_ALARMS, ours))
        false = sum(_episodes(looks, alarms) for looks in quiet)
        delays = [_first([look["place"] for look in looks if alarms(look)]) for looks in harmful]
    found = sum(delay < AFTER for delay in delays)
    seen = f"{DAY * len(quiet):,} | {false} | {len(delays)} | {found}"
    return f"| {name} | {dataset} | {seen} | {np.median(delays):.0f} | {np.mean(delays):.0f} |"


def _calibrated(quiet: list[Rows], score: Callable[[Any], float], most: int) -> Callable[[Any], bool]:
    """Return the most sensitive alarm that rings so often at most on quiet streams."""
    for line in sorted({score(look) for looks in quiet for look in looks}):
        alarms = _above(score, line)
        if sum(_episodes(looks, alarms) for looks in quiet) <= most:
            return alarms
    raise AssertionError("nothing lies above the largest")


def _above(score: Callable[[Any], float], line: float) -> Callable[[Any], bool]:
    return lambda row: score(row) > line


def _episodes(looks: Rows, alarms: Callable[[Any], bool]) -> int:
    """Return how often an alarm begins."""
    return sum(after and not before for before, after in pairwise([False, *(alarms(look) for look in looks)]))


def _first(places: list[int]) -> int:
    """Return how many images after the change the first alarm came."""
    return min([place - SIZE for place in places if place > SIZE] + [AFTER])
