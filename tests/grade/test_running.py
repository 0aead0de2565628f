import time

import pytest

from mlops_lab.grade import Exercise
from mlops_lab.grade.cases import CheckTimeout
from mlops_lab.grade.running import Settings, run_exercise, time_limit, unanswered
from mlops_lab.grade.session import local_answer


def run(exercise, answer, **settings):
    return run_exercise(exercise, local_answer(exercise, answer), Settings(**settings))


def squared(x):
    return x * x if not isinstance(x, str) else x + x


def only_positive(x):
    return 2 * x if isinstance(x, str) or x > 0 else 0


def test_a_right_answer_is_full(double):
    result = run(double, lambda x: x + x)
    assert (result.state, result.points, result.max_points, result.held_out) == ("passed", 3, 3, 3)
    assert result.summary == "The visible cases passed; 3 more at hand-in."


def test_nothing_says_that_all_passed_while_cases_are_held_out(double):
    result = run(double, lambda x: x + x)
    assert "3 more" in result._repr_html_()
    assert run(double, lambda x: x + x, secret=b"s").summary == "Passed."


def test_a_known_mistake_gets_its_hint_step_by_step(double):
    first, second, third = (run(double, squared, step=step) for step in (1, 2, 3))
    assert first.hint == "3 became 9: that is its square."
    assert second.hint == first.hint + " 2·2 and 2² are equal by chance."
    assert third.hint == second.hint + " Read again: Notebook 1, section 2."
    assert (first.key, first.expected, first.received) == ("squared", "6", "9")


def test_an_unknown_mistake_gets_no_hint(double):
    result = run(double, lambda x: 0)
    assert (result.state, result.hint) == ("failed", "")


def test_held_out_cases_take_back_the_points_of_visible_ones(double):
    assert run(double, only_positive).points == 3
    graded = run(double, only_positive, secret=b"s")
    assert (graded.state, graded.points) == ("failed", 0)
    assert graded.message.startswith("The visible cases passed, a held-out one did not: double(-")


def test_what_comes_after_a_failed_check_is_blocked_and_names_it(double):
    result = run(double, lambda x: 0)
    assert [part.state for part in result.parts] == ["passed", "failed", "blocked"]
    assert result.parts[2].message == "Blocked by data-99.value."


def test_a_share_of_the_points_is_partial(double):
    result = run(double, lambda x: 2 * x if isinstance(x, int) else "no")
    assert (result.state, result.points, result.parts[2].state) == ("partial", 2.5, "partial")


def test_an_answer_that_raises_shows_its_own_line(double):
    result = run(double, lambda x: x / 0)
    assert result.state == "failed"
    assert "ZeroDivisionError" in result.message and "(line " in result.message


def forever(x):
    while True:
        pass


def stubborn(x):
    while True:
        try:
            time.sleep(10)
        except BaseException:
            if x == 1:
                return 2


def test_an_answer_that_never_comes_ends_in_time(double):
    double.checks[0] = double.checks[0].__class__(**{**vars(double.checks[0]), "timeout": 0.3})
    started = time.monotonic()
    result = run(double, forever)
    assert (result.state, [part.state for part in result.parts]) == ("timeout", ["timeout", "blocked", "blocked"])
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("raised", [SystemExit(0), KeyboardInterrupt(), GeneratorExit()])
def test_an_answer_that_ends_the_program_only_fails(double, raised):
    def answer(x):
        raise raised

    assert run(double, answer).state == "failed"


def test_a_check_that_breaks_is_our_error(double):
    broken = Exercise("data-98", "Broken", names=("f",))

    @broken.check("one", "Breaks")
    def one(answer, case):
        raise RuntimeError("ours")

    result = run(broken, abs)
    assert result.state == "error"
    assert "ours" in result.message


def test_what_is_not_there_is_said(double):
    result = run_exercise(double, local_answer(double, 3), Settings())
    assert result.state == "failed"


def test_an_answer_that_cannot_be_tried_blocks_all_but_the_first(double):
    result = unanswered(double, "failed", "No file.", "Write it.")
    assert [part.state for part in result.parts] == ["failed", "blocked", "blocked"]
    assert (result.points, result.max_points, result.hint) == (0, 3, "Write it.")


def test_what_the_machine_lacks_is_skipped(double):
    needy = Exercise("data-97", "Needy", names=("f",))

    @needy.check("engine", "With an engine", needs="docker")
    def engine(answer, case):
        raise AssertionError("never run")

    result = run(needy, abs)
    assert (result.state, result.parts[0].message) == ("skipped", "Skipped: Docker was not asked for (--docker).")


def test_two_runs_that_disagree_are_flaky():
    calls = []
    moody = Exercise("data-96", "Moody", names=("f",))

    @moody.check("time", "In time", again=True)
    def in_time(answer, case):
        calls.append(1)
        case.expect(len(calls) != 1, "Too slow.")

    result = run(moody, abs, secret=b"s")
    assert (result.state, result.points, len(calls)) == ("flaky", 0, 2)
    assert result.parts[0].message == "Two runs disagreed; one of them: Too slow."


def test_a_limit_inside_of_another_leaves_the_outer_one_its_time():
    with pytest.raises(CheckTimeout), time_limit(0.3):
        with time_limit(20):
            pass
        time.sleep(20)
