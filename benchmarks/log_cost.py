"""What the prediction log costs: processor time for each answer at 1,000 a second, and answers per second at the limit.

The first is measured under an open load, so that both servers answer the same; the second under a closed one of sixteen
connections, where a durable answer also waits for the commit of its group.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from contenders import CLASSIFY, IMAGE, ours, started
from pairs import alternate, compare
from results import Effort, Result
from server import Server

from mlops_lab.serve import Client
from mlops_lab.validate import LoadTestConfig, measure_load

RATE = 1000
COST = 0.10


def prediction_log(effort: Effort) -> Iterator[Result]:
    """Compare a server that logs, and one whose log is durable, with one that does not."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        silent = stack.enter_context(started(ours()))
        for words, options in (("log", ()), ("durable log", ("--durable",))):
            log = ours("--log", str(Path(folder, f"{words}.db")), *options)
            with started(log) as logging:
                yield from _compare(words, logging, silent, effort)


def _compare(words: str, logging: Server, silent: Server, effort: Effort) -> Iterator[Result]:
    ratios = alternate(
        lambda: cpu_for_each(logging, effort.seconds), lambda: cpu_for_each(silent, effort.seconds), effort.pairs
    )
    print(f"  processor time at {RATE}/s: {ratios}", flush=True)
    bar = 1 + COST if words == "log" else None
    yield Result(
        f"processor time with a {words} over that without, {RATE}/s", ratios.median, "at most", bar, asdict(ratios)
    )
    found = compare((logging, CLASSIFY), (silent, CLASSIFY), 16, effort.pairs, effort.seconds)
    print(f"  {found}", flush=True)
    what = f"requests/s with a {words} over those without, 16 connections"
    yield Result(what, found.ratios.median, details=found.to_dict())


def cpu_for_each(server: Server, seconds: float) -> float:
    """Return the seconds of processor time that a server spends on each answer when it is asked on a clock."""
    before = server.cpu_seconds
    plan = LoadTestConfig(rate=RATE, seconds=seconds, milliseconds=60_000, failed=1, per_second=0)
    found = measure_load(Client(server.url), "clothes", "v1", [IMAGE], plan)
    return (server.cpu_seconds - before) / max(1, found.requests - found.failed)
