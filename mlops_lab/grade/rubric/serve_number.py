"""serve-6: one model feeds the next, over HTTP. The address of the inner server stands in ``DIGITS_URL``."""

from __future__ import annotations

from typing import Any

from mlops_lab.errors import LabError
from mlops_lab.grade.cases import Case
from mlops_lab.grade.exercises import Exercise, Hint
from mlops_lab.grade.http import HttpAnswer
from mlops_lab.grade.inner import InnerServer
from mlops_lab.grade.live import Server
from mlops_lab.grade.rubric.images import png
from mlops_lab.grade.rubric.numbers import digits_model, number, numbers_in
from mlops_lab.grade.rubric.serve_requests import HINTS, as_json, expect_ok, own_work, post

PATH = "/chains/number"
PATIENCE = 20.0  # seconds in which a server must have given up on an inner one that hangs

exercise = Exercise("serve-6", "One model feeds the next", kind="server", names=("api.py",), hints=HINTS,
                    section="Notebook 4, section 6", attempted_by=("chains",))  # fmt: skip


def _inner(server: Server, case: Case) -> InnerServer:
    if server.inner is None:
        case.skip("The grader did not start this server, so it cannot stand behind it.")
    server.inner.answer = digits_model
    return server.inner


def _send(server: Server, case: Case, length: int, timeout: float = 30.0) -> tuple[HttpAnswer, str]:
    image, digits = number(case.rng, length)
    return post(server, case, png(image), path=PATH, timeout=timeout), digits


def _value(case: Case, answer: HttpAnswer) -> Any:
    what = f"POST {PATH}"
    return as_json(case, expect_ok(case, answer, what, PATH), f"The answer to {what}")


@exercise.check("answers", "POST of an image of a number answers 200", points=0, timeout=60)
def answers(server: Server, case: Case) -> None:
    own_work(server, case)
    _inner(server, case)
    _value(case, _send(server, case, 2)[0])


@exercise.check("inner", "The digits model is asked over HTTP, once for each digit", points=1, after="answers",
                timeout=60, hints={
    "not-asked": Hint(
        "No inner request arrived.", "It works as a function call, and cannot be swapped for another server.",
        "The address stands in DIGITS_URL.",
    ),
    "count": Hint("{asked} inner requests came for {digits} digits.", "One box for each digit: look at the columns."),
})  # fmt: skip
def over_http(server: Server, case: Case) -> None:
    inner = _inner(server, case)
    before = inner.asked
    _, digits = _send(server, case, 4)
    asked = inner.asked - before
    case.expect(asked, "The digits model was not asked over HTTP.", hint="not-asked", expected=4, received=0)
    case.expect(asked == len(digits), f"{asked} inner requests came.", hint="count", asked=asked, digits=len(digits),
                expected=len(digits), received=asked)  # fmt: skip


@exercise.check("number", "Twenty numbers of two to five digits, read from left to right", points=2, after="answers",
                held_out=20, covers="other numbers", timeout=120, hints={
    "order": Hint("{got} for {digits}: the digits are right, their order is not.",
                  "Boxes come in the order found. Sort by where they stand."),
    "digits": Hint("{got} for {digits}.", "Look at what you send: in training a digit stood in the middle of 8×8."),
})  # fmt: skip
def reads(server: Server, case: Case) -> None:
    _inner(server, case)
    for place in range(20):
        answer, digits = _send(server, case, 2 + place % 4)
        found = numbers_in(_value(case, answer))
        shuffled = next((one for one in found if one != digits and sorted(one) == sorted(digits)), "")
        case.expect(digits in found, f"{digits} was read as {shuffled or (found[0] if found else 'nothing')}.",
                    hint="order" if shuffled else "digits", expected=digits, received=found[:3], digits=digits,
                    got=shuffled or (found[0] if found else "nothing"))  # fmt: skip


REFUSES = {
    "told-200": Hint("The inner model said 503, and you said 200.", "Whoever asks you takes that for an answer."),
    "told-500": Hint("The inner model said 503, and you said {status}.", "502 or 503, and why: it is not your fault."),
    "no-reason": Hint("The answer does not say why.", "One sentence under error: who did not answer."),
    "hangs": Hint("It hangs when the inner server does.", "Every request has a limit: give your client a timeout."),
}


@exercise.check("refused", "When the inner model answers 503, the outer one says 502 or 503, and why", points=1,
                after=("answers", "inner"), timeout=60, hints=REFUSES)  # fmt: skip
def refused(server: Server, case: Case) -> None:
    inner = _inner(server, case)
    inner.answer = lambda body: (503, b'{"error": "the digits model is being loaded"}')
    answer, _ = _send(server, case, 2)
    _says_so(case, answer)


@exercise.check("limit", "When the inner model hangs, the outer one gives up in time", points=1,
                after=("answers", "inner"), timeout=60, hints=REFUSES)  # fmt: skip
def limited(server: Server, case: Case) -> None:
    inner = _inner(server, case)
    inner.answer = inner.hang
    image, _ = number(case.rng, 2)
    try:
        answer = post(server, case, png(image), path=PATH, timeout=PATIENCE)
    except LabError as error:
        case.fail(f"There was no answer within {PATIENCE:.0f} s: {error.message}", hint="hangs")
    finally:
        inner.released.set()
    _says_so(case, answer)


def _says_so(case: Case, answer: HttpAnswer) -> None:
    key = "told-200" if answer.status == 200 else "told-500"
    case.expect(answer.status in (502, 503, 504), f"It said {answer.status}.", hint=key, status=answer.status,
                expected="502 or 503", received=str(answer))  # fmt: skip
    case.expect("error" in answer.text or "detail" in answer.text, "It does not say why.", hint="no-reason",
                received=str(answer))  # fmt: skip
