"""Requests per second of one image, beside what users would pick instead."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict

from contenders import CLASSIFY, QUICKSTARTS, Contender, bare, echo, fastapi, ours, started
from pairs import alternate, compare, median
from results import Effort, Result
from wrk import drive


def against_echo(effort: Effort) -> Iterator[Result]:
    """Compare with a bare Flask echo under granian."""
    yield from _against(echo(), {1: 1.0, 16: 1.3}, effort)


def against_fastapi(effort: Effort) -> Iterator[Result]:
    """Compare with FastAPI, Pillow and ONNX Runtime under uvicorn."""
    yield from _against(fastapi(), {1: 1.8, 16: 2.5}, effort)


def against_bare(effort: Effort) -> Iterator[Result]:
    """Compare with the same model under uvicorn without a server around it: no bar, but what a server can reach."""
    yield from _against(bare(), {1: None, 16: None}, effort)


def against_quickstart(name: str) -> Callable[[Effort], Iterator[Result]]:
    """Return the comparison with a quickstart: as it is, with Keras; and with ONNX Runtime in it, for honesty."""

    def compare_both(effort: Effort) -> Iterator[Result]:
        yield from _against(QUICKSTARTS[name]("keras"), {16: 10.0}, effort)
        yield from _against(QUICKSTARTS[name]("onnx"), {16: None}, effort)

    return compare_both


def _against(peer: Contender, bars: dict[int, float | None] | dict[int, float], effort: Effort) -> Iterator[Result]:
    with started(ours()) as server, started(peer) as other:
        for connections, bar in bars.items():
            found = compare((server, CLASSIFY), (other, peer.post), connections, effort.pairs, effort.seconds)
            print(f"  {found}", flush=True)
            what = f"requests/s over those of {peer.name}, {connections} connection{'s'[: connections > 1]}"
            yield Result(what, found.ratios.median, "at least", bar, found.to_dict())


def tail(effort: Effort) -> Iterator[Result]:
    """Compare the slowest of a hundred answers with the usual one, at sixteen connections."""
    with started(ours()) as server:
        rates = [drive(server, CLASSIFY, 16, effort.seconds) for _ in range(effort.pairs)]
    middle = median(rates)
    ratio = middle.p99 / middle.p50
    yield Result("p99 over p50, 16 connections", ratio, "at most", 3, {"rates": [asdict(rate) for rate in rates]})


def connections(effort: Effort) -> Iterator[Result]:
    """Measure how requests per second and p99 grow with the number of connections, ours and two peers in turn."""
    peers = [ours(), echo(), fastapi()]
    for count in effort.connections:
        yield from _at(count, peers, effort)


def _at(count: int, peers: Iterable[Contender], effort: Effort) -> Iterator[Result]:
    for peer in peers:
        with started(peer) as server:
            rate = median([drive(server, peer.post, count, effort.seconds) for _ in range(2)])
        what = f"requests/s of {peer.name}, {count} connection{'s'[: count > 1]}"
        yield Result(what, rate.per_second, details={"server": peer.name, "connections": count, **asdict(rate)})


def workers(effort: Effort) -> Iterator[Result]:
    """Compare two worker processes with one, at sixteen connections."""
    with started(ours("--workers", "2")) as two, started(ours()) as one:
        ratios = alternate(
            lambda: drive(two, CLASSIFY, 16, effort.seconds).per_second,
            lambda: drive(one, CLASSIFY, 16, effort.seconds).per_second,
            effort.pairs,
        )
    yield Result(
        "requests/s with two workers over those with one, 16 connections", ratios.median, details=asdict(ratios)
    )


def access_log(effort: Effort) -> Iterator[Result]:
    """Compare a server that writes an access log with one that does not, at sixteen connections."""
    with started(ours("--access-log", "stderr")) as logging, started(ours()) as silent:
        found = compare((logging, CLASSIFY), (silent, CLASSIFY), 16, effort.pairs, effort.seconds)
    yield Result("requests/s with the access log over those without", found.ratios.median, details=found.to_dict())
