"""Who may come in: so many requests of a model at a time, so many waiting, and whoever has a key."""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections import deque
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from flask import Blueprint, request

from mlops_lab.errors import DeadlineExceeded, Unauthorized, Unavailable, WrongUsage
from mlops_lab.serve.limits import Limits
from mlops_lab.serve.operations import laps
from mlops_lab.serve.registry import Registry


@dataclass(slots=True)
class Lane:
    """The requests of one model: how many are being answered, and the turns of those that wait, first come first."""

    flying: int = 0
    waiting: deque[threading.Lock] = field(default_factory=deque)


class Gate:
    """Lets a bounded number of requests in; the others wait, or are told to come back.

    Parameters
    ----------
    limits
        ``in_flight`` and ``queue`` hold for each model. One of the ``threads`` is always left to whoever asks whether
        the server is alive.

    Examples
    --------
    >>> gate = Gate(Limits(in_flight=1, queue=0))
    >>> with gate.admit("clothes"):
    ...     gate.lane("clothes").flying
    1
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._lanes: dict[str, Lane] = {}
        self._inside = 0
        self._most = max(1, limits.threads - 1)

    def lane(self, name: str) -> Lane:
        """Return the lane of a model; the caller knows that there is such a model."""
        return self._lanes.get(name) or self._lanes.setdefault(name, Lane())

    @contextmanager
    def admit(self, name: str, waited: float = 0.0) -> Iterator[None]:
        """Hold a place among a model's requests.

        Parameters
        ----------
        name
            Of a model that there is.
        waited
            Seconds of its time that the request has used already.

        Raises
        ------
        Unavailable
            Too many requests are in flight and waiting.
        DeadlineExceeded
            The request's time ran out before its turn came.
        """
        self.enter(name, waited)
        try:
            yield
        finally:
            self.leave(name)

    def enter(self, name: str, waited: float = 0.0) -> None:
        """Take a place, at once or after a wait; every ``enter`` that returns needs a :meth:`leave`."""
        lane = self.lane(name)
        with self._lock:
            if self._inside >= self._most:
                raise self._full("The server", self._inside, "threads", self._limits.threads)
            if lane.flying < self._limits.in_flight:
                lane.flying += 1
                self._inside += 1
                return
            if len(lane.waiting) >= self._limits.queue:
                held = lane.flying + len(lane.waiting)
                raise self._full(
                    f"The model {name!r}", held, f"in_flight={self._limits.in_flight} and queue", self._limits.queue
                )
            turn = threading.Lock()
            turn.acquire()
            lane.waiting.append(turn)
            self._inside += 1
        if not turn.acquire(timeout=max(0.0, self._limits.request_seconds - waited)):
            self._give_up(name, lane, turn)

    def leave(self, name: str) -> None:
        """Give the place to who has waited longest, or free it."""
        lane = self.lane(name)
        with self._lock:
            self._inside -= 1
            if lane.waiting:
                lane.waiting.popleft().release()
            else:
                lane.flying -= 1

    def _give_up(self, name: str, lane: Lane, turn: threading.Lock) -> None:
        with self._lock:
            if turn not in lane.waiting:  # the turn came in the very last moment
                return
            lane.waiting.remove(turn)
            self._inside -= 1
        raise DeadlineExceeded(
            f"The request waited for the model {name!r} longer than request_seconds={self._limits.request_seconds:g}.",
            "Try again later, or send fewer requests at a time.",
        )

    @staticmethod
    def _full(who: str, held: int, setting: str, value: int) -> Unavailable:
        message = f"{who} has {held} requests in flight or waiting; its limit is {setting}={value}."
        return Unavailable(message, "Try again in 1 s, or raise the limit in the server's Limits.", code="overloaded")


class Keys:
    """The keys that open the server; without any, it is open.

    Examples
    --------
    >>> keys = Keys(["open sesame"])
    >>> keys.open_with("open sesame"), keys.open_with("open, please")
    (True, False)
    """

    def __init__(self, keys: Collection[str]) -> None:
        if isinstance(keys, str):
            keys = (keys,)
        if not all(keys):
            raise WrongUsage("An API key is empty, which would open the server to everyone.", "Name a key, or none.")
        # Digests have one length, so not even the length of a key can be told from the time a comparison takes.
        self._digests = [_digest(key) for key in keys]

    def __bool__(self) -> bool:
        return bool(self._digests)

    def open_with(self, key: str) -> bool:
        """Tell whether a key is one of ours, in a time that does not depend on the answer."""
        digest = _digest(key)
        return any([hmac.compare_digest(digest, known) for known in self._digests])


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


# Whether the server is alive is nobody's secret, and the pages hold no data: what they show, they must ask for.
OPEN = frozenset({"healthz", "readyz", "oip.live", "oip.ready", "pages.home", "pages.docs", "pages.asset"})


def blueprint(gate: Gate, registry: Registry, keys: Keys) -> Blueprint:
    """Return the hooks that let every request of the application in, or not."""
    routes = Blueprint("gate", __name__)

    def ask_for_key() -> None:
        if request.endpoint in OPEN:
            return
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        given = key.strip() if scheme.lower() == "bearer" else request.headers.get("X-API-Key", "")
        if not keys.open_with(given):
            what = "The API key is not one of this server's." if given else "This server asks for an API key."
            raise Unauthorized(what, "Send the header 'Authorization: Bearer <key>'.")

    if keys:
        routes.before_app_request(ask_for_key)

    @routes.before_app_request
    def enter() -> None:
        name = request.method == "POST" and (request.view_args or {}).get("name")
        if name and name in registry.entries:
            watch = laps.current() or laps.begin()
            gate.enter(name, watch.elapsed())
            watch.lane = name
            watch.lap("queue")

    @routes.teardown_app_request
    def leave(error: BaseException | None) -> None:
        watch = laps.end()
        if watch is not None and watch.lane is not None:
            gate.leave(watch.lane)

    return routes
