"""Kill publishers with SIGKILL: a reader must never see part of a version, and what the dead leave must be collected.

    python benchmarks/kills.py [--kills 1000]

A process forks publishers one after the other; each publishes and promotes the digits model, without the export, until
it dies. Half of them kill themselves before one of the calls that touch the disk (open, write, fsync, rename, …), each
call in its turn; the others are killed after a random time, within a call as well. Meanwhile a reader loads and checks
every version as it appears. Twenty-five publishers share a store, so that each works among what the dead have left.
"""

from __future__ import annotations

import argparse
import os
import random
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from mlops_lab import data, store
from mlops_lab.store.disk import ORPHAN_SECONDS

ONNX = Path(__file__).parents[1] / "models" / "digits" / "1" / "model.onnx"
# The functions in C through which Python changes a disk; a profiler is told of each call before it is made.
CALLS = {"open", "write", "fsync", "rename", "replace", "mkdir", "rmdir", "unlink", "chmod", "flock", "close"}
TOGETHER = 25


def publisher() -> None:
    """Read lines of a root and a step, and fork a publisher for each: it dies before that call, or is killed."""
    digits = data.load("digits")
    model = store.from_onnx(ONNX, input=digits.input, labels=digits.classes, examples=digits.test.images[:4])
    with tempfile.TemporaryDirectory() as folder:  # so that everything is imported: what is killed is publishing
        store.ModelStore(folder).publish(model, "digits")
    for line in sys.stdin:
        root, step = line.rsplit(maxsplit=1)
        child = os.fork()
        if child == 0:
            publish(store.ModelStore(root), model, int(step))
        say(f"started {child}")
        os.waitpid(child, 0)
        say("ended")


def publish(models: store.ModelStore, model: Any, step: int) -> None:
    """Publish and promote until death, and tell each version and the number of calls so far."""
    made = 0

    def count(frame: FrameType, event: str, called: Any) -> None:
        nonlocal made
        if event == "c_call" and called.__name__ in CALLS:
            made += 1
            if made == step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(count)
    while True:
        version = models.publish(model, "digits").version
        say(f"published {version}")
        models.promote("digits", version)
        say(f"promoted {version} {made}")


def say(line: str) -> None:
    """Write a line in one call, so that lines of two processes do not mix."""
    os.write(1, f"{line}\n".encode())


@dataclass
class Reader:
    """Somebody who reads a store all the time, and what was wrong with it."""

    models: store.ModelStore
    seen: set[int] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    read: int = 0

    def look(self, known: set[int]) -> None:
        """Load the versions that are not known, and check that none has gone and every alias leads to one."""
        aliases = self.models.aliases("digits")
        versions = set(self.models.versions("digits"))
        if not self.seen <= versions:
            self.wrong.append(f"versions {self.seen - versions} have gone")
        self.wrong += [f"{alias} points at {number}" for alias, number in aliases.items() if number not in versions]
        for version in sorted(versions - known):
            self.read += 1
            try:
                self.models.load("digits", version)
            except Exception as error:
                self.wrong.append(f"version {version}: {error}")
        self.seen |= versions


class Publishers:
    """The process that forks publishers."""

    def __init__(self) -> None:
        command = [sys.executable, str(Path(__file__).resolve()), "--publisher"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdin is not None and self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        self._rest = b""

    def run(self, reader: Reader, step: int, seconds: float) -> list[list[str]]:
        """Run one publisher until it dies before a call, or is killed after some time; return what it said."""
        self._in.write(f"{reader.models.root} {step}\n".encode())
        self._in.flush()
        said: list[list[str]] = []
        kill_at = child = None
        while ["ended"] not in said:
            said += self._lines()
            if child is None:
                child = next((int(words[1]) for words in said if words[0] == "started"), None)
                kill_at = time.monotonic() + seconds
            elif kill_at is not None and time.monotonic() > kill_at:
                os.kill(child, signal.SIGKILL)
                kill_at = None
            reader.look(reader.seen)
        return said

    def _lines(self) -> list[list[str]]:
        if not select.select([self._out], [], [], 0.001)[0]:
            return []
        *lines, self._rest = (self._rest + os.read(self._out.fileno(), 65536)).split(b"\n")
        return [line.decode().split() for line in lines]

    def end(self) -> None:
        """Let the process end."""
        self._in.close()
        self._process.wait(30)


def measure(publishers: Publishers, root: Path) -> tuple[int, float]:
    """Return how many calls the first round of publishing makes, and the seconds that one takes."""
    said = publishers.run(Reader(store.ModelStore(root)), 0, 3.0)
    rounds = [int(words[2]) for words in said if words[0] == "promoted"]
    return rounds[0], 3.0 / len(rounds)


def collect(models: store.ModelStore) -> tuple[int, int]:
    """Make what the dead left look old, let the next publisher begin, and return how much there was and how much is."""

    def left() -> list[Path]:
        return [path for path in (models.root / "digits").glob(".*") if path.name != ".lock"]

    before = left()
    long_ago = time.time() - 2 * ORPHAN_SECONDS
    for path in before:
        os.utime(path, (long_ago, long_ago))
    models.prepare("digits")
    return len(before), len(left())


def share(publishers: Publishers, root: Path, ends: list[tuple[int, float]]) -> tuple[Counter[str], list[str]]:
    """Let publishers die one after the other in one store; return what was counted, and what was wrong."""
    reader = Reader(store.ModelStore(root))
    told: set[int] = set()
    for step, seconds in ends:
        said = publishers.run(reader, step, seconds)
        told |= {int(words[1]) for words in said if words[0] == "published"}
    reader.look(set())  # every version once more: whole, and still there
    orphans, stayed = collect(reader.models)
    lost = len(told - reader.seen)
    counts = {"acknowledged": len(told), "lost": lost, "read": reader.read, "orphans": orphans, "stayed": stayed}
    return Counter(counts), reader.wrong


def main() -> None:
    """Run the proof."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--publisher", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.publisher:
        return publisher()
    chance = random.Random(0)
    total, wrong = Counter[str](), []
    publishers = Publishers()
    with tempfile.TemporaryDirectory() as folder:
        calls, seconds = measure(publishers, Path(folder) / "measured")
        print(f"one round of publishing: {calls} calls that touch the disk, {1000 * seconds:.0f} ms", flush=True)
        random_ends = [(0, chance.uniform(0, 2 * seconds)) for _ in range(options.kills // 2)]
        step_ends = [(1 + number % calls, 60.0) for number in range(options.kills - len(random_ends))]
        ends = chance.sample(random_ends + step_ends, options.kills)
        for number in range(0, options.kills, TOGETHER):
            counts, mistakes = share(publishers, Path(folder) / str(number), ends[number : number + TOGETHER])
            total.update(counts)
            wrong += mistakes
            print(f"  {min(number + TOGETHER, options.kills)} kills: {dict(total)}, {len(wrong)} wrong", flush=True)
    publishers.end()
    print(f"{options.kills} kills: {dict(total)}, {len(wrong)} wrong {wrong[:5]}")
    raise SystemExit(1 if wrong or total["lost"] or total["stayed"] else 0)


if __name__ == "__main__":
    main()
