"""train-3: read the curves. Recorded trainings of 60 epochs, of which some never overfit."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.grade.calls import Answer
from mlops_lab.grade.cases import Case
from mlops_lab.grade.exercises import Exercise, Hint
from mlops_lab.grade.rubric.returned import single
from mlops_lab.grade.rubric.shared import RAISES

exercise = Exercise("train-3", "Read the curves", names=("best_epoch", "overfits_from"),
                    section="Notebook 2, section 3", hints=RAISES)  # fmt: skip
EPOCHS, WORSE = 60, 5
History = dict[str, list[float]]


def recorded(rng: np.random.Generator, turns: int) -> History:
    """Return a training whose validation loss turns at an epoch; beyond the last it never does.

    Before the turn the validation loss wobbles, so that it gets worse now and then and better again.
    """
    epochs = np.arange(1, EPOCHS + 1)
    loss = 1.6 * np.exp(-epochs / 18) + 0.08 + rng.normal(0, 0.004, EPOCHS)
    falling = (
        1.2 * np.exp(-epochs / max(turns / 2.5, 4)) + 0.35 + 0.012 * (epochs % 4 == 2) + rng.normal(0, 0.002, EPOCHS)
    )
    valley = float(falling[min(turns, EPOCHS) - 1])
    rising = valley - 0.02 + 0.009 * (epochs - turns) + rng.uniform(0, 0.004, EPOCHS)
    val_loss = np.where(epochs <= turns - 1, np.maximum(falling, valley + 0.001), np.maximum(rising, 0.01))
    accuracy = 1 - 0.4 * loss
    accuracy[-3] = accuracy.max() + 0.002
    curves = {"loss": loss, "accuracy": accuracy, "val_loss": val_loss, "val_accuracy": 1 - 0.45 * val_loss}
    return {name: [round(float(one), 5) for one in values] for name, values in curves.items()}


def best(history: History) -> int:
    """Return the epoch with the lowest validation loss, from 1 on."""
    return int(np.argmin(history["val_loss"])) + 1


def overfits(history: History, count: int = WORSE) -> int | None:
    """Return the first epoch that is followed by some, each worse than the one before; from 1 on."""
    worse = np.diff(history["val_loss"]) > 0
    runs = (place + 1 for place in range(len(worse) - count + 1) if worse[place : place + count].all())
    return next(runs, None)


def _trainings(case: Case) -> list[History]:
    if case.held_out:
        turns = int(case.rng.integers(12, 40))
        return [recorded(case.rng, turns), recorded(case.rng, EPOCHS + 20)]
    return [recorded(case.rng, turns) for turns in (14, 31, 22)]


def _array(history: History, name: str) -> NDArray[np.float64]:
    return np.asarray(history[name])


@exercise.check("best", "The epoch to keep", points=2, held_out=2, covers="other trainings", hints={
    "training": Hint("Epoch {received} has the highest training accuracy.",
                     "It always grows. Which curve was drawn from images that the model did not learn from?"),
    "last": Hint("Epoch {received} is the last: its validation loss is {ratio:.1f} times that of epoch {right}.",
                 "The training loss falls to the end; the other one does not."),
    "from-zero": Hint("You said {received}; Keras prints Epoch 1 for the first.",
                      "Off by one, said once: state which you mean."),
    "highest": Hint("Epoch {received} has the highest validation loss.", "A loss is better where it is lower."),
})  # fmt: skip
def best_epoch(answer: Answer, case: Case) -> None:
    for history in _trainings(case):
        said, right = single(case, answer.best_epoch(history), "The epoch"), best(history)
        likely = {
            "training": int(_array(history, "accuracy").argmax()) + 1,
            "last": EPOCHS,
            "from-zero": right - 1,
            "highest": int(_array(history, "val_loss").argmax()) + 1,
        }
        key = next((name for name, epoch in likely.items() if said == epoch), "")
        case.expect(said == right, "Another epoch is the best.", hint=key, right=right, expected=right, received=said,
                    ratio=history["val_loss"][-1] / min(history["val_loss"]))  # fmt: skip


@exercise.check("overfits", "From where validation only gets worse", points=2, held_out=2,
                covers="other trainings, one of which never overfits", hints={
    "once": Hint("After epoch {received} it is worse once, and better again.", "Five in a row, or it was chance."),
    "from-zero": Hint("You said {received}; Keras prints Epoch 1 for the first.",
                      "Off by one, said once: state which you mean."),
    "first-worse": Hint("Epoch {received} is the first of the worse ones.", "Wanted is the last good one before them."),
    "never": Hint("You said {received} for a training that never overfits.", "None says that there is no such epoch."),
})  # fmt: skip
def overfits_from(answer: Answer, case: Case) -> None:
    for history in _trainings(case):
        said = single(case, answer.overfits_from(history), "The epoch")
        right = overfits(history)
        likely: dict[str, Any] = {"from-zero": (right or 0) - 1, "first-worse": (right or 0) + 1,
                                  "once": overfits(history, 1)}  # fmt: skip
        key = "never" if right is None else next((name for name, epoch in likely.items() if said == epoch), "")
        case.expect(said == right, "It is another epoch.", hint=key, expected=right, received=said)
