"""Break good model files at random and audit what is left: a verdict every time, quickly, in little memory.

::

    python tools/hostile_mutations.py 0 10000      # seed, how many; prints the figures as JSON

Run it as a process of its own: a mutation that hangs for five seconds, or crashes HDF5's C library, ends the process.
"""

from __future__ import annotations

import faulthandler
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable

from hostile_base import Member, config_bytes, h5, keras, lenet_layers, parts, zipped
from hostile_others import onnx
from hostile_weights import legacy

from mlops_lab.store import safety

SECONDS = 5
WORDS = [
    b"null",
    b"-1",
    b"1e999",
    b"{}",
    b"[]",
    b'"x"',
    b"true",
    b"9" * 30,
    b"NaN",
    b'{"class_name": "Lambda", "config": {}}',
]
NUMBERS = [0, 1, 7, 127, 128, 255]
Mutation = Callable[[random.Random], bytes]


def flip(data: bytes, chance: random.Random, most: int = 8) -> bytes:
    """Return the bytes with a few of them changed."""
    out = bytearray(data)
    for _ in range(chance.randint(1, most)):
        out[chance.randrange(len(out))] = chance.choice([*NUMBERS, chance.randrange(256)])
    return bytes(out)


def cut(data: bytes, chance: random.Random) -> bytes:
    """Return the bytes with a piece removed, doubled, moved or overwritten."""
    first, second = sorted(chance.randrange(len(data)) for _ in range(2))
    second = min(second, first + chance.choice([1, 8, 64, 4096]))
    piece, place = data[first:second], chance.randrange(len(data))
    return chance.choice([
        data[:first] + data[second:],
        data[:second] + piece + data[second:],
        data[:place] + piece + data[place:],
        data[:first] + bytes(second - first) + data[second:],
        data[:first],
    ])  # fmt: skip


def token(data: bytes, chance: random.Random) -> bytes:
    """Return JSON with one value replaced or one word broken."""
    places = [i for i, byte in enumerate(data) if byte in b":,["]
    start = chance.choice(places) + 1
    end = next((i for i in range(start, len(data)) if data[i] in b",}]"), start)
    return data[:start] + b" " + chance.choice(WORDS) + data[end:]


def head(data: bytes, chance: random.Random) -> bytes:
    """Return HDF5 bytes with changes where the structure lies: not in the numbers."""
    marks = [b"TREE", b"HEAP", b"SNOD", b"GCOL", b"\x89HDF", b"OHDR"]
    found = (
        [i for mark in marks for i in range(len(data)) if data.startswith(mark, i)]
        if len(data) < 4096
        else _marks(data, marks)
    )
    out, start = bytearray(data), chance.choice(found or [0])
    for _ in range(chance.randint(1, 6)):
        out[min(len(out) - 1, start + chance.randrange(96))] = chance.choice([*NUMBERS, chance.randrange(256)])
    return bytes(out)


def _marks(data: bytes, marks: list[bytes]) -> list[int]:
    found = []
    for mark in marks:
        at = data.find(mark)
        while at >= 0:
            found.append(at)
            at = data.find(mark, at + 1)
    return found


def mutations() -> dict[str, Mutation]:
    """Return the ways to break a file, by level."""
    config, weights, whole = config_bytes(), h5(), keras()
    packed = zipped([Member(item.name, item.data, method=8) for item in parts()])
    old = legacy({"class_name": "Sequential", "config": {"name": "m", "layers": lenet_layers()}})
    graph, edge = onnx(), len(whole) - 260

    def directory(chance: random.Random) -> bytes:
        return whole[:edge] + flip(whole[edge:], chance)

    return {
        "zip bytes": lambda chance: flip(whole, chance),
        "zip pieces": lambda chance: cut(chance.choice([whole, packed]), chance),
        "zip directory": directory,
        "zip deflated": lambda chance: flip(packed, chance),
        "json bytes": lambda chance: keras(config=flip(config, chance), weights=weights),
        "json pieces": lambda chance: keras(config=cut(config, chance), weights=weights),
        "json values": lambda chance: keras(config=token(config, chance), weights=weights),
        "h5 bytes": lambda chance: keras(weights=flip(weights, chance, 200), config=config),
        "h5 structure": lambda chance: keras(weights=head(weights, chance), config=config),
        "h5 pieces": lambda chance: keras(weights=cut(weights, chance), config=config),
        "legacy h5 structure": lambda chance: head(old, chance),
        "legacy h5 bytes": lambda chance: flip(old, chance, 200),
        "onnx bytes": lambda chance: flip(graph, chance),
        "onnx pieces": lambda chance: cut(graph, chance),
    }


def run(seed: int, count: int) -> dict[str, object]:
    """Audit ``count`` mutations and return the figures."""
    ways = mutations()
    names, slowest, codes = sorted(ways), (0.0, ""), Counter[str]()
    before = peak()
    for index in range(count):
        name = names[index % len(names)]
        data = ways[name](random.Random(f"{seed}-{index}"))
        faulthandler.dump_traceback_later(SECONDS, exit=True)
        started = time.perf_counter()
        codes[safety.inspect(data).code] += 1
        slowest = max(slowest, (time.perf_counter() - started, f"{name} {index}"))
    faulthandler.cancel_dump_traceback_later()
    return {
        "mutations": count,
        "slowest_ms": round(slowest[0] * 1e3, 1),
        "slowest": slowest[1],
        "memory_mb": round((peak() - before) / 2**20, 1),
        "codes": dict(codes.most_common()),
    }


def peak() -> int:
    """Return the most memory this process has held, in bytes."""
    try:
        import resource
    except ImportError:  # Windows does not tell
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    faulthandler.enable()
    print(json.dumps(run(int(sys.argv[1]), int(sys.argv[2])), indent=1))
