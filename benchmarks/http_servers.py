"""What HTTP servers let through, and what they cost: waitress as we set it up, gunicorn (gthread), granian (WSGI).

    pip install gunicorn granian
    python benchmarks/http_servers.py [--seconds 3]

Each server runs twice: with an application that echoes how much it read, and with ours. Every row sends bytes as they
are and notes each answer's status, for the echo with the number of bytes that the application saw. "waits": no answer
within two seconds; "closed": closed without one. Requests per second and milliseconds are quotients: a server's with
the bare echo, over those of waitress' bare echo in the same round; the median of three rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from mlops_lab.image import encode_png

HERE = Path(__file__).parent
SERVERS = ("waitress", "gunicorn", "granian")
HOST = b"Host: x\r\nContent-Type: image/png\r\n"


def bare() -> Any:
    """Return an application that says how many bytes it read."""
    from flask import Flask, request

    app = Flask("bare")
    app.config["MAX_CONTENT_LENGTH"] = 2 * 1024 * 1024

    @app.route("/models/<name>/v1", methods=["GET", "POST"])
    def echo(name: str) -> dict[str, Any]:
        return {"n": len(request.get_data()), "name": name}

    return app


def ours() -> Any:
    """Return our application with the shipped models."""
    from mlops_lab.serve import create_app

    return create_app(HERE.parent / "models")


def post(headers: bytes, body: bytes = b"", name: bytes = b"clothes", host: bytes = HOST) -> bytes:
    """Return a POST as it goes over the wire."""
    return b"POST /models/" + name + b"/v1 HTTP/1.1\r\n" + host + headers + b"\r\n" + body


BODY = encode_png(np.zeros((28, 28), np.uint8))  # a good image, so that a 200 of ours means: let through
SIZE = len(BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNK = b"%x\r\n%b\r\n0\r\n\r\n" % (SIZE, BODY)
LENGTH = b"Content-Length: %d\r\n" % SIZE
ROWS: dict[str, bytes] = {
    "good": post(LENGTH, BODY),
    "good, chunked": post(CHUNKED, CHUNK),
    "no Host": post(LENGTH, BODY, host=HOST.partition(b"\r\n")[2]),
    "two Hosts": post(b"Host: y\r\n" + LENGTH, BODY),
    "CL + TE": post(LENGTH + CHUNKED, CHUNK),
    "two different CL": post(LENGTH + b"Content-Length: 5\r\n", BODY),
    "CL +n": post(b"Content-Length: +%d\r\n" % SIZE, BODY),
    "CL 0x": post(b"Content-Length: 0x%x\r\n" % SIZE, BODY),
    "CL 1_0": post(b"Content-Length: 1_0\r\n", BODY[:10]),
    "CL -1": post(b"Content-Length: -1\r\n", BODY),
    "TE xchunked": post(b"Transfer-Encoding: xchunked\r\n", CHUNK),
    "TE twice": post(CHUNKED + CHUNKED, CHUNK),
    "TE with a space": post(b"Transfer-Encoding : chunked\r\n", CHUNK),
    "TE in HTTP/1.0": post(CHUNKED, CHUNK).replace(b"HTTP/1.1", b"HTTP/1.0"),
    "chunk size ZZ": post(CHUNKED, b"ZZ\r\nabc\r\n0\r\n\r\n"),
    "chunk size -1": post(CHUNKED, b"-1\r\nabc\r\n0\r\n\r\n"),
    "chunk without its end": post(CHUNKED, CHUNK.replace(b"\r\n0\r\n", b"abc\r\n0\r\n")),
    "chunks cut short": post(CHUNKED, b"%x\r\n%b" % (SIZE + 3, BODY)),
    "obs-fold": post(b"X-A: b\r\n c\r\n" + LENGTH, BODY),
    "bare LF": b"GET /models/clothes/v1 HTTP/1.1\nHost: x\n\n",
    "NUL in a header": post(b"X-A: b\0c\r\n" + LENGTH, BODY),
    "200 headers": post(b"X-A: b\r\n" * 200 + LENGTH, BODY),
    "5,000 headers": post(b"X-A: b\r\n" * 5000 + LENGTH, BODY),
    "1 MB header": post(b"X-A: " + b"b" * 1_000_000 + b"\r\n" + LENGTH, BODY),
    "3 MiB declared": post(b"Content-Length: 3145728\r\n", BODY),
    "short body, then end": post(b"Content-Length: %d\r\n" % (SIZE + 3), BODY),
    "..%2f in a name": post(LENGTH, BODY, b"..%2f..%2fetc"),
    "%00 in a name": post(LENGTH, BODY, b"clothes%00"),
    "%ff%fe in a name": post(LENGTH, BODY, b"%ff%fe"),
    "HTTP/9.9": post(LENGTH, BODY).replace(b"HTTP/1.1", b"HTTP/9.9"),
    "no version": b"GET /models/clothes/v1\r\n\r\n",
}
CUT = {"chunks cut short", "short body, then end"}  # the client ends its side after these


def command(server: str, app: str, port: int) -> list[str]:
    """Return how a server is started with one of the two applications."""
    run, there = [sys.executable, "-m"], f"127.0.0.1:{port}"
    gunicorn = [*run, "gunicorn", "-k", "gthread", "--threads", "8", "--log-level", "critical", "-b", there]
    granian = [*run, "granian", "--interface", "wsgi", "--blocking-threads", "8", "--no-log", "--port", str(port)]
    return {
        "waitress": [sys.executable, str(Path(__file__).resolve()), "--run", app, "--port", str(port)],
        "gunicorn": [*gunicorn, f"http_servers:{app}()"],
        "granian": [*granian, "--factory", f"http_servers:{app}"],
    }[server]


def serve(app: str, port: int) -> None:
    """Serve with waitress, as `mlops-lab serve` does."""
    from mlops_lab.serve import Limits
    from mlops_lab.serve.http import serve_forever

    serve_forever({"bare": bare, "ours": ours}[app](), "127.0.0.1", port, Limits(), print)


@contextmanager
def running(server: str, app: str) -> Iterator[int]:
    """Run a server, and yield its port when it answers."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    search = os.pathsep.join([str(HERE), str(HERE.parent)])
    silent: Any = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command(server, app, port), env={**os.environ, "PYTHONPATH": search}, **silent)
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and process.poll() is None:
            with suppress(OSError):
                if exchange(port, ROWS["good"])[0]:
                    break
            time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait(30)


def exchange(port: int, request: bytes, cut: bool = False) -> tuple[bytes, bool]:
    """Send bytes; return what comes back within two seconds of silence, and whether the server closed."""
    with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
        answer = b""
        try:
            connection.sendall(request)
            if cut:
                connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65536):
                answer += part
                connection.settimeout(0.3)  # a second answer would follow at once
        except TimeoutError:
            return answer, False
        except OSError:
            pass
        return answer, True


def word(answer: bytes, closed: bool) -> str:
    """Say an answer in a word or two."""
    statuses = re.findall(rb"HTTP/1\.[01] (\d{3})", answer)
    if not statuses:
        return "closed" if closed else "waits"
    text = "+".join(status.decode() for status in statuses)
    seen = re.search(rb'"n":\s*(\d+)', answer)
    return f"{text} n={seen[1].decode()}" if seen else text


def table() -> dict[str, list[str]]:
    """Return what every server answers in every row; the last row is a good request after all of them."""
    found: dict[str, list[str]] = {row: [] for row in [*ROWS, "good, afterwards"]}
    for server in SERVERS:
        for app in ("bare", "ours"):
            with running(server, app) as port:
                for row, request in ROWS.items():
                    found[row].append(word(*exchange(port, request, row in CUT)))
                found["good, afterwards"].append(word(*exchange(port, ROWS["good"])))
    return found


def pace(port: int, request: bytes, seconds: float, clients: int = 4) -> tuple[float, float]:
    """Return requests per second and the median milliseconds of some clients."""
    taken: list[float] = []
    end = time.perf_counter() + seconds

    def run() -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            while (started := time.perf_counter()) < end:
                connection.sendall(request)
                answer = connection.recv(65536)
                while b"}" not in answer.partition(b"\r\n\r\n")[2]:
                    answer += connection.recv(65536)
                taken.append(time.perf_counter() - started)

    threads = [threading.Thread(target=run) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(taken) / seconds, 1000 * statistics.median(taken)


def paces(seconds: float, rounds: int = 3) -> dict[str, list[tuple[float, float]]]:
    """Return each server's echo as quotients to waitress' echo in the same round; waitress runs twice, as a null."""
    request = ROWS["good"]
    found: dict[str, list[tuple[float, float]]] = {"waitress again": [], "gunicorn": [], "granian": []}
    for _ in range(rounds):
        with running("waitress", "bare") as port:
            base = pace(port, request, seconds / rounds)
        for name, quotients in found.items():
            with running(name.split()[0], "bare") as port:
                rate, milliseconds = pace(port, request, seconds / rounds)
            quotients.append((rate / base[0], milliseconds / base[1]))
    return found


def main() -> None:
    """Print the table and the quotients."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--run", choices=["bare", "ours"], help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="Print one JSON object.")
    options = parser.parse_args()
    if options.run:
        return serve(options.run, options.port)
    found = table()
    speeds = paces(options.seconds)
    if options.json:
        print(json.dumps({"table": found, "quotients": speeds}))
        return
    print("| case | " + " | ".join(f"{server}, {app}" for server in SERVERS for app in ("bare", "ours")) + " |")
    print("|---" * 7 + "|")
    for row, words in found.items():
        print(f"| {row} | " + " | ".join(words) + " |")
    for name, quotients in speeds.items():
        rate, milliseconds = (statistics.median(values) for values in zip(*quotients, strict=True))
        print(f"{name}: {rate:.2f} of waitress' requests/s, {milliseconds:.2f} of its median time")


if __name__ == "__main__":
    main()
