"""train-4: the same again. Two trainings with one seed give the same numbers, to the last bit."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlops_lab.grade.calls import Answer
from mlops_lab.grade.cases import Case
from mlops_lab.grade.exercises import Exercise, Hint
from mlops_lab.grade.rubric.images import garments
from mlops_lab.grade.rubric.shared import RAISES

exercise = Exercise("train-4", "The same again", names=("digest", "repeatable"), section="Notebook 2, section 4",
                    hints=RAISES)  # fmt: skip


@exercise.check("digest", "A digest tells any two lists of weights apart", points=2, held_out=3, covers="other places",
                hints={
    "text": Hint("Two lists that differ in one number in the middle got one digest.",
                 "NumPy prints `...` for long arrays. Use the bytes."),
    "rounded": Hint("Two lists that differ in the sixth place of one number got one digest.",
                    "Two models are the same when every bit is."),
    "differs": Hint("The same weights got two digests.", "hash() of text begins elsewhere in each process."),
    "order": Hint("Two layers exchanged places, and the digest stayed.", "A digest of a sum forgets the order."),
    "form": Hint("Something else than a text came back.", "hexdigest() is a text that can be written down."),
})  # fmt: skip
def digests(answer: Answer, case: Case) -> None:
    weights = [case.rng.normal(size=shape).astype(np.float32) for shape in ((60, 50), (50,), (50, 40), (40,))]

    def digest(arrays: list[Any]) -> str:
        said = answer.digest([one.copy() for one in arrays])
        case.expect(isinstance(said, str) and len(said) > 7, "digest gives no text.", hint="form", received=said)
        return str(said)

    before = digest(weights)
    case.expect(digest(weights) == before, "One list, two digests.", hint="differs")
    for key, step in (("text", 1.0), ("rounded", 3e-6)):
        other = [one.copy() for one in weights]
        other[0][int(case.rng.integers(20, 40)), 25] += step
        case.expect(digest(other) != before, "Two lists, one digest.", hint=key)
    exchanged = [weights[0], weights[1][::-1].copy(), *weights[2:]]
    case.expect(digest(exchanged) != before, "Two lists, one digest.", hint="order")


@exercise.check("repeats", "The same seed gives the same weights, another seed others", points=3, after="digest",
                timeout=120, needs="tensorflow", hints={
    "form": Hint("Something else than two digests came back.", "One for each training."),
    "differs": Hint(
        "Two trainings with the seed {seed} gave two models.",
        "Keras draws the first weights itself. One call sets Python, NumPy and TensorFlow.",
    ),
    "ignored": Hint("The seeds {seed} and {other} gave the same model.", "Another seed wants another."),
    "first-run": Hint("Called again with the seed {seed}, it gave another model.",
                      "It relies on what ran before in the process. Set the seed inside, before the network is built."),
})  # fmt: skip
def repeats(answer: Answer, case: Case) -> None:
    images, labels = garments(case.rng, 200, held_out=False)
    given = (images, labels.astype(np.int64))

    def trained(seed: int) -> tuple[str, str]:
        said = answer.repeatable(seed, *given)
        whole = isinstance(said, tuple | list) and len(said) == 2 and all(isinstance(one, str) for one in said)
        case.expect(whole, "repeatable gives no two digests.", hint="form", expected="two digests", received=said)
        return said[0], said[1]

    first, second = trained(3)
    case.expect(first == second, "One seed, two models.", hint="differs", seed=3, expected=first[:12],
                received=second[:12])  # fmt: skip
    other, _ = trained(4)
    case.expect(other != first, "Two seeds, one model.", hint="ignored", seed=3, other=4, share=0.3)
    case.expect(trained(3)[0] == first, "The same seed again, and another model.", hint="first-run", seed=3, share=0.6)
