"""Kills the writer of a prediction log, again and again, and counts what it acknowledged and what is there.

    python benchmarks/log_kills.py [--kills 1000] [--durable | --no-durable]

A process appends predictions and writes each id to a pipe once the append has returned; it is killed with SIGKILL after
a random time, within a transaction as well, and the next one continues the same file. With --durable no acknowledged
prediction may be missing; without, those of the last moments may, and the longest such time is printed. It ends with 1
where a durable one is lost or one stands twice. Needs fork, so Linux or macOS.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import select
import signal
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from mlops_lab.engines.python import PythonEngine
from mlops_lab.image import InputSpec
from mlops_lab.monitor import PredictionLog
from mlops_lab.predict import PredictionEvent, Predictor

SPEC = InputSpec(shape=(28, 28, 1), size=(28, 28))
MODEL = Predictor("killed", 1, SPEC, ("a", "b"), PythonEngine(lambda x: np.full((len(x), 2), 0.5, np.float32)))
IMAGES = np.zeros((1, 28, 28), np.uint8)
ROWS = np.array([[0.25, 0.75]], np.float32)


def write(path: Path, life: int, durable: bool, out: int) -> None:
    """Append until death, and tell of each append that has returned; every tenth is sent twice, as a retry is."""
    log = PredictionLog(path, durable=durable, patience=30)
    number = 0
    while True:
        event = PredictionEvent(f"{life}-{number}", time.time(), MODEL, IMAGES, ROWS, 0.0)
        if log.append(event) and (number % 10 or log.append(event)):
            os.write(out, f"{life}-{number} {time.time()}\n".encode())
        number += 1
        if not durable:
            time.sleep(0.001)  # a thousand a second; faster, and the queue would be what is measured


def one_life(path: Path, life: int, durable: bool, seconds: float) -> tuple[dict[str, float], float]:
    """Start a writer, kill it; return what it acknowledged, and when it died."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        write(path, life, durable, writing)
    os.close(writing)
    select.select([reading], [], [], 10)  # its first word; then it lives on for a random time
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    died = time.time()
    os.waitpid(child, 0)
    said = b""
    while part := os.read(reading, 1 << 16):
        said += part
    os.close(reading)
    lines = [line.split() for line in said.decode().split("\n")[:-1]]
    return {name: float(moment) for name, moment in lines}, died


def main() -> None:
    """Kill, then count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--durable", action=argparse.BooleanOptionalAction, default=True)
    arguments = parser.parse_args()
    chance = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "predictions.db"
        acknowledged: dict[str, float] = {}
        deaths: dict[str, float] = {}
        for life in range(arguments.kills):
            # Long enough that some groups are written: without --durable a group waits for others first.
            seconds = chance.uniform(0, 0.05 if arguments.durable else 0.5)
            said, died = one_life(path, life, arguments.durable, seconds)
            acknowledged |= said
            deaths[str(life)] = died
        connection = sqlite3.connect(path)
        counts = dict(connection.execute("SELECT request_id, COUNT(*) FROM predictions GROUP BY request_id"))
        intact = connection.execute("PRAGMA integrity_check").fetchone()[0]
        connection.close()
    lost = [name for name in acknowledged if name not in counts]
    window = max((deaths[name.split("-")[0]] - acknowledged[name] for name in lost), default=0.0)
    doubled = sum(number > 1 for number in counts.values())
    found = {"kills": arguments.kills, "durable": arguments.durable, "acknowledged": len(acknowledged)}
    found |= {"lost": len(lost), "lost_seconds": round(window, 3), "doubled": doubled, "integrity": intact}
    print(json.dumps(found))
    sys.exit(int(bool(doubled or intact != "ok" or (arguments.durable and lost))))


if __name__ == "__main__":
    main()
