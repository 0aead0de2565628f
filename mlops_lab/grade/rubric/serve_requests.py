"""The requests that every serve exercise sends to a student's server, and the usual mistakes that its answers show."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.grade.cases import Case, Failed
from mlops_lab.grade.exercises import Hint
from mlops_lab.grade.http import HttpAnswer, form
from mlops_lab.grade.live import Server
from mlops_lab.grade.results import clip
from mlops_lab.grade.rubric.answered import Classification, read
from mlops_lab.grade.rubric.images import LABELS, Sent, garments, png
from mlops_lab.grade.rubric.source import imports

ROUTE = "/models/clothes/v1"
NOT_SERIALIZABLE = re.compile(r"Object of type (\w+) is not JSON serializable")

# What every serve check may meet.
HINTS = {
    "library": Hint(
        "The file serves with {module}.", "That is this library's own server: it would be graded, and not yours.",
        "Write the routes yourself; then compare the two.",
    ),
    "unanswered": Hint(
        "Nobody answered.", "The process ended, or closed the connection in the middle of an answer.",
        "Look at what the server printed.",
    ),
    "late": Hint("No answer came within {seconds:.0f} s.", "A request waits for something that does not come."),
    "no-start": Hint(
        "The server did not start.", "The last line above is what Python said.", "Run python api.py in a terminal."
    ),
    "never-loaded": Hint(
        "Importing the file started a server and never came back.",
        "Whoever imports a file wants its app, not its server: flask run, a test and a production server all do.",
        'Read again: if __name__ == "__main__".',
    ),
    "405": Hint(
        "POST got 405, Method Not Allowed: the route is there, for GET only.",
        "A route answers just the methods that it was registered for.",
        "Read again: methods=[...], or a second function.",
    ),
    "404": Hint("{path} got 404.", "No route of that address was registered; look at each part of the path."),
    "numpy": Hint(
        "The server said: Object of type {type} is not JSON serializable.",
        "Four duties are done. JSON knows Python's numbers and not NumPy's: convert when you package.",
    ),
    "500": Hint("The server said 500: an exception left your function.", "The last line that it printed says which."),
    "not-json": Hint(
        "The answer is {kind!r}, not JSON.", "A client reads Content-Type first, then parses.",
        "Flask turns a dict into JSON by itself.",
    ),
    "single-quotes": Hint(
        "Single quotes: a JavaScript client could not read it.", "str() of a dict is Python and looks like JSON. "
        "Flask turns a dict into JSON.",
    ),
}  # fmt: skip


def own_work(server: Server, case: Case) -> None:
    """Fail where the student's file, or one that it imports, hands over to this library's server.

    It is read and not run, so an import by a name that is computed is not seen.
    """
    used = sorted(name for name in imports(server.source) if name.startswith("mlops_lab.serve"))
    case.expect(not used, "The server is this library's own.", hint="library", module=used[0] if used else "",
                received=", ".join(used))  # fmt: skip


def get(server: Server, case: Case, path: str = ROUTE, **options: Any) -> HttpAnswer:
    """Ask with GET and keep the evidence."""
    return _noted(case, server.get(path, **options))


def post(server: Server, case: Case, sent: Sent, *, field: str = "", path: str = ROUTE, **options: Any) -> HttpAnswer:
    """Send an image, as the body or in a form field, and keep the evidence."""
    body, kind = form(field, sent.data, kind=sent.kind) if field else (sent.data, sent.kind)
    return _noted(case, server.post(path, body, kind, **options))


def _noted(case: Case, answer: HttpAnswer) -> HttpAnswer:
    if len(case.evidence) < 12:
        case.note(answer.request, f"→ {answer}")
    return answer


def expect_ok(case: Case, answer: HttpAnswer, what: str, path: str = ROUTE) -> HttpAnswer:
    """Fail with the fitting hint unless an answer has status 200."""
    if answer.status == 200:
        return answer
    key, figures = str(answer.status), {"path": path, "type": ""}
    found = NOT_SERIALIZABLE.search(answer.text)
    if found:
        key, figures["type"] = "numpy", found[1]
    said = f"{answer.status}: {clip(_said(answer), 200)}"
    raise Failed(f"{what} got {answer.status}.", hint=key, expected="200", received=said, figures=dict(figures))


def _said(answer: HttpAnswer) -> str:
    """Return the sentence of an error: of JSON its ``error``, of HTML its text."""
    try:
        value = answer.json()
        return str(value.get("error") or value) if isinstance(value, dict) else str(value)
    except ValueError:
        return re.sub(r"<[^>]*>|\s+", " ", answer.text).strip()


def as_json(case: Case, answer: HttpAnswer, what: str) -> Any:
    """Return an answer's JSON, or fail with the fitting hint."""
    try:
        value = answer.json()
    except ValueError:
        key = "single-quotes" if answer.text.lstrip()[:2] in ("{'", "['") else "not-json"
        case.fail(f"{what} is not JSON.", hint=key, expected="JSON", received=clip(answer.text, 120), kind=answer.kind)
    case.expect(
        answer.kind == "application/json" or answer.kind.endswith("+json"),
        f"{what} says that it is {answer.kind or 'nothing'}.", hint="not-json", expected="application/json",
        received=answer.kind, kind=answer.kind,
    )  # fmt: skip
    return value


def classify(
    server: Server, case: Case, sent: Sent, *, field: str = "", path: str = ROUTE, labels: Sequence[str] = LABELS,
    **options: Any,
) -> Classification:  # fmt: skip
    """Send one image and return what the server says it is."""
    what = f"POST with the form field {field!r}" if field else f"POST of a {sent.kind.partition('/')[2].upper()}"
    answer = expect_ok(case, post(server, case, sent, field=field, path=path, **options), what, path)
    return read(as_json(case, answer, f"The answer to {what}"), labels)


def garment(case: Case) -> Sent:
    """Return one of the garments that everybody sees."""
    return png(garments(case.rng, 1, held_out=False)[0][0])


def answers(server: Server, case: Case) -> None:
    """Check that the server is the student's own, and that it answers at all."""
    own_work(server, case)
    classify(server, case, garment(case), timeout=30)


def rows(found: Sequence[Classification]) -> NDArray[np.float64]:
    """Return the probabilities of several answers, or an empty array where one has none."""
    if any(not one.probabilities for one in found):
        return np.empty((0, 0))
    return np.array([one.probabilities for one in found])
