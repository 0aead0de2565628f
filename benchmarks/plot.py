"""Draw what `bench.py` measured: where the microseconds of a request go, and how the server scales.

    python benchmarks/plot.py [--results FILE] [--out docs/images/performance.png]

Needs the rows `anatomy`, `connections` and `versions`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from bench import OUT
from matplotlib.axes import Axes

DEFAULT = Path(__file__).resolve().parents[1] / "docs" / "images" / "performance.png"
COLOURS = ("#0072b2", "#56b4e9", "#009e73", "#f0e442", "#e69f00", "#999999")  # told apart by colour-blind readers too
MARKERS = ("o", "s", "^")


def details(results: dict[str, Any], row: str) -> list[dict[str, Any]]:
    """Return the details of a row's results, those that have some."""
    if row not in results:
        raise SystemExit(f"The results have no row {row!r}: python benchmarks/bench.py --only {row}")
    return [result["details"] for result in results[row]["results"] if result["details"]]


def draw_anatomy(axes: Axes, parts: dict[str, float]) -> None:
    """Draw one bar for each part, one after the other along the time axis."""
    total = sum(parts.values())
    begin = 0.0
    for place, microseconds in enumerate(parts.values()):
        axes.barh(
            place, microseconds, left=begin, color=COLOURS[place % len(COLOURS)], edgecolor="black", linewidth=0.5
        )
        begin += microseconds
        axes.text(1.02 * total, place, f"{microseconds:.0f} µs", va="center")
    axes.set_yticks(range(len(parts)), list(parts))
    axes.invert_yaxis()
    axes.set_xlim(0, 1.2 * total)
    axes.set_xlabel("microseconds since the request was sent")
    axes.set_title(f"One image on one connection: {total:.0f} µs at the median")


def draw_connections(axes: Axes, runs: list[dict[str, Any]]) -> None:
    """Draw requests per second by the number of connections, a line for each server."""
    servers = list(dict.fromkeys(run["server"] for run in runs))
    for place, server in enumerate(servers):
        own = [run for run in runs if run["server"] == server]
        counts, rates = [run["connections"] for run in own], [run["per_second"] for run in own]
        label = f"{server} (p99 {own[-1]['p99']:.0f} ms with {counts[-1]})"
        axes.plot(counts, rates, marker=MARKERS[place], color=COLOURS[(0, 4, 2)[place]], label=label)
    axes.set_xscale("log", base=2)
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.set_ylim(bottom=0)
    axes.set_xlabel("connections")
    axes.set_ylabel("requests/s")
    axes.set_title("Throughput by the number of connections")
    axes.legend()


def draw_versions(axes: Axes, runs: list[dict[str, Any]]) -> None:
    """Draw the start and the memory by the number of versions in the store."""
    seen = {run["versions"]: run for run in runs}
    counts = list(seen)
    axes.plot(counts, [seen[n]["seconds"] for n in counts], "o-", color=COLOURS[0], label="start, seconds (left)")
    axes.set_ylabel("seconds to the first answer")
    axes.set_ylim(0, 1.4 * max(run["seconds"] for run in runs))
    memory = axes.twinx()
    memory.plot(counts, [seen[n]["megabytes"] for n in counts], "s--", color=COLOURS[4], label="memory, MB (right)")
    memory.set_ylabel("megabytes")
    memory.set_ylim(0, 1.4 * max(run["megabytes"] for run in runs))
    axes.set_xlabel("versions in the store")
    axes.set_title("Start and memory by the number of versions")
    lines = [*axes.lines, *memory.lines]
    axes.legend(lines, [str(line.get_label()) for line in lines], loc="upper left")


def main() -> None:
    """Draw and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=OUT)
    parser.add_argument("--out", type=Path, default=DEFAULT)
    options = parser.parse_args()
    results = json.loads(options.results.read_text())
    figure, (anatomy, connections, versions) = plt.subplots(3, 1, figsize=(8, 12), layout="constrained")
    draw_anatomy(anatomy, details(results, "anatomy")[0]["parts"])
    draw_connections(connections, details(results, "connections"))
    draw_versions(versions, details(results, "versions"))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.out, dpi=110)
    print(options.out)


if __name__ == "__main__":
    main()
