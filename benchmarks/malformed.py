"""Send 10,000 malformed requests to one live server: it must answer none with a 5xx, print no traceback, stay small.

    python benchmarks/malformed.py [--requests 10000] [--seed 0]

Images, JSON (in other encodings too), npy (empty axes too), forms, chains, packed bodies, tensors of TensorFlow Serving
and of the Open Inference Protocol (binary ones too), headers of browsers, names in paths, and bytes
on a raw socket; all spoilt by one seeded generator, so that a failure can be seen again. Some are still right and are
answered with 200. Memory is read after every tenth; the slope is that of the second half.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import io
import json
import random
import re
import socket
import sys
import tempfile
import threading
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from queue import Empty, Queue

import numpy as np
from http_servers import ROWS
from PIL import Image
from server import Server, start

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "serve"))
from hostile_bodies import bodies, mangle

Request = tuple[str, bytes]  # its kind, and its bytes as they go over the wire
LIMIT_MB = 50
HOSTS = [b"rebound.example", b"[::1]", b"127.0.0.1:99999", b"[", b"a:b", b"\xff", b"LOCALHOST."]
SHAPES = [
    *[(1, 28, 28), (28, 28), (2, 28, 28, 1), (3,), (), (8, 8), (64,), (200, 300), (1, 1)],
    *[(0, 28, 28), (0,), (0, 0), (28, 0), (0, 28, 28, 1), (1, 0, 28), (28, 28, 0), (0, 0, 0, 0, 0, 0), (256, 0)],
]
IMAGE = np.arange(784, dtype=np.uint8).reshape(28, 28)
NAMES = ["", ".", "..", "CON", "%00", "%ff%fe", "a" * 300, "v0", "v-1", "v1e3", "v999999999999", "..%2f..%2fetc", "ｖ1"]


def encoded(form: str, **options: object) -> bytes:
    """Return the image as a file of a form that Pillow writes."""
    with io.BytesIO() as file:
        Image.fromarray(IMAGE).save(file, form, **options)
        return file.getvalue()


def post(path: str, kind: str, body: bytes, more: str = "") -> bytes:
    """Return a POST as it goes over the wire."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: {kind}\r\n{more}"
    return head.encode("latin-1", "replace") + b"Content-Length: %d\r\n\r\n" % len(body) + body


def images(chance: random.Random) -> Iterator[Request]:
    """Yield files of images with something wrong."""
    files = [encoded(form) for form in ("PNG", "JPEG", "BMP", "GIF", "TIFF")]
    files += [b"", b"<svg/>", b"\x89PNG\r\n\x1a\n", encoded("PNG")[:60]]
    while True:
        kind = chance.choice(["image/png", "image/png", "image/jpeg", "image/jpeg", "image/svg+xml", ""])
        yield "image", post("/models/clothes/v1", kind, mangle(chance.choice(files), chance))


def recoded(text: bytes, chance: random.Random) -> bytes:
    """Return JSON, sometimes in an encoding that is not UTF-8 or with a byte-order mark."""
    encoding = chance.choice([*["utf-8"] * 8, "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "utf-7"])
    return text if encoding == "utf-8" else text.decode("utf-8", "replace").encode(encoding, "replace")


def packed(chance: random.Random) -> Iterator[Request]:
    """Yield bodies that are packed, or say so."""
    images = [("image/png", encoded("PNG")), ("application/json", json.dumps({"image": IMAGE.tolist()}).encode())]
    while True:
        kind, body = chance.choice(images)
        body = chance.choice([gzip.compress, zlib.compress, bytes])(body)
        coding = chance.choice(["gzip", "gzip", "deflate", "br", "gzip, gzip", "identity", "x-gzip", ""])
        path = chance.choice(["/models/clothes/v1", "/v1/models/clothes:predict", "/chains/number"])
        body = mangle(body, chance) if chance.random() < 0.5 else body
        yield "packed", post(path, kind, body, f"Content-Encoding: {coding}\r\n")


def browsers(chance: random.Random) -> Iterator[Request]:
    """Yield what browsers add, and pages of other sites."""
    values = ["null", "*", "https://elsewhere.example", "http://127.0.0.1:1", "\xff", "http://[", "http://a:b:c", ""]
    names = ["Origin", "Sec-Fetch-Site", "X-Lab-Probe", "Access-Control-Request-Method", "X-Forwarded-Host", "Referer"]
    while True:
        more = "".join(f"{name}: {chance.choice(values)}\r\n" for name in chance.sample(names, 2))
        path = chance.choice(["/models/clothes/v1", "/chains/number", "/v2/models/clothes/infer", "/readyz"])
        request = post(path, "image/png", encoded("PNG"), more)
        if chance.random() < 0.3:
            request = request.replace(b"Host: localhost", b"Host: " + chance.choice(HOSTS))
        yield "browser", request if chance.random() < 0.8 else request.replace(b"POST", b"OPTIONS", 1)


def course_json(chance: random.Random) -> Iterator[Request]:
    """Yield JSON for the course's route."""
    pixels = IMAGE.tolist()
    text = base64.b64encode(encoded("PNG")).decode()
    for body in bodies([{"image": pixels}, {"image": text}, {"images": [pixels, text]}], sys.maxsize, chance.random()):
        yield "json", post("/models/clothes/v1", "application/json", recoded(body, chance))


def arrays(chance: random.Random) -> Iterator[Request]:
    """Yield npy files of odd types and shapes, whole and spoilt."""
    while True:
        array = np.zeros(
            chance.choice(SHAPES),
            chance.choice(["uint8", "float32", "float64", "int64", "bool", "S3", "U2", "complex64"]),
        )
        with io.BytesIO() as file:
            np.save(file, array)
            body = file.getvalue()
        path = chance.choice(["/models/clothes/v1", "/models/digits", "/chains/number"])
        yield "npy", post(path, "application/x-npy", mangle(body, chance) if chance.random() < 0.7 else body)


def forms(chance: random.Random) -> Iterator[Request]:
    """Yield multipart forms."""
    part = b'--B\r\nContent-Disposition: form-data; name="image"; filename="../../a.png"\r\n\r\n%b\r\n'
    while True:
        body = part % encoded("PNG") * chance.choice([1, 1, 2, 300]) + b"--B--\r\n"
        kind = chance.choice(["; boundary=B", "; boundary=B", "", "; boundary=" + "C" * 80, "; boundary="])
        yield "form", post("/models/clothes/v1", "multipart/form-data" + kind, mangle(body, chance))


def tfserving(chance: random.Random) -> Iterator[Request]:
    """Yield JSON for TensorFlow Serving's route."""
    pixels = (IMAGE[..., None] / 255).tolist()
    valid = [{"instances": [pixels], "signature_name": "serving_default"}, {"inputs": {"image": [pixels]}}]
    for body in bodies(valid, sys.maxsize, chance.random()):
        yield "tfserving", post("/v1/models/clothes:predict", "application/json", recoded(body, chance))


def oip(chance: random.Random) -> Iterator[Request]:
    """Yield tensors for the Open Inference Protocol, as JSON and as bytes behind JSON whose length may be a lie."""
    entry = {"name": "image", "shape": [1, 28, 28, 1], "datatype": "FP32", "parameters": {"binary_data_size": 3136}}
    plain = {"name": "image", "shape": [1, 28, 28, 1], "datatype": "FP32", "data": [0.5] * 784}
    raw = np.zeros(784, "<f4").tobytes()
    for text in bodies([{"inputs": [entry]}, {"inputs": [plain]}], sys.maxsize, chance.random()):
        if chance.random() < 0.5:
            yield "oip", post("/v2/models/clothes/infer", "application/json", recoded(text, chance))
            continue
        body = text + (mangle(raw, chance) if chance.random() < 0.3 else raw)
        lie = chance.choice([len(text), len(text), 0, len(text) - 1, len(body), len(body) + 1, -1, "x", 10**30])
        more = f"Inference-Header-Content-Length: {lie}\r\n"
        yield "oip binary", post("/v2/models/clothes/infer", "application/octet-stream", body, more)


def names(chance: random.Random) -> Iterator[Request]:
    """Yield paths with names that are none."""
    roots = [
        "/models/{}/{}",
        "/models/{}",
        "/v1/models/{}/versions/{}:predict",
        "/v2/models/{}/versions/{}",
        "/chains/{}",
    ]
    while True:
        path = chance.choice(roots).format(chance.choice([*NAMES, "clothes"]), chance.choice([*NAMES, "v1"]))
        yield "name", post(path, "application/json", b"{}")


def sockets(chance: random.Random) -> Iterator[Request]:
    """Yield the rows of `http_servers.py`, whole and spoilt."""
    rows = [row for row in ROWS.values() if len(row) < 100_000]
    while True:
        row = chance.choice(rows)
        yield "socket", mangle(row, chance) if chance.random() < 0.8 else row


KINDS: list[Callable[[random.Random], Iterator[Request]]] = [
    images, course_json, arrays, forms, tfserving, oip, names, sockets, packed, browsers,
]  # fmt: skip


def exchange(server: Server, request: bytes) -> str:
    """Send one request on a connection of its own; return the status, or what came instead."""
    with socket.create_connection((server.host, server.port), timeout=10) as connection:
        with suppress(OSError):  # refused before all of it was read: the answer is there
            connection.sendall(request)
        # A spoilt head may leave the server waiting for more: half a second of silence is its answer.
        connection.settimeout(0.5 if b"Connection: close" not in request else 10)
        try:
            head = connection.recv(65536)
        except TimeoutError:
            return "waits" if b"Connection: close" not in request else "no answer"
        except OSError:
            return "closed"
    if b"Traceback" in head:
        return "traceback"
    status = re.match(rb"HTTP/1\.[01] (\d{3})", head)
    return status[1].decode() if status else "closed"


def is_wrong(word: str) -> bool:
    """Tell whether no request, however spoilt, may be answered so."""
    return word.startswith("5") or word in ("traceback", "no answer")


def send(server: Server, requests: int, seed: int) -> dict[str, Counter[str]]:
    """Send from eight threads; return how the requests of each kind were answered."""
    chance = random.Random(seed)
    kinds = [kind(random.Random(chance.random())) for kind in KINDS]
    queue: Queue[Request] = Queue(64)
    found: dict[str, Counter[str]] = {}
    ended = threading.Event()

    def run() -> None:
        while not ended.is_set() or not queue.empty():
            try:
                kind, request = queue.get(timeout=0.1)
            except Empty:
                continue
            word = exchange(server, request)
            found.setdefault(kind, Counter())[word] += 1
            if is_wrong(word):
                print(f"{kind} answered with {word}: {request[:300]!r}", flush=True)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for number in range(requests):
        queue.put(next(kinds[number % len(kinds)]))
    ended.set()
    for thread in threads:
        thread.join()
    return found


def main() -> None:
    """Run the proof."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    good = post("/models/clothes/v1", "image/png", encoded("PNG"))
    with tempfile.TemporaryFile("w+") as errors:
        server = start(errors=errors)
        try:
            for _ in range(200):  # what the first requests take is no growth
                assert exchange(server, good) == "200"
            marks = [server.megabytes]
            found: dict[str, Counter[str]] = {}
            for tenth in range(10):
                for kind, words in send(server, options.requests // 10, options.seed + tenth).items():
                    found.setdefault(kind, Counter()).update(words)
                marks.append(server.megabytes)
            alive = exchange(server, good) == "200"
        finally:
            server.process.terminate()
            status = server.process.wait(30)
        errors.seek(0)
        said = errors.read()
    total = sum(found.values(), Counter[str]())
    for kind, words in found.items():
        print(f"  {kind}: {json.dumps(dict(sorted(words.items())))}")
    wrong = sum(number for word, number in total.items() if is_wrong(word))
    tracebacks = said.count("Traceback")
    slope = np.polyfit(range(6), marks[5:], 1)[0] * 100_000 / options.requests
    print(f"{total.total()} requests: {dict(sorted(total.items()))}; {wrong} of 5xx or without an answer")
    print(f"{tracebacks} tracebacks on standard error ({len(said)} bytes there)")
    print(f"MB by tenths: {', '.join(f'{mark:.1f}' for mark in marks)}")
    print(f"memory {marks[0]:.1f} → {marks[-1]:.1f} MB, in the second half {slope:+.1f} MB per 10,000 requests")
    print(f"the next good request: {'200' if alive else 'failed'}; exit {status}")
    if tracebacks:
        print(said[-3000:])
    raise SystemExit(
        0 if not wrong and not tracebacks and marks[-1] - marks[0] < LIMIT_MB and alive and status == 0 else 1
    )


if __name__ == "__main__":
    main()
