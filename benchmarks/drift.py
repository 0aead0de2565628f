"""Is a harmful shift found, and a harmless one left alone? Ours on a grid of shifts, and beside Evidently and NannyML.

    python benchmarks/drift.py                        # everything: many hours; goes on where it was interrupted
    python benchmarks/drift.py --sizes 200 --splits 2 # a part of it
    python benchmarks/drift.py --only peers           # ours, peers or tables (which only prints what is there)

Everything it makes lies in `--out` (build/drift): `cells-*.jsonl`, one line for each cell that was judged, which is a
data set, a model, a fresh split into reference and production, a shift and a window size; models, references and the
windows that the peers judge. The peers' environments are made on first use (`environments.py`).

Truth is the accuracy on all production images of the split, shifted in the same way: harmful is more than 5 points
below the quiet accuracy, harmless less than 1. Three kinds in fourteen were drawn by chance (seed 0) and are held out:
nothing that is judged on them has rehearsed them, and nothing was tuned on them. Rehearsals do mix classes in shares
of their own.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import drift_grid as grid
import drift_peers as peers
import numpy as np

from mlops_lab.monitor.verdict import compare_each
from mlops_lab.summary.summary import summarise

WINDOWS, QUIET_WINDOWS = 20, 40


def judge(cell: grid.Cell) -> dict[str, Any]:
    """Return how often windows of a cell are called changed and harmful, and how wrong their estimates are."""
    reference = grid.reference_of(cell.dataset, cell.model, cell.split)
    shifted, quiet = grid.production(cell)
    right = shifted.classes == shifted.truth
    truth = float(right.mean())
    places = grid.draws(cell, len(shifted), QUIET_WINDOWS if cell.kind == "quiet" else WINDOWS)
    summaries = [summarise(grid.blind(shifted.take(chosen)), reference.scale) for chosen in places]
    found = compare_each(reference, summaries)
    estimates = [one.estimate for one in found]
    truths = [float(right[chosen].mean()) for chosen in places]
    return {
        "lost": quiet - truth,
        "windows": len(places),
        "changed": sum(one.changed for one in found),
        "harmful": sum(one.harmful for one in found),
        "trusted": sum(one.trust for one in estimates),
        "error": float(np.mean([abs(one.accuracy - truth) for one in estimates])),
        "error_of_confidence": float(np.mean([abs(one.means[0] - truth) for one in summaries])),
        "trusted_error": float(sum(abs(one.accuracy - truth) for one in estimates if one.trust)),
        "covered": sum(one.low <= true <= one.high for one, true in zip(estimates, truths, strict=True)),
        "estimates": [round(one.accuracy - quiet, 4) for one in estimates],
        "smallest_p": [float(f"{min(d.p_value for d in one.evidence):.2g}") for one in found],
    }


def run(datasets: list[str], sizes: list[int], splits: int) -> None:
    """Judge the cells that are not in the results yet: windows of 200 on every split first."""
    for dataset in datasets:
        path = grid.FOLDER / f"cells-{dataset}.jsonl"
        done = {row["key"] for row in rows_of(path)}
        with path.open("a", encoding="utf-8") as file:
            for cell in _order(dataset, sizes, splits):
                if cell.key not in done:
                    file.write(json.dumps({"key": cell.key, **cell.__dict__, **judge(cell)}) + "\n")
                    file.flush()


def _order(dataset: str, sizes: list[int], splits: int) -> Iterator[grid.Cell]:
    for together in ([size for size in sizes if size == 200], [size for size in sizes if size != 200]):
        for split in range(splits if together else 0):
            for model in grid.MODELS[dataset]:
                yield from grid.cells_of(dataset, model, split, tuple(together))


def rows_of(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a file of results, but for one that was cut off."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole, encoding="utf-8")
    return [json.loads(line) for line in whole.splitlines()]


def table(rows: list[dict[str, Any]]) -> str:
    """Return the measures by data set and window, with Wilson's intervals."""
    head = ("data", "window", "shifts", "cells", "quiet alarms", "harmful found", "harmless called harmful", "error")
    lines = [f"| {' | '.join((*head, 'of confidence', 'covered'))} |", "|---" * 10 + "|"]
    for size in sorted({row["size"] for row in rows}):
        for dataset in (*dict.fromkeys(row["dataset"] for row in rows), "all"):
            here = [row for row in rows if row["size"] == size and dataset in (row["dataset"], "all")]
            for name, belongs in GROUPS.items():
                lines.append(f"| {dataset} | {size} | {name} | {_measures([r for r in here if belongs(r)], here)} |")
    return "\n".join(lines)


GROUPS: dict[str, Any] = {
    "all": lambda row: row["grid"] != "quiet",
    "ours": lambda row: row["grid"] == "ours",
    "ours, rehearsed": lambda row: row["grid"] == "ours" and row["kind"] not in grid.HELD_OUT,
    "ours, held out": lambda row: row["grid"] == "ours" and row["kind"] in grid.HELD_OUT,
    "published": lambda row: row["grid"] == "published",
}


def _measures(rows: list[dict[str, Any]], all_rows: list[dict[str, Any]]) -> str:
    quiet = [row for row in all_rows if row["kind"] == "quiet"]
    harmful = [row for row in rows if row["lost"] > grid.HARMFUL]
    harmless = [row for row in rows if row["lost"] < grid.HARMLESS]
    shares = [share(group, "harmful") for group in (quiet, harmful, harmless)]
    error, confidence = (
        np.mean([row[name] for row in rows]) if rows else np.nan for name in ("error", "error_of_confidence")
    )
    return " | ".join([f"{len(rows)}", *shares, f"{error:.3f}", f"{confidence:.3f}", share(rows, "covered")])


def share(rows: list[dict[str, Any]], name: str) -> str:
    """Return the share of windows of which something is said, and its interval."""
    return grid.share(sum(row[name] for row in rows), sum(row["windows"] for row in rows))


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", choices=grid.MODELS, default=list(grid.MODELS))
    parser.add_argument("--sizes", nargs="+", type=int, default=list(grid.SIZES), help="Of the windows.")
    parser.add_argument("--splits", type=int, default=grid.SPLITS)
    parser.add_argument("--only", choices=("ours", "peers", "tables"))
    parser.add_argument("--out", type=Path, default=grid.FOLDER)
    arguments = parser.parse_args()
    grid.FOLDER = arguments.out
    grid.FOLDER.mkdir(parents=True, exist_ok=True)
    if arguments.only in (None, "ours"):
        run(arguments.data, arguments.sizes, arguments.splits)
    if arguments.only in (None, "peers"):
        peers.judge(arguments.data)
    rows = [row for dataset in arguments.data for row in rows_of(grid.FOLDER / f"cells-{dataset}.jsonl")]
    print(f"Held out: {', '.join(grid.HELD_OUT)}.\n\n{table(rows)}\n\n{peers.tables(arguments.data)}")


if __name__ == "__main__":
    main()
