"""monitor-6: close the loop. What to do about an alarm, and a better version in production only by the gates."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.data.dataset import Split
from mlops_lab.grade.calls import Answer, Call
from mlops_lab.grade.cases import Case
from mlops_lab.grade.exercises import Exercise, Hint
from mlops_lab.grade.rubric.monitor_worlds import CLASSES, POOL, at, changed
from mlops_lab.grade.rubric.shared import RAISES

exercise = Exercise("monitor-6", "Close the loop", names=("respond",), section="Notebook 7, section 6", hints=RAISES)
OLD, NEW, TESTED, SEEN = 3000, 800, 1500, 200
HIDDEN = 600
# A network of this size loses a point or two of the old where it learns the new; one that forgets loses twenty.
MOST_LOST, LEAST_WON = 0.05, 0.08
WORDS = ("retrained", "kept", "wait", "source", "nothing")
Predict = Callable[[NDArray[Any]], NDArray[np.int64]]


@cache
def _layer() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    rng = np.random.default_rng(7)
    weights = rng.normal(0, 1 / 14, (28 * 28, HIDDEN)).astype(np.float32)
    return weights, rng.normal(0, 0.3, HIDDEN).astype(np.float32)


def learn(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> Predict:
    """Return a small network: one hidden layer by chance, and the other by least squares, so it learns at once."""
    weights, bias = _layer()

    def hidden(pixels: NDArray[Any]) -> NDArray[np.float32]:
        flat = np.asarray(pixels).reshape(len(pixels), -1).astype(np.float32) / 255
        return np.hstack([np.maximum(flat @ weights + bias, 0), np.ones((len(flat), 1), np.float32)])

    seen = hidden(images)
    squares = seen.T @ seen + 3 * np.eye(HIDDEN + 1, dtype=np.float32)
    last = np.linalg.solve(squares, seen.T @ np.eye(CLASSES, dtype=np.float32)[labels])
    return lambda pixels: np.asarray((hidden(pixels) @ last).argmax(axis=1))


@cache
def _known() -> tuple[Split, Predict]:
    """Return what the version in production was trained on, and the version."""
    old = at(np.arange(OLD))
    return old, learn(old.images, old.labels)


class World:
    """A production that rings, with people who judge or not, and a release whose every step is seen.

    Parameters
    ----------
    rng
        Draws what customers send.
    change
        What became of their images: of a split and the generator.
    harmful
        What the monitor says.
    judged
        Whether people have judged the new images.
    gates, canary
        Whether they may say yes; the gates do so only for what is better on new images and as good on old ones.
    """

    def __init__(
        self, rng: np.random.Generator, change: Callable[[Split, np.random.Generator], Split], *, harmful: bool = True,
        judged: bool = True, gates: bool = True, canary: bool = True,
    ) -> None:  # fmt: skip
        self.old, self._first = _known()
        drawn = OLD + rng.permutation(POOL - OLD)
        self.tested = at(drawn[:TESTED])
        self.tested_new = change(self.tested, rng)
        self.sent = change(at(drawn[TESTED : TESTED + NEW]), rng)
        self._harmful, self._judged, self._gates, self._canary = harmful, judged, gates, canary
        self.before = self.live = int(rng.integers(3, 90))
        self.made: dict[int, Predict] = {self.before: self._first}
        self.trained: list[Split] = []
        self.asked: list[str] = []
        self.shares: list[float] = []
        self.exposed = False

    def alarm(self) -> dict[str, Any]:
        """Return what the monitor says, and the newest images."""
        reason = "28 points of accuracy are probably lost" if self._harmful else "it is as on the reference"
        return {"harmful": self._harmful, "reason": reason, "since": "14:02", "images": self.sent.images[:SEEN]}

    def data(self) -> dict[str, Split]:
        """Return the data of the version in production, and what customers sent; -1 is the class that nobody knows."""
        labels = self.sent.labels if self._judged else np.full(len(self.sent), -1)
        return {"old": self.old, "new": Split(self.sent.images, labels)}

    def models(self) -> dict[str, Callable[..., Any]]:
        """Return what a student's function is given, by name."""
        names = ("production", "ask", "train", "gates", "canary", "promote")
        return {name: getattr(self, f"_{name}_") for name in names}

    def accuracy(self, version: int, split: Split) -> float:
        """Return the share of right answers of a version."""
        return float((self.made[version](split.images) == split.labels).mean())

    def _production_(self) -> int:
        return self.live

    def _ask_(self, version: Any, images: Any) -> NDArray[np.int64]:
        return self.made[int(version)](np.asarray(images))

    def _train_(self, images: Any, labels: Any) -> int:
        pixels, classes = np.asarray(images), np.asarray(labels)
        if pixels.shape != (len(classes), 28, 28) or not len(classes):
            raise ValueError(f"train takes images (n, 28, 28) and labels (n,), not {pixels.shape} and {classes.shape}")
        if classes.min() < 0 or classes.max() >= CLASSES:
            raise ValueError(f"the labels go from {classes.min()} to {classes.max()}; there are classes 0 to 9")
        version = max(self.made) + 1
        self.made[version] = learn(pixels, classes.astype(np.int64))
        self.trained.append(Split(pixels, classes.astype(np.int64)))
        return version

    def _gates_(self, version: Any) -> bool:
        self.asked.append("gates")
        lost = self.accuracy(self.before, self.tested) - self.accuracy(int(version), self.tested)
        won = self.accuracy(int(version), self.tested_new) - self.accuracy(self.before, self.tested_new)
        return self._gates and lost <= MOST_LOST and won >= LEAST_WON

    def _canary_(self, version: Any, share: Any) -> bool:
        self.asked.append("canary")
        self.shares.append(float(share))
        return self._canary and int(version) in self.made

    def _promote_(self, version: Any) -> None:
        self.exposed = self.exposed or self.asked[-2:] != ["gates", "canary"]
        self.asked.append("promote")
        self.live = int(version)


def masks(split: Split, rng: np.random.Generator) -> Split:
    """Return images with something before each garment."""
    return changed(split, "masks", 1.0, rng)


def _blank(level: int) -> Callable[[Split, np.random.Generator], Split]:
    return lambda split, rng: Split(np.full_like(split.images, level), split.labels)


def _calm(split: Split, rng: np.random.Generator) -> Split:
    return split


HINTS = {
    "forgot": Hint(
        "{new:.2f} on masks, and {old:.2f} where there was {before:.2f}: it forgot.",
        "What a model is not shown again, it loses.", "Train on old and new data together.",
    ),
    "own-answers": Hint(
        "You taught it its mistakes: {agreed:.0%} of your new labels are what version {version} answered, and it is "
        "right {right:.0%} of the time.",
        "Those labels came from the version that was wrong.", "People's labels stand in data['new'].",
    ),
    "unused": Hint("It is right {new:.2f} of the time on masks, as before: {count} new images were in the training.",
                   "It cannot know what it was not shown."),
    "passive": Hint("{said!r}, and {count} predictions are judged.", "There are labels: it can learn."),
    "no-labels": Hint("You trained, and nobody has judged one of the new images.",
                      "Without labels there is nothing to learn: ask people, and wait."),
    "camera": Hint("All images are one {colour} since {since}, and you trained on them.",
                   "A model cannot learn what is not there."),
    "silent": Hint("All images are one {colour} since {since}, and you said {said!r}.",
                   "Somebody has to repair the camera: say 'source'."),
    "restless": Hint("The monitor says: {reason}. You trained.", "A training without a reason is a risk without one."),
    "word": Hint("respond gave {said!r}.", "'retrained', 'kept', 'wait', 'source' or 'nothing'."),
    "ungated": Hint("The gates said no, and version {live} is in production.",
                    "The old version is in production until the gates say otherwise."),
    "canary": Hint("The canary said no, and version {live} is in production.",
                   "A canary that nobody heeds is a version in production."),
    "share": Hint("The canary got a share of {given:g}.", "A tenth of the requests: 0.1."),
    "skipped": Hint("You went: {steps}.", "train, gates, canary, promote: each finds what the others cannot."),
}  # fmt: skip


def _respond(answer: Answer, case: Case, world: World) -> tuple[str, Call]:
    done = answer.respond.call(world.alarm(), world.models(), world.data())
    case.expect(not done.error, f"respond raised {done.error}", hint="raises", received=done.error)
    said = done.value if isinstance(done.value, str) else repr(done.value)
    case.expect(said in WORDS, "respond gives another word.", hint="word", said=said, expected=" or ".join(WORDS),
                received=said)  # fmt: skip
    return said, done


@exercise.check("masks", "What people have judged is learned, and nothing is forgotten", points=3, held_out=2,
                covers="other customers", timeout=120, hints=HINTS)  # fmt: skip
def learned(answer: Answer, case: Case) -> None:
    world = World(case.rng, masks)
    said, _ = _respond(answer, case, world)
    case.expect(world.trained, "Nothing was trained.", hint="passive", said=said, count=NEW, expected="a new version",
                received="none")  # fmt: skip
    made = max(world.made)
    old, new = (world.accuracy(made, split) for split in (world.tested, world.tested_new))
    before, then = (world.accuracy(world.before, split) for split in (world.tested, world.tested_new))
    case.expect(old >= before - MOST_LOST, "It is worse on what it knew.", hint="forgot", new=new, old=old,
                before=before, expected=f"at least {before - MOST_LOST:.2f}", received=round(old, 3))  # fmt: skip
    key, figures = _why(world)
    case.expect(new >= then + LEAST_WON, "It is no better on masks.", hint=key, new=new, **figures,
                expected=f"at least {then + LEAST_WON:.2f}", received=round(new, 3))  # fmt: skip
    case.expect(world.live == made and said == "retrained", "The better version is not in production.", hint="passive",
                said=said, count=NEW, expected=made, received=world.live)  # fmt: skip


def _why(world: World) -> tuple[str, dict[str, Any]]:
    """Return why a version is no better on new images: what it was shown of them, and with which labels."""
    places = {image.tobytes(): place for place, image in enumerate(world.sent.images)}
    last = world.trained[-1]
    found = [(places.get(image.tobytes()), label) for image, label in zip(last.images, last.labels, strict=True)]
    shown = [(place, label) for place, label in found if place is not None]
    if len(shown) < NEW // 4:
        return "unused", {"count": len(shown)}
    said = world.made[world.before](world.sent.images)
    agreed = float(np.mean([said[place] == label for place, label in shown]))
    right = float((said == world.sent.labels).mean())
    key = "own-answers" if agreed > (1 + right) / 2 else "unused"
    return key, {"agreed": agreed, "right": right, "version": world.before, "count": len(shown)}


@exercise.check("labels", "Without labels it waits", points=1, held_out=1, covers="other customers", timeout=60,
                hints=HINTS)  # fmt: skip
def waits(answer: Answer, case: Case) -> None:
    world = World(case.rng, masks, judged=False)
    said, _ = _respond(answer, case, world)
    case.expect(not world.trained, "It trained on what nobody has judged.", hint="no-labels", expected="'wait'",
                received=said)  # fmt: skip
    case.expect(said == "wait", "It says something else than that it waits.", hint="word", said=said, expected="wait",
                received=said)  # fmt: skip


@exercise.check("camera", "A broken camera is reported, and nothing is trained", points=2, held_out=2,
                covers="other broken cameras", timeout=60, hints=HINTS)  # fmt: skip
def camera(answer: Answer, case: Case) -> None:
    level, colour = [(255, "white"), (128, "grey")][case.seed % 2] if case.held_out else (0, "black")
    world = World(case.rng, _blank(level))
    said, _ = _respond(answer, case, world)
    facts = {"colour": colour, "since": world.alarm()["since"], "said": said}
    case.expect(not world.trained, "It trained on images that show nothing.", hint="camera", **facts, expected="source",
                received=said)  # fmt: skip
    case.expect(said == "source", "Nobody hears of the broken camera.", hint="silent", **facts, expected="source",
                received=said)  # fmt: skip


@exercise.check("quiet", "On a quiet day nothing is done", points=1, held_out=1, covers="other customers", timeout=60,
                hints=HINTS)  # fmt: skip
def quiet(answer: Answer, case: Case) -> None:
    world = World(case.rng, _calm, harmful=False)
    said, _ = _respond(answer, case, world)
    case.expect(not world.trained and world.live == world.before, "It trained without a reason.", hint="restless",
                reason=world.alarm()["reason"], expected="nothing", received=said)  # fmt: skip
    case.expect(said == "nothing", "It says something else than that nothing is to be done.", hint="word", said=said,
                expected="nothing", received=said)  # fmt: skip


@exercise.check("release", "The old version is in production until gates and canary say otherwise", points=2,
                held_out=3, covers="other customers", after=("masks",), timeout=120, hints=HINTS)  # fmt: skip
def released(answer: Answer, case: Case) -> None:
    for key, settings in (("ungated", {"gates": False}), ("canary", {"canary": False}), ("skipped", {})):
        world = World(case.rng, masks, **settings)
        said, _ = _respond(answer, case, world)
        steps = ", ".join(["train"] * len(world.trained) + world.asked) or "nothing"
        if settings:
            case.expect(world.live == world.before, "It was refused, and is in production.", hint=key, live=world.live,
                        expected=world.before, received=world.live)  # fmt: skip
            case.expect(said == "kept", "It says something else than that the old version is kept.", hint="word",
                        said=said, share=0.5, expected="kept", received=said)  # fmt: skip
            continue
        case.expect(world.shares and not world.exposed, "A step is left out, or comes late.", hint="skipped",
                    steps=steps, expected="train, gates, canary, promote", received=steps)  # fmt: skip
        share = world.shares[-1]
        case.expect(0.05 <= share <= 0.2 or 5 <= share <= 20, "The canary's share is another.", hint="share",
                    given=share, share=0.5, expected=0.1, received=share)  # fmt: skip
