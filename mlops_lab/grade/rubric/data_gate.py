"""data-5: a gate for data. It is graded by the broken deliveries that it finds, and the honest ones it lets pass."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mlops_lab.grade.calls import Answer
from mlops_lab.grade.cases import Case
from mlops_lab.grade.exercises import Exercise, Hint
from mlops_lab.grade.rubric.images import garments
from mlops_lab.grade.rubric.shared import RAISES

exercise = Exercise("data-5", "A gate for data", names=("problems",), section="Notebook 1, section 5", hints=RAISES)
Delivery = tuple[NDArray[np.generic], NDArray[np.int64]]
COUNT = 300
MOST_WORDS = 3  # for one thing that is wrong: who says every word each time finds nothing


def _honest(case: Case) -> Delivery:
    images, labels = garments(case.rng, COUNT, held_out=case.held_out)
    return images, labels.astype(np.int64)


def _broken(word: str, given: Delivery, place: int) -> Delivery:
    """Return a delivery with one thing wrong; where it is one image, the one at that place."""
    images, labels = given[0].copy(), given[1].copy()
    if word == "shape":
        return images[:, :, :-1], labels
    if word == "range":
        images = images.astype(np.float32)
        images[place, 3, 3] = 300
    elif word == "not-finite":
        images = images.astype(np.float32)
        images[place, 5, 5] = np.nan
    elif word == "constant":
        images[place] = 128
    elif word == "label-unknown":
        labels[place] = 10
    elif word == "class-missing":
        kept = labels != 7
        images, labels = images[kept], labels[kept]
    elif word == "duplicates":
        other = (place + 5) % len(images)
        images[place], labels[place] = images[other], labels[other]
    else:  # inverted
        images = 255 - images
    return images, labels


WORDS = ("shape", "range", "not-finite", "constant", "label-unknown", "class-missing", "duplicates", "inverted")
OF_ONE_IMAGE = ("range", "not-finite", "constant", "label-unknown")
HONEST: dict[str, Callable[[Delivery], Delivery]] = {
    "plain": lambda given: given,
    "dark": lambda given: ((given[0] // 5).astype(np.uint8), given[1]),
    "whole numbers as float": lambda given: (given[0].astype(np.float32), given[1]),
}


def _said(answer: Answer, case: Case, delivery: Delivery, hint: str = "raised") -> list[str]:
    """Return the words that a gate says; whoever raises says none."""
    done = answer.problems.call(*delivery)
    case.expect(not done.error, "problems raised instead of returning words.", hint=hint, error=done.error,
                expected="a list of words", received=done.error)  # fmt: skip
    words = done.value
    case.expect(isinstance(words, list | tuple | set | frozenset), "problems gives no list.", hint="no-list",
                expected="a list of words", received=words)  # fmt: skip
    return sorted({str(word) for word in words})


HINTS = {
    "raised": Hint("Your gate ended with {error}.", "The first finding ended the search. Collect, then return."),
    "no-list": Hint("Something else than a list of words came back.", "An empty list means that nothing is wrong."),
}


@exercise.check("finds", "Eight broken deliveries, each found by its word", points=4, held_out=8, timeout=20,
                covers="other places in the delivery", hints={
    **HINTS,
    "first-only": Hint("Image {place} is {word}, and nobody said so.", "Your gate looks at the first image, or at "
                       "a few. A gate looks at all."),
    "all-words": Hint("{n} words for one thing that is wrong.", "Say what is wrong, and nothing else."),
    "not-found": Hint("The delivery that is {word} passed.", "Make one yourself, and look at what your gate sees."),
})  # fmt: skip
def finds(answer: Answer, case: Case) -> None:
    given = _honest(case)
    place = int(case.rng.integers(100, 280))
    missed, many, first_only = [], 0, ""
    for word in WORDS:
        said = _said(answer, case, _broken(word, given, place))
        if len(said) > MOST_WORDS:
            many = max(many, len(said))
        elif word in said:
            continue
        elif word in OF_ONE_IMAGE and word in _said(answer, case, _broken(word, given, 0)):
            first_only = first_only or word
        missed.append(word)
    key = "all-words" if many else "first-only" if first_only else "not-found"
    case.expect(not missed, f"{len(missed)} of {len(WORDS)} broken deliveries were not found by their word.", hint=key,
                share=max(0.0, 1 - len(missed) / 4), place=place, word=first_only or (missed or [""])[0], n=many,
                expected=", ".join(WORDS), received="not found: " + ", ".join(missed))  # fmt: skip


@exercise.check("honest", "Three honest deliveries pass", points=2, held_out=3, covers="other images", hints={
    **HINTS,
    "dark": Hint(
        "The dark, honest delivery is accused of {words}. A false alarm.",
        "People switch off gates that cry wolf: what tells dark from broken?",
    ),
    "plain": Hint("An honest delivery is accused of {words}.", "People switch off gates that cry wolf."),
    "float": Hint("Whole numbers that are stored as float are accused of {words}.", "Judge values, not their type."),
})  # fmt: skip
def honest(answer: Answer, case: Case) -> None:
    given = _honest(case)
    for name, make in HONEST.items():
        words = _said(answer, case, make(given))
        case.expect(not words, f"An honest delivery ({name}) was accused.", hint=name.split()[-1],
                    words=", ".join(words), expected="[]", received=words)  # fmt: skip


@exercise.check("several", "The first problem does not hide the second", points=1, held_out=1, covers="other pairs",
                after="finds", hints={
    "raised": Hint("Your gate ended with {error}.", "The first finding ended the search; others were there. Collect, "
                   "then return."),
    "no-list": HINTS["no-list"],
    "hidden": Hint("{absent} was there too, and nobody said so.", "The first finding ended the search. Collect, then "
                   "return."),
})  # fmt: skip
def several(answer: Answer, case: Case) -> None:
    given = _honest(case)
    pairs = [("class-missing", "label-unknown"), ("not-finite", "duplicates"), ("constant", "class-missing")]
    if case.held_out:
        pairs = [("duplicates", "label-unknown"), ("range", "class-missing"), ("not-finite", "constant")]
    for pair in pairs:
        delivery = given
        for number, word in enumerate(pair):
            delivery = _broken(word, delivery, 120 + 30 * number)
        said = _said(answer, case, delivery)
        absent = next((word for word in pair if word not in said), "")
        case.expect(not absent, "One of two problems was not found.", hint="hidden", absent=absent,
                    expected=" and ".join(pair), received=said)  # fmt: skip
