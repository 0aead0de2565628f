"""What the server takes at most. Each limit is a setting; the error that reports one names it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """The server's limits.

    Parameters
    ----------
    body_bytes
        Of a request's body.
    image_pixels, image_side
        Of one image, read from its header before it is decoded.
    batch
        Images in one request.
    json_depth
        Nesting of a JSON body.
    headers, header_bytes
        Of a request.
    idle_seconds
        A connection that sends nothing for so long is closed.
    drain_seconds
        Requests that are being answered get so long when the server is asked to end.
    in_flight, queue
        Requests of one model that are answered at the same time, and that wait for their turn.
    request_seconds
        A request that has waited so long for its turn is given up.
    threads
        Requests in the server's hands, over all models: in flight, waiting, or asking for something else. A POST that
        finds every thread taken is refused.
    connections
        Open at the same time; more wait to be accepted.

    Examples
    --------
    >>> Limits(batch=16).batch
    16
    """

    body_bytes: int = 2 * 1024 * 1024
    image_pixels: int = 4_000_000
    image_side: int = 4096
    batch: int = 256
    json_depth: int = 8
    headers: int = 100
    header_bytes: int = 16 * 1024
    idle_seconds: int = 15
    drain_seconds: float = 10.0
    in_flight: int = 8
    queue: int = 32
    request_seconds: float = 10.0
    # Room for one model's in_flight and queue, and for whoever asks whether the server is alive.
    threads: int = 48
    connections: int = 500
