"""Limits of the server. Each is a setting, and the error that reports one names it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from mlops_lab.errors import WrongUsage, nearest


@dataclass(frozen=True)
class Limits:
    """The server's limits.

    Parameters
    ----------
    body_bytes
        Size of a request body.
    image_pixels, image_side
        Size of one image, read from its header before it is decoded.
    image_scans
        Number of scans of a JPEG; each passes over all of its pixels.
    request_pixels
        Number of pixels in all encoded images of one request; each part of a file counts as 100 more.
    batch
        Number of images in one request.
    json_depth
        Nesting depth of a JSON body.
    json_containers
        Number of lists and objects in a JSON body: a batch of 256 images of 28 × 28 lists of one number has 208,000.
    headers, header_bytes
        Number of header fields, and size of the whole head of a request.
    idle_seconds
        A connection that sends nothing for this long is closed.
    head_seconds, body_seconds
        Total time in which the head and the body of a request must arrive.
    drain_seconds
        Time that requests in flight are given when the server is asked to stop.
    in_flight, queue
        Number of requests of one model that are answered at the same time, and that wait.
    queue_seconds
        A request that has waited for its model this long is refused with 503.
    request_seconds
        Deadline of a request, counted from its head: a request that reaches it while waiting is answered 504.
    threads
        Number of requests over all models that are handled by threads; a POST that finds all of them busy is refused.
    connections
        Number of open connections, or fewer where the system allows fewer open files; another one takes the place of
        that which has waited longest for its client, idle or with an unfinished request.
    loop_bytes, loop_pixels
        Size of the body and of the image that are small enough to be decoded on the event loop.
    loop_seconds
        A version whose prediction of one example takes less time than this is computed on the event loop.

    Examples
    --------
    >>> Limits(batch=16).batch
    16
    """

    body_bytes: int = 2 * 1024 * 1024
    image_pixels: int = 4_000_000
    image_side: int = 4096
    image_scans: int = 32
    request_pixels: int = 6_000_000
    batch: int = 256
    json_depth: int = 8
    json_containers: int = 300_000
    headers: int = 100
    header_bytes: int = 16 * 1024
    idle_seconds: float = 15.0
    head_seconds: float = 10.0
    body_seconds: float = 30.0
    drain_seconds: float = 10.0
    in_flight: int = 8
    queue: int = 32
    queue_seconds: float = 5.0
    request_seconds: float = 10.0
    # Room for one model's in_flight and queue, and for health checks.
    threads: int = 48
    connections: int = 500
    loop_bytes: int = 64 * 1024
    loop_pixels: int = 250_000
    loop_seconds: float = 0.001

    @classmethod
    def of(cls, changed: Mapping[str, float]) -> Limits:
        """Return the limits of which some were changed by name, as ``mlops-lab serve --limit batch=512`` does.

        Raises
        ------
        WrongUsage
            There is no such limit, or the value is none that it can have.

        Examples
        --------
        >>> Limits.of({"batch": 512}).batch
        512
        """
        kinds: dict[str, Any] = {each.name: type(each.default) for each in fields(cls)}
        found: dict[str, float] = {}
        for name, value in changed.items():
            if name not in kinds:
                raise WrongUsage(f"There is no limit {name[:80]!r}.", nearest(name[:80], kinds))
            whole = kinds[name] is int
            least = 0 if name == "queue" else 1 if whole else math.ulp(0.0)
            if not least <= value < math.inf or (whole and value % 1):
                wanted = f"a whole number from {least}" if whole else "a number above 0"
                raise WrongUsage(f"The limit {name} is {value:g}.", f"Take {wanted}.")
            found[name] = kinds[name](value)
        return cls(**found)  # type: ignore[arg-type]
