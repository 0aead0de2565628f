"""The exercise that is exported in the tests: numbers are worth 3 of its 4 points, 3 cases of them held out."""

from mlops_lab.grade import Exercise

double = Exercise("data-99", "Double a number", names=("double",))


@double.check("number", "Numbers are doubled", points=3, held_out=3)
def number(answer, case):
    for x in [-case.seed % 50 - 60, -7] if case.held_out else [2, 3]:
        case.expect(answer.double(x) == 2 * x, f"double({x}) is wrong.")


@double.check("text", "Text is doubled too", points=1)
def text(answer, case):
    case.expect(answer.double("a") == "aa", "Text is not doubled.")
