"""grade-2: a student's check of data-3, graded by the right answers that it lets pass and the wrong ones it tells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.grade.calls import Answer
from mlops_lab.grade.cases import Case
from mlops_lab.grade.exercises import Exercise, Hint
from mlops_lab.grade.results import clip
from mlops_lab.grade.rubric.shared import RAISES

Array = NDArray[Any]
Prepare = Callable[[Array], Any]
FIXED = ("maximum", "whole-numbers", "changed")
MOST = 28 * 28 * 2000  # pixels of one call
SHORT = 12  # characters: a hint that is shorter is no sentence

exercise = Exercise("grade-2", "Write a check with a hint", names=("check_prepare",), section="Notebook 8, section 2",
                    hints={
    **RAISES,
    "raised": Hint("Your check stopped with an error on the answer that {what}.",
                   "A check meets whatever students write. What it cannot read is wrong, and it says so."),
    "form": Hint("It returned {received}.", "A dict from a word to a hint; an empty one where all is right."),
})  # fmt: skip


def _batch(images: Array) -> Array:
    """Return images with the axis of the batch, and with that of the channel."""
    return np.asarray(images).reshape(-1, 28, 28, 1)


def _divided(images: Array) -> Array:
    return (_batch(images) / 255).astype(np.float32)


def _fixed(images: Array) -> Array:
    batch = _divided(images)
    batch.flags.writeable = False
    return batch


def _one_by_one(images: Array) -> Array:
    rows = [np.asarray(one, np.float32) / np.float32(255) for one in np.atleast_3d(images).reshape(-1, 28, 28)]
    return np.stack(rows)[..., np.newaxis]


# In different styles. Those that multiply differ from those that divide by some 6e-8.
RIGHT: dict[str, Prepare] = {
    "divides by 255": _divided,
    "uses np.true_divide": lambda images: np.true_divide(_batch(images), np.float32(255)).astype(np.float32),
    "multiplies by 1/255": lambda images: _batch(images).astype(np.float32) * np.float32(1 / 255),
    "prepares image after image": _one_by_one,
    "interpolates": lambda images: np.interp(_batch(images), [0, 255], [0, 1]).astype(np.float32),
    "gives an array that cannot be written": _fixed,
}
EXACT = ("divides by 255", "uses np.true_divide", "prepares image after image")


def _in_place(images: Array) -> Array:
    batch = np.asarray(images, dtype=np.float32)
    batch /= 255
    return _batch(batch)


def _written_back(images: Array) -> Array:
    batch = _divided(images)
    if images.dtype.kind == "f":
        images[...] = batch.reshape(images.shape)
    return batch


def _by_maximum(axis: tuple[int, ...] | None) -> Prepare:
    def prepare(images: Array) -> Array:
        batch = _batch(images)
        return np.asarray(batch / np.maximum(batch.max(axis=axis, keepdims=True), 1), np.float32)

    return prepare


@dataclass(frozen=True)
class Mutant:
    """A wrong answer to data-3.

    Parameters
    ----------
    what
        What it does, after "the answer that".
    word
        The fixed word that fits, or empty.
    prepare, held_out
        The answer, and another with the same mistake that only the grader has.
    """

    what: str
    word: str
    prepare: Prepare
    held_out: Prepare


MUTANTS = (
    Mutant("divides by the maximum of the batch", "maximum", _by_maximum(None),
           lambda images: (_batch(images) / max(float(np.percentile(images, 100)), 1.0)).astype(np.float32)),
    Mutant("divides each image by its own maximum", "maximum", _by_maximum((1, 2, 3)),
           lambda images: np.stack([one / max(one.max(), 1) for one in _batch(images)]).astype(np.float32)),
    Mutant("divides whole numbers by //", "whole-numbers", lambda images: (_batch(images) // 255).astype(np.float32),
           lambda images: np.trunc(_batch(images) / 255).astype(np.float32)),
    Mutant("rounds to whole numbers", "whole-numbers", lambda images: np.round(_divided(images)),
           lambda images: (_batch(images) > 127).astype(np.float32)),
    Mutant("divides its argument itself", "changed", _in_place, _written_back),
    Mutant("does not divide", "", lambda images: _batch(images).astype(np.float32),
           lambda images: (_batch(images) / 127.5 - 1).astype(np.float32)),
    Mutant("forgets the channel", "", lambda images: _divided(images)[..., 0],
           lambda images: np.moveaxis(_divided(images), -1, 1)),
    Mutant("gives another type than float32", "", lambda images: _batch(images) / 255,
           lambda images: _divided(images).astype(np.float16)),
    Mutant("loses the batch of a single image", "", lambda images: _divided(images)[0 if images.ndim == 2 else ...],
           lambda images: _divided(images).squeeze(0) if len(_batch(images)) == 1 else _divided(images)),
)  # fmt: skip


def _wrong(case: Case) -> list[Mutant]:
    """Return the nine in an order of the case: nobody knows them by their place."""
    return case.choose(MUTANTS, len(MUTANTS))


def _mutant(one: Mutant, case: Case) -> Prepare:
    return one.held_out if case.held_out else one.prepare


def _bounded(prepare: Prepare) -> Prepare:
    """Return an answer that takes no more images than a check needs: it runs in the grader's own process."""

    def bounded(images: Array) -> Any:
        if np.size(images) > MOST:
            raise ValueError(f"{np.size(images):,} pixels are too many.")
        return prepare(images)

    return bounded


def _said(answer: Answer, case: Case, prepare: Prepare, what: str) -> dict[str, str]:
    """Return what a student's check says of an answer: hints by their words."""
    done = answer.check_prepare.call(_bounded(prepare))
    case.expect(not done.error, f"On the answer that {what} your check raised {done.error}", hint="raised", what=what,
                expected="a dict", received=done.error)  # fmt: skip
    value = done.value
    pairs = list(value.items()) if isinstance(value, Mapping) else value
    try:
        found = {str(word): hint if isinstance(hint, str) else "" for word, hint in pairs}
    except (TypeError, ValueError):
        case.fail(f"What came back of the answer that {what} cannot be read.", hint="form", expected="{word: hint}",
                  received=clip(repr(value), 80))  # fmt: skip
    case.note(f"the answer that {what}: {', '.join(found) if found else 'passed'}")
    return found


@exercise.check("right", "Six right answers pass, in whatever style", points=2, held_out=6, timeout=30,
                covers="the same in another order", hints={
    "equal": Hint("A right answer in float32 failed: it {what}, and lies {difference:.0e} from yours.",
                  "Numbers with a point are seldom equal. How far from right is still right?"),
    "writes": Hint("A right answer failed whose array cannot be written.",
                   "You changed what the student's function returned. Look, and leave it as it is."),
    "style": Hint("The answer that {what} failed, and it is right too.",
                  "Check what a function does, not how it is written."),
})  # fmt: skip
def right_pass(answer: Answer, case: Case) -> None:
    accused = [what for what, prepare in RIGHT.items() if _said_or_raised(answer, case, prepare, what)]
    if not accused:
        return
    what = accused[0]
    key = "style"
    if not set(accused) & set(EXACT):
        key = "writes" if set(accused) == {"gives an array that cannot be written"} else "equal"
    images = np.arange(256, dtype=np.uint8)[:, np.newaxis, np.newaxis] * np.ones((28, 28), np.uint8)
    difference = float(np.abs(RIGHT[what](images) - _divided(images)).max())
    case.fail(f"{len(accused)} of {len(RIGHT)} right answers failed, one that {what}.", hint=key,
              share=max(0.0, 0.5 - len(accused) / len(RIGHT)), what=what, difference=difference, expected="passed",
              received="failed")  # fmt: skip


def _said_or_raised(answer: Answer, case: Case, prepare: Prepare, what: str) -> bool:
    """Return whether a check accuses an answer; an array that cannot be written may make it raise."""
    if prepare is _fixed and answer.check_prepare.call(_bounded(prepare)).kind == "ValueError":
        return True
    return bool(_said(answer, case, prepare, what))


@exercise.check("wrong", "Nine wrong answers fail", points=3, held_out=9, timeout=60, after="right",
                covers="the same mistakes, made in another way", hints={
    "maximum": Hint("The answer that {what} passed.", "Show it images of which none is fully white."),
    "whole-numbers": Hint("The answer that {what} passed.", "Which values should lie between 0 and 1?"),
    "changed": Hint("The answer that {what} passed.",
                    "Look at the images again after the call; and whole numbers are not the only images."),
    "other": Hint("The answer that {what} passed.", "Shape, type, range, one image alone: data-3 asks for each."),
})  # fmt: skip
def wrong_fail(answer: Answer, case: Case) -> None:
    order = _wrong(case)
    passed = [one for one in order if not _said(answer, case, _mutant(one, case), one.what)]
    if passed:
        words = "; ".join(one.what for one in passed)
        caught = len(order) - len(passed)
        case.fail(f"{caught} of {len(order)} wrong answers failed; passed: the one that {words}.",
                  hint=passed[0].word or "other", share=max(0.0, 1 - len(passed) / 5), what=passed[0].what,
                  expected=len(order), received=caught)  # fmt: skip


@exercise.check("hints", "Five of them get the hint that fits", points=2, held_out=5, timeout=60, after="right",
                covers="the same mistakes, made in another way", hints={
    "no-word": Hint("The answer that {what} got {said}.", "A hint for this mistake needs a fingerprint: compute what "
                    "it would have given, and compare."),
    "guess": Hint("The answer that {what} got {said} too.", "A hint that does not fit sends people the wrong way."),
    "no-sentence": Hint("The hint for {word} is {said!r}.", "What was seen, and what does it mean? A sentence."),
})  # fmt: skip
def fitting_hints(answer: Answer, case: Case) -> None:
    with_hint = [one for one in MUTANTS if one.word]
    right, first = 0, None
    for one in _wrong(case):
        said = _said(answer, case, _mutant(one, case), one.what)
        known = set(said) & set(FIXED)
        extra = known - {one.word}
        sentence = said.get(one.word, "") if one.word else "no hint is asked for"
        key = "guess" if extra else "no-word" if one.word and one.word not in known else ""
        key = key or ("no-sentence" if len(sentence) < SHORT else "")
        right += bool(one.word) and not key
        received = ", ".join(sorted(extra)) or (sentence if key == "no-sentence" else ", ".join(said)) or "nothing"
        first = first or ((key, one, received) if key else None)
    if first:
        key, one, received = first
        case.fail(f"{right} of {len(with_hint)} got the hint that fits, and no other.", hint=key,
                  share=max(0.0, right / len(with_hint) - 0.2), what=one.what, word=one.word, said=received,
                  expected=one.word or "none of the three", received=received)  # fmt: skip


def _twice_wrong(images: Array) -> Array:
    batch = _batch(images).astype(np.float64) / max(float(np.max(images)), 1.0)
    if images.dtype.kind == "f":
        images /= 255
    return batch


def _rounded_and_emptied(images: Array) -> Array:
    batch = np.round(_divided(images))
    if images.dtype.kind == "f":
        images[...] = 0
    return batch


@exercise.check("several", "What is wrong twice is told twice", points=1, held_out=1, timeout=30, after="right",
                covers="two other mistakes", hints={
    "first-only": Hint("Two things were wrong, and your card says {said}.",
                       "The student repairs one, runs again, finds the next. Say all that one card could say."),
})  # fmt: skip
def several(answer: Answer, case: Case) -> None:
    prepare, word = (_rounded_and_emptied, "whole-numbers") if case.held_out else (_twice_wrong, "maximum")
    words = {word, "changed"}
    said = _said(answer, case, prepare, "has two mistakes")
    case.expect(words <= set(said), "One of two mistakes was not told.", hint="first-only",
                said=", ".join(said) or "nothing", expected=" and ".join(sorted(words)),
                received=", ".join(said) or "nothing")  # fmt: skip


def _raises(images: Array) -> Array:
    raise ValueError("cannot reshape array")


STRANGE: dict[str, Prepare] = {
    "raises": _raises,
    "returns nothing": lambda images: None,
    "returns text": lambda images: "prepared",
    "returns a list": lambda images: [[1, 2], [3]],
    "returns one number": lambda images: 0.5,
    "returns an empty array": lambda images: np.zeros((0, 28, 28, 1), np.float32),
    "returns another number of images": lambda images: np.concatenate([_divided(images), _divided(images)]),
    "returns what is no number": lambda images: np.full_like(_divided(images), np.nan),
    "returns text in an array": lambda images: np.full(_batch(images).shape, "a"),
}


@exercise.check("harmless", "Whatever it meets, it raises nothing, and says that it is wrong", points=1, held_out=9,
                timeout=60, covers="the same in another order", hints={
    "passed": Hint("The answer that {what} passed.", "What cannot be compared is not right."),
})  # fmt: skip
def harmless(answer: Answer, case: Case) -> None:
    for what in case.choose(list(STRANGE), len(STRANGE)):
        said = _said(answer, case, STRANGE[what], what)
        case.expect(said, f"The answer that {what} passed.", hint="passed", what=what, expected="a hint",
                    received="passed")  # fmt: skip
