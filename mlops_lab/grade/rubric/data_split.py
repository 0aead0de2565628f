"""data-4: split without cheating."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.grade.calls import Answer
from mlops_lab.grade.cases import Case
from mlops_lab.grade.exercises import Exercise, Hint
from mlops_lab.grade.rubric.images import garments
from mlops_lab.grade.rubric.returned import table
from mlops_lab.grade.rubric.shared import RAISES

exercise = Exercise("data-4", "Split without cheating", names=("split",), section="Notebook 1, section 4", hints=RAISES)
Parts = tuple[NDArray[np.int64], NDArray[np.int64]]
COPIES = 75  # images that are there twice, so 150 that have a copy


def _given(case: Case) -> tuple[NDArray[np.uint8], NDArray[np.uint8], float]:
    """Return images sorted by class, some of them twice, their labels, and the share of the second part."""
    images, labels = garments(case.rng, 425, held_out=case.held_out)
    twice = case.rng.permutation(len(images))[:COPIES]
    images, labels = np.concatenate([images, images[twice]]), np.concatenate([labels, labels[twice]])
    order = np.lexsort((case.rng.random(len(labels)), labels))
    return images[order], labels[order], float(case.rng.choice([0.25, 0.3, 0.4])) if case.held_out else 0.2


def _parts(answer: Answer, case: Case, *given: Any) -> Parts:
    """Return the two parts, or fail where they are no two lists of places."""
    said = answer.split(*given)
    case.expect(isinstance(said, tuple | list) and len(said) == 2, "split gives no two arrays.", hint="two",
                expected="two arrays of places", received=type(said).__name__)  # fmt: skip
    first, second = (table(case, one, "split") for one in said)
    whole = first.ndim == second.ndim == 1 and all(one.dtype.kind in "iu" or not one.size for one in (first, second))
    case.expect(whole, "The two arrays are no places of images.", hint="two", expected="whole numbers, one axis",
                received=f"{first.dtype} {first.shape} and {second.dtype} {second.shape}")  # fmt: skip
    return first.astype(np.int64), second.astype(np.int64)


TWO = {"two": Hint("Something else than two arrays of places came back.",
                   "Places, not images: whoever gets them can look up images and labels.")}  # fmt: skip


@exercise.check("whole", "Nothing is lost, and nothing is on both sides", points=1, held_out=1, covers="another share",
                hints={
    **TWO,
    "lost": Hint("{n} images are in neither part.", "Cut one order of all places in two."),
    "both": Hint("{n} places are in both parts.", "Cut one order of all places in two."),
    "share": Hint("The second part holds {part:.0%} of the images.", "`share` is the share of the second part."),
})  # fmt: skip
def whole(answer: Answer, case: Case) -> None:
    images, labels, share = _given(case)
    first, second = _parts(answer, case, images, labels, share, 3)
    places = np.concatenate([first, second])
    both = len(places) - len(np.unique(places))
    case.expect(not both, "Some places are there twice.", hint="both", n=both, expected=0, received=both)
    lost = len(set(range(len(images))) - set(places.tolist()))
    case.expect(not lost and len(places) == len(images), "Some images are lost.", hint="lost", n=lost, expected=0,
                received=lost)  # fmt: skip
    found = len(second) / len(images)
    case.expect(abs(found - share) < 0.03, "The second part has another size.", hint="share", part=found,
                expected=f"{share:.0%}", received=f"{found:.0%}")  # fmt: skip


@exercise.check("classes", "Each class is in both parts, in proportion", points=1, held_out=1, covers="other images",
                after="whole", hints={
    "sorted": Hint("Classes {classes} are only in one part: the data are sorted.", "Shuffle before you cut."),
    "chance": Hint(
        "Class {label} has {received} images in the second part, and its share is {expected:.1f}.",
        "Shuffled is not in proportion: cut each class by itself.",
    ),
})  # fmt: skip
def classes(answer: Answer, case: Case) -> None:
    images, labels, share = _given(case)
    _, second = _parts(answer, case, images, labels, share, 3)
    counts, all_counts = np.bincount(labels[second], minlength=10), np.bincount(labels, minlength=10)
    only = np.flatnonzero((counts == 0) | (counts == all_counts)).tolist()
    case.expect(not only, "Some classes are on one side only.", hint="sorted", classes=", ".join(map(str, only)),
                expected="ten classes on both sides", received=f"{10 - len(only)}")  # fmt: skip
    off = np.abs(counts - all_counts * share)
    worst = int(off.argmax())
    case.expect(off[worst] <= 1.5, "A class is not in proportion.", hint="chance", label=worst,
                expected=float(all_counts[worst] * share), received=int(counts[worst]))  # fmt: skip


@exercise.check("seed", "The same seed gives the same split, and changes nobody's random numbers", points=1, held_out=1,
                covers="another seed", after="whole", hints={
    "global": Hint("After your function everybody's random numbers start anew.", "Use a generator of your own."),
    "differs": Hint("Two calls with one seed gave two splits.", "Draw every random number from the seed."),
    "ignored": Hint("Two seeds gave the same split.", "Whoever asks with another seed wants another split."),
})  # fmt: skip
def seed(answer: Answer, case: Case) -> None:
    images, labels, share = _given(case)
    number = int(case.rng.integers(1, 1000))
    first, again, other = (
        [sorted(part.tolist()) for part in _parts(answer, case, images, labels, share, one)]
        for one in (number, number, number + 1)
    )
    case.expect(first == again, "One seed, two splits.", hint="differs")
    case.expect(first != other, "Two seeds, one split.", hint="ignored")
    done = answer.split.call(images, labels, share, number)
    case.expect(not done.random_changed, "The global random numbers are not what they were.", hint="global",
                expected="a generator of your own", received="the global one")  # fmt: skip


@exercise.check("copies", "No image is on both sides, whatever its place", points=2, held_out=1, covers="other images",
                after="whole", hints={
    "copies": Hint(
        "{n} images of the second part are in the first part as well.",
        "A model that learned them by heart would look good. Compare contents, not positions.",
    ),
})  # fmt: skip
def copies(answer: Answer, case: Case) -> None:
    images, labels, share = _given(case)
    first, second = _parts(answer, case, images, labels, share, 5)
    known = {images[place].tobytes() for place in first}
    both = sum(images[place].tobytes() in known for place in second)
    case.expect(not both, "Some images are on both sides.", hint="copies", n=both, expected=0, received=both)
