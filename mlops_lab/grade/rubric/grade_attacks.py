"""grade-3: twelve requests that weak servers do not survive, and a server of one's own that survives ours."""

from __future__ import annotations

import io
import statistics
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from mlops_lab.grade import slowdown
from mlops_lab.grade.calls import Answer
from mlops_lab.grade.cases import Case, Failed
from mlops_lab.grade.exercises import Exercise, Hint
from mlops_lab.grade.http import form
from mlops_lab.grade.live import SandboxServer
from mlops_lab.grade.results import clip
from mlops_lab.grade.rubric import started
from mlops_lab.grade.rubric.images import MATERIAL, garments, png
from mlops_lab.grade.rubric.serve_requests import HINTS, classify
from mlops_lab.grade.rubric.shared import RAISES
from mlops_lab.grade.rubric.weak_servers import ROUTE, WEAK, Attack

exercise = Exercise("grade-3", "Attack, then defend", kind="file", names=("attacks.py",),
                    section="Notebook 8, section 3", hints={**HINTS, **RAISES})  # fmt: skip
TWELVE, ENOUGH = 12, 8
MEMORY = 50_000_000  # bytes more than before
HEALTH, PAUSE, CONCURRENT = 0.25, 2.0, 24  # seconds of an answer about health; seconds held back; requests at once
CROWDED, LONGEST = 4, 8.0  # times as late as else that health may be among many; seconds held back at most
HEALTHS = ("/healthz", "/readyz", ROUTE)


def _own(answer: Answer) -> Path | None:
    return answer.path.parent if answer.path is not None else None


def _attacks(answer: Answer, case: Case) -> list[Attack]:
    """Return the student's requests, read in a sandbox."""
    with started.functions(_own(answer), "attacks.py", "attacks") as student:
        said = student.value("attacks")
    right = isinstance(said, list | tuple) and all(isinstance(one, Mapping) for one in said)
    case.expect(right, "attacks is no list of dicts.", hint="form", what="attacks",
                received=clip(type(said).__name__))  # fmt: skip
    return [_attack(case, place, one) for place, one in enumerate(said[:TWELVE], 1)]


def _attack(case: Case, place: int, said: Mapping[str, Any]) -> Attack:
    known = {one.name: one.default for one in fields(Attack)}
    values = {str(name): value for name, value in said.items() if str(name) in known}
    for name, value in values.items():
        wanted = (int, float) if name in ("pause", "times") else type(known[name])
        right = isinstance(value, wanted) and not isinstance(value, bool)
        case.expect(right, f"Request {place} has a {name} that is no {type(known[name]).__name__}.", hint="form",
                    what=f"{name} of request {place}", received=clip(repr(value), 60))  # fmt: skip
    return Attack(**values)


@exercise.check("twelve", "Twelve requests can be read", points=1, timeout=30, hints={
    "form": Hint("{what} cannot be read: {received}.", "A list of dicts: method, path, kind, body, pause, times."),
    "fewer": Hint("There are {count} requests.", "Twelve: each weakness wants an idea of its own."),
})  # fmt: skip
def twelve(answer: Answer, case: Case) -> None:
    count = len({repr(one) for one in _attacks(answer, case)})
    case.expect(count == TWELVE, f"There are {count} different requests.", hint="fewer", count=count, expected=TWELVE,
                share=0.5 * (count > ENOUGH), received=count)  # fmt: skip


@exercise.check("fall", "At least eight of ten weak servers fall", points=4, timeout=30, hints={
    "one-idea": Hint("All {count} are {what}.", "Size, number, slowness, names, types?"),
    "stands": Hint("The server that {what} still stands.", "Which request would its author not have thought of?"),
})  # fmt: skip
def fall(answer: Answer, case: Case) -> None:
    attacks = _attacks(answer, case)
    standing = []
    for key, (what, weak) in WEAK.items():
        how = next((f"request {place}: {fell}" for place, one in enumerate(attacks, 1) if (fell := weak(one))), "")
        case.note(f"the server that {what}: {how or 'stands'}")
        if not how:
            standing.append(key)
    fallen = len(WEAK) - len(standing)
    if fallen < ENOUGH:
        idea = _only_idea(attacks)
        case.fail(f"{fallen} of {len(WEAK)} weak servers fell.", hint="one-idea" if idea else "stands",
                  count=len(attacks), what=idea or WEAK[standing[0]][0], share=fallen / len(WEAK) * (fallen > 2),
                  expected=f"at least {ENOUGH}", received=fallen)  # fmt: skip


def _only_idea(attacks: list[Attack]) -> str:
    """Return the one idea that all requests share, or nothing."""
    ideas = {
        "unreadable images": lambda one: bool(WEAK["trusting"][1](one)),
        "images of another size": lambda one: bool(WEAK["sizes"][1](one) or WEAK["unfolding"][1](one)),
        "long bodies": lambda one: bool(WEAK["swallowing"][1](one)),
        "odd addresses": lambda one: bool(WEAK["joining"][1](one)),
        "empty": lambda one: not one.body,
    }
    return next((name for name, meets in ideas.items() if attacks and all(map(meets, attacks))), "")


@contextmanager
def _server(answer: Answer) -> Iterator[SandboxServer]:
    models = {name: (MATERIAL / name).read_bytes() for name in ("clothes.keras", "clothes.onnx")}
    with started.server(_own(answer), models) as server:
        yield server


@exercise.check("honest", "Your own server answers honest clients", points=1, held_out=5, timeout=120,
                covers="other garments", hints={
    "refused": Hint("An honest client was refused as well: {status}.",
                    "Whoever refuses everything is safe, and useless."),
})  # fmt: skip
def honest(answer: Answer, case: Case) -> None:
    with _server(answer) as server:
        _honest(server, case)


def _honest(server: SandboxServer, case: Case) -> None:
    images, labels = garments(case.rng, 8, held_out=case.held_out)
    right = 0
    for pixels, label in zip(images, labels.tolist(), strict=True):
        sent = png(pixels)
        status = server.post(ROUTE, sent.data, sent.kind, timeout=30).status
        case.expect(not 400 <= status < 500, f"An honest image got {status}.", hint="refused", status=status,
                    expected=200, received=status)  # fmt: skip
        found = classify(server, case, sent, timeout=30)
        right += found.best == label or found.index == label
    case.expect(right >= 4, f"{right} of {len(images)} garments were recognised.", received=right)


@cache
def bomb(side: int) -> bytes:
    """Return a PNG of some kilobytes that unfolds to many pixels."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("1", (side, side)).save(buffer, format="PNG")
    return buffer.getvalue()


def ours(case: Case) -> list[tuple[str, Attack, tuple[int, ...]]]:
    """Return the requests that a student's server must survive: what each is, and the statuses that are right."""
    rng = case.rng
    noise = rng.integers(0, 256, 4000, dtype=np.uint8).tobytes()
    whole = png(garments(rng, 1, held_out=True)[0][0]).data
    field, kind = form(f"file{case.seed % 89}", whole)
    bad = tuple(range(400, 500))
    deep = b"[" * int(rng.integers(20_000, 60_000))
    name = f"v{int(rng.integers(100, 999))}"
    return [
        ("an empty body", Attack(), bad),
        ("bytes that are no image", Attack(body=noise), bad),
        ("half a PNG", Attack(body=whole[: len(whole) // 2]), bad),
        ("a PNG of kilobytes with 100 megapixels", Attack(body=bomb(10_000 - case.seed % 50)), bad),
        ("eight megabytes", Attack(body=noise * 2000), (*bad, 0)),
        ("a name that leads out of the folder", Attack("GET", "/models/..%2f..%2fetc/passwd"), bad),
        ("a version that is not there", Attack(path=f"/models/clothes/{name}", body=whole), bad),
        ("JSON nested without end", Attack(kind="application/json", body=deep), bad),
        ("a form without the field", Attack(kind=kind, body=field), bad),
        ("another method", Attack("DELETE"), (*bad, 501)),
        ("an image whose second half comes late", Attack(body=whole, pause=PAUSE), (200, 408)),
        (f"{CONCURRENT} clients at once", Attack(body=whole, times=CONCURRENT), (200, 429, 503)),
    ]


@exercise.check("survives", "Your own server survives twelve of ours", points=5, held_out=12, timeout=240,
                after="honest", covers="the same, other bytes", again=True, hints={
    "status": Hint("{what} got {status}.", "A wrong request is the client's fault, and the status says so: 4xx."),
    "bomb": Hint("{what} took {megabytes:.0f} MB.",
                 "Kilobytes of PNG unfold to 100 megapixels: look at the header before you decode.",
                 "Read again: Image.open reads the header only."),
    "memory": Hint("{what} took {megabytes:.0f} MB.", "What a stranger sends decides how much you hold."),
    "health": Hint("While {what} came, health was answered after {seconds:.2f} s.",
                   "A balancer that waits so long sends nobody here any more. Who else waits for a slow client?"),
    "dead": Hint("After {what} it did not answer any more.", "One request ended it for everybody."),
})  # fmt: skip
def survives(answer: Answer, case: Case) -> None:
    with _server(answer) as server:
        images = garments(case.rng, 3, held_out=True)[0]
        for pixels in images:  # so that all that it loads late is loaded
            classify(server, case, png(pixels), timeout=30)
        health = next((path for path in HEALTHS if server.get(path).status == 200), ROUTE)
        siege = ServerUnderAttack(server, health)
        wrong = []
        for what, one, right in ours(case):
            key, figures = siege.stand(what, one, right)
            case.note(f"{what}: {figures['said']}")
            if key:
                wrong.append((key, figures))
            if key == "dead":
                break
        if wrong:
            order = ("dead", "bomb", "memory", "health", "status")
            key, figures = min(wrong, key=lambda one: order.index(one[0]))
            share = 0.0 if key == "dead" else max(0.0, 0.7 - 0.1 * len(wrong))
            case.fail(f"{len(wrong)} of {TWELVE} were not survived; one: {figures['what']}.", hint=key, share=share,
                      expected=figures["wanted"], received=figures["said"], **figures)  # fmt: skip


class ServerUnderAttack:
    """A server under attack: what it answers, how much memory it takes, and how soon it says that it is well."""

    def __init__(self, server: SandboxServer, health: str) -> None:
        self._server, self._health = server, health
        quiet = statistics.median(self._asked() for _ in range(5))
        self.limit = max(HEALTH * slowdown.factor(), 10 * quiet)

    def _asked(self) -> float:
        begun = time.perf_counter()
        self._server.get(self._health, timeout=10)
        return time.perf_counter() - begun

    def _send(self, one: Attack) -> int:
        """Send it once; 0 where the connection was closed without an answer."""
        try:
            headers = {"Content-Type": one.kind} if one.body else {}
            return self._server.request(one.method, one.path, one.body or None, headers, timeout=20,
                                        pause=one.pause).status  # fmt: skip
        except Failed:
            return 0

    def stand(self, what: str, one: Attack, right: tuple[int, ...]) -> tuple[str, dict[str, Any]]:
        """Attack once; return the key of what was wrong, or nothing, and its figures."""
        if one.pause:  # long enough that whoever waits for it is seen, also on a machine that is slow just now
            one = replace(one, pause=min(LONGEST, max(one.pause, 2 * self.limit)))
        before = self._memory()
        most = before
        waits: list[float] = []
        with ThreadPoolExecutor(one.times) as pool:
            sent = [pool.submit(self._send, replace(one, times=1)) for _ in range(one.times)]
            while wait(sent, timeout=0.02).not_done:
                most = max(most, self._memory())
                if (one.pause or one.times > 1) and len(waits) < 20:
                    waits.append(self._waited())
            statuses = [each.result() for each in sent]
        status = next((each for each in statuses if each not in right), statuses[0])
        late = (statistics.median(waits) if one.times > 1 else max(waits)) if waits else 0.0
        taken = max(most, self._memory()) - before
        figures = {"what": what, "status": status or "no answer", "megabytes": taken / 1e6, "seconds": late,
                   "said": f"{status or 'no answer'}, {max(0, taken) / 1e6:.0f} MB more", "wanted": "4xx"}  # fmt: skip
        if not self._server.alive or self._waited() >= 10:
            return "dead", {**figures, "wanted": "an answer"}
        if taken > MEMORY:
            large = "megapixels" in what
            return "bomb" if large else "memory", {**figures, "wanted": f"at most {MEMORY / 1e6:.0f} MB more"}
        if late > self.limit * (CROWDED if one.times > 1 else 1):
            said = f"health after {late:.2f} s"
            return "health", {**figures, "said": said, "wanted": f"health within {self.limit:.2f} s"}
        return "" if status in right else "status", {**figures, "wanted": _named(right)}

    def _waited(self) -> float:
        try:
            return self._asked()
        except Failed:
            return 10.0

    def _memory(self) -> int:
        return self._server.process.memory if self._server.process is not None else 0


def _named(right: tuple[int, ...]) -> str:
    return "4xx" if 400 in right else " or ".join(map(str, right))
