"""serve-5: many models and versions behind one route."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.grade.cases import Case
from mlops_lab.grade.exercises import Exercise, Hint
from mlops_lab.grade.live import Server
from mlops_lab.grade.opens import OpenCounter
from mlops_lab.grade.rubric.images import garments, png
from mlops_lab.grade.rubric.serve_requests import HINTS, as_json, classify, expect_ok, garment, get, own_work, post
from mlops_lab.grade.rubric.versions import (
    DIGITS,
    clothes_answers,
    digit_answers,
    digit_images,
    publish_clothes,
    publish_digits,
)

NEWEST = 10
NAMES = ("gloves", "hats", "scarves", "letters", "leaves", "shells", "stamps", "coins")
START = 60.0

exercise = Exercise("serve-5", "Many models, many versions", kind="server", names=("api.py",), hints=HINTS,
                    section="Notebook 4, section 5", attempted_by=("latest", "<name>", "{name}"))  # fmt: skip


def _factor(version: int) -> float:
    """Return what the last layer of a version is multiplied by, so that each version answers with its own numbers."""
    return {1: 1.0, 2: 0.6, NEWEST: 0.8}[version]


def _folder(server: Server, case: Case) -> Path:
    if server.folder is None:
        case.skip("The grader did not start this server, so it cannot put models beside it.")
    return server.folder


@exercise.check("starts", "It starts over a folder of two models", points=0, timeout=90)
def starts(server: Server, case: Case) -> None:
    own_work(server, case)
    folder = _folder(server, case)
    publish_clothes(folder, 1)
    publish_digits(folder)
    server.restart()
    get(server, case, timeout=30)


@exercise.check("both", "Both models answer, each with its own labels", points=1, after="starts", held_out=4,
                covers="other garments and digits", timeout=60, hints={
    "404": Hint("{path} got 404.", "Nothing in your code may say clothes: look the name up in what you loaded."),
    "digits": Hint("The digits model answered with other numbers.", "Its manifest says 64 numbers from 0 to 16."),
})  # fmt: skip
def both(server: Server, case: Case) -> None:
    images, _ = garments(case.rng, 3, held_out=case.held_out)
    expected = clothes_answers(images, _factor(1))
    for one, row in zip(images, expected, strict=True):
        found = classify(server, case, png(one))
        case.expect(_close(found.probabilities, row), "clothes answered with other numbers.")
    digits = digit_images(case.rng, 3, held_out=case.held_out)
    for one, row in zip(digits, digit_answers(digits), strict=True):
        path = "/models/digits/v1"
        found = classify(server, case, png(one), path=path, labels=DIGITS)
        case.expect(_close(found.probabilities, row, 1e-3), "digits answered with other numbers.", hint="digits",
                    expected=int(row.argmax()), received=found.best)  # fmt: skip


def _close(found: tuple[float, ...], row: Any, tolerance: float = 1e-4) -> bool:
    return len(found) == len(row) and bool(np.allclose(found, row, atol=tolerance))


@exercise.check("list", "GET /models names them all", points=1, after="starts", hints={
    "unnamed": Hint("GET /models does not name {name}.", "Whoever comes new wants to know what there is."),
})  # fmt: skip
def listed(server: Server, case: Case) -> None:
    answer = expect_ok(case, get(server, case, "/models"), "GET /models", "/models")
    text = str(as_json(case, answer, "The answer to GET /models"))
    for name in ("clothes", "digits"):
        case.expect(name in text, f"GET /models does not name {name}.", hint="unnamed", name=name, received=text)


@exercise.check("unknown", "Unknown names get 404 that lists what there is", points=1, after="starts", held_out=2,
                covers="names that nobody can foresee", hints={
    "not-404": Hint("{path} got {status}.", "A typing error in a name is the client's: 404."),
    "no-list": Hint("The 404 for {path} does not name what there is.", "It is the client's next question."),
})  # fmt: skip
def unknown(server: Server, case: Case) -> None:
    name = f"model-{case.seed % 100_000}" if case.held_out else "shoes"
    sent = garment(case)
    for path, known in ((f"/models/{name}/v1", "clothes"), ("/models/clothes/v77", "v1")):
        for answer in (get(server, case, path), post(server, case, sent, path=path)):
            case.expect(answer.status == 404, f"{path} got {answer.status}.", hint="not-404", path=path, expected=404,
                        received=answer.status, status=answer.status)  # fmt: skip
            case.expect(known in answer.text or known[1:] in answer.text, f"The 404 for {path} lists nothing.",
                        hint="no-list", path=path, received=answer.text[:120])  # fmt: skip


@exercise.check("outside", "A name never becomes a path", points=1, after="starts", held_out=1,
                covers="other ways to write ../", hints={
    "opened": Hint(
        "{path} opened a file outside of the folder.", "Look names up in a dict of what you loaded; never join them "
        "to a path.",
    ),
    "not-404": Hint("{path} got {status}.", "There is no model of that name: 404."),
})  # fmt: skip
def outside(server: Server, case: Case) -> None:
    folder = _folder(server, case)
    publish_digits(folder, "secret")
    paths = ["/models/..%2fsecret/v1", "/models/%2e%2e%2fsecret/v1", "/models/..%2f..%2fetc/v1"]
    if case.held_out:
        paths = [
            "/models/clothes%2f..%2f..%2fsecret/v1",
            "/models/digits/..%2f..%2f..%2fsecret%2f1",
        ]
    with OpenCounter(folder / "secret") as counter:
        for path in paths:
            status = get(server, case, path).status
            case.expect(not counter.opened(), f"{path} opened a file outside.", hint="opened", path=path)
            case.expect(400 <= status < 500, f"{path} got {status}.", hint="not-404", path=path, status=status,
                        expected=404, received=status)  # fmt: skip


@exercise.check("versions", "Several versions answer at once, and latest is the newest", points=2, after="both",
                held_out=3, covers="other garments", timeout=90, hints={
    "404": Hint("{path} got 404 after a restart.", "Look at what stands in the folder when you start."),
    "same": Hint("v{version} answered with the numbers of another version.", "Each version is a model of its own."),
    "latest": Hint("latest answered as v{version} does.", "v10 comes before v9 as text: compare numbers."),
})  # fmt: skip
def versions(server: Server, case: Case) -> None:
    folder = _folder(server, case)
    for version in (2, NEWEST):
        publish_clothes(folder, version, _factor(version))
    server.restart()
    images = _unsure(case)
    expected = {version: clothes_answers(images, _factor(version)) for version in (1, 2, NEWEST)}
    for version, numbers in expected.items():
        for one, row in zip(images, numbers, strict=True):
            found = classify(server, case, png(one), path=f"/models/clothes/v{version}", timeout=START)
            case.expect(_close(found.probabilities, row), f"v{version} is not itself.", hint="same", version=version)
    found = classify(server, case, png(images[0]), path="/models/clothes/latest")
    answered = next((version for version, numbers in expected.items() if _close(found.probabilities, numbers[0])), 0)
    case.expect(answered == NEWEST, "latest is not the newest.", hint="latest", version=answered, expected=f"v{NEWEST}",
                received=f"v{answered}", share=0.5)  # fmt: skip


def _unsure(case: Case) -> NDArray[np.uint8]:
    """Return the images of which the model is least sure: there, versions differ visibly."""
    images, _ = garments(case.rng, 30, held_out=case.held_out)
    chosen: NDArray[np.uint8] = images[np.argsort(clothes_answers(images, 1.0).max(axis=1))[:3]]
    return chosen


@exercise.check("third", "A model with a name never seen is found after a restart", points=1, after="both", held_out=1,
                covers="another name", timeout=90, hints={
    "404": Hint(
        "The third model was not found.", "Nothing in your code may say clothes: look the name up.",
    ),
})  # fmt: skip
def third(server: Server, case: Case) -> None:
    name = f"{case.choose(NAMES, 1)[0]}-{case.seed % 1000}" if case.held_out else "numbers"
    publish_digits(_folder(server, case), f"models/{name}")
    server.restart()
    digits = digit_images(case.rng, 2, held_out=case.held_out)
    for one, row in zip(digits, digit_answers(digits), strict=True):
        found = classify(server, case, png(one), path=f"/models/{name}/v1", labels=DIGITS, timeout=START)
        case.expect(_close(found.probabilities, row, 1e-3), f"{name} answered with other numbers.")
