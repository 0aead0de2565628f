"""What Ray costs: the shipped model in our server, and in replicas of Ray behind it, in alternating rounds.

    python benchmarks/ray_ratio.py [--rounds 5] [--seconds 4] [--replicas 2]

Needs Ray (`make test-ray` installs it). The name is not ray.py, because that would be what `import ray` finds.
"""

import argparse
import os
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import requests

from mlops_lab import data
from mlops_lab.image import encode_png

ROOT = Path(__file__).resolve().parents[1]
PLAIN = [sys.executable, "-m", "mlops_lab", "serve", "--port", "0"]
FRONT = """
import sys
from mlops_lab.deploy.ray_front import Replicas, serve_model
serve_model("models", "clothes", Replicas(int(sys.argv[1]), cpus=0.5), port=0)
"""


class Server:
    """A server in a process of its own."""

    def __init__(self, command):
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        began = time.monotonic()
        self._popen = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.url = next(line.split()[1] for line in self._popen.stdout if line.startswith("serving "))
        self.start_seconds = time.monotonic() - began

    def megabytes(self):
        """Return the memory of the server and all that it started."""
        process = psutil.Process(self._popen.pid)
        return sum(one.memory_info().rss for one in [process, *process.children(recursive=True)]) / 2**20

    def stop(self):
        """End it and what it started."""
        self._popen.terminate()
        self._popen.communicate(timeout=60)


def ask(url, body, clients, seconds):
    """Return requests a second and the milliseconds of each, of clients that ask one question after the other."""
    milliseconds, end = [], time.monotonic() + seconds

    def client():
        with requests.Session() as session:
            while time.monotonic() < end:
                began = time.perf_counter()
                answer = session.post(f"{url}/models/clothes/v1", data=body, headers={"Content-Type": "image/png"})
                assert answer.status_code == 200, answer.text
                milliseconds.append(1000 * (time.perf_counter() - began))

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(milliseconds) / seconds, statistics.median(milliseconds)


def main() -> None:
    """Start both, ask them in turn, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--replicas", type=int, default=2)
    options = parser.parse_args()
    body = encode_png(data.load("fashion-mnist", limit=100).test.images[0])
    servers = {"plain": Server(PLAIN)}
    try:
        servers["ray"] = Server([sys.executable, "-c", FRONT, str(options.replicas)])
        for clients in (1, 4):
            seen = {name: [] for name in servers}
            for _ in range(options.rounds):
                for name, server in servers.items():
                    seen[name].append(ask(server.url, body, clients, options.seconds))
            rate, middle = (
                {name: statistics.median(one[place] for one in seen[name]) for name in servers} for place in (0, 1)
            )
            print(
                f"{clients} client(s): plain {rate['plain']:.0f}/s, p50 {middle['plain']:.1f} ms; "
                f"with Ray {rate['ray']:.0f}/s, p50 {middle['ray']:.1f} ms; ratio {rate['ray'] / rate['plain']:.2f}"
            )
        for name, server in servers.items():
            print(f"{name}: {server.megabytes():.0f} MB, serving after {server.start_seconds:.1f} s")
    finally:
        for server in servers.values():
            server.stop()


if __name__ == "__main__":
    main()
