import pytest

from mlops_lab.errors import LabError, ServerError
from mlops_lab.pipeline.environment import wait_until


def test_a_check_is_repeated_until_it_raises_nothing():
    failures = [LabError("not yet"), LabError("not yet")]

    def check():
        if failures:
            raise failures.pop()

    wait_until(check, 5, pause=0)
    assert not failures


def test_the_last_reason_is_in_the_error():
    def check():
        raise LabError("The port is closed.", "Start it.")

    with pytest.raises(ServerError, match="Not within 0 s: The port is closed") as caught:
        wait_until(check, 0, pause=0)
    assert caught.value.hint == "Start it."


def test_an_error_of_another_kind_is_not_repeated():
    with pytest.raises(ZeroDivisionError):
        wait_until(lambda: 1 / 0, 5)
