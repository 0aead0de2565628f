"""monitor-5: a day in production, image after image. Points fall with the delay of an alarm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.data.dataset import Split
from mlops_lab.grade.calls import Answer
from mlops_lab.grade.cases import Case
from mlops_lab.grade.exercises import Exercise, Hint
from mlops_lab.grade.rubric.monitor_drift import distance
from mlops_lab.grade.rubric.monitor_worlds import (
    CLASSES,
    EIGHT,
    Answers,
    ask,
    at,
    changed,
    eight,
    known,
    known_eight,
    places,
    pool,
)
from mlops_lab.grade.rubric.shared import RAISES

exercise = Exercise("monitor-5", "A day in production", names=("watch",), section="Notebook 7, section 5", hints=RAISES)
Day = dict[str, NDArray[Any]]
Alarms = list[tuple[int, str]]
LENGTH, NOON, NINE = 2000, 1000, 750
SEEN = ("brightness", "contrast", "grain")

HINTS = {
    "form": Hint("{received} came back.", "A list of (place, reason): which prediction of the day, and which column."),
    "often": Hint(
        "{count} alarms on quiet days.",
        "Looking often is testing often: each look is one more chance to be unlucky.",
        "Look every so many predictions, or ask for two looks in a row.",
    ),
    "early": Hint("It rang at {place}, before anything had changed at {onset}.", "Looking often is testing often."),
    "never": Hint(
        "What began at {onset} was never noticed.",
        "Held against yesterday, each hour resembles the last.",
        "The reference is what the model did on held-out data; it does not move.",
    ),
    "late": Hint("What began at {onset} was noticed {delay} predictions later.",
                 "A window of a whole day knows in the evening what began at noon."),
    "reason": Hint("You named {said!r}; what moved most is {right}.", "Name the column whose test rang loudest."),
    "ahead": Hint("A day that ends at {cut} gave other alarms up to there.", "You looked at what had not come yet."),
}  # fmt: skip


def _columns(said: Answers, seen: NDArray[np.float64]) -> Day:
    """Return what a log keeps of images, in their order."""
    return {"class": said.classes, "confidence": said.confidence, **{one: seen[:, EIGHT.index(one)] for one in SEEN}}


def calm(chosen: NDArray[np.int64]) -> Day:
    """Return images of the pool as they are."""
    return _columns(known(chosen), known_eight(chosen))


def _then(before: NDArray[np.int64], after: Split) -> Day:
    """Return a day that begins with images as they are, and goes on with others."""
    parts = calm(before), _columns(ask(after), eight(after))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def sudden(kind: str, strength: float, rng: np.random.Generator) -> Day:
    """Return a day on which something changes at noon."""
    day = places(rng, LENGTH)
    return _then(day[:NOON], changed(at(day[NOON:]), kind, strength, rng))


def slow(kind: str, strength: float, rng: np.random.Generator) -> Day:
    """Return a day on which something changes from nine on, a little more every 50 images."""
    day = places(rng, LENGTH)
    rest = at(day[NINE:])
    images = rest.images.copy()
    for start in range(0, len(rest), 50):
        part = Split(images[start : start + 50], rest.labels[start : start + 50])
        images[start : start + 50] = changed(part, kind, strength * start / len(rest), rng).images
    return _then(day[:NINE], Split(images, rest.labels))


def one_class(number: int, rng: np.random.Generator) -> Day:
    """Return a day on which, from noon on, four images in ten are of one class."""
    day, half = places(rng, LENGTH), len(pool()) // 2
    source = half + np.flatnonzero(pool().labels[half:] == number)
    more = NOON + np.flatnonzero(rng.random(LENGTH - NOON) < 0.4)
    day[more] = rng.choice(source, len(more))
    return calm(day)


def _reference(case: Case) -> Day:
    return calm(places(case.rng, 3000, reference=True))


def _alarms(answer: Answer, case: Case, reference: Day, day: Day) -> Alarms:
    said = answer.watch(reference, day)
    try:
        alarms = sorted((int(place), str(reason)) for place, reason in said)
    except (TypeError, ValueError):
        case.fail("watch gives no list of alarms.", hint="form", expected="[(place, reason), …]", received=said)
    length = len(day["class"])
    fits = all(0 <= place <= length for place, _ in alarms)
    case.expect(fits, "An alarm lies outside of the day.", hint="form", expected=f"places up to {length}",
                received=alarms)  # fmt: skip
    return alarms


@exercise.check("quiet", "At most one alarm on three quiet days", points=2, held_out=3, covers="other days",
                timeout=120, hints=HINTS)  # fmt: skip
def quiet(answer: Answer, case: Case) -> None:
    reference = _reference(case)
    count = sum(len(_alarms(answer, case, reference, calm(places(case.rng, LENGTH)))) for _ in range(3))
    case.expect(count <= 1, "It rings on quiet days.", hint="often", count=count, expected="at most 1", received=count)


def _judge(
    answer: Answer, case: Case, make: Callable[[np.random.Generator], Day], onset: int, good: int, bad: int
) -> None:
    """Play a day; the points fall from a good delay to a bad one, and with a wrong reason."""
    reference, day = _reference(case), make(case.rng)
    alarms = _alarms(answer, case, reference, day)
    early = [place for place, _ in alarms if place < onset]
    case.expect(not early, "It rang before anything had changed.", hint="early", place=(early or [0])[0], onset=onset,
                expected=f"after {onset}", received=alarms[:3])  # fmt: skip
    case.expect(alarms, "It never rang.", hint="never", onset=onset, expected=f"an alarm soon after {onset}",
                received="none")  # fmt: skip
    place, reason = alarms[0]
    delay = place - onset
    share = min(1.0, max(0.0, (bad - delay) / (bad - good)))
    case.expect(share == 1.0, "It rang late.", hint="late", share=share, onset=onset, delay=delay,
                expected=f"within {good} predictions", received=delay)  # fmt: skip
    moved = _moved(reference, {name: values[onset:] for name, values in day.items()})
    likely = [name for name, size in moved.items() if size >= 0.5 * max(moved.values())]
    case.expect(reason in likely, "It names another reason.", hint="reason", share=0.5, said=reason,
                right=max(moved, key=lambda name: moved[name]), expected=" or ".join(likely),
                received=reason)  # fmt: skip


def _moved(reference: Day, day: Day) -> dict[str, float]:
    """Return how far each column lies from the reference, 0 to 1."""
    shares = [np.bincount(one["class"], minlength=CLASSES) / len(one["class"]) for one in (reference, day)]
    found = {"class": float(np.abs(shares[0] - shares[1]).sum() / 2)}
    return found | {name: distance(reference[name], day[name]) for name in day if name != "class"}


@exercise.check("sudden", "What begins at noon is noticed soon, with its reason", points=2, held_out=1,
                covers="another change", timeout=60, hints=HINTS)  # fmt: skip
def noon(answer: Answer, case: Case) -> None:
    kind, strength = ("bright", 0.7) if case.held_out else ("noise", 0.5)
    _judge(answer, case, lambda rng: sudden(kind, strength, rng), NOON, 250, 900)


@exercise.check("slow", "What grows from nine on is noticed", points=2, held_out=1, covers="another change",
                timeout=60, hints=HINTS)  # fmt: skip
def nine(answer: Answer, case: Case) -> None:
    kind = "contrast" if case.held_out else "dark"
    _judge(answer, case, lambda rng: slow(kind, 0.3, rng), NINE, 800, 1240)


@exercise.check("class", "One class that comes more often is noticed", points=2, held_out=1, covers="another class",
                timeout=60, hints=HINTS)  # fmt: skip
def share_of_a_class(answer: Answer, case: Case) -> None:
    number = int(case.rng.integers(CLASSES)) if case.held_out else 8
    _judge(answer, case, lambda rng: one_class(number, rng), NOON, 300, 900)


@exercise.check("in-order", "It looks at nothing that has not come yet", points=1, held_out=1, covers="another day",
                timeout=60, hints=HINTS)  # fmt: skip
def in_order(answer: Answer, case: Case) -> None:
    reference, cut = _reference(case), NOON - 20
    day = sudden("noise", 0.5, case.rng)
    whole = [alarm for alarm in _alarms(answer, case, reference, day) if alarm[0] <= cut]
    short = _alarms(answer, case, reference, {name: values[:cut] for name, values in day.items()})
    case.expect(whole == short, "The alarms depend on what comes later.", hint="ahead", cut=cut, expected=short,
                received=whole)  # fmt: skip
