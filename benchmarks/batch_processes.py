"""How much faster a batch is with two processes: 5,000 rows of a model that computes 20 ms for each row.

    python benchmarks/batch_processes.py [--rows 5000] [--milliseconds 20] [--processes 2]

The model is a Python function that keeps a core busy for that much time of its own thread: the ratio is what the cores
give, and no sleep makes it better.
"""

import argparse
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np

from mlops_lab import batch
from mlops_lab.engines.python import PythonEngine
from mlops_lab.image import InputSpec
from mlops_lab.predict import Predictor

WIDTH = 16


def load_busy(seconds: float) -> Predictor:
    """Return a model that computes for so many seconds for each row."""

    def compute(inputs):
        until = time.thread_time() + seconds * len(inputs)
        while time.thread_time() < until:
            np.tanh(inputs)
        return np.stack([1 - inputs.mean(axis=1), inputs.mean(axis=1)], axis=1)

    return Predictor("busy", 1, InputSpec((WIDTH,), name="x"), ("low", "high"), PythonEngine(compute))


def main() -> None:
    """Run the batch with one process and with several."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--milliseconds", type=float, default=20)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        np.savez(folder / "in.npz", x=np.random.default_rng(0).random((options.rows, WIDTH), np.float32))
        load = partial(load_busy, options.milliseconds / 1000)
        seconds = {}
        for processes in (1, options.processes):
            report = batch.predict(load, folder / "in.npz", folder / f"{processes}.npz", processes=processes)
            seconds[processes] = report.seconds
            print(f"{processes} process(es): {report.seconds:.1f} s, {report.rate:.1f} rows/s", flush=True)
        one, several = (dict(np.load(folder / f"{processes}.npz")) for processes in seconds)
        same = all((one[name] == several[name]).all() for name in ("label", "class", "confidence"))
    print(f"ratio {seconds[1] / seconds[options.processes]:.2f}; the answers are the same: {same}")


if __name__ == "__main__":
    main()
