"""How many of our own files one image POST crosses, and how deep the package's imports are.

    python benchmarks/crossing.py [--limit 8] [--depth 20] [--trace]

Runs `mlops-lab serve` in this process under a profiler, sends it 28×28 PNGs over one connection, and counts the calls
of our own functions from the first byte read to the answer: how many files they lie in, how often a call lies in
another file than the one before it, and how many calls there are; for the whole request, and for its part before the
engine computes. The request with the fewest calls counts, because the store's watcher may run during another.
The import depth is the longest chain of modules that import one another at their top level.
``--limit`` and ``--depth`` end the command with status 1 where more files or a deeper chain are found.
"""

from __future__ import annotations

import argparse
import http.client
import io
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import numpy as np

import mlops_lab
from mlops_lab.cli import main as command_line
from mlops_lab.image import encode_png

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tools"))

from import_graph import import_graph, longest_chain  # noqa: E402

PACKAGE = Path(mlops_lab.__file__).resolve().parent
PREFIX = f"{PACKAGE}{os.sep}"
REQUESTS = 20
IMAGE = encode_png(np.zeros((28, 28), np.uint8))


class Call(NamedTuple):
    """A call of one of our functions."""

    file: str
    function: str


class Figures(NamedTuple):
    """What a list of calls comes to."""

    files: int
    switches: int
    calls: int


def counted(calls: Sequence[Call]) -> Figures:
    """Return the number of files, of switches between files, and of calls."""
    files = [call.file for call in calls]
    return Figures(len(set(files)), sum(a != b for a, b in pairwise(files)), len(files))


def before_engine(calls: Sequence[Call]) -> Sequence[Call]:
    """Return the calls up to the engine's first."""
    return calls[: next(place for place, call in enumerate(calls) if call.file.startswith("engines/"))]


class Recorder:
    """A profiler that keeps the calls of our own functions, of every thread, in the order in which they happen."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        """Keep a call."""
        if event == "call" and frame.f_code.co_filename.startswith(PREFIX):
            file = frame.f_code.co_filename.removeprefix(PREFIX).replace(os.sep, "/")
            self.calls.append(Call(file, frame.f_code.co_name))


class Announcement(io.StringIO):
    """Standard output of the server: sets an event when the line `serving http://…` has been written."""

    def __init__(self) -> None:
        super().__init__()
        self.ready = threading.Event()

    def write(self, text: str) -> int:
        """Keep the text, and look whether the line is there."""
        written = super().write(text)
        if "serving http://" in self.getvalue() and self.getvalue().endswith("\n"):
            self.ready.set()
        return written


def ask(announcement: Announcement, recorder: Recorder, found: list[Sequence[Call]]) -> None:
    """Wait for the server, send the requests, keep the calls of each, and end the server."""
    sys.setprofile(None)
    announcement.ready.wait()
    _, _, address = announcement.getvalue().partition("serving http://")
    if not address:  # the command has ended instead
        return
    try:
        connection = http.client.HTTPConnection(address.split()[0], timeout=30)
        for _ in range(REQUESTS):
            recorder.calls = []
            connection.request("POST", "/models/clothes/v1", IMAGE, {"Content-Type": "image/png"})
            response = connection.getresponse()
            response.read()
            assert response.status == 200, response.status
            time.sleep(0.05)  # what the server does after the answer belongs to the request as well
            found.append(recorder.calls)
    finally:
        os.kill(os.getpid(), signal.SIGTERM)


def trace() -> Sequence[Call]:
    """Return the calls of one image POST that `mlops-lab serve` answers."""
    announcement, recorder, found = Announcement(), Recorder(), list[Sequence[Call]]()
    client = threading.Thread(target=ask, args=(announcement, recorder, found))
    client.start()
    sys.argv = ["mlops-lab", "serve", "--models", str(ROOT / "models"), "--port", "0"]
    stdout, sys.stdout = sys.stdout, announcement
    threading.setprofile(recorder)
    sys.setprofile(recorder)
    try:
        command_line()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]
        sys.stdout = stdout
        announcement.ready.set()
        client.join()
    return min(found, key=len)


def main() -> None:
    """Trace, count and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, help="Own files that a request may cross before the engine.")
    parser.add_argument("--depth", type=int, help="Modules that the longest chain of imports may have.")
    parser.add_argument("--trace", action="store_true", help="Print every call, and every module of the chain.")
    options = parser.parse_args()
    calls, chain = trace(), longest_chain(import_graph(PACKAGE))
    before, whole = counted(before_engine(calls)), counted(calls)
    if options.trace:
        print("\n".join(f"  {call.file} {call.function}" for call in calls))
        print("\n".join(f"  {module}" for module in chain))
    print("one image POST         own files  switches between files  own calls")
    print(f"  before the engine  {before.files:11}  {before.switches:22}  {before.calls:9}")
    print(f"  whole request      {whole.files:11}  {whole.switches:22}  {whole.calls:9}")
    print(f"import depth {len(chain)}: {chain[0]} … {chain[-1]}")
    too_many = options.limit is not None and before.files > options.limit
    too_deep = options.depth is not None and len(chain) > options.depth
    raise SystemExit(1 if too_many or too_deep else 0)


if __name__ == "__main__":
    main()
