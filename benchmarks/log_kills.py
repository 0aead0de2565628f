"""Kills the writer of a prediction log, again and again, and counts what it acknowledged and what is there.

    python benchmarks/log_kills.py [--kills 1000] [--durable | --no-durable]
    python benchmarks/log_kills.py --server [--kills 20] [--workers 2]

A process appends predictions and writes each id to a pipe once the append has returned; it is killed with SIGKILL after
a random time, within a transaction as well, and the next one continues the same file. With --durable no acknowledged
prediction may be missing; without, those of the last moments may, and the longest such time is printed. It ends with 1
where a durable one is lost or one stands twice. Needs fork, so Linux or macOS.

With --server the same is done to `mlops-lab serve --log --durable`, whose clients count an answer as acknowledged when
they have read all of it.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import os
import random
import select
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil

from mlops_lab.engines.python import PythonEngine
from mlops_lab.image import InputSpec, encode_png
from mlops_lab.monitor import PredictionLog
from mlops_lab.predict import PredictionEvent, Predictor

ROOT = Path(__file__).parents[1]
CLIENTS = 4
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


class Client(threading.Thread):
    """Sends images to a server until it is gone, every tenth twice, and keeps when each answer came."""

    def __init__(self, port: int, name: str, image: bytes) -> None:
        super().__init__(daemon=True)
        self.port, self.prefix, self.image = port, name, image
        self.acknowledged: dict[str, float] = {}
        self.refused = 0

    def run(self) -> None:
        """Ask until the server is gone."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        for number in itertools.count():
            name = f"{self.prefix}-{number}"
            try:
                answers = [self.ask(connection, name) for _ in range(1 if number % 10 else 2)]
            except (OSError, http.client.HTTPException):
                return
            if all(status == 200 for status in answers):
                self.acknowledged[name] = time.time()
            else:
                self.refused += 1

    def ask(self, connection: http.client.HTTPConnection, name: str) -> int:
        """Send an image under a request id; return the status once the whole answer is read."""
        headers = {"Content-Type": "image/png", "X-Request-Id": name}
        connection.request("POST", "/models/digits", self.image, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status


def one_server(path: Path, life: int, workers: int, seconds: float, image: bytes) -> tuple[dict[str, float], float]:
    """Start a server, ask it, kill all of its processes; return what it acknowledged, and when it died."""
    command = [sys.executable, "-m", "mlops_lab", "serve", "--models", str(ROOT / "models"), "--port", "0"]
    command += ["--log", str(path), "--durable", "--workers", str(workers)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline().rsplit(":", 1)[1])
        clients = [Client(port, f"{life}-{place}", image) for place in range(CLIENTS)]
        for client in clients:
            client.start()
        while not any(client.acknowledged for client in clients):
            time.sleep(0.001)
        time.sleep(seconds)
        family = [*psutil.Process(server.pid).children(recursive=True), psutil.Process(server.pid)]
        for process in family:
            process.kill()
        died = time.time()
        psutil.wait_procs(family[:-1])
    for client in clients:
        client.join()
    refused = sum(client.refused for client in clients)
    assert refused == 0, f"{refused} predictions were refused"
    return {name: at for client in clients for name, at in client.acknowledged.items()}, died


def main() -> None:
    """Kill, then count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, help="by default 1,000, of a server 20")
    parser.add_argument("--server", action="store_true", help="kill servers instead of writers")
    parser.add_argument("--workers", type=int, default=1, help="of a server")
    parser.add_argument("--durable", action=argparse.BooleanOptionalAction, default=True)
    arguments = parser.parse_args()
    kills = arguments.kills or (20 if arguments.server else 1000)
    image = encode_png(np.tile(np.arange(0, 256, 32, dtype=np.uint8), (8, 1)))
    chance = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "predictions.db"
        acknowledged: dict[str, float] = {}
        deaths: dict[str, float] = {}
        for life in range(kills):
            if arguments.server:
                said, died = one_server(path, life, arguments.workers, chance.uniform(0, 1), image)
            else:
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
    found: dict[str, object] = {"kills": kills, "server": arguments.server, "durable": arguments.durable}
    found |= {
        "acknowledged": len(acknowledged),
        "lost": len(lost),
        "lost_seconds": round(window, 3),
        "doubled": doubled,
        "integrity": intact,
    }
    print(json.dumps(found))
    sys.exit(int(bool(doubled or intact != "ok" or (arguments.durable and lost))))


if __name__ == "__main__":
    main()
