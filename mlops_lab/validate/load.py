"""Load tests: how much a server answers, how fast, and whether anything fails.

With a ``rate`` the load is open: requests are sent on a clock, whether or not answers came, as users do, and each wait
is measured from when its request should have been sent. So a server that stalls shows its queue. Without a rate the
load is closed: each client sends its next request when the last is answered, which finds the throughput and hides the
queue. The generator is a process of its own and reports its own lateness; where that is large, there is no verdict.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray
from requests import PreparedRequest

from mlops_lab.client import Client
from mlops_lab.errors import ServerError, WrongUsage
from mlops_lab.validate.load_result import MOST_CLIENTS, LoadResult, LoadTestConfig
from mlops_lab.validate.schedule import due_times

SENDER = Path(__file__).with_name("sender.py")
SLICES = 20


def measure_load(
    client: Client, name: str, version: int | str, images: Iterable[Any], plan: LoadTestConfig | None = None
) -> LoadResult:
    """Send images over and over, on a clock or from several clients, and measure what comes back.

    Parameters
    ----------
    client
        Of the server: :class:`mlops_lab.serve.Client`.
    name, version
        The model, as for :meth:`mlops_lab.serve.Client.classify`.
    images
        The bodies of the requests in turn, each as for :meth:`mlops_lab.serve.Client.classify`.
    plan
        The load and the limits.

    Returns
    -------
    LoadResult

    Raises
    ------
    LabError
        The server does not answer at all, or has no such version.

    Examples
    --------
    >>> from mlops_lab import data, serve
    >>> images = data.load("digits").test.images[:8]
    >>> with serve.start("models", name="example") as server:
    ...     measure_load(serve.Client(server), "digits", "v1", images, LoadTestConfig(clients=2, seconds=0.2)).failed
    0
    """
    requests = [client.prepare(name, version, image) for image in images]
    return send_load(client.url, requests, plan or LoadTestConfig())


def send_load(url: str, requests: Sequence[PreparedRequest], plan: LoadTestConfig) -> LoadResult:
    """Send prepared requests, of any kind, to a server.

    Raises
    ------
    ServerError
        The generator cannot be run.
    """
    if not requests:
        raise WrongUsage("There is nothing to send.", "Give at least one image.")
    address = urlsplit(url)
    secure = address.scheme == "https"
    times = due_times(plan.rate, plan.seconds, plan.shape).tolist() if plan.rate else None
    order = {
        "host": address.hostname,
        "port": address.port or (443 if secure else 80),
        "secure": secure,
        "connections": MOST_CLIENTS if plan.rate else plan.clients,
        "timeout": plan.timeout,
        "seconds": plan.seconds,
        "times": times,
        "requests": [base64.b64encode(_as_bytes(request, address.netloc)).decode() for request in requests],
    }
    limit = plan.seconds + plan.timeout + 60
    try:
        command = [sys.executable, "-I", str(SENDER)]
        done = subprocess.run(command, input=json.dumps(order) + "\n", capture_output=True, text=True, timeout=limit)
        found = json.loads(done.stdout)
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        raise ServerError(f"The load generator did not end: {error}.", "Look at the server's log.") from error
    return _counted(url, plan, found)


def _as_bytes(request: PreparedRequest, host: str) -> bytes:
    """Return a request as it goes over the wire."""
    body = request.body or b""
    body = body.encode() if isinstance(body, str) else bytes(body)
    kept = {name: value for name, value in request.headers.items() if name.lower() not in ("host", "connection")}
    fields = {"Host": host, **kept, "Content-Length": str(len(body)), "Connection": "keep-alive"}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{request.method} {request.path_url} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body


def _counted(url: str, plan: LoadTestConfig, found: Mapping[str, Any]) -> LoadResult:
    statuses = Counter(one[3] for one in found["results"])
    due, late, waits = (np.array([one[place] for one in found["results"]], float) for place in range(3))
    good = np.array([one[3].startswith("2") for one in found["results"]], bool)
    taken = 1000 * waits[good]
    times = np.percentile(taken, [50, 95, 99, 100, 99.9]) if len(taken) else np.zeros(5)
    lateness = 1000 * float(np.percentile(late, 99)) if plan.rate and len(late) else 0.0
    p50, p95, p99, largest, p99_9 = (round(float(value), 2) for value in times)
    return LoadResult(
        url,
        plan,
        round(float(found["seconds"]), 3),
        dict(sorted(statuses.items())),
        p50,
        p95,
        p99,
        largest,
        p99_9,
        lateness=round(lateness, 2),
        most_in_flight=int(found["most"]),
        timeline=_over_time(plan.seconds, due, waits, good),
    )


def _over_time(
    seconds: float, due: NDArray[np.float64], waits: NDArray[np.float64], good: NDArray[np.bool_]
) -> tuple[tuple[float, float, float, float], ...]:
    """Return slices of time: when, what was due, what was answered, and the 99th percentile of the waits."""
    width = seconds / SLICES
    begun, ended = (due / width).astype(int), ((due + waits) / width).astype(int)
    slices = []
    for place in range(SLICES):
        taken = 1000 * waits[(begun == place) & good]
        wait = float(np.percentile(taken, 99)) if len(taken) else 0.0
        asked, answered = int((begun == place).sum()), int(((ended == place) & good).sum())
        slices.append((round((place + 0.5) * width, 4), asked / width, answered / width, round(wait, 2)))
    return tuple(slices)
