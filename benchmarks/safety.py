"""Measure the audit: milliseconds and megabytes per file, hostile and good.

::

    python benchmarks/safety.py            # median and maximum; the slowest and the hungriest five

Time is the median of five audits in one warm process. Memory is how far an audit of the file raises the peak of a
fresh process in which the audit's own libraries are loaded already; the file's own bytes count.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import hostile  # noqa: E402
import hostile_base  # noqa: E402

from mlops_lab.store import safety  # noqa: E402

MEMORY = """
import json, os, resource, sys
from mlops_lab.store import safety
for path in sys.argv[1:3]:
    safety.inspect(path)                 # load h5py and numpy before measuring
for path in sys.argv[3:]:
    child = os.fork()
    if not child:
        open("/proc/self/clear_refs", "w").write("5")
        def peak():
            return next(int(x.split()[1]) for x in open("/proc/self/status") if x.startswith("VmHWM"))
        before = peak()
        safety.inspect(path)
        print(json.dumps([path, (peak() - before) / 1024]), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""


def milliseconds(path: Path) -> float:
    """Return the median time of five audits."""
    times = []
    for _ in range(5):
        started = time.perf_counter()
        safety.inspect(path)
        times.append(time.perf_counter() - started)
    return 1e3 * statistics.median(times)


def megabytes(paths: list[Path], warm: list[Path]) -> dict[str, float]:
    """Return how far each audit raises the peak of a forked process; Linux only."""
    if sys.platform != "linux":
        return {}
    command = [sys.executable, "-c", MEMORY, *map(str, warm), *map(str, paths)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return {Path(name).name: size for name, size in map(json.loads, lines)}


def show(title: str, values: dict[str, float], unit: str) -> None:
    """Print the median, the maximum and the five largest."""
    if not values:
        return
    top = sorted(values.items(), key=lambda item: -item[1])[:5]
    middle = statistics.median(values.values())
    print(f"{title}: {len(values)} files, median {middle:.1f} {unit}, maximum {top[0][1]:.1f} {unit}")
    for name, value in top:
        print(f"    {value:8.1f} {unit}  {name}")


def main() -> None:
    """Build the corpus, measure, and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        hostile_paths = [folder / file for file in hostile.build(folder)]
        (folder / "good.keras").write_bytes(hostile_base.keras())
        good = sorted((ROOT / "tests" / "data").glob("keras-*/files/*_*.*"))
        good = [path for path in good if path.suffix in (".keras", ".h5")]
        warm = [folder / "good.keras", folder / "skops_object_array.skops"]
        for title, paths in (("hostile", hostile_paths), ("good", good)):
            show(f"{title}, time", {path.name: milliseconds(path) for path in paths}, "ms")
            show(f"{title}, memory", megabytes(paths, warm), "MB")


if __name__ == "__main__":
    main()
