"""deploy-2: start, wait, ask, stop. The student's ``run.py`` starts a server that plays one of five worlds."""

from __future__ import annotations

import socket
import time
from functools import cache

from mlops_lab.grade import programs
from mlops_lab.grade.calls import Answer
from mlops_lab.grade.cases import Case
from mlops_lab.grade.exercises import Exercise, Hint
from mlops_lab.grade.inner import body_image
from mlops_lab.grade.mock_server import MockRequest, Reply
from mlops_lab.grade.rubric.images import MATERIAL, all_tested
from mlops_lab.image import encode_png

exercise = Exercise("deploy-2", "Start, wait, ask, stop", kind="file", names=("run.py",),
                    section="Notebook 6, section 2")  # fmt: skip
SLOW, WAIT, LONG, PATIENCE = 4.0, 2.0, 9.0, 4.0  # seconds


@cache
def _golden() -> bytes:
    return encode_png(all_tested()[0][7])


class World:
    """What the server of a world answers, and what it saw: here, where no student's code can write.

    Attributes
    ----------
    asked : bool
        Whether the golden image was asked, and answered.
    early : bool
        Whether something was asked before the server was ready.
    """

    def __init__(self, name: str) -> None:
        self._name, self._started = name, 0.0
        self.asked = self.early = False

    @property
    def _ready(self) -> bool:
        waits = SLOW if self._name == "slow" else 0.0
        return self._name != "never" and self._started > 0 and time.monotonic() - self._started > waits

    def respond(self, asked: MockRequest) -> Reply:
        """Answer one request."""
        if (asked.method, asked.path) == ("POST", "/started"):
            self._started = self._started or time.monotonic()
        ready = self._ready
        if asked.method == "POST" and asked.path != "/started":
            self.early |= not ready
            self.asked |= ready and body_image(asked.kind, asked.body) == _golden()
        content = b'{"ready": true, "label": "Shirt"}' if ready else b'{"error": "loading"}'
        return 200 if ready else 503, "application/json", content


def _played(answer: Answer, case: Case, name: str, wait: float) -> tuple[programs.ProgramResult, World]:
    """Run a student's program once in a world."""
    world = World(name)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    server = (MATERIAL / "played_server.txt").read_text(encoding="utf-8").replace("WORLD", name)
    beside = {"api.py": server.encode(), "golden.png": _golden()}
    ended = programs.run(
        answer.path, beside, seconds=wait + 2 * PATIENCE, port=port, taken=name == "taken",
        settings={"PORT": str(port), "WAIT": f"{wait:g}"},
        interrupt_at=f":{port}" if name in ("quick", "slow") else "", respond=world.respond, relay_in="api.py",
    )  # fmt: skip
    case.note(f"PORT={port} WAIT={wait:g} python run.py", f"exit status {ended.status} after {ended.seconds:.1f} s",
              ended.printed[-300:])  # fmt: skip
    return ended, world


HINTS = {
    "left-running": Hint(
        "The port is still held by your last try.", "Whatever happens, end what you started: `finally`."
    ),
    "late": Hint("It was still running after {seconds:.1f} s.", "Every wait has a limit."),
    "status": Hint(
        "It ended with status {status}.",
        "0 says that all went well, and 1 that it did not: whoever calls it reads nothing else.",
    ),
}


def _expect_ended(case: Case, ended: programs.ProgramResult, status: int, late: str = "late") -> None:
    """Fail unless a program ended with a status and left nothing."""
    case.expect(ended.status is not None, "It did not end.", hint=late, seconds=ended.seconds,
                expected=f"exit status {status}", received="still running")  # fmt: skip
    case.expect(not ended.held, "The server still runs.", hint="left-running", expected="nothing left",
                received="a server")  # fmt: skip
    case.expect(ended.status == status, "It ended with another status.", hint="status", status=ended.status,
                expected=status, received=ended.status, share=0.5)  # fmt: skip


@exercise.check("quick", "A quick server is asked the golden image, and ended by Ctrl-C", points=2, timeout=30, hints={
    **HINTS,
    "silent": Hint("The address was not printed.", "Whoever started it wants to know where it stands."),
    "not-asked": Hint("The golden image was not asked.", "POST golden.png to /models/clothes/v1: ready is not right."),
})  # fmt: skip
def quick(answer: Answer, case: Case) -> None:
    ended, world = _played(answer, case, "quick", LONG)
    case.expect(ended.status is not None or world.asked, "Nothing was asked, and it did not end.", hint="late",
                seconds=ended.seconds)  # fmt: skip
    case.expect(world.asked, "The golden image was not asked.", hint="not-asked", received=ended.printed[-200:])
    case.expect("http" in ended.printed, "The address was not printed.", hint="silent", received=ended.printed[-200:])
    _expect_ended(case, ended, 0)


@exercise.check("slow", "A slow server is waited for", points=1, timeout=30, after="quick", hints={
    **HINTS,
    "early": Hint("It was asked before it was ready.", "A fixed pause is too short for the slow one, and wasted on the "
                  "quick one: ask /readyz until it says so."),
})  # fmt: skip
def slow(answer: Answer, case: Case) -> None:
    ended, world = _played(answer, case, "slow", LONG)
    case.expect(not world.early, "It was asked too early.", hint="early", expected=f"after {SLOW} s")
    _expect_ended(case, ended, 0)


@exercise.check("never", "One that is never ready is given up, and ended", points=1, timeout=30, hints=HINTS)
def never(answer: Answer, case: Case) -> None:
    _expect_ended(case, _played(answer, case, "never", WAIT)[0], 1)


@exercise.check("dies", "One that died is not waited for", points=1, timeout=40, hints={
    **HINTS,
    "waits": Hint("Its process ended after 0.2 s with a message, and you waited {seconds:.0f} s.",
                  "Look at both: the door and the process."),
})  # fmt: skip
def dies(answer: Answer, case: Case) -> None:
    ended, _ = _played(answer, case, "dies", LONG)
    case.expect(ended.status is not None and ended.seconds < LONG - 1, "It waited for one that had died.", hint="waits",
                seconds=ended.seconds, expected="a second or two", received=f"{ended.seconds:.1f} s")  # fmt: skip
    _expect_ended(case, ended, 1)


@exercise.check("taken", "Another server behind the port is not taken for one's own", points=1, timeout=40, hints={
    **HINTS,
    "other": Hint("Somebody else answered at this port, and you took it for your server.",
                  "Your process had died: look at both, the door and the process."),
})  # fmt: skip
def taken(answer: Answer, case: Case) -> None:
    ended, _ = _played(answer, case, "taken", WAIT)
    case.expect(ended.status not in (0, None), "Another server was taken for one's own.", hint="other",
                expected="exit status 1", received=f"exit status {ended.status}")  # fmt: skip
    _expect_ended(case, ended, 1)
