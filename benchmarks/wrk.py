"""Load from wrk, a C program that sends far more than Python could: one POST over and over on keep-alive connections.

wrk counts every answer by its status; the size of all of them together is compared with that of an answer that was
read and found right, so an answer that is short or another one is noticed as well.
"""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from server import Server

SCRIPT = """
local file = io.open(%s, "rb")
wrk.method, wrk.body = "POST", file:read("*a")
file:close()
wrk.headers = {%s}
function done(summary, latency, requests)
  local e = summary.errors
  print(string.format('RESULT {"requests": %%d, "bytes": %%d, "microseconds": %%d, "p50": %%f, "p99": %%f, ' ..
    '"errors": {"connect": %%d, "read": %%d, "write": %%d, "status": %%d, "timeout": %%d}}',
    summary.requests, summary.bytes, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect, e.read, e.write, e.status, e.timeout))
end
"""
SIZE_TOLERANCE = 0.03  # floats and request ids may differ in length, and the last answers are cut off
VERIFIED = 100


@dataclass(frozen=True)
class Post:
    """A POST that is sent over and over, and how a right answer is told."""

    path: str
    body: bytes
    headers: Mapping[str, str]
    is_right: Callable[[bytes], bool] = field(default=lambda _: True)


@dataclass(frozen=True)
class Rate:
    """What one run of wrk measured: requests per second, milliseconds, and processor time of the server."""

    per_second: float
    p50: float
    p99: float
    cpu: float  # microseconds a request


def answer(server: Server, post: Post, timeout: float = 30) -> tuple[int, bytes, int]:
    """Send one request; return the status, the body, and the size of the whole answer."""
    connection = server.connect(timeout)
    try:
        connection.request("POST", post.path, post.body, dict(post.headers))
        response = connection.getresponse()
        body = response.read()
        head = sum(len(name) + len(value) + 4 for name, value in response.getheaders())
        line = len(f"HTTP/1.1 {response.status} {response.reason}\r\n\r\n")
        return response.status, body, line + head + len(body)
    finally:
        connection.close()


def is_answered(server: Server, post: Post) -> bool:
    """Return whether a request gets the right answer now."""
    try:
        status, body, _ = answer(server, post)
    except (OSError, http.client.HTTPException):
        return False
    return status == 200 and post.is_right(body)


def verify(server: Server, post: Post, connections: int) -> int:
    """Read answers to concurrent requests, check each, and return the size of one."""
    with ThreadPoolExecutor(connections) as pool:
        answers = list(pool.map(lambda _: answer(server, post), range(VERIFIED)))
    for status, body, _ in answers:
        assert status == 200 and post.is_right(body), f"{server.name} answered {status}: {body[:300]!r}"
    return sorted(size for _, _, size in answers)[len(answers) // 2]


def drive(server: Server, post: Post, connections: int, seconds: int) -> Rate:
    """Send for some seconds, and check what came back.

    Raises
    ------
    AssertionError
        An answer was not 200 or not of the right size, or a connection failed.
    """
    size = verify(server, post, connections)
    with tempfile.TemporaryDirectory() as folder:
        body, script = Path(folder) / "body", Path(folder) / "post.lua"
        body.write_bytes(post.body)
        headers = ", ".join(f"[{json.dumps(name)}] = {json.dumps(value)}" for name, value in post.headers.items())
        script.write_text(SCRIPT % (json.dumps(str(body)), headers))
        command = [program(), "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", str(script)]
        spent = server.cpu_seconds
        done = subprocess.run([*command, server.url + post.path], capture_output=True, text=True, check=True)
        spent = server.cpu_seconds - spent
    found = json.loads(done.stdout.partition("RESULT ")[2])
    assert not any(found["errors"].values()), f"{server.name}: {found['errors']}"
    mean = found["bytes"] / found["requests"]
    assert abs(mean - size) < SIZE_TOLERANCE * size + 16, f"{server.name}: answers of {mean:.0f} bytes, not {size}"
    per_second = 1e6 * found["requests"] / found["microseconds"]
    return Rate(per_second, found["p50"] / 1000, found["p99"] / 1000, 1e6 * spent / found["requests"])


def program() -> str:
    """Return where wrk is."""
    found = shutil.which("wrk")
    if found is None:
        raise SystemExit("wrk is not installed: apt-get install wrk, or brew install wrk.")
    return found
