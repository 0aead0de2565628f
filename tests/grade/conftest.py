"""What several tests of the grader share."""

import sys
from pathlib import Path

import pytest

from mlops_lab.grade import Exercise, Hint

sys.path.insert(0, str(Path(__file__).parent))  # corpora import each other by name


@pytest.fixture
def double():
    """An exercise with three checks: one opens the way for the others, the last has held-out cases."""
    exercise = Exercise("data-99", "Double a number", names=("double",), section="Notebook 1, section 2")

    @exercise.check("is-there", "There is a function", points=0)
    def is_there(answer, case):
        answer.double.call(1)

    @exercise.check("value", "Twice the number", points=2, after="is-there", held_out=3, timeout=0.5, hints={
        "squared": Hint("{x} became {got}: that is its square.", "2·2 and 2² are equal by chance."),
    })  # fmt: skip
    def value(answer, case):
        for x in case.rng.integers(-50, -2, 3).tolist() if case.held_out else [2, 3, 10]:
            got = answer.double(x)
            key = "squared" if got == x * x else ""
            case.expect(got == 2 * x, f"double({x}) is wrong.", expected=2 * x, received=got, hint=key, x=x, got=got)

    @exercise.check("text", "Text is doubled too", points=1, after="value")
    def text(answer, case):
        case.expect(answer.double("a") == "aa", "Text is not doubled.", share=0.5)

    return exercise
