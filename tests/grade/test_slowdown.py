"""Time limits are multiplied by what the machine is slower just then."""

import pytest

from mlops_lab.grade import Exercise, slowdown
from mlops_lab.grade.running import Settings, run_exercise
from mlops_lab.grade.session import local_answer


@pytest.fixture
def measured(monkeypatch):
    """Let a test say how long the work takes; nothing is kept from one test to the next."""
    monkeypatch.setattr(slowdown, "_measured", [])
    return lambda seconds: monkeypatch.setattr(slowdown, "_seconds", lambda: seconds)


@pytest.mark.parametrize(("times", "expected"), [(0.5, 1), (1, 1), (2, 2), (50, 3)])
def test_a_slow_machine_gets_up_to_three_times_as_long(times, expected, measured):
    measured(times * slowdown.NORMAL)
    assert slowdown.factor() == expected


def test_what_is_measured_is_the_reference_answer():
    assert slowdown.reference()() == 200
    assert slowdown._seconds() > 0


def test_a_measurement_counts_for_a_while(measured):
    measured(2 * slowdown.NORMAL)
    assert slowdown.factor() == 2
    measured(slowdown.NORMAL)
    assert slowdown.factor() == 2


def test_a_check_waits_that_much_longer():
    late = Exercise("data-95", "Late", names=("f",))

    @late.check("one", "Comes", timeout=0.2)
    def one(answer, case):
        answer.f(1)

    def forever(x):
        while True:
            pass

    result = run_exercise(late, local_answer(late, forever), Settings(slowdown=lambda: 2.5))
    assert (result.state, result.message) == ("timeout", "There was no answer within 0.5 s.")
