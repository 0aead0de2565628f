"""The context of one request: its id, when it arrived, and how long each stage took, whatever protocol it came by."""

from __future__ import annotations

import random
import re
import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Protocol

from mlops_lab.predict import Predictor

STAGES = ("queue", "decode", "infer", "encode")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Promise(Protocol):
    """What an answer waits for: the commit of its predictions, say. Each way to wait ends, sooner or later."""

    def wait(self) -> object:
        """Wait in a thread."""
        ...

    async def wait_on_loop(self) -> object:
        """Wait without one."""
        ...


@dataclass(slots=True)
class RequestContext:
    """The context of one request: its id, its times, and the version that answered.

    Parameters
    ----------
    request_id
        Identifies the request in answers, logs and metrics.
    started, last
        When the request began, and when its last stage ended, by ``time.perf_counter``.
    stages
        Seconds spent in each stage.
    predictor
        The version that answered, once that is known.
    model
        The name of the model that a gRPC call asks for.
    links
        The contexts of the links of a chain.
    promises
        On an event loop: what the answer has to wait for. In a thread, where that is waited for at once, None.

    Examples
    --------
    >>> context = RequestContext.begin("an-id")
    >>> context.record_stage("decode")
    >>> list(context.stages), context.request_id
    (['decode'], 'an-id')
    """

    request_id: str
    started: float
    last: float
    stages: dict[str, float] = field(default_factory=dict)
    predictor: Predictor | None = None
    model: str = ""
    links: list[RequestContext] = field(default_factory=list)
    promises: list[Promise] | None = None

    @classmethod
    def begin(cls, request_id: str = "") -> RequestContext:
        """Start timing a request; an id that is missing or malformed is replaced by one of our own.

        Ours is the second and then random: whatever is stored by ids that came together lies together on the disk. It
        need not be secret, and this is the fastest.
        """
        now = time.perf_counter()
        if not (request_id and _REQUEST_ID.fullmatch(request_id)):
            request_id = f"{int(time.time()) << 48 | random.getrandbits(48):020x}"
        return cls(request_id, now, now)

    def record_stage(self, stage: str, now: float | None = None) -> None:
        """End a stage, by default now: the time since the last stage ended was spent in it."""
        now = time.perf_counter() if now is None else now
        self.stages[stage] = self.stages.get(stage, 0.0) + now - self.last
        self.last = now

    def elapsed(self) -> float:
        """Return the seconds since the request began."""
        return time.perf_counter() - self.started

    def restart(self) -> None:
        """Start again from now, after work that is not the request's own: a version was loaded on its first use."""
        self.started = self.last = time.perf_counter()
        self.stages.clear()

    def link(self) -> RequestContext:
        """Return the context of the next link of a chain: of the same request, with stages of its own."""
        link = RequestContext(self.request_id, self.started, time.perf_counter())
        self.links.append(link)
        return link

    def finish(self) -> None:
        """End the last stage of a request that was answered by a model."""
        if self.predictor is not None:
            self.record_stage("encode")

    def server_timing(self) -> str:
        """Return the value of the ``Server-Timing`` header; empty where no model answered."""
        stages = self.stages if self.predictor is not None else {}
        for link in self.links:
            stages = {**stages, **{stage: stages.get(stage, 0.0) + took for stage, took in link.stages.items()}}
        return ", ".join([f"{stage};dur={1000 * seconds:.2f}" for stage, seconds in stages.items()])


# Set while the engine computes, so that an engine that queues requests can record how long they waited.
current: ContextVar[RequestContext | None] = ContextVar("mlops_lab_request", default=None)
