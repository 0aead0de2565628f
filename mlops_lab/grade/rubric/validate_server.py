"""validate-5: a student's tests of a server, graded by the broken servers that they catch. The check plays them all."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from mlops_lab.errors import BadRequest
from mlops_lab.grade.calls import Answer
from mlops_lab.grade.cases import Case
from mlops_lab.grade.exercises import Exercise, Hint
from mlops_lab.grade.inner import body_image
from mlops_lab.grade.mock_server import MockHandler, MockRequest, Reply
from mlops_lab.grade.rubric.images import LABELS, model
from mlops_lab.grade.rubric.shared import RAISES
from mlops_lab.image import decode

ROUTE = "/models/clothes/v1"
SLOW, PATIENCE = 2.0, 6  # seconds of an answer, and how many answers are slow
JSON = "application/json"
INFO = {"version": "v1", "name": "clothes", "description": "Classify images of articles of clothing",
        "number_of_parameters": 133280}  # fmt: skip
Answered = dict[str, Any]

tests = Exercise(
    "validate-5", "Tests of a server", names=("test_server",), section="Notebook 5, section 5", hints=RAISES
)


def classified(pixels: Any, *, divided: bool = True) -> Answered:
    """Return what the reference answers to an image."""
    batch = np.asarray(pixels, np.float32).reshape(1, 28, 28, 1)
    row = model().predict(batch / np.float32(255 if divided else 1))[0]
    best = int(row.argmax())
    return {"label": LABELS[best], "class": best, "probabilities": [float(one) for one in row]}


def reference(
    asked: MockRequest, *, answer: Callable[[Any], Answered] = classified, refused: int = 400,
    package: Callable[[int, Answered], Reply] | None = None,
) -> Reply:  # fmt: skip
    """Answer as the reference ``api.py`` does, or with one thing broken."""
    package = package or as_json
    if asked.method == "GET" and asked.path in (ROUTE, "/readyz", "/healthz"):
        return as_json(200, INFO if asked.path == ROUTE else {"ready": True})
    if asked.path != ROUTE:
        return as_json(404, {"error": f"There is nothing at {asked.path}."})
    try:
        pixels = decode(body_image(asked.kind, asked.body))
    except BadRequest as error:
        return as_json(refused, {"error": error.message})
    if pixels.shape != (28, 28):
        return as_json(refused, {"error": f"Images have 28×28 pixels; this one has {pixels.shape}."})
    return package(200, answer(pixels))


def as_json(status: int, value: Answered) -> Reply:
    """Return a value as JSON."""
    return status, JSON, json.dumps(value).encode()


@cache
def _application() -> Any:
    from mlops_lab.inputs import InputSpec
    from mlops_lab.predict import Predictor
    from mlops_lab.serve import create_app

    spec = InputSpec(shape=(28, 28, 1), size=(28, 28))
    return create_app([Predictor("clothes", 1, spec, LABELS, model(), INFO)])


def lab(asked: MockRequest) -> Reply:
    """Answer as the lab's own server does."""
    client = _application().test_client()
    got = client.open(asked.path, method=asked.method, data=asked.body, content_type=asked.kind or None)
    return got.status_code, got.content_type, got.data


def other_order(asked: MockRequest) -> Reply:
    """Name the classes in the order of the alphabet."""
    return reference(asked, answer=lambda pixels: _renamed(classified(pixels)))


def _renamed(answer: Answered) -> Answered:
    return {**answer, "label": sorted(LABELS)[answer["class"]]}


def accepts_anything(asked: MockRequest) -> Reply:
    """Say 200 to what is no image."""
    return reference(asked, refused=200)


def two_versions(asked: MockRequest) -> Reply:
    """Describe v1, and answer with v2."""
    return reference(asked, answer=lambda pixels: {**classified(pixels), "version": "v2"})


def rounded(asked: MockRequest) -> Reply:
    """Round probabilities to 0 or 1."""

    def answer(pixels: Any) -> Answered:
        answer = classified(pixels)
        return {**answer, "probabilities": [float(place == answer["class"]) for place in range(len(LABELS))]}

    return reference(asked, answer=answer)


def undivided(asked: MockRequest) -> Reply:
    """Forget to divide by 255."""
    return reference(asked, answer=lambda pixels: classified(pixels, divided=False))


def as_text(asked: MockRequest) -> Reply:
    """Answer POST with text."""
    return reference(asked, package=lambda status, answer: (status, "text/plain", answer["label"].encode()))


def slow() -> MockHandler:
    """Return a server whose first answers take two seconds."""
    left = threading.Semaphore(PATIENCE)

    def respond(asked: MockRequest) -> Reply:
        if asked.method == "POST" and left.acquire(blocking=False):
            time.sleep(SLOW)
        return reference(asked)

    return respond


def forgetful() -> MockHandler:
    """Return a server that loses every tenth request."""
    counter, lock = iter(range(1, 1_000_000)), threading.Lock()

    def respond(asked: MockRequest) -> Reply:
        with lock:
            lost = asked.method == "POST" and next(counter) % 10 == 0
        return None if lost else reference(asked)

    return respond


BROKEN: dict[str, tuple[str, Callable[[], MockHandler]]] = {
    "tenth": ("loses every tenth request", forgetful),
    "undivided": ("forgets to divide by 255", lambda: undivided),
    "order": ("has its labels in another order", lambda: other_order),
    "slow": ("answers after two seconds", slow),
    "errors": ("says 200 to what is no image", lambda: accepts_anything),
    "rounded": ("rounds probabilities to 0 or 1", lambda: rounded),
    "text": ("answers with text", lambda: as_text),
    "versions": ("describes v1 and answers with v2", lambda: two_versions),
}


def failure(answer: Answer, respond: MockHandler) -> str:
    """Return why the student's test fails a server; empty where it passes."""
    with answer.target.mock_server(respond) as url:
        done = answer.test_server.call(url)
    failed = done.value is False or (isinstance(done.value, np.bool_) and not done.value)
    return done.error or ("it returned False" if failed else "")


@tests.check("good", "Good servers pass: the lab's, and the course's api.py", points=2, timeout=120, again=True, hints={
    "reference": Hint("Your test passes on the lab's server and fails on the course's api.py: {why}",
                      "You asked for what only our server has. The contract is in the course's table."),
    "accused": Hint("Your test fails a good server: {why}", "A test that cries wolf is switched off."),
})  # fmt: skip
def good_pass(answer: Answer, case: Case) -> None:
    for name, respond, key in (("the lab's server", lab, "accused"), ("the course's api.py", reference, "reference")):
        why = failure(answer, respond)
        case.note(f"{name}: {why or 'passed'}")
        case.expect(
            not why,
            f"test_server fails {name}.",
            hint=key,
            why=why.split(" (line ")[0],
            expected="passed",
            received=why,
        )


@tests.check("caught", "Eight broken servers are caught", points=4, timeout=300, after="good", hints={
    "tenth": Hint("The server that loses every tenth request passed.", "How many images did you send? One is luck."),
    "undivided": Hint("The server that forgets to divide passed: it is right for 83 of 100.",
                      "What did the manifest promise? Ask for that, and not for what sounds good."),
    "order": Hint("The server whose labels are in another order passed.", "Send images whose answer you know."),
    "slow": Hint("The server that answers after two seconds passed.", "One image has a budget: measure it."),
    "errors": Hint("The server that says 200 to what is no image passed.", "Clients rely on a 4xx."),
    "rounded": Hint("The server that rounds probabilities to 0 or 1 passed.", "Is it ever so sure?"),
    "text": Hint("The server that answers with text passed.", "Read Content-Type first, then parse."),
    "versions": Hint("The server that describes v1 and answers with v2 passed.",
                     "Where an answer names its version, it is the one that was asked."),
})  # fmt: skip
def catches(answer: Answer, case: Case) -> None:
    missed = []
    for key, (what, make) in BROKEN.items():
        why = failure(answer, make())
        case.note(f"the server that {what}: {why or 'not caught'}")
        if not why:
            missed.append(key)
    caught = len(BROKEN) - len(missed)
    if missed:
        words = "; ".join(BROKEN[key][0] for key in missed)
        case.fail(f"{caught} of {len(BROKEN)} were caught; passed: the server that {words}.", hint=missed[0],
                  share=caught / len(BROKEN), expected=len(BROKEN), received=caught)  # fmt: skip
