"""Kill a publisher with SIGKILL again and again: a reader must never see part of a version.

    python benchmarks/kills.py [--kills 1000]

A child publishes the digits model over and over, without the export (the same bytes each time), and is killed after a
random time; after each kill everything a reader can see is loaded and checked.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mlops_lab import store

CHILD = """
import sys
from pathlib import Path
from mlops_lab import data, store
from mlops_lab.store import disk
digits = data.load("digits")
model = store.from_onnx(Path(sys.argv[2]), input=digits.input, labels=digits.classes, examples=digits.test.images[:4])
models = store.ModelStore(sys.argv[1])
while True:
    version = models.publish(model, "digits")
    models.promote("digits", version.version)
    print(version.version, flush=True)
"""


def main() -> None:
    """Run the proof."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    kills = parser.parse_args().kills
    onnx = Path(__file__).parents[1] / "models" / "digits" / "1" / "model.onnx"
    random.seed(0)
    partial = published = lost = 0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(kills):
            root = Path(folder) / "models"
            # A fork server would be faster; a whole process is what gets killed in real life.
            child = subprocess.Popen(
                [sys.executable, "-c", CHILD, str(root), str(onnx)], stdout=subprocess.PIPE, text=True
            )
            assert child.stdout is not None
            acknowledged = [int(child.stdout.readline())]
            time.sleep(random.uniform(0, 0.12))
            os.kill(child.pid, signal.SIGKILL)
            acknowledged += [int(line) for line in child.stdout.read().split()]
            child.wait()
            models = store.ModelStore(root)
            seen = models.versions("digits")
            lost += len(set(acknowledged) - set(seen))
            for version in seen:
                published += 1
                try:
                    models.load("digits", version)
                except Exception as error:
                    partial += 1
                    print(f"kill {number}, version {version}: {error}")
            for alias, version in models.aliases("digits").items():
                partial += version not in seen and bool(print(f"kill {number}: {alias} points at {version}")) is None
            shutil.rmtree(root, ignore_errors=True)
            if number % 100 == 99:
                print(f"  {number + 1} kills, {published} versions read, {partial} partial, {lost} lost", flush=True)
    print(f"{kills} kills: {published} versions read, {partial} partial, {lost} acknowledged but lost")
    raise SystemExit(1 if partial or lost else 0)


if __name__ == "__main__":
    main()
