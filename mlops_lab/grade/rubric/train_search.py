"""train-5: search, and keep the test set clean. Training and scoring are played, so every look is seen."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlops_lab.grade.calls import Answer
from mlops_lab.grade.cases import Case, Failed
from mlops_lab.grade.exercises import Exercise, Hint
from mlops_lab.grade.rubric.shared import RAISES

exercise = Exercise("train-5", "Search, and keep the test set clean", names=("search",),
                    section="Notebook 2, section 5", hints={
    **RAISES,
    "form": Hint("Something else came back.", "Two things: the setting that won, and the accuracy you report."),
})  # fmt: skip
CONFIGS = [{"width": width, "learning_rate": rate} for width in (8, 32, 128) for rate in (0.001, 0.01)]
SPLITS = ("train", "validation", "test")


class World:
    """Six settings whose models score by a plan, in which each split has another winner.

    Attributes
    ----------
    trained : list of int
        The settings that were trained, in order.
    looks : list of tuple of (int, str)
        The model and the split of each score that was asked for.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.trained: list[int] = []
        self.looks: list[tuple[int, str]] = []
        base = rng.uniform(0.80, 0.86, len(CONFIGS))
        winners = [int(place) for place in rng.permutation(len(CONFIGS))[:3]]
        self.scores = {split: np.round(base + rng.normal(0, 0.004, len(base)), 4) for split in SPLITS}
        for split, winner, top in zip(SPLITS, winners, (0.99, 0.88, 0.89), strict=True):
            self.scores[split][winner] = top
        self.winners = dict(zip(SPLITS, winners, strict=True))

    def train(self, config: Any) -> str:
        """Train the model of a setting."""
        if config not in CONFIGS:
            raise Failed("train was called with a setting that is not among the six.", received=config)
        self.trained.append(CONFIGS.index(config))
        return f"model {self.trained[-1]}"

    def score(self, model: Any, split: Any) -> float:
        """Return the accuracy of a model on a split."""
        if split not in SPLITS or not str(model).startswith("model "):
            raise Failed("score wants a model from train, and train, validation or test.", received=(model, split))
        number = int(str(model)[6:])
        self.looks.append((number, split))
        return float(self.scores[split][number])


def _searched(answer: Answer, case: Case) -> tuple[World, int, float]:
    """Let a student search; return the world, the setting that was chosen, and the figure that was reported."""
    world = World(case.rng)
    said = answer.search([dict(one) for one in CONFIGS], world.train, world.score)
    if isinstance(said, dict) and {"best", "accuracy"} <= set(said):
        said = (said["best"], said["accuracy"])
    whole = isinstance(said, tuple | list) and len(said) == 2 and isinstance(said[0], dict) and said[0] in CONFIGS
    case.expect(whole, "search gives no setting with its accuracy.", hint="form", expected="a setting and its accuracy",
                received=said)  # fmt: skip
    try:
        return world, CONFIGS.index(said[0]), float(said[1])
    except (TypeError, ValueError, OverflowError):
        case.fail("search gives no accuracy.", hint="form", expected="a setting and its accuracy", received=said)


@exercise.check("all", "All six are tried", points=1, held_out=1, covers="other scores", hints={
    "not-all": Hint("{n} of six settings were trained.", "What was not tried cannot win."),
})  # fmt: skip
def all_tried(answer: Answer, case: Case) -> None:
    world, _, _ = _searched(answer, case)
    tried = len(set(world.trained))
    case.expect(tried == len(CONFIGS), "Some settings were not tried.", hint="not-all", n=tried, expected=6,
                received=tried)  # fmt: skip


@exercise.check("winner", "The best by validation wins", points=2, held_out=1, covers="other scores", hints={
    "test": Hint("You looked at the test images {looks} times and kept the best look.",
                 "The figure is too good by luck: it was chosen for being high."),
    "train": Hint("Your winner is the best on the images that it was trained on.",
                  "The widest network learned best by heart."),
    "first": Hint("The first setting won.", "Compare all six."),
})  # fmt: skip
def winner(answer: Answer, case: Case) -> None:
    world, chosen, _ = _searched(answer, case)
    right = world.winners["validation"]
    key = next((split for split in ("test", "train") if chosen == world.winners[split]), "" if chosen else "first")
    case.expect(chosen == right, "Another setting is the validation's best.", hint=key, expected=CONFIGS[right],
                received=CONFIGS[chosen], looks=sum(split == "test" for _, split in world.looks))  # fmt: skip


@exercise.check("clean", "The test split is looked at once, after the choice", points=2, held_out=1,
                covers="other scores", hints={
    "many": Hint("The test images were looked at {looks} times.", "Each look is a chance to be lucky. Look once."),
    "early": Hint("The test images were looked at before the last choice.", "Choose first; then look once."),
    "never": Hint("The test images were never looked at.", "The validation's figure was chosen for being high."),
})  # fmt: skip
def clean(answer: Answer, case: Case) -> None:
    world, _, _ = _searched(answer, case)
    looks = [place for place, (_, split) in enumerate(world.looks) if split == "test"]
    key = "many" if len(looks) > 1 else "never" if not looks else "early"
    case.expect(looks == [len(world.looks) - 1], "The test split was not looked at once, at the end.", hint=key,
                looks=len(looks), expected="one look, the last", received=f"{len(looks)} looks")  # fmt: skip


@exercise.check("figure", "The figure that is reported is the winner's on the test split", points=1, held_out=1,
                covers="other scores", hints={
    "validation": Hint("{received} is the validation's figure.",
                       "It was chosen for being high. Which images were never used to choose?"),
    "train": Hint("{received} is the figure of the training images.", "Which images were never used to choose?"),
})  # fmt: skip
def figure(answer: Answer, case: Case) -> None:
    world, chosen, said = _searched(answer, case)
    right = float(world.scores["test"][chosen])
    key = next((split for split in ("validation", "train") if abs(said - world.scores[split][chosen]) < 1e-9), "")
    case.expect(abs(said - right) < 1e-9, "Another figure was reported.", hint=key, expected=right, received=said)
