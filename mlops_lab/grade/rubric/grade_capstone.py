"""grade-5, the capstone: a model of one's own, from its training to its second version. Six parts of five points."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.errors import BadRequest
from mlops_lab.grade.calls import Answer, LocalTarget
from mlops_lab.grade.cases import Case, Failed
from mlops_lab.grade.exercises import Exercise, Hint, find
from mlops_lab.grade.inner import body_image
from mlops_lab.grade.live import SandboxServer
from mlops_lab.grade.mock_server import MockHandler, MockRequest, Reply
from mlops_lab.grade.results import CheckResult
from mlops_lab.grade.rubric import capstone_files, started
from mlops_lab.grade.rubric.answered import read
from mlops_lab.grade.rubric.capstone_files import Capstone, delivered, leaked, portable, trained
from mlops_lab.grade.rubric.serve_requests import HINTS
from mlops_lab.grade.rubric.shared import RAISES
from mlops_lab.grade.rubric.validate_server import failure
from mlops_lab.grade.running import run_check, run_exercise
from mlops_lab.image import decode, encode_png

exercise = Exercise("grade-5", "Capstone: the whole life", kind="folder", names=("capstone", "capstone.json"),
                    section="Notebook 8, section 5", hints={**HINTS, **RAISES, **capstone_files.HINTS})  # fmt: skip
RIGHT, ASKED = 0.7, 40  # share of held-out images that must be right, and how many are asked
COMPOSE = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")


def _capstone(answer: Answer, case: Case) -> Capstone:
    path = answer.path  # its capstone.json, where the folder itself is the submission
    return capstone_files.read(case, path if path is None or path.is_dir() else path.parent)


@exercise.check("whole", "Its name, its classes and its images can be read", points=0, timeout=30)
def whole(answer: Answer, case: Case) -> None:
    _capstone(answer, case)


# 1 · Train

TRAINING = {
    "leak": Hint("How good the model is cannot be told.",
                 "What the model learned by heart says nothing about what it has never seen."),
    "no-train": Hint("train.py ended with exit status {status}: {why}", "Run FAST=1 python train.py 1 elsewhere."),
    "late": Hint("train.py was still running after {seconds:.0f} s.", "FAST=1 asks for less: fewer images, one epoch."),
    "no-version": Hint("train.py left nothing in models/{name}/1.", "A version is a folder that the server can find."),
    "no-model": Hint("There is no version to serve: train.py made none, and none was handed in.",
                     "Whatever comes after the training needs what it makes."),
}  # fmt: skip


@exercise.check("train", "1 · It trains in fast mode and leaves a version, on images that are not held out", points=5,
                after="whole", timeout=400, hints=TRAINING)  # fmt: skip
def train(answer: Answer, case: Case) -> None:
    one = _capstone(answer, case)
    portable(case, one.folder, "train.py")
    count = leaked(one)
    if count:
        case.not_gradable(f"{count} of the held-out images are in the training data, pixel for pixel.", hint="leak")
    found = trained(one, 1)
    case.note("FAST=1 python train.py 1", f"exit status {found.ended.status} after {found.ended.seconds:.1f} s",
              found.ended.printed[-300:], *sorted(found.files)[:8])  # fmt: skip
    last = (found.ended.printed.strip().splitlines() or ["it said nothing"])[-1]
    case.expect(found.ended.status is not None, "It was too slow.", hint="late", seconds=found.ended.seconds)
    case.expect(found.ended.status == 0, "train.py failed.", hint="no-train", status=found.ended.status, why=last[:200],
                expected="exit status 0", received=last)  # fmt: skip
    case.expect(found.files, "There is no version afterwards.", hint="no-version", name=one.name,
                expected=f"files in models/{one.name}/1", received="none")  # fmt: skip


@exercise.check("models", "There is a version to serve", points=0, after="whole", timeout=400, hints=TRAINING)
def models(answer: Answer, case: Case) -> None:
    one = _capstone(answer, case)
    case.expect(_version(one, 1), "There is no version 1.", hint="no-model", expected=f"models/{one.name}/1")


def _version(one: Capstone, version: int) -> dict[str, bytes]:
    """Return a version as it is trained here, or where that fails, as it was handed in."""
    try:
        return trained(one, version).files or delivered(one, version)
    except Failed:
        return delivered(one, version)


# 2 · Serve


@exercise.check("serve", "2 · It is served, and names most of the held-out images", points=5, after="models",
                held_out=40, covers="your held-out images, a little disturbed", timeout=300, hints={
    "wrong": Hint("{right} of {count} held-out images were named rightly.", "Is it the model that you trained, and are "
                  "images prepared as they were in training?"),
    "route": Hint("GET {path} got {status}.", "Model and version stand in the address."),
    "refuses": Hint("What is no image got {status}.", "A wrong request is the client's fault: 4xx."),
})  # fmt: skip
def serve(answer: Answer, case: Case) -> None:
    one = _capstone(answer, case)
    portable(case, one.folder, "api.py")
    with started.server(one.folder, _version(one, 1), always=True) as server:
        faults: list[tuple[str, dict[str, Any]]] = []
        for path in ("/readyz", one.route()):
            status = server.get(path, timeout=30).status
            if status != 200:
                faults.append(("route", {"path": path, "status": status}))
        status = server.post(one.route(), b"this is no image", "image/png").status
        if not 400 <= status < 500:
            faults.append(("refuses", {"status": status}))
        right, count = _named(server, case, one, one.route())
    if right < RIGHT * count:
        case.fail(f"{right} of {count} held-out images were named rightly.", hint="wrong", right=right, count=count,
                  share=0.4 * right / count, expected=f"at least {RIGHT:.0%}",
                  received=f"{right / count:.0%}")  # fmt: skip
    if faults:
        key, figures = faults[0]
        case.fail("It names images, and something else is wrong.", hint=key, share=1 - 0.2 * len(faults), **figures)


def _named(server: SandboxServer, case: Case, one: Capstone, path: str) -> tuple[int, int]:
    """Return how many held-out images a server names rightly, and of how many."""
    chosen = case.rng.permutation(len(one.held_out.images))[:ASKED]
    right = 0
    for pixels, label in zip(one.held_out.images[chosen], one.held_out.labels[chosen].tolist(), strict=True):
        if case.held_out:
            noise = case.rng.integers(-3, 4, pixels.shape)
            pixels = np.clip(pixels.astype(int) + noise, 0, 255).astype(np.uint8)
        got = server.post(path, encode_png(pixels), "image/png", timeout=30)
        if len(case.evidence) < 6:
            case.note(got.request, f"→ {got}")
        if got.status == 200:
            try:
                found = read(got.json(), one.classes)
            except ValueError:
                continue
            said = one.classes.index(found.name) if found.name else found.best if found.probabilities else found.index
            right += said == label
    return right, len(chosen)


# 3 · Test


class ReferenceServer:
    """A right server for a capstone, without its model: the nearest of its own images names a new one."""

    def __init__(self, one: Capstone) -> None:
        self.one = one
        every = (one.held_out, one.train)
        self._images = np.concatenate([each.images for each in every]).astype(np.float32)
        self._labels = np.concatenate([each.labels for each in every])

    def answer(self, asked: MockRequest) -> tuple[int, dict[str, Any]]:
        """Return status and content."""
        one = self.one
        if asked.path in ("/readyz", "/healthz"):
            return 200, {"ready": True}
        if asked.path.rstrip("/") != one.route():
            return 404, {"error": f"There is nothing at {asked.path[:80]}."}
        if asked.method == "GET":
            return 200, {"name": one.name, "version": "v1", "description": "of a capstone", "number_of_parameters": 1}
        try:
            pixels = decode(body_image(asked.kind, asked.body))
        except BadRequest as error:
            return 400, {"error": error.message}
        if pixels.shape != self._images.shape[1:]:
            return 400, {"error": f"An image of shape {pixels.shape}."}
        return 200, self._classified(pixels)

    def _classified(self, pixels: NDArray[Any]) -> dict[str, Any]:
        near = int(((self._images - pixels.astype(np.float32)) ** 2).sum(axis=(1, 2)).argmin())
        best, count = int(self._labels[near]), len(self.one.classes)
        rows = [0.9 if place == best else 0.1 / (count - 1) for place in range(count)]
        return {"label": self.one.classes[best], "class": best, "probabilities": rows}

    def right(self, asked: MockRequest) -> Reply:
        """Answer as a right server does."""
        return _json(*self.answer(asked))

    def errors(self, asked: MockRequest) -> Reply:
        """Say 200 to what is wrong."""
        return _json(200, self.answer(asked)[1])

    def order(self, asked: MockRequest) -> Reply:
        """Name the next class."""
        status, message = self.answer(asked)
        if "label" in message:
            best = (message["class"] + 1) % len(self.one.classes)
            rows = message["probabilities"][-1:] + message["probabilities"][:-1]
            message = {"label": self.one.classes[best], "class": best, "probabilities": rows}
        return _json(status, message)

    def constant(self, asked: MockRequest) -> Reply:
        """Name the first class, whatever comes."""
        status, message = self.answer(asked)
        return _json(status, {**self._classified(self._images[0])} if "label" in message else message)

    def text(self, asked: MockRequest) -> Reply:
        """Answer with text."""
        status, message = self.answer(asked)
        return status, "text/plain", str(message.get("label", message)).encode()

    def forgetful(self) -> MockHandler:
        """Return a server that loses every tenth request."""
        counter, lock = iter(range(1, 1_000_000)), threading.Lock()

        def respond(asked: MockRequest) -> Reply:
            with lock:
                lost = asked.method == "POST" and next(counter) % 10 == 0
            return None if lost else self.right(asked)

        return respond

    def broken(self) -> dict[str, tuple[str, Callable[[], MockHandler]]]:
        """Return the broken servers: what each does, and what makes it."""
        return {
            "order": ("names the next class", lambda: self.order),
            "errors": ("says 200 to what is no image", lambda: self.errors),
            "tenth": ("loses every tenth request", self.forgetful),
            "constant": ("names one class, whatever comes", lambda: self.constant),
            "text": ("answers with text", lambda: self.text),
        }


def _json(status: int, message: dict[str, Any]) -> Reply:
    return status, "application/json", json.dumps(message).encode()


@exercise.check("tests", "3 · Its tests pass a right server, and catch five broken ones", points=5, after="whole",
                timeout=200, hints={
    "accused": Hint("Your test fails a right server: {why}",
                    "A server of other weights is right too. Ask for what the contract and your images say."),
    "missed": Hint("The server that {what} passed your test.", "Which request would have told?"),
})  # fmt: skip
def tests(answer: Answer, case: Case) -> None:
    one = _capstone(answer, case)
    portable(case, one.folder, "test_server.py")
    server = ReferenceServer(one)
    with started.functions(one.folder, "test_server.py", "test_server") as student:
        why = failure(student, server.right)
        case.expect(not why, "test_server fails a right server.", hint="accused", why=why.split(" (line ")[0],
                    expected="passed", received=why)  # fmt: skip
        missed = []
        for what, make in server.broken().values():
            message = failure(student, make())
            case.note(f"the server that {what}: {message or 'not caught'}")
            missed += [] if message else [what]
    if missed:
        case.fail(f"{5 - len(missed)} of 5 broken servers were caught.", hint="missed", what=missed[0],
                  share=1 - 0.2 * len(missed), expected=5, received=5 - len(missed))  # fmt: skip


# 4 · The files around it


@exercise.check("files", "4 · Dockerfile, compose file and card are in order", points=5, after="whole", timeout=60,
                hints={
    "rule": Hint("{id}: {why}", "{advice}", "Read again what the exercise {id} asks for."),
})  # fmt: skip
def files(answer: Answer, case: Case) -> None:
    folder = _capstone(answer, case).folder
    portable(case, folder, "Dockerfile", *COMPOSE)
    parts = (("deploy-1", ("Dockerfile",), 2), ("deploy-3", COMPOSE, 1), ("grade-4", ("README.md",), 2))
    results = [(_linted(case, folder, id, names), weight) for id, names, weight in parts]
    share = sum(weight * (one.points / one.max_points) for one, weight in results) / 5
    started.expect_full(case, [one for one, _ in results], hint="rule", share=share)


def _linted(case: Case, folder: Path, id: str, names: tuple[str, ...]) -> CheckResult:
    path = next((folder / name for name in names if (folder / name).is_file()), folder / names[0])
    return run_exercise(find(id), Answer(LocalTarget({}), names, path), started.settings(case))


# 5 · Watch


@exercise.check("drift", "5 · Its rule is quiet on a quiet day, and rings on a day with a shift", points=5,
                after="whole", timeout=240, hints={
    "rule": Hint("{why}", "{advice}", "Read again what the exercise monitor-5 asks for."),
})  # fmt: skip
def drift(answer: Answer, case: Case) -> None:
    folder = _capstone(answer, case).folder
    portable(case, folder, "drift.py")
    wanted = [check for check in find("monitor-5").checks if check.id.endswith((".quiet", ".sudden"))]
    with started.functions(folder, "drift.py", "watch") as student:
        results = [run_check(check, student, started.settings(case, student)) for check in wanted]
    share = sum(one.points for one in results) / sum(one.max_points for one in results)
    case.note(*(f"{one.id}: {one.points:g} of {one.max_points:g}: {one.message}" for one in results))
    started.expect_full(case, results, hint="rule", share=share)


# 6 · Release


@exercise.check("release", "6 · Version 2 is another one, and is released by the rules", points=5, after="models",
                timeout=500, hints={
    "renamed": Hint("The same weights under a new number.", "A version that is the old one renamed changes nothing but "
                    "the record. What did it learn anew?"),
    "no-version": Hint("train.py 2 left nothing in models/{name}/2: {why}", "The same program trains the next one."),
    "not-served": Hint("{path} got {status} with both versions there.", "Nothing in api.py may say v1: look it up."),
    "rule": Hint("{id}: {why}", "{advice}", "Read again deploy-6."),
})  # fmt: skip
def release(answer: Answer, case: Case) -> None:
    one = _capstone(answer, case)
    portable(case, one.folder, "release.py")
    first, second = _version(one, 1), _version(one, 2)
    with started.functions(one.folder, "release.py", "release") as student:
        rules = run_exercise(find("deploy-6"), student, started.settings(case, student))
    share = 0.4 * (rules.points / rules.max_points)
    last = (trained(one, 2).ended.printed.strip().splitlines() or ["it said nothing"])[-1]
    case.expect(second, "There is no version 2.", hint="no-version", share=share, name=one.name, why=last[:200])
    case.expect(capstone_files.weights(first) != capstone_files.weights(second), "Version 2 is version 1.",
                hint="renamed", share=share, expected="other weights",
                received="the same digest of weights")  # fmt: skip
    share += 0.4
    before, status = _both_served(one, {**first, **second})
    case.expect(status == 200 or before != 200, "Version 2 is not served.", hint="not-served", share=share,
                path=one.route(2), status=status, expected=200, received=status)  # fmt: skip
    started.expect_full(case, [rules], hint="rule", share=share + 0.2)


def _both_served(one: Capstone, versions: Mapping[str, bytes]) -> tuple[int, int]:
    """Return the statuses of two versions that stand beside each other; zeros where the server does not start.

    A server that does not answer for version 1 either costs what part 2 says, and nothing here.
    """
    image = encode_png(one.held_out.images[0])
    try:
        with started.server(one.folder, versions, always=True) as server:
            before, after = (server.post(one.route(number), image, "image/png", timeout=30) for number in (1, 2))
    except Failed:
        return 0, 0
    return before.status, after.status
