"""Slow clients, too many clients, threads and a long run: the server must stay responsive, right, and small.

python benchmarks/pressure.py slow [--sockets 200]        slowloris: /healthz p99 while they trickle
python benchmarks/pressure.py grpc [--sockets 200]        half-open gRPC calls: health over HTTP and gRPC meanwhile
python benchmarks/pressure.py overload [--seconds 60]     four times the capacity: refusals and recovery
python benchmarks/pressure.py overload --slow             the same of a model that takes 20 ms
python benchmarks/pressure.py threads [--each 5000]       16 threads against the serial answers
python benchmarks/pressure.py soak [--requests 200000]    memory by 10,000 requests
"""

from __future__ import annotations

import argparse
import json
import re
import selectors
import socket
import sys
import threading
import time
from collections import Counter, deque
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
from server import ROOT, Load, Server, ending, running, started

from mlops_lab import data, store
from mlops_lab.image import encode_png

IMAGE = encode_png(np.zeros((28, 28), np.uint8))


def timed(server: Server, path: str = "/healthz") -> tuple[int, float]:
    """Return the status and the milliseconds of one GET on a connection of its own."""
    started = time.perf_counter()
    connection = server.connect()
    connection.request("GET", path)
    status = connection.getresponse().status
    connection.close()
    return status, 1000 * (time.perf_counter() - started)


def slow(sockets: int) -> bool:
    """Open sockets that send a byte a second, and ask for /healthz meanwhile."""
    with running() as server:
        before = [timed(server)[1] for _ in range(200)]
        open_ = []
        for _ in range(sockets):
            one = socket.create_connection((server.host, server.port))
            one.sendall(b"POST /models/clothes/v1 HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nX-Slow: ")
            open_.append(one)
        began, latencies, statuses = time.monotonic(), [], Counter()
        while time.monotonic() - began < 12:
            for one in open_:
                with suppress(OSError):  # the server may have had enough of it
                    one.send(b"a")
            second = time.monotonic() + 1
            while time.monotonic() < second:
                status, milliseconds = timed(server)
                statuses[status] += 1
                latencies.append(milliseconds)
                time.sleep(0.02)
        time.sleep(25)  # they are silent now
        closed = sum(_closed(one) for one in open_)
    usual, p99 = np.percentile(before, 99), np.percentile(latencies, 99)
    print(f"{sockets} sockets at 1 B/s: /healthz {dict(statuses)}, p99 {p99:.1f} ms ({usual:.1f} before)")
    print(f"{closed} of {sockets} closed by the server within 25 s of silence")
    return bool(p99 < 250 and set(statuses) == {200} and closed == sockets)


def half_open(sockets: int) -> bool:
    """Begin gRPC calls and send a byte of each a second; ask for health over HTTP and gRPC meanwhile."""
    import grpc

    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "serve"))
    from half_open import begun_connection

    path = "/tensorflow.serving.PredictionService/Predict"
    with running(ROOT / "models", "--grpc-port", "0") as server, ExitStack() as stack:
        assert server.process.stdout is not None
        port = int(server.process.stdout.readline().rsplit(":", 1)[1])
        open_ = []
        for _ in range(sockets):
            one = stack.enter_context(socket.create_connection((server.host, port)))
            one.sendall(begun_connection(path))
            open_.append(one)
        began, over_http, over_grpc = time.monotonic(), [], []
        while time.monotonic() - began < 12:
            second = time.monotonic() + 1
            while time.monotonic() < second:
                over_http.append(timed(server))
                started = time.perf_counter()
                with grpc.insecure_channel(f"{server.host}:{port}") as channel:
                    channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=30)
                over_grpc.append(1000 * (time.perf_counter() - started))
                time.sleep(0.02)
        time.sleep(120)  # the age at which gRPC closes a connection, its grace, and some
        closed = sum(_closed(one) for one in open_)
    p99, grpc_p99 = np.percentile([spent for _, spent in over_http], 99), np.percentile(over_grpc, 99)
    statuses = dict(Counter(status for status, _ in over_http))
    print(f"{sockets} half-open gRPC calls: /healthz {statuses}, p99 {p99:.1f} ms; gRPC health p99 {grpc_p99:.1f} ms")
    print(f"{closed} of {sockets} closed by the server within 132 s")
    return bool(p99 < 250 and grpc_p99 < 250 and set(statuses) == {200} and closed == sockets)


def _closed(one: socket.socket) -> bool:
    one.settimeout(0.5)
    try:
        while True:
            if not one.recv(4096):
                return True
    except TimeoutError:
        return False
    except OSError:
        return True


@dataclass
class Flood:
    """Requests at a fixed rate, whatever becomes of them: one thread over many connections, so as to be quick itself.

    An answer is a status, the milliseconds it took, and whether it said when to come back.
    """

    server: Server
    rate: float
    connections: int = 200
    answers: list[tuple[int, float, bool]] = field(default_factory=list)
    broken: int = 0

    def run(self, seconds: float) -> None:
        """Send, and read what comes, until the last answer."""
        head = b"POST /models/clothes/v1 HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
        request = head + b"Content-Length: %d\r\n\r\n" % len(IMAGE) + IMAGE
        # The one that has rested longest goes first: the server closes what is idle for 15 s.
        idle = deque(self._connect() for _ in range(self.connections))
        busy: dict[socket.socket, float] = {}
        started, due = time.perf_counter(), 0
        with selectors.DefaultSelector() as selector:
            while (now := time.perf_counter()) < started + seconds or (busy and now < started + seconds + 30):
                while now < started + seconds and due < (now - started) * self.rate:
                    due += 1
                    if not idle:  # every connection waits for an answer, so this one is not sent
                        continue
                    one = idle.popleft()
                    busy[one] = time.perf_counter()
                    selector.register(one, selectors.EVENT_READ)
                    one.sendall(request)
                for key, _ in selector.select(0.001):
                    one = key.fileobj
                    selector.unregister(one)
                    idle.append(self._read(one, busy.pop(one)))
        self.broken += len(busy)

    def _connect(self) -> socket.socket:
        return socket.create_connection((self.server.host, self.server.port), timeout=30)

    def _read(self, one: socket.socket, sent: float) -> socket.socket:
        """Read an answer, and return a connection for the next request."""
        try:
            answer = one.recv(65536)
            while answer and not _whole(answer):
                part = one.recv(65536)
                answer = answer + part if part else b""
            status = int(answer[9:12])
        except (OSError, ValueError):
            self.broken += 1
            return self._connect()
        head = answer.partition(b"\r\n\r\n")[0].lower()
        self.answers.append((status, 1000 * (time.perf_counter() - sent), b"\r\nretry-after: " in head))
        return self._connect() if b"\r\nconnection: close" in head else one


def _whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head.lower())
    return bool(end) and length is not None and len(body) >= int(length[1])


def overload(seconds: int, slow: bool) -> bool:
    """Send four times as much as the server can answer, then look how soon it is itself again.

    The shipped model is so quick that a client on the same two cores cannot send as much; of a slow one it can.
    """
    with ending(started(["benchmarks/slow_server.py"])) if slow else running() as server:
        with Load(server, "/models/clothes/v1", IMAGE, "image/png", clients=8) as base:
            time.sleep(5)
        capacity = base.found.total() / 5
        flood = Flood(server, 4 * capacity)
        flood.run(seconds)
        ended = time.monotonic()
        while timed(server, "/readyz")[1] > 250 and time.monotonic() - ended < 30:
            time.sleep(0.05)
        recovery = time.monotonic() - ended
    statuses = Counter(status for status, _, _ in flood.answers)
    refused = [milliseconds for status, milliseconds, _ in flood.answers if status != 200] or [0.0]
    answered = [milliseconds for status, milliseconds, _ in flood.answers if status == 200]
    told = all(when for status, _, when in flood.answers if status != 200)
    sent = (len(flood.answers) + flood.broken) / seconds
    print(f"{capacity:.0f}/s from 8 clients; {flood.rate:.0f}/s wanted for {seconds} s, {sent:.0f}/s sent")
    print(f"{dict(statuses)}, {flood.broken} broken; every refusal says when to come back: {told}")
    for what, times in (("answered", answered), ("refused", refused)):
        p50, p99 = np.percentile(times, (50, 99))
        print(f"{what}: {p50:.1f} ms at p50, {p99:.1f} at p99, {max(times):.1f} at most")
    print(f"recovered in {recovery:.2f} s")
    return set(statuses) <= {200, 429, 503} and told and not flood.broken and recovery < 2


def threads(each: int) -> bool:
    """Ask one predictor from 16 threads and compare with the serial answers."""
    images = data.load().test.images[:each]
    predictor = store.ModelStore("models").load("clothes", 1)
    serial = np.concatenate([predictor.probabilities(images[i : i + 1]) for i in range(len(images))])
    worst = [0.0] * 16

    def ask(number: int) -> None:
        order = np.random.default_rng(number).permutation(len(images))
        for place in order:
            found = predictor.probabilities(images[place : place + 1])
            worst[number] = max(worst[number], float(np.abs(found - serial[place]).max()))

    workers = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    print(f"16 threads × {len(images)} predictions: largest difference from the serial answers {max(worst):.1e}")
    return max(worst) <= 1e-6


def soak(requests: int) -> bool:
    """Send many requests, right ones and wrong ones, and look at memory, open files and threads as they go by."""
    pixels = json.dumps({"image": np.zeros((28, 28), int).tolist()}).encode()
    kinds = [
        ("/models/clothes/v1", IMAGE, "image/png"),
        ("/models/digits/latest", IMAGE, "image/png"),
        ("/models/clothes/v1", pixels, "application/json"),
        ("/models/clothes/v1", IMAGE[:-20], "image/png"),  # cut short: 400
    ]
    with running() as server, ExitStack() as stack:
        process = psutil.Process(server.process.pid)
        loads = [stack.enter_context(Load(server, *kind, clients=1)) for kind in kinds]
        marks: list[tuple[int, float, int, int]] = []
        while (done := sum(load.found.total() for load in loads)) < requests:
            time.sleep(0.2)
            timed(server, "/metrics")  # a connection of its own
            if not marks or done - marks[-1][0] >= requests / 20:
                marks.append((done, process.memory_info().rss / 1e6, process.num_fds(), process.num_threads()))
                print("  {:>8} requests  {:.1f} MB  {} files  {} threads".format(*marks[-1]), flush=True)
        statuses = sum((load.found for load in loads), Counter[str]())
    numbers, megabytes, files, threads = zip(*[mark for mark in marks if mark[0] >= requests / 10], strict=True)
    slope = np.polyfit(numbers, megabytes, 1)[0] * 10_000
    print(f"{dict(statuses)}: {slope:+.3f} MB per 10,000 requests after the first tenth")
    print(f"{min(files)}-{max(files)} files, {min(threads)}-{max(threads)} threads")
    constant = max(files) - min(files) <= 1 and max(threads) == min(threads)  # a closing connection may show once
    return set(statuses) == {"200", "400"} and slope < 1 and constant


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["slow", "grpc", "overload", "threads", "soak"])
    parser.add_argument("--sockets", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--slow", action="store_true")
    parser.add_argument("--each", type=int, default=5000)
    parser.add_argument("--requests", type=int, default=200_000)
    options = parser.parse_args()
    runs = {
        "slow": lambda: slow(options.sockets),
        "grpc": lambda: half_open(options.sockets),
        "overload": lambda: overload(options.seconds, options.slow),
        "threads": lambda: threads(options.each),
        "soak": lambda: soak(options.requests),
    }
    raise SystemExit(0 if runs[options.what]() else 1)


if __name__ == "__main__":
    main()
