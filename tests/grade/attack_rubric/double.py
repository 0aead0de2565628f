"""The exercise that the attacks of students' functions are tried on."""

from mlops_lab.grade import Exercise

double = Exercise("data-99", "Double a number", names=("double",))


@double.check("value", "Twice the number", points=4, held_out=5, timeout=2)
def value(answer, case):
    for x in case.rng.integers(-500, 500, 5).tolist() if case.held_out else [2, 3, 10]:
        got = answer.double(x)
        case.expect(got == 2 * x, f"double({x}) is wrong.", expected=2 * x, received=got)
