"""The most CPU and memory that a small body costs: a search that makes requests more expensive, step by step.

    python benchmarks/cost.py --seconds 120 [--seed 0] [--kilobytes 50]

Each family of requests (images of every kind, JSON, arrays, forms; as they are and gzip) has settings. The search
changes settings of the most expensive request so far and keeps what costs more, once in all and once per byte sent.
Requests are answered in this process, so that CPU is measured to the microsecond and memory to the page. It ends with 1
where a body of so many kilobytes costs more than 0.5 s of CPU or 100 MB.
"""

from __future__ import annotations

import argparse
import base64
import ctypes
import gc
import gzip
import io
import json
import random
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mlops_lab.serve import Limits, create_app

ROOT = Path(__file__).resolve().parent.parent
MAX_SECONDS, MAX_MEGABYTES = 0.5, 100
MAX_RAW = 2 * 1024 * 1024
Settings = dict[str, Any]


@dataclass(frozen=True)
class Probe:
    """One request: its family, its settings, and what it cost."""

    family: str
    settings: Settings
    sent: int = 0
    status: int = 0
    seconds: float = 0.0
    megabytes: float = 0.0

    @property
    def per_kilobyte(self) -> float:
        """Seconds of CPU for each 1,024 bytes sent."""
        return 1024 * self.seconds / max(1, self.sent)

    def __str__(self) -> str:
        told = ", ".join(f"{key} {value}" for key, value in self.settings.items())
        return (
            f"{self.seconds:.3f} s and {self.megabytes:.0f} MB for {self.sent} bytes, {self.per_kilobyte:.3f} s per KB,"
            f" answered {self.status}: {self.family} ({told})"
        )


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + zlib.crc32(kind + data).to_bytes(4)


def png(settings: Settings) -> bytes:
    """Return a PNG of any kind; one of a wrong combination is an expensive refusal, perhaps."""
    side, depth, colour = settings["side"], settings["depth"], settings["colour"]
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    rows = []
    for left, top, across, down in passes if settings["interlaced"] else [(0, 0, 1, 1)]:
        width, height = max(0, side - left + across - 1) // across, max(0, side - top + down - 1) // down
        row = (width * channels * depth + 7) // 8
        rows.append((bytes([settings["filter"]]) + bytes([settings["fill"]]) * row) * (height if width else 0))
    pixels = zlib.compress(b"".join(rows), settings["level"])
    step = max(1, len(pixels) // settings["chunks"])
    parts = [chunk(b"IDAT", pixels[place : place + step]) for place in range(0, len(pixels), step)]
    parts += [chunk(b"IDAT", b"")] * settings["empty"]
    head = struct.pack(">IIBBBBB", side, side, depth, colour, 0, 0, settings["interlaced"])
    beside = chunk(b"PLTE", bytes(range(256)) * 3) if colour == 3 else b""
    clear = {0: b"\0\0", 2: bytes(6), 3: b"\0\1"}.get(colour)
    beside += chunk(b"tRNS", clear) if settings["clear"] and clear else b""
    beside += chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1_000_000), 9)) * settings["texts"]
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + beside + b"".join(parts) + chunk(b"IEND", b"")


def jpeg(settings: Settings) -> bytes:
    """Return a JPEG, with its last scan again and again, and segments that mean nothing."""
    mode = settings["mode"]
    colour: Any = settings["fill"] if mode == "L" else tuple([settings["fill"]] * len(mode))
    with io.BytesIO() as file:
        picture = Image.new(mode, (settings["side"], settings["side"]), colour)
        picture.save(file, "JPEG", progressive=settings["progressive"], quality=settings["quality"])
        data = file.getvalue()
    last = data.rindex(b"\xff\xda")
    scans = data[last:-2] * settings["scans"]
    return data[:2] + b"\xff\xe5\0\2" * settings["segments"] + data[2:-2] + scans + data[-2:]


def picture(settings: Settings) -> bytes:
    """Return one image file."""
    return png(settings) if settings["kind"] == "png" else jpeg(settings)


def in_json(settings: Settings) -> bytes:
    """Return an image many times in a JSON text."""
    return json.dumps({"images": [base64.b64encode(picture(settings)).decode()] * settings["times"]}).encode()


def in_form(settings: Settings) -> bytes:
    """Return an image many times in a form."""
    part = b'--B\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n%b\r\n'
    return part % picture(settings) * settings["times"] + b"--B--\r\n"


def text(settings: Settings) -> bytes:
    """Return JSON with a piece of it again and again."""
    keys = ", ".join(f'"k{number}": 0' for number in range(settings["keys"]))
    inner = settings["piece"] * settings["times"]
    inner = inner.rstrip(", ")
    nested = "[" * settings["depth"] + inner + "]" * settings["depth"]
    return (f'{{"{settings["key"]}": {nested}' + (f", {keys}" if keys else "") + settings["after"] + "}").encode()


def array(settings: Settings) -> bytes:
    """Return an array as NumPy writes it."""
    with io.BytesIO() as file:
        np.save(file, np.zeros(settings["shape"], settings["type"]))
        return file.getvalue()


IMAGE = {
    **{"kind": ["png", "jpeg"], "side": [1, 28, 100, 500, 1000, 1400, 2000, 4096], "fill": [0, 1, 128, 255]},
    **{"depth": [1, 2, 4, 8, 16], "colour": [0, 2, 3, 4, 6], "interlaced": [0, 1], "filter": [0, 1, 2, 3, 4]},
    **{"level": [9, 6, 0], "chunks": [1, 100, 5000], "empty": [0, 10_000, 150_000], "clear": [0, 1]},
    **{"texts": [0, 1, 60], "mode": ["L", "RGB", "CMYK"], "progressive": [False, True], "quality": [90, 10]},
    **{"scans": [0, 20, 30, 400, 5000], "segments": [0, 900, 20_000, 400_000]},
}
MANY = {**IMAGE, "times": [1, 2, 3, 6, 30, 190, 256, 300]}
TEXT = {
    "key": ["image", "images", "instances", "inputs", "examples", "k0"],
    "piece": [
        "0,",
        "[],",
        "{},",
        "[0],",
        '"",',
        "1e5,",
        "0.123456789,",
        '{"a":0},',
        '"AAAA",',
        "[[[[]]]],",
        "1" * 4000 + ",",
    ],
    "times": [1, 1000, 50_000, 149_000, 299_000, 700_000],
    "depth": [0, 1, 2, 3, 7, 1000],
    "keys": [0, 1000, 100_000],
    "after": ["", ', "k1": 0', ', "signature_name": "x"'],
}
ARRAY = {
    "shape": [(1, 28, 28), (256, 28, 28, 1), (500, 500), (1400, 1400), (0, 28, 28), (300_000, 1), (256, 8, 8)],
    "type": ["uint8", "float32", "float64", "int8"],
}
COURSE = ["/models/clothes", "/models/digits", "/chains/number"]
TENSORS = ["/v1/models/clothes:predict", "/v1/models/clothes:classify", "/v2/models/clothes/infer"]
# How a family makes its body, its content types and routes, and the values of its settings.
FAMILIES: dict[str, tuple[Callable[[Settings], bytes], str, dict[str, list[Any]]]] = {
    "image": (picture, "image/png", {**IMAGE, "route": COURSE}),
    "images in JSON": (in_json, "application/json", {**MANY, "route": COURSE}),
    "images in a form": (in_form, "multipart/form-data; boundary=B", {**MANY, "route": COURSE}),
    "JSON": (text, "application/json", {**TEXT, "route": [*COURSE, *TENSORS]}),
    "array": (array, "application/x-npy", {**ARRAY, "route": COURSE}),
}
# Kinds that were found to be expensive, so that a short search begins with them.
KNOWN: list[tuple[str, Settings]] = [
    ("image", {"kind": "jpeg", "side": 2000, "progressive": True, "mode": "RGB", "scans": 5000, "zip": True}),
    ("image", {"kind": "jpeg", "side": 2000, "progressive": True, "mode": "CMYK", "scans": 10, "zip": True}),
    ("images in JSON", {"side": 1000, "depth": 16, "colour": 0, "times": 190, "zip": True}),
    ("images in JSON", {"side": 2000, "depth": 16, "colour": 6, "interlaced": 1, "filter": 4, "times": 1, "zip": True}),
    ("image", {"side": 2000, "depth": 8, "colour": 6, "filter": 4, "zip": True, "route": "/chains/number"}),
    ("image", {"empty": 150_000, "zip": True}),
    ("image", {"kind": "jpeg", "segments": 400_000, "zip": True}),
    ("images in a form", {"times": 256, "side": 28}),
    ("JSON", {"keys": 100_000, "after": ', "k1": 0', "zip": True}),
    ("JSON", {"key": "instances", "piece": "[],", "times": 700_000, "depth": 1, "zip": True, "route": TENSORS[0]}),
    ("JSON", {"key": "instances", "piece": "0,", "times": 700_000, "depth": 2, "zip": True, "route": TENSORS[0]}),
    ("JSON", {"key": "inputs", "piece": "[0],", "times": 299_000, "depth": 1, "zip": True, "route": TENSORS[0]}),
    ("JSON", {"key": "inputs", "piece": "[[[[]]]],", "times": 74_000, "depth": 1, "zip": True, "route": TENSORS[0]}),
    ("array", {"shape": (1400, 1400), "zip": True, "route": "/chains/number"}),
]


class Lab:
    """A server in this process, and a measure of what a request costs it."""

    def __init__(self, kilobytes: int) -> None:
        # The deadline is a time on the clock: on a busy machine it would end what is to be measured.
        self.client = create_app(str(ROOT / "models"), limits=Limits(request_seconds=3600)).test_client()
        self.most = 1024 * kilobytes
        self.made: dict[str, bytes | None] = {}

    def measure(self, family: str, settings: Settings) -> Probe | None:
        """Send a request, and return what it cost; None where it is too large to be sent."""
        kind = FAMILIES[family][1]
        sent = self.make(family, settings)
        if sent is None:
            return None
        headers = {"Content-Encoding": "gzip"} if settings["zip"] else {}
        give_back()
        before, _ = resident()
        reset_peak()
        began = time.process_time()
        answer = self.client.post(settings["route"], data=sent, content_type=kind, headers=headers)
        seconds = time.process_time() - began
        return Probe(family, settings, len(sent), answer.status_code, seconds, (resident()[1] - before) / 1e6)

    def make(self, family: str, settings: Settings) -> bytes | None:
        """Return the body as it is sent; None where it is too large. To make one takes longer than to answer it."""
        key = json.dumps([family, {name: value for name, value in settings.items() if name != "route"}])
        if key not in self.made:
            body = FAMILIES[family][0](settings)
            sent = gzip.compress(body, 9) if settings["zip"] else body
            self.made[key] = sent if len(body) <= MAX_RAW and len(sent) <= self.most else None
        return self.made[key]


def resident() -> tuple[int, int]:
    """Return how many bytes of memory this process holds, and how many it has held at most since the last reset."""
    found = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    now, peak = (1024 * int(found[name].split()[0]) for name in ("VmRSS", "VmHWM"))
    return now, peak


def give_back() -> None:
    """Return what earlier requests left to the system: the next one would take it again, and seem to cost nothing."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def reset_peak() -> None:
    """Have the system count the peak anew."""
    Path("/proc/self/clear_refs").write_text("5")


def defaults(family: str) -> Settings:
    """Return the first value of every setting of a family."""
    return {"zip": False, **{key: values[0] for key, values in FAMILIES[family][2].items()}}


def changed(probe: Probe, chance: random.Random) -> Settings:
    """Return the settings of a request with one or two of them changed."""
    values = FAMILIES[probe.family][2]
    settings = dict(probe.settings)
    for key in chance.sample(sorted(values), chance.choice([1, 1, 2])):
        settings[key] = chance.choice(values[key])
    if chance.random() < 0.2:
        settings["zip"] = not settings["zip"]
    return settings


def search(lab: Lab, seconds: float, seed: int) -> Iterator[Probe]:
    """Yield what each request cost: those known to be expensive, then changes of the most expensive."""
    chance = random.Random(seed)
    for family in FAMILIES:  # what the first request takes is no cost of it
        lab.measure(family, defaults(family))
    best: list[Probe] = []
    for family, settings in [*((family, {}) for family in FAMILIES), *KNOWN]:
        probe = lab.measure(family, {**defaults(family), **settings})
        if probe is not None:
            best.append(probe)
            yield probe
    ended = time.monotonic() + seconds
    while time.monotonic() < ended:
        order = chance.choice([lambda probe: probe.seconds, lambda probe: probe.per_kilobyte])
        best = sorted(best, key=order, reverse=True)[:24] + best[-40:]
        probe = chance.choice(best[: chance.choice([3, 12, 40])])
        found = lab.measure(probe.family, changed(probe, chance))
        if found is not None:
            best.append(found)
            yield found


def worst(probes: list[Probe], lab: Lab) -> list[tuple[str, Probe]]:
    """Return the most expensive request by CPU, by CPU for each byte and by memory; each is measured again, twice."""

    def again(probe: Probe) -> Probe:
        tries = [probe, *(lab.measure(probe.family, probe.settings) or probe for _ in range(2))]
        least = min(tries, key=lambda one: one.seconds)
        return replace(least, megabytes=min(one.megabytes for one in tries))

    orders: dict[str, Callable[[Probe], float]] = {
        "seconds": lambda probe: probe.seconds,
        "seconds per KB": lambda probe: probe.per_kilobyte,
        "memory": lambda probe: probe.megabytes,
    }
    found = []
    for name, order in orders.items():
        first = sorted(probes, key=order, reverse=True)[:3]
        found.append((name, max(map(again, first), key=order)))
    return found


def main() -> None:
    """Search, and print the worst."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--kilobytes", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    lab = Lab(options.kilobytes)
    probes = list(search(lab, options.seconds, options.seed))
    print(f"{len(probes)} requests of at most {options.kilobytes} KB; {sum(p.status >= 500 for p in probes)} of 5xx")
    for probe in probes:
        if probe.status >= 500:
            print(f"answered with {probe.status}: {probe}")
    found = worst(probes, lab)
    for name, probe in found:
        print(f"worst by {name}: {probe}", flush=True)
    over = any(probe.seconds > MAX_SECONDS or probe.megabytes > MAX_MEGABYTES for _, probe in found)
    raise SystemExit(1 if over or any(probe.status >= 500 for probe in probes) else 0)


if __name__ == "__main__":
    main()
