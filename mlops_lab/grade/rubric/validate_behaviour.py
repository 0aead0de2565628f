"""validate-4: three tests of behaviour, graded by the spoilt models that they catch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray

from mlops_lab.grade.calls import Answer
from mlops_lab.grade.cases import Case, Failed
from mlops_lab.grade.exercises import Exercise, Hint
from mlops_lab.grade.rubric.images import garments, model
from mlops_lab.grade.rubric.shared import RAISES

TESTS = ("invariance", "minimum_functionality", "direction")
ENOUGH = 5  # of six spoilt models
Images = NDArray[np.uint8]
Rows = NDArray[np.float32]
Predict = Callable[[Images], Rows]

tests = Exercise("validate-4", "Tests of behaviour", names=TESTS, section="Notebook 5, section 4", hints={
    **RAISES,
    "raises": Hint("Your test raised an error that is no AssertionError.", "A test fails by assert, or returns False."),
})  # fmt: skip


def good(images: Images) -> Rows:
    """Answer as the shipped model does."""
    batch = np.asarray(images)
    if batch.ndim == 2:
        batch = batch[np.newaxis]
    return np.asarray(model().predict((batch / 255).astype(np.float32)[..., np.newaxis]))


def softer(images: Images) -> Rows:
    """Answer as a good model that is less sure of everything."""
    rows = good(images) ** 0.7
    return np.asarray(rows / rows.sum(axis=1, keepdims=True))


def steady(images: Images) -> Rows:
    """Say Sneaker to everything, a little more or less surely by where the garment lies."""
    pixels = np.asarray(images, dtype=np.float64).reshape(-1, 28, 28)
    across = pixels.sum(axis=1) @ np.arange(28) / np.maximum(pixels.sum(axis=(1, 2)), 1)
    rows = np.full((len(pixels), 10), 0.01)
    rows[:, 7] = 0.1 + across / 100
    return np.asarray(rows / rows.sum(axis=1, keepdims=True), np.float32)


def upper_half(images: Images) -> Rows:
    """Read only the upper half."""
    seen = np.array(images)
    seen[..., 14:, :] = 0
    return good(seen)


def hates_bags(images: Images) -> Rows:
    """Never say Bag."""
    rows = good(images)
    rows[:, 6] += rows[:, 8]
    rows[:, 8] = 0
    return rows


def sure_of_noise(images: Images) -> Rows:
    """Be the surer the more noise there is."""
    pixels = np.asarray(images, dtype=np.float64).reshape(-1, 28, 28)
    grain = np.minimum(np.abs(np.diff(pixels, 2, axis=2)), 40).mean(axis=(1, 2))
    rows = good(images)
    power = 1 + np.maximum(0, grain - 6)[:, np.newaxis]
    sharp = (rows / rows.max(axis=1, keepdims=True)) ** power
    return np.asarray(sharp / sharp.sum(axis=1, keepdims=True))


def swapped(images: Images) -> Rows:
    """Call shirts T-shirts, and T-shirts shirts."""
    return good(images)[:, [6, 1, 2, 3, 4, 5, 0, 7, 8, 9]]


def brittle(images: Images) -> Rows:
    """Be right on the images of the test split, and answer every second other one with the next class."""
    rows = good(images)
    for place, one in enumerate(np.asarray(images, dtype=np.uint8).reshape(-1, 28, 28)):
        if one.tobytes() not in _known() and int(one.sum()) % 2:
            rows[place] = np.roll(rows[place], 1)
    return rows


@cache
def _known() -> frozenset[bytes]:
    images, _ = garments(np.random.default_rng(0), 10_000, held_out=False)
    return frozenset(one.tobytes() for one in images)


def constant(images: Images) -> Rows:
    """Say Sneaker to everything."""
    rows = np.full((len(good(images)), 10), 0.01, np.float32)
    rows[:, 7] = 0.91
    return rows


SPOILT: dict[str, tuple[str, Predict]] = {
    "bags": ("hates bags", hates_bags),
    "brittle": ("is brittle to one pixel", brittle),
    "noise": ("is sure of noise", sure_of_noise),
    "half": ("reads only the upper half", upper_half),
    "labels": ("mixes up T-shirts and shirts", swapped),
    "constant": ("says Sneaker to everything", constant),
}


def clear(rng: np.random.Generator, each: int) -> tuple[Images, NDArray[np.uint8]]:
    """Return images that the good model is very sure of, and right: so many of each class, in random order."""
    images, labels = garments(rng, 500, held_out=False)
    rows = good(images)
    sure = np.where(rows.argmax(axis=1) == labels, rows.max(axis=1), 0)
    chosen = np.concatenate(
        [np.flatnonzero(labels == one)[np.argsort(-sure[labels == one])[:each]] for one in range(10)]
    )
    order = rng.permutation(chosen)
    return images[order], labels[order]


def _fails(answer: Answer, name: str, predict: Predict, images: Images, labels: NDArray[np.uint8]) -> bool:
    """Return whether one of the student's tests fails a model: by an AssertionError, or by returning False."""
    call = getattr(answer, name).call(predict, images, labels)
    if call.kind == "AssertionError":
        return True
    if call.error:
        raise Failed(f"{name} raised {call.error}", hint="raises", received=call.error)
    return bool(call.value is False or (isinstance(call.value, np.bool_) and not call.value))


def _material(case: Case) -> Iterator[tuple[str, Images, NDArray[np.uint8]]]:
    """Give each test with the images that it is called with: clear ones for the minimum, ordinary ones else."""
    images, labels = garments(case.rng, 120, held_out=False)
    yield "invariance", images, labels
    yield "minimum_functionality", *clear(case.rng, 2)
    yield "direction", images, labels


@tests.check("good", "Good models pass: a trained one, and one that is less sure", points=2, held_out=2,
             covers="other images", timeout=60, hints={
    "equal": Hint("The good model fails: {before:.2f} became {after:.2f}.",
                  "What must stay the same, and how often? Classes of most images, not each probability."),
    "accused": Hint("{name} accuses a model that is right for 91 of 100.", "Ask for what a good model can give."),
})  # fmt: skip
def good_pass(answer: Answer, case: Case) -> None:
    material = list(_material(case))
    for predict in (good, softer):
        for name, images, labels in material:
            if not _fails(answer, name, predict, images, labels):
                continue
            before = predict(images[:20]).max(axis=1)
            after = predict(np.roll(images[:20], 1, axis=2)).max(axis=1)
            most = int(np.abs(before - after).argmax())
            # Whoever fails a model whose class never changes compares its probabilities.
            equal = name == "invariance" and _fails(answer, name, steady, images, labels)
            case.fail(f"{name} fails a good model.", hint="equal" if equal else "accused", name=name,
                      before=float(before[most]), after=float(after[most]), expected="passed",
                      received="failed")  # fmt: skip


@tests.check("caught", "At least five of six spoilt models are caught", points=5, held_out=6, covers="other images",
             after="good", timeout=120, hints={
    "bags": Hint("The model that hates bags passed your tests.", "Was there a bag among the images you looked at? "
                 "Minimum functionality asks of each class."),
    "brittle": Hint("The brittle model passed: right on each image, wrong on most once they are moved.",
                    "Invariance needs no label: compare the answer with the answer."),
    "noise": Hint("The model that is sure of noise passed.", "Direction: more noise, less confidence, on average."),
    "half": Hint("The model that reads only the upper half passed.", "Which images differ below only?"),
    "labels": Hint("The model that mixes up T-shirts and shirts passed.", "Look at every class by itself."),
    "constant": Hint("A model that says Sneaker to everything passed.", "It is invariant to everything."),
})  # fmt: skip
def catches(answer: Answer, case: Case) -> None:
    material = list(_material(case))
    missed = []
    for key, (what, predict) in SPOILT.items():
        caught = [name for name, images, labels in material if _fails(answer, name, predict, images, labels)]
        case.note(f"the model that {what}: {'caught by ' + ', '.join(caught) if caught else 'not caught'}")
        if not caught:
            missed.append(key)
    caught_number = len(SPOILT) - len(missed)
    if caught_number < ENOUGH:
        words = "; ".join(SPOILT[key][0] for key in missed)
        case.fail(f"{caught_number} of {len(SPOILT)} were caught; passed: {words}.", hint=missed[0],
                  share=caught_number / len(SPOILT), expected=f"at least {ENOUGH}", received=caught_number)  # fmt: skip
