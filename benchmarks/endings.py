"""End servers with SIGTERM in the middle of a load: every request that was accepted must be answered.

    python benchmarks/endings.py [--times 200] [--workers 2]

Four clients send requests, each over a connection of its own. A request counts as lost when its bytes were sent on a
connection that the server had accepted and answered on, or that was taken from the backlog, and no answer came. A
connection that is refused after the listener has closed is no loss: that is what a balancer sees and routes around.
"""

from __future__ import annotations

import argparse
import http.client
import random
import signal
import threading
import time
from collections import Counter

import numpy as np
from server import ROOT, Server, start

from mlops_lab.image import encode_png

PICTURE = encode_png(np.zeros((28, 28), np.uint8))


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
                connection.request("POST", "/models/clothes/v1", PICTURE, {"Content-Type": "image/png"})
                answer = connection.getresponse()
                answer.read()
                found[str(answer.status)] += 1
                if answer.will_close:
                    break
        except http.client.RemoteDisconnected:
            # The server closed an idle connection while the request was on its way: the client must try again, and
            # HTTP says so (RFC 9112, 9.3.1). Counted apart from answers that broke off.
            found["closed before an answer"] += 1
        except (OSError, http.client.HTTPException) as error:
            found[f"lost: {type(error).__name__}"] += 1
        finally:
            connection.close()


def main() -> None:
    """Run the proof."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--workers", default="1")
    options = parser.parse_args()
    times = options.times
    found: Counter[str] = Counter()
    statuses: Counter[int] = Counter()
    slowest = 0.0
    for number in range(times):
        server = start(ROOT / "models", "--workers", options.workers)
        ended = threading.Event()
        threads = [threading.Thread(target=client, args=(server, found, ended)) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(random.uniform(0.05, 0.4))
        asked = time.perf_counter()
        server.process.send_signal(signal.SIGTERM)
        statuses[server.process.wait(30)] += 1
        slowest = max(slowest, time.perf_counter() - asked)
        ended.set()
        for thread in threads:
            thread.join()
        if number % 20 == 19:
            print(f"  {number + 1}: {dict(found)}, exit {dict(statuses)}", flush=True)
    print(f"{times} SIGTERMs: {dict(found)}, exit statuses {dict(statuses)}, slowest end {slowest:.1f} s")
    bad = sum(count for word, count in found.items() if word not in ("200", "refused"))
    raise SystemExit(1 if bad or set(statuses) != {0} else 0)


if __name__ == "__main__":
    main()
