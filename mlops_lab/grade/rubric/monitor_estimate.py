"""monitor-4: how good is it without labels, and when must nobody believe that."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from mlops_lab.grade.calls import Answer
from mlops_lab.grade.cases import Case
from mlops_lab.grade.exercises import Exercise, Hint
from mlops_lab.grade.rubric.monitor_worlds import Answers, ask, changed, draw, known, places
from mlops_lab.grade.rubric.shared import RAISES

exercise = Exercise("monitor-4", "What an alarm cannot know", names=("estimate", "trust", "labels"),
                    section="Notebook 7, section 4", hints=RAISES)  # fmt: skip
# Whether the confidence knows what each change costs, and how strong it is when that is asked.
BELIEVED = {"noise": True, "dark": True, "contrast": True, "masks": False, "moved": False, "new clothes": False}
GENTLE = {"noise": 0.1, "dark": 0.2}
STRONG = {"masks": 0.7, "moved": 0.6, "new clothes": 0.8}
SIZE, POINTS, BIAS = 2000, 0.03, 0.015


def _given(case: Case) -> dict[str, Any]:
    said = known(places(case.rng, 4000, reference=True))
    return {"confidence": said.confidence, "right": said.right}


def _estimated(answer: Answer, case: Case, reference: dict[str, Any], window: Answers) -> tuple[float, float]:
    said = answer.estimate(reference, window.confidence)
    try:
        value = float(said)
    except (TypeError, ValueError, OverflowError):
        case.fail("estimate gives no number.", hint="number", expected="a number", received=said)
    return value, float(window.right.mean())


ESTIMATES = {
    "number": Hint("{received} came back.", "An accuracy: one number from 0 to 1."),
    "raw": Hint(
        "{bias:+.1%} on images like those of the reference: the mean confidence, as it is.",
        "This model is a little too sure from the start.",
        "Calibrate on the reference first: how often was it right where it was so sure?",
    ),
    "constant": Hint("You said {said:.3f} to a calm window and to a noisy one.",
                     "The reference's accuracy is no estimate."),
    "fell": Hint("You estimated {said:.2f} where {truth:.2f} is true, for {kind}.",
                 "Every test rings, and the accuracy is nearly the same. Changed is not worse."),
}  # fmt: skip


@exercise.check("quiet", "Within 3 points where nothing changed, and not always too high", points=2, held_out=5,
                covers="other images", timeout=60, hints=ESTIMATES)  # fmt: skip
def quiet(answer: Answer, case: Case) -> None:
    reference = _given(case)
    pairs = [_estimated(answer, case, reference, known(places(case.rng, SIZE))) for _ in range(5)]
    bias = float(np.mean([said - right for said, right in pairs]))
    case.expect(abs(bias) <= BIAS, "It is off to one side.", hint="raw", bias=bias, expected=f"within {BIAS}",
                received=round(bias, 4))  # fmt: skip
    said, right = max(pairs, key=lambda pair: abs(pair[0] - pair[1]))
    case.expect(abs(said - right) <= POINTS, "One window is more than 3 points off.", expected=round(right, 3),
                received=said)  # fmt: skip


@exercise.check("gentle", "Within 3 points on slight noise and on darker images", points=1, held_out=2,
                covers="other images", timeout=60, hints=ESTIMATES)  # fmt: skip
def gentle(answer: Answer, case: Case) -> None:
    reference = _given(case)
    for kind, strength in GENTLE.items():
        window = ask(changed(draw(case.rng, SIZE), kind, strength, case.rng))
        said, truth = _estimated(answer, case, reference, window)
        key = "fell" if said < truth else "raw"
        case.expect(abs(said - truth) <= POINTS, f"For {kind} it is more than 3 points off.", hint=key, kind=kind,
                    truth=truth, said=said, bias=said - truth, expected=round(truth, 3), received=said)  # fmt: skip


@exercise.check("follows", "It falls where the model itself becomes unsure", points=1, held_out=1,
                covers="other images", timeout=60, hints=ESTIMATES)  # fmt: skip
def follows(answer: Answer, case: Case) -> None:
    reference = _given(case)
    calm, _ = _estimated(answer, case, reference, known(places(case.rng, SIZE)))
    noisy, _ = _estimated(answer, case, reference, ask(changed(draw(case.rng, SIZE), "noise", 0.8, case.rng)))
    case.expect(noisy < calm - 0.02, "It says the same to images that the model is unsure of.", hint="constant",
                said=noisy, expected=f"below {calm - 0.02:.3f}", received=noisy)  # fmt: skip


TRUSTS = {
    "blind": Hint(
        "You trust it for {kind}: estimated {estimate:.2f}, true {truth:.2f}.",
        "Confidence is what the model thinks, and it has never seen this.",
    ),
    "never": Hint("You do not trust it for {kind}: estimated {estimate:.2f}, true {truth:.2f}.",
                  "Changed is not worse: here the model knows when it is unsure."),
    "answer": Hint("trust({kind!r}) gave {received!r}.", "True or False."),
}  # fmt: skip


@cache
def _example(kind: str) -> tuple[float, float]:
    """Return the calibrated confidence after a change, and the truth."""
    rng = np.random.default_rng(4)
    before = known(places(rng, 4000, reference=True))
    after = ask(changed(draw(rng, SIZE), kind, STRONG.get(kind, GENTLE.get(kind, 0.5)), rng))
    return float(after.confidence.mean() - before.confidence.mean() + before.right.mean()), float(after.right.mean())


@exercise.check("trust", "For six changes: whether the estimate can be believed", points=3, timeout=60, hints=TRUSTS)
def trust(answer: Answer, case: Case) -> None:
    said = {kind: answer.trust(kind) for kind in BELIEVED}
    strange = next((kind for kind, one in said.items() if not isinstance(one, bool | np.bool_)), "")
    case.expect(not strange, "trust gives something else than True or False.", hint="answer", kind=strange,
                expected="True or False", received=said.get(strange))  # fmt: skip
    wrong = [kind for kind, right in BELIEVED.items() if bool(said[kind]) is not right]
    first = next((kind for kind in wrong if not BELIEVED[kind]), wrong[0] if wrong else "masks")
    estimated, truth = _example(first)
    case.expect(not wrong, f"{len(wrong)} of six verdicts are wrong.", hint="never" if BELIEVED[first] else "blind",
                share=max(0.0, 1 - len(wrong) / 3), kind=first, estimate=estimated, truth=truth,
                expected=BELIEVED[first], received=said[first])  # fmt: skip


@exercise.check("labels", "How many labels tell the accuracy to 5 points", points=1, held_out=4,
                covers="other accuracies", hints={
    "one-deviation": Hint("{received} labels for {accuracy:.2f}.", "That holds two times in three. Take 95 of 100."),
    "other": Hint("{received} labels for {accuracy:.2f}; {right} are needed.",
                  "Half the width of the interval is 1.96 times the square root of p (1 - p) / n."),
})  # fmt: skip
def labels(answer: Answer, case: Case) -> None:
    for accuracy in [0.9, *case.rng.uniform(0.5, 0.97, 4).round(2).tolist()]:
        said = answer.labels(accuracy)
        right, short = (math.ceil(z**2 * accuracy * (1 - accuracy) / 0.05**2) for z in (1.959964, 1.0))
        key = "one-deviation" if isinstance(said, int | float) and abs(said - short) <= 1 else "other"
        case.expect(isinstance(said, int | float) and abs(said - right) <= 2, "It is another number.", hint=key,
                    accuracy=accuracy, right=right, expected=right, received=said)  # fmt: skip
