"""End servers with SIGTERM in the middle of a load: every request that was accepted must be answered, and logged.

    python benchmarks/endings.py [--times 200] [--workers 2]

Eight clients send requests, up to twenty over one connection, some in two parts with a pause between them. A request
is lost when it was sent, wholly or in part, and no answer came: whether its connection waited in the backlog, was being
read, or was one that had been answered before. Only a connection that is refused after the listener has closed is no
loss: that is what a balancer sees and routes around. HTTP allows a server to close an idle connection while a request
is on its way, and has clients try again (RFC 9112, 9.3.1); here even that counts as lost.
"""

from __future__ import annotations

import argparse
import http.client
import random
import signal
import tempfile
import threading
import time
from collections import Counter

import numpy as np
from server import ROOT, Server, start

from mlops_lab.image import encode_png

IMAGE = encode_png(np.zeros((28, 28), np.uint8))
PATH = "/models/clothes/v1"


def ask(connection: http.client.HTTPConnection) -> http.client.HTTPResponse:
    """Send a request, one in five with a pause in its body, and read the answer."""
    connection.putrequest("POST", PATH)
    connection.putheader("Content-Type", "image/png")
    connection.putheader("Content-Length", str(len(IMAGE)))
    if random.random() < 0.2:
        connection.endheaders(IMAGE[:20])
        time.sleep(random.uniform(0, 0.1))
        connection.send(IMAGE[20:])
    else:
        connection.endheaders(IMAGE)
    answer = connection.getresponse()
    answer.read()
    return answer


def client(server: Server, found: Counter[str], ended: threading.Event) -> None:
    """Send until the server is gone, and count how each request ended."""
    while not ended.is_set():
        connection = server.connect(timeout=15)
        try:
            connection.connect()
        except OSError:
            found["refused"] += 1
            return
        try:
            for _ in range(random.randrange(1, 20)):
                answer = ask(connection)
                found[str(answer.status)] += 1
                if answer.will_close:
                    break
        except (OSError, http.client.HTTPException) as error:
            found[f"lost: {type(error).__name__}"] += 1
        finally:
            connection.close()


def end(workers: str, found: Counter[str]) -> tuple[int, float, int]:
    """Start a server, load it, end it; return its exit status, the seconds to its end, and the lines in its log."""
    with tempfile.TemporaryFile("w+") as log:
        server = start(ROOT / "models", "--workers", workers, "--access-log", "stderr", errors=log)
        ended = threading.Event()
        threads = [threading.Thread(target=client, args=(server, found, ended)) for _ in range(8)]
        for thread in threads:
            thread.start()
        time.sleep(random.uniform(0.05, 0.4))
        asked = time.perf_counter()
        server.process.send_signal(signal.SIGTERM)
        status = server.process.wait(30)
        seconds = time.perf_counter() - asked
        ended.set()
        for thread in threads:
            thread.join()
        log.seek(0)
        return status, seconds, sum(f'"path": "{PATH}", "status": 200' in line for line in log)


def main() -> None:
    """Run the proof."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--workers", default="1")
    options = parser.parse_args()
    found, statuses = Counter[str](), Counter[int]()
    slowest, lines = 0.0, 0
    for number in range(options.times):
        status, seconds, logged = end(options.workers, found)
        statuses[status] += 1
        slowest, lines = max(slowest, seconds), lines + logged
        if number % 20 == 19:
            print(f"  {number + 1}: {dict(found)}, {lines} logged, exit {dict(statuses)}", flush=True)
    print(f"{options.times} SIGTERMs: {dict(found)}, {lines} of the 200s are in the log")
    print(f"exit statuses {dict(statuses)}, slowest end {slowest:.1f} s")
    right = set(found) <= {"200", "refused"} and lines == found["200"] and set(statuses) == {0} and slowest <= 10
    raise SystemExit(0 if right else 1)


if __name__ == "__main__":
    main()
