"""How a server starts, and what it holds, with 1 to 1,000 models and with one model of 500 versions.

    python benchmarks/many_models.py [--models 1 10 100 1000] [--versions 500]

Each model is a copy of the shipped digits model (90 KB) under a name of its own. Memory is worth something on a busy
machine, and seconds are not.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from mlops_lab.serve.core.registry import Registry
from mlops_lab.store import ModelStore

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ROOT / "models" / "digits"


def copy(root: Path, name: str, version: int) -> None:
    """Copy the shipped model under another name and version."""
    (source,) = (path for path in SHIPPED.iterdir() if path.name.isdigit())
    target = root / name / str(version)
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("evidence"))
    manifest = json.loads((target / "manifest.json").read_text(encoding="utf-8"))
    manifest.update(name=name, version=version)
    (target / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def measure(root: Path) -> tuple[float, float]:
    """Serve a folder in a process; return the seconds until it serves, and its memory in MB."""
    began = time.monotonic()
    command = [sys.executable, "-m", "mlops_lab", "serve", "--models", str(root), "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        server.stdout.readline()
        seconds = time.monotonic() - began
        megabytes = psutil.Process(server.pid).memory_info().rss / 2**20
        server.terminate()
    return seconds, megabytes


def look(root: Path) -> float:
    """Return the milliseconds of one look at a store in which nothing has changed."""
    registry = Registry(lambda predictor: predictor)
    registry.load_store(ModelStore(root))
    began = time.perf_counter()
    registry.refresh()
    return 1000 * (time.perf_counter() - began)


def main() -> None:
    """Make the folders, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", type=int, nargs="+", default=[1, 10, 100, 1000])
    parser.add_argument("--versions", type=int, default=500)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        for count in options.models:
            root = Path(made) / f"models-{count}"
            for number in range(count):
                copy(root, f"digits-{number}", 1)
            tell(f"{count} models", root)
            shutil.rmtree(root)
        root = Path(made) / "versions"
        for number in range(options.versions):
            copy(root, "digits", number + 1)
        tell(f"1 model, {options.versions} versions", root)


def tell(name: str, root: Path) -> None:
    """Measure a folder, and print it."""
    seconds, megabytes = measure(root)
    print(
        f"{name}: serving after {seconds:.1f} s, {megabytes:.0f} MB, a look at the store {look(root):.1f} ms",
        flush=True,
    )


if __name__ == "__main__":
    main()
