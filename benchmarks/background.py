"""How long a notebook's server takes to start, to be replaced and to stop; beside it, what Flask's own server takes.

    python benchmarks/background.py [--rounds 20]

A fresh kernel runs the cell of the course's notebook with the shipped models. Then, in this process: a cell that is run
again, and stopping while nothing happens, while a client keeps its connection, and while a request is being answered;
and a file of one's own in a process.
"""

from __future__ import annotations

import argparse
import http.client
import os
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests
from flask import Flask
from werkzeug.serving import make_server

from mlops_lab import serve

ROOT = Path(__file__).parents[1]
CELL = f"from mlops_lab import serve\nserver = serve.start({str(ROOT / 'models')!r})"
API = "from flask import Flask\napp = Flask('api')\n\n\n@app.get('/')\ndef say():\n    return '{}'\n"


def milliseconds(function: Callable[[], Any]) -> float:
    """Return how long a call takes."""
    started = time.perf_counter()
    function()
    return 1000 * (time.perf_counter() - started)


def say(what: str, times: list[float]) -> None:
    """Print the median and the longest."""
    print(f"{what:58} median {statistics.median(times):7.1f} ms, longest {max(times):7.1f} ms, {len(times)} times")


def cells(rounds: int) -> None:
    """Run the course's cell in fresh kernels, and once more in each."""
    from jupyter_client.manager import start_new_kernel

    first, again = [], []
    for _ in range(rounds):
        manager, client = start_new_kernel()
        client.execute_interactive("import time")
        first.append(milliseconds(lambda client=client: client.execute_interactive(CELL)))
        again.append(milliseconds(lambda client=client: client.execute_interactive(CELL)))
        client.stop_channels()
        manager.shutdown_kernel()
    say("the cell in a fresh kernel, import included", first)
    say("the same cell, run again", again)


def slow_app() -> tuple[Flask, threading.Event]:
    """Return an application with a route that takes a second, and an event that is set when it is asked."""
    app, asked = Flask("slow"), threading.Event()

    @app.get("/")
    def quick() -> str:
        return "quick"

    @app.get("/slow")
    def slow() -> str:
        asked.set()
        time.sleep(1)
        return "slow"

    return app, asked


def stopping(rounds: int, client: str) -> None:
    """Stop a server while a client does one of three things, and print what it saw."""
    times, saw = [], set()
    for _ in range(rounds):
        app, asked = slow_app()
        server = serve.start(app, name="stopping")
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
        if client == "keeps its connection":
            connection.request("GET", "/")
            connection.getresponse().read()
        elif client == "waits for an answer":
            connection.request("GET", "/slow")
            asked.wait(5)
        times.append(milliseconds(server.stop))
        if client == "waits for an answer":
            try:
                saw.add(f"answer {connection.getresponse().status}")
            except (OSError, http.client.HTTPException) as error:
                saw.add(type(error).__name__)
        connection.close()
    say(f"stop; a client {client}", times)
    if saw:
        print(f"{'':58} the client saw {', '.join(sorted(saw))}")


def baseline(rounds: int) -> None:
    """Stop Werkzeug's own server in a thread."""
    times = []
    for _ in range(rounds):
        server = make_server("127.0.0.1", 0, slow_app()[0], threaded=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        socket.create_connection(("127.0.0.1", server.server_port), 5).close()
        time.sleep(0.1)  # so that it waits for the next request again
        times.append(milliseconds(server.shutdown))
        server.server_close()
        thread.join()
    say("baseline: shutdown of Werkzeug's server, nothing happens", times)


def files(rounds: int) -> None:
    """Serve a file in a process, save it, and wait for the new answer."""
    started, saved, stopped = [], [], []
    path = Path("api.py")
    for number in range(rounds):
        path.write_text(API.format(f"old {number}"))
        started.append(milliseconds(lambda: serve.start("api.py", mode="process")))
        server = serve.servers()[-1]

        def newest(server: Any = server, number: int = number) -> None:
            path.write_text(API.format(f"new {number}"))
            while requests.get(server.url, timeout=20).text != f"new {number}":
                pass

        saved.append(milliseconds(newest))
        stopped.append(milliseconds(server.stop))
    say("a file in a process: start", started)
    say("a file in a process: from saving to the new answer", saved)
    say("a file in a process: stop", stopped)


def main() -> None:
    """Measure everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    cells(max(3, rounds // 4))
    baseline(max(3, rounds // 4))
    for client in ("does nothing", "keeps its connection", "waits for an answer"):
        stopping(rounds, client)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        files(max(3, rounds // 4))
        os.chdir(ROOT)


if __name__ == "__main__":
    main()
