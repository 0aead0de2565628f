"""data-1 to data-6: look before you train."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.data.dataset import Split
from mlops_lab.grade import fingerprints
from mlops_lab.grade.calls import Answer
from mlops_lab.grade.cases import Case
from mlops_lab.grade.exercises import Exercise, Hint
from mlops_lab.grade.rubric.data_gate import exercise as gate
from mlops_lab.grade.rubric.data_labels import exercise as labels
from mlops_lab.grade.rubric.data_split import exercise as split
from mlops_lab.grade.rubric.images import garments
from mlops_lab.grade.rubric.returned import single, table
from mlops_lab.grade.rubric.shared import RAISES
from mlops_lab.grade.rubric.shop_year import ACTIVITIES, AUTOMATED, EVENTS, STAGES, stage_of

year = Exercise("data-1", "The life cycle, in order", names=("stage", "automated"), section="Notebook 1, section 1",
                hints=RAISES)  # fmt: skip


@year.check("events", "Each event has its stage", points=3, hints={
    "not-all": Hint("{event} has no stage.", "Give every event one of the six stages."),
    "no-stage": Hint("{given!r} is not a stage.", "There are six: " + ", ".join(STAGES) + "."),
    "empty": Hint("No event is in the stage {stage}.", "Every stage happens in this year."),
    "load test": Hint(
        "The load test is under {given}.",
        "It asks a running system, not a model. Which stage begins once something runs?",
    ),
    "masks": Hint(
        "The masks are under {given}.",
        "Nobody collected new data yet; somebody noticed that the world changed.",
    ),
    "staging": Hint("Staging is under {given}.", "Who sees it? If nobody outside does, what is it for?"),
    "other": Hint("{event!r} is under {given}.", "What is there by then: images, weights, or a running server?"),
})  # fmt: skip
def events(answer: Answer, case: Case) -> None:
    said = answer.value("stage")
    said = said if isinstance(said, dict) else {}
    absent = [event for event in EVENTS if event not in said]
    case.expect(not absent, f"{len(absent)} of {len(EVENTS)} events have no stage.", hint="not-all",
                event=(absent or [""])[0], expected="a dict of all events",
                received=f"{len(said)} entries")  # fmt: skip
    given = {event: stage_of(said[event]) for event in EVENTS}
    strange = next((event for event, stage in given.items() if not stage), None)
    case.expect(strange is None, "One event is in no stage of the life cycle.", hint="no-stage",
                given=said.get(strange), received=said.get(strange))  # fmt: skip
    empty = next((stage for stage in STAGES if stage not in given.values()), None)
    wrong = [event for event, (_, stage) in EVENTS.items() if given[event] != stage]
    share = max(0.0, 1 - len(wrong) / 4)
    known = next((event for event in ("load test", "masks", "staging") if event in wrong), None)
    first = known or (wrong[0] if wrong else "")
    key = "empty" if empty else known or "other"
    case.expect(not wrong, f"{len(wrong)} of {len(EVENTS)} events are in another stage.", hint=key, share=share,
                received=f"{first}: {given.get(first)}", event=first, given=given.get(first), stage=empty)  # fmt: skip


@year.check("automated", "What DevOps automated before there were models", points=1, hints={
    "all": Hint("You marked all.", "DevOps is older than models: nobody labelled or retrained anything then."),
    "not-code": Hint("{word!r} is among them.", "It needs data or a model; DevOps began with code alone."),
    "fewer": Hint("{word!r} is not among them.", "Four steps lead from a change of the code to its users."),
})  # fmt: skip
def automated(answer: Answer, case: Case) -> None:
    said = answer.value("automated")
    given = {str(word).strip().lower() for word in said} if isinstance(said, list | tuple | set | frozenset) else set()
    extra, absent = sorted(given - AUTOMATED), sorted(AUTOMATED - given)
    key = "all" if given >= set(ACTIVITIES) else "not-code" if extra else "fewer"
    case.expect(not extra and not absent, "These are not the four.", hint=key, word=(extra or absent or [""])[0],
                expected="four of " + ", ".join(ACTIVITIES), received=", ".join(sorted(given)))  # fmt: skip


description = Exercise("data-2", "Describe a split", names=("describe",), section="Notebook 1, section 2", hints=RAISES)
KEYS = ("count", "shape", "dtype", "lowest", "highest", "zeros", "per_class")


def _split(case: Case, count: int) -> Split:
    images, numbers = garments(case.rng, count, held_out=case.held_out)
    return Split(images, numbers.astype(np.int64))


def _described(answer: Answer, case: Case, given: Split) -> dict[str, Any]:
    said = answer.describe(given)
    case.expect(isinstance(said, dict) and set(KEYS) <= set(said), "describe gives no dict of the seven figures.",
                hint="keys", expected=", ".join(KEYS),
                received=list(said) if isinstance(said, dict) else said)  # fmt: skip
    for name in ("count", "lowest", "highest", "zeros"):
        single(case, said[name], f"What stands under {name}")
    return dict(said)


def _per_class(said: dict[str, Any]) -> list[int]:
    counts = said["per_class"]
    try:
        return [int(one) for one in (counts.values() if isinstance(counts, dict) else counts)]
    except (TypeError, ValueError):
        return []


DESCRIPTION_HINTS = {
    "keys": Hint("One of the seven keys is absent.", "The exercise names them: " + ", ".join(KEYS) + "."),
    "nine": Hint(
        "{n} numbers for ten classes: which class is missing, and does a reader of your table notice?",
        "Ask for ten places (`minlength`).",
    ),
}


@description.check("figures", "The figures of images of garments and of digits", points=2, held_out=2,
                   covers="other images", hints={
    **DESCRIPTION_HINTS,
    "prepared": Hint("The highest value is {received}.", "You described prepared images. These are raw: 0 to 255."),
    "percent": Hint("The share of zeros is {received}.", "A share lies between 0 and 1."),
    "dtype": Hint("The dtype is {received}.", "Say what the array's own type is, before anything is done with it."),
})  # fmt: skip
def figures(answer: Answer, case: Case) -> None:
    small = case.rng.integers(0, 17, (60, 8, 8)).astype(np.uint8)
    for given in (_split(case, 200), Split(small, np.arange(60) % 10)):
        said, images = _described(answer, case, given), given.images
        shape = tuple(np.ravel(said["shape"]).tolist())
        case.expect(shape in (images.shape, images.shape[1:]), "The shape is another.", expected=images.shape,
                    received=shape)  # fmt: skip
        case.expect(said["count"] == len(images), "The count is another.", expected=len(images), received=said["count"])
        case.expect("uint8" in str(said["dtype"]), "The dtype is another.", expected="uint8", hint="dtype",
                    received=said["dtype"])  # fmt: skip
        for name, right in (("lowest", images.min()), ("highest", images.max())):
            key = "prepared" if said["highest"] == 1 else ""
            case.expect(said[name] == right, f"The {name} value is another.", expected=right, received=said[name],
                        hint=key)  # fmt: skip
        zeros = float(np.mean(images == 0))
        figure = isinstance(said["zeros"], int | float | np.number | np.ndarray)
        case.expect(figure, "The share of zeros is no number.", expected=round(zeros, 4), received=said["zeros"])
        key = "percent" if np.isclose(said["zeros"], 100 * zeros, atol=0.51) else ""
        case.expect(np.isclose(said["zeros"], zeros, atol=1e-3), "The share of zeros is another.", hint=key,
                    expected=round(zeros, 4), received=said["zeros"])  # fmt: skip
        right = np.bincount(given.labels, minlength=10).tolist()
        case.expect(_per_class(said) == right, "The counts per class are others.", expected=right,
                    received=said["per_class"])  # fmt: skip


@description.check("missing", "A class that is not there has its place", points=1, held_out=1, covers="another class",
                   after="figures", hints=DESCRIPTION_HINTS)  # fmt: skip
def class_missing(answer: Answer, case: Case) -> None:
    given, without = _split(case, 200), int(case.rng.integers(0, 10)) if case.held_out else 7
    kept = given.labels != without
    for absent in (without, 9):
        kept = kept & (given.labels != absent)
        said = _per_class(_described(answer, case, Split(given.images[kept], given.labels[kept])))
        right = np.bincount(given.labels[kept], minlength=10).tolist()
        key = "nine" if len(said) < 10 else ""
        case.expect(said == right, f"Class {absent} has no place among the counts.", hint=key, n=len(said),
                    expected=right, received=said)  # fmt: skip


@description.check("empty", "An empty split is described too", points=1, hints={
    **DESCRIPTION_HINTS,
    "empty": Hint("{error}.", "The largest of nothing is an error. A report about data must survive bad data."),
})  # fmt: skip
def empty(answer: Answer, case: Case) -> None:
    given = Split(np.zeros((0, 28, 28), np.uint8), np.zeros(0, np.int64))
    done = answer.describe.call(given)
    case.expect(not done.error, "describe raised on an empty split.", hint="empty", error=done.error,
                received=done.error)  # fmt: skip
    said = _described(answer, case, given)
    case.expect(said["count"] == 0 and sum(_per_class(said)) == 0, "An empty split holds nothing.", expected=0,
                received=said["count"])  # fmt: skip


pixels = Exercise("data-3", "Prepare pixels", names=("prepare",), section="Notebook 1, section 3", hints=RAISES)


def _prepared(answer: Answer, case: Case, images: NDArray[Any]) -> NDArray[Any]:
    batch = answer.prepare(images)
    case.expect(isinstance(batch, np.ndarray), "prepare gives no array.", hint="ragged", expected="an array",
                received=type(batch).__name__)  # fmt: skip
    found = table(case, batch, "prepare")
    case.expect(found.size, "prepare gives an empty array.", hint="ragged", expected="an array of numbers",
                received=found.shape)  # fmt: skip
    return found


@pixels.check("shape", "Any number of images, with a channel at the end", points=1, held_out=2, covers="other numbers",
              hints={
    "no-channel": Hint("The shape is {received}.", "A convolution wants (images, height, width, channels)."),
    "one": Hint("One image became {received}.", "A single image is a batch of one."),
    "dtype": Hint("The values are {received}.", "A network computes with float32; float64 is twice the memory."),
})  # fmt: skip
def shape(answer: Answer, case: Case) -> None:
    images, _ = garments(case.rng, int(case.rng.integers(3, 9)), held_out=case.held_out)
    for given in (images, images[0], images[:1]):
        batch, wanted = _prepared(answer, case, given), (len(np.atleast_3d(given)) if given.ndim == 3 else 1, 28, 28, 1)
        key = "one" if given.ndim == 2 else "no-channel"
        case.expect(batch.shape == wanted, f"{given.shape} became another shape.", hint=key, expected=wanted,
                    received=batch.shape)  # fmt: skip
        case.expect(batch.dtype == np.float32, "The type is another.", hint="dtype", expected="float32",
                    received=batch.dtype.name)  # fmt: skip


@pixels.check("values", "Values between 0 and 1, the same as in training", points=2, held_out=200,
              covers="other images, dark ones among them", hints={
    "batch-maximum": Hint(
        "An image whose brightest pixel is {brightest} becomes brighter than it is.",
        "Your scale depends on what else is in the batch: two people would get different answers for one image.",
    ),
    "own-maximum": Hint("An image whose brightest pixel is {brightest} becomes brighter than it is.",
                        "A dark image must stay dark: divide by what a pixel can hold."),
    "whole-numbers": Hint("Only 0 and 1 are left.", "`//` divides whole numbers: it is right for 11 of 100."),
    "not-divided": Hint("The highest value is {highest:g}.", "It must be 1: 255 is what a pixel can hold."),
    "minus-one-to-one": Hint("The lowest value is {lowest:g}.", "This model was trained on 0 to 1."),
    "standardised": Hint("The lowest value is {lowest:g}.", "This model was trained on 0 to 1."),
    "divided-twice": Hint("The highest value is {highest:g}.", "Divided by 255 twice?"),
    "inverted": Hint("Black became {highest:g}.", "The ground of these images is 0, and stays it."),
    "transposed": Hint("Rows and columns are exchanged.", "Only the last axis is new; the others stay where they are."),
})  # fmt: skip
def values(answer: Answer, case: Case) -> None:
    images, _ = garments(case.rng, 200 if case.held_out else 40, held_out=case.held_out)
    batches = [images, np.minimum(images, 180).astype(np.uint8), (images // 4).astype(np.uint8), images[:1] // 2]
    for given in batches:
        batch, candidates = _prepared(answer, case, given), fingerprints.prepared(given)
        if batch.size == given.size:  # an axis that is missing costs its own check
            batch = batch.reshape(candidates["right"].shape)
        candidates["batch-maximum"] = (given / max(int(given.max()), 1)).astype(np.float32)[..., np.newaxis]
        close = batch.shape == candidates["right"].shape and np.allclose(batch, candidates["right"], rtol=0, atol=1e-6)
        order = ["batch-maximum", *(name for name in candidates if name not in ("right", "batch-maximum"))]
        key = "" if close else fingerprints.match(batch, {name: candidates[name] for name in order})
        case.expect(close, "The values are others than in training.", hint=key, brightest=int(given.max()),
                    expected=f"{candidates['right'].min():g} to {candidates['right'].max():g}",
                    received=f"{batch.min():g} to {batch.max():g}", highest=batch.max(),
                    lowest=batch.min())  # fmt: skip


@pixels.check("unchanged", "The images that are given stay as they are", points=1, held_out=1, covers="another type",
              hints={
    "in-place": Hint("Your function changed its argument.", "Call it twice and everything is divided twice."),
})  # fmt: skip
def unchanged(answer: Answer, case: Case) -> None:
    images, _ = garments(case.rng, 4, held_out=case.held_out)
    for given in (images, images.astype(np.float32), images.astype(np.float64)):
        done = answer.prepare.call(given)
        case.expect(not done.error, f"prepare raised {done.error}", hint="raises", error=done.error)
        case.expect(0 not in done.changed, "The images are not what they were.", hint="in-place",
                    expected="the same images", received=f"values up to {given.max():g}")  # fmt: skip


__all__ = ["description", "gate", "labels", "pixels", "split", "year"]
