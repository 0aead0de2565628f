"""What HTTP servers let through: waitress, gunicorn (gthread), granian (WSGI), uvicorn (httptools), and ours.

    python benchmarks/http_servers.py [--json]

The first four run a bare application that echoes how much it read, each from the pinned environment in `peers/`; the
last is ours. Every row sends bytes as they are and notes each answer's status, for an echo with the number of bytes
that the application saw. "waits": no answer within two seconds; "closed": closed without one. Of ours, every row but
the good ones must be 4xx or closed: exit status 1 otherwise. How fast they are is measured by `bench.py`.
"""

from __future__ import annotations

import argparse
import json
import re
import socket
from collections.abc import Mapping

import numpy as np
from contenders import PEERS, Contender, ours, started
from environments import interpreter
from server import Server
from wrk import Post

from mlops_lab.image import encode_png

HOST = b"Host: localhost\r\nContent-Type: image/png\r\n"


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
    "bare LF": b"GET /models/clothes/v1 HTTP/1.1\nHost: localhost\n\n",
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
GOOD = {"good", "good, chunked", "good, afterwards"}
CUT = {"chunks cut short", "short body, then end"}  # the client ends its side after these
FIRST = Post("/models/clothes/v1", BODY, {"Content-Type": "image/png"})  # until it is answered, a server is starting


def echoes() -> list[Contender]:
    """Return a bare echo on each server that ours is compared with."""
    flask, asgi = str(interpreter("echo")), str(interpreter("uvicorn"))
    commands: Mapping[str, tuple[str, ...]] = {
        "waitress": (flask, "-m", "waitress", "--listen=127.0.0.1:{port}", "--threads=8"),
        "gunicorn": (flask, "-m", "gunicorn", "-k", "gthread", "--threads", "8", "-b", "127.0.0.1:{port}"),
        "granian": (flask, "-m", "granian", "--interface", "wsgi", "--blocking-threads", "8", "--port", "{port}"),
        "uvicorn": (asgi, "-m", "uvicorn", "--http", "httptools", "--port", "{port}"),
    }
    folders = {"uvicorn": PEERS / "uvicorn"}
    return [
        Contender(name, (*command, "app:app"), FIRST, folders.get(name, PEERS / "echo"))
        for name, command in commands.items()
    ]


def exchange(server: Server, request: bytes, cut: bool = False) -> tuple[bytes, bool]:
    """Send bytes; return what comes back within two seconds of silence, and whether the server closed."""
    with socket.create_connection((server.host, server.port), timeout=2) as connection:
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


def column(contender: Contender) -> dict[str, str]:
    """Return what a server answers in every row; the last row is a good request after all of them."""
    with started(contender) as server:
        found = {row: word(*exchange(server, request, row in CUT)) for row, request in ROWS.items()}
        return {**found, "good, afterwards": word(*exchange(server, ROWS["good"]))}


def faults(found: Mapping[str, str]) -> list[str]:
    """Return the rows in which a server did not do what ours must."""

    def is_as_it_must_be(row: str, said: str) -> bool:
        return (
            said.startswith("200") if row in GOOD else said == "closed" or bool(re.fullmatch(r"4\d\d( n=\d+)?", said))
        )

    return [f"{row}: {said}" for row, said in found.items() if not is_as_it_must_be(row, said)]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="Print one JSON object.")
    options = parser.parse_args()
    columns = {contender.name: column(contender) for contender in [*echoes(), ours(post=FIRST)]}
    wrong = faults(columns["mlops-lab"])
    if options.json:
        print(json.dumps({"table": columns, "faults": wrong}))
        raise SystemExit(1 if wrong else 0)
    print("| case | " + " | ".join(columns) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for row in [*ROWS, "good, afterwards"]:
        print(f"| {row} | " + " | ".join(found[row] for found in columns.values()) + " |")
    print(f"ours: {len(wrong)} rows neither refused nor closed" + "".join(f"\n  {fault}" for fault in wrong))
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
