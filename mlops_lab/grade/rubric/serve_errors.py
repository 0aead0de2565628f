"""serve-3: the answers to requests that are wrong."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlops_lab.grade.cases import Case
from mlops_lab.grade.exercises import Exercise, Hint
from mlops_lab.grade.http import HttpAnswer, form
from mlops_lab.grade.live import Server
from mlops_lab.grade.results import clip
from mlops_lab.grade.rubric.answered import read
from mlops_lab.grade.rubric.images import LABELS, garments, png
from mlops_lab.grade.rubric.serve_requests import ROUTE, answers, classify, garment
from mlops_lab.grade.rubric.source import broad_excepts

HINTS = {
    "html": Hint(
        "{what} got {status} with a page of {kind}.",
        "The client learns nothing and thinks you are broken. Catch where you decode; say what you got and take.",
    ),
    "200": Hint(
        "{what} got 200.", "Machines look at the status first: this counts as success everywhere.",
        "Read again: status codes 400, 413 and 415.",
    ),
    "5xx": Hint("{what} got {status}.", "5xx says that the server is broken; here the client was wrong: 4xx."),
    "traceback": Hint("The answer to {what} shows a traceback.", "It tells strangers where your files are."),
    "no-error": Hint("The answer to {what} has no key error.", "One sentence: what came, and what you take."),
    "three": Hint("A colour image got {count} predictions.", "Three colours were taken for three images."),
    "dead": Hint("After {what} the server does not answer any more."),
    "broad": Hint(
        "Line {line} catches everything around most of a function.",
        "A bug of your own now reads 'bad image'. Catch what decoding raises, and only around it.",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class BadRequest:
    """A request that must be refused with a status from 400 to 499."""

    what: str
    body: bytes
    kind: str


def _image(width: int, height: int, mode: str = "L", format: str = "PNG") -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.new(mode, (width, height), 40).save(buffer, format=format)
    return buffer.getvalue()


def requests(case: Case) -> Iterable[BadRequest]:
    """Give the requests of a case: twelve that everybody sees, or others of the same kinds."""
    noise = case.rng.integers(0, 256, 600, dtype=np.uint8).tobytes()
    pixels, _ = garments(case.rng, 1, held_out=True)
    whole = png(pixels[0]).data
    other_field, other_kind = form("picture" if not case.held_out else f"file{case.seed % 97}", whole)
    text_field, text_kind = form("image", b"not an image at all", filename="a.txt", kind="text/plain")
    empty_field, empty_kind = form("image", b"")
    if not case.held_out:
        yield BadRequest("an empty body", b"", "image/png")
        yield BadRequest("no image: plain text", b"hello", "text/plain")
        yield BadRequest("broken JSON", b'{"image": ', "application/json")
        yield BadRequest("JSON without an image", b"{}", "application/json")
        yield BadRequest("a GIF's first bytes", b"GIF89a" + noise, "image/gif")
    yield BadRequest("bytes that are no image", noise, "image/png")
    yield BadRequest("half a PNG", whole[: len(whole) // 2], "image/png")
    yield BadRequest("an image of 5,000×5,000", _image(5000, 5000 - case.seed % 7 * case.held_out), "image/png")
    yield BadRequest("a form field of another name", other_field, other_kind)
    yield BadRequest("text in the form field", text_field, text_kind)
    yield BadRequest("an empty form field", empty_field, empty_kind)
    yield BadRequest("a PDF", b"%PDF-1.7\n" + noise, "application/pdf")


def bad_requests(exercise: Exercise) -> None:
    """Add the checks of serve-3."""
    exercise.hints.update(HINTS)

    exercise.check("good", "A good request is answered", points=0, timeout=40)(answers)

    @exercise.check("status", "Twelve wrong requests get the right 4xx", points=2, after="good", held_out=7,
                    covers="other damaged files and forms", timeout=60)  # fmt: skip
    def status(server: Server, case: Case) -> None:
        every = list(requests(case))
        wrong = [(one, answer) for one in every if not 400 <= (answer := _ask(server, case, one)).status < 500]
        if wrong:
            one, answer = wrong[0]
            key = "200" if answer.status < 400 else "html" if "html" in answer.kind else "5xx"
            more = f" ({len(wrong)} of {len(every)} wrong requests were not refused.)" if len(wrong) > 1 else ""
            case.fail(f"{one.what.capitalize()} got {answer.status}.{more}", hint=key, expected="400 to 499",
                      received=str(answer), share=_share(len(wrong), len(every)), what=one.what,
                      status=answer.status, kind=answer.kind)  # fmt: skip

    @exercise.check("says", "Each says why: JSON with error, and no traceback", points=1, after="good", timeout=60)
    def says(server: Server, case: Case) -> None:
        for one in requests(case):
            answer = _ask(server, case, one)
            figures: dict[str, Any] = {"what": one.what, "status": answer.status, "kind": answer.kind or "nothing"}
            case.expect("Traceback (most recent call last)" not in answer.text and "werkzeug.debug" not in answer.text,
                        "A traceback leaves the server.", hint="traceback", **figures)  # fmt: skip
            try:
                value = answer.json()
            except ValueError:
                case.fail(f"The answer to {one.what} is not JSON.", hint="html", expected='{"error": "…"}',
                          received=clip(answer.text, 120), **figures)  # fmt: skip
            said = isinstance(value, dict) and any(value.get(key) for key in ("error", "detail", "message", "errors"))
            case.expect(said, f"The answer to {one.what} does not say what is wrong.", hint="no-error",
                        expected='{"error": "…"}', received=clip(answer.text, 120), **figures)  # fmt: skip

    @exercise.check("colour", "A colour image is served or refused, not taken for three", points=1, after="good",
                    held_out=2, covers="other colours", timeout=30)  # fmt: skip
    def colour(server: Server, case: Case) -> None:
        from PIL import Image

        images, _ = garments(case.rng, 1, held_out=True)
        tinted = np.stack([images[0], images[0] // 2, 255 - images[0]], axis=-1)
        buffer = io.BytesIO()
        Image.fromarray(tinted).save(buffer, format="PNG")
        answer = _ask(server, case, BadRequest("a colour image", buffer.getvalue(), "image/png"))
        refused = 400 <= answer.status < 500
        served = answer.status == 200 and _one_prediction(answer)
        count = _count(answer)
        case.expect(refused or served, f"A colour image got {answer.status}.", received=str(answer),
                    hint="three" if count > 1 else "5xx", count=count, what="a colour image",
                    status=answer.status)  # fmt: skip

    @exercise.check("alive", "It answers afterwards, and right", points=1, after=("good", "status"), timeout=30)
    def alive(server: Server, case: Case) -> None:
        classify(server, case, garment(case))
        for line in broad_excepts(server.source):
            case.fail(f"Line {line} catches everything.", hint="broad", line=line, share=0.5)


def _share(wrong: int, of: int) -> float:
    """Return the share of the points that is left: none where most requests got through."""
    return 0.5 if wrong <= of // 4 else 0.0


def _ask(server: Server, case: Case, one: BadRequest) -> HttpAnswer:
    answer = server.post(ROUTE, one.body, one.kind, timeout=10)
    if len(case.evidence) < 30:
        case.note(f"# {one.what}", answer.request, f"→ {answer}")
    return answer


def _count(answer: HttpAnswer) -> int:
    try:
        value = answer.json()
    except ValueError:
        return 0
    entries = value.get("predictions") if isinstance(value, dict) else value
    return len(entries) if isinstance(entries, list) else 1


def _one_prediction(answer: HttpAnswer) -> bool:
    try:
        found = read(answer.json(), LABELS)
    except ValueError:
        return False
    return _count(answer) <= 1 and (bool(found.probabilities) or bool(found.name) or found.index is not None)
