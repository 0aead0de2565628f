"""data-6: which labels are wrong? Found from out-of-fold probabilities."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlops_lab.grade.calls import Answer
from mlops_lab.grade.cases import Case
from mlops_lab.grade.exercises import Exercise, Hint
from mlops_lab.grade.rubric.images import answers, garments
from mlops_lab.grade.rubric.returned import table
from mlops_lab.grade.rubric.shared import RAISES

exercise = Exercise("data-6", "Where does a label come from?", names=("suspects",), core=False,
                    section="Notebook 1, section 6", hints=RAISES)  # fmt: skip
COUNT, CHANGED, LOOK_AT = 1500, 60, 100
ENOUGH = 0.7


def _given(case: Case) -> tuple[NDArray[np.float64], NDArray[np.int64], set[int]]:
    """Return probabilities of images that the model never saw, labels of which some were changed, and their places."""
    images, true = garments(case.rng, 500 if not case.held_out else COUNT, held_out=case.held_out)
    labels = true.astype(np.int64)
    changed = case.rng.permutation(len(labels))[: CHANGED if case.held_out else CHANGED // 3]
    labels[changed] = (labels[changed] + case.rng.integers(1, 10, len(changed))) % 10
    return np.asarray(answers(images, only=("right",))["right"], np.float64), labels, set(changed.tolist())


@exercise.check("found", "The changed labels are among the first suspects", points=3, held_out=1, timeout=30,
                covers="other images and labels", needs="onnxruntime", hints={
    "unsure": Hint("{found} of {changed} changed labels are among the first.", "You found hard images: unsure is not "
                   "wrong. Contradicted means that another class is sure."),
    "sure": Hint("{found} of {changed} changed labels are among the first.", "Sure of what? Compare with the label."),
    "agrees": Hint("{found} of {changed} changed labels are among the first.", "You began with the labels that the "
                   "model agrees with most."),
    "classes": Hint("All suspects lie between 0 and 9.", "Which images? A person must be able to look at them."),
    "count": Hint("{received} suspects came back.", "Whoever asks for k gets k places, no two alike."),
})  # fmt: skip
def found(answer: Answer, case: Case) -> None:
    probabilities, labels, changed = _given(case)
    wanted = LOOK_AT if case.held_out else LOOK_AT // 3
    said = table(case, answer.suspects(probabilities, labels, wanted), "suspects").ravel()
    case.expect(said.dtype.kind in "iu", "suspects gives no places.", hint="count", expected=f"{wanted} places",
                received=said.dtype.name)  # fmt: skip
    case.expect(said.max(initial=0) > 9, "These are classes.", hint="classes", expected="places", received=said[:5])
    case.expect(len(set(said.tolist())) == len(said) == wanted, "Another number of places came back.", hint="count",
                expected=wanted, received=len(set(said.tolist())))  # fmt: skip
    right = len(changed & set(said.tolist()))
    own = probabilities[np.arange(len(labels)), labels]
    likely = {"unsure": probabilities.max(axis=1), "sure": -probabilities.max(axis=1), "agrees": -own}
    alike = {name: len(set(np.argsort(by)[:wanted].tolist()) & set(said.tolist())) for name, by in likely.items()}
    nearest = max(alike, key=lambda name: alike[name])
    key = nearest if alike[nearest] > 0.8 * wanted else ""
    case.expect(right >= ENOUGH * len(changed), f"{right} of {len(changed)} changed labels were found.", hint=key,
                expected=f"at least {ENOUGH:.0%}", received=f"{right / len(changed):.0%}", found=right,
                changed=len(changed))  # fmt: skip
