import threading
import time

import pytest

from mlops_lab import widgets


def watchers():
    return [thread for thread in threading.enumerate() if thread.name == "mlops-lab-dashboard"]


def wait_until(true, seconds=10):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


@pytest.fixture
def board(server):
    shown = widgets.dashboard(server)
    yield shown
    shown.stop()


def test_it_sees_requests_as_they_come(board, client):
    before = board.numbers.value
    for _ in range(3):
        client.models()
    wait_until(lambda: board.traffic.total == 3)
    wait_until(lambda: board.numbers.value != before)
    assert "GET /models" in board.numbers.value


def test_stop_ends_the_thread_and_not_the_server(board, server):
    assert len(watchers()) == 1
    board.button.click()
    assert not watchers()
    assert server.running
    assert "stopped watching" in board.head.value


def test_it_ends_with_its_server(board, server):
    server.stop()
    wait_until(lambda: not watchers())
    assert "the server has stopped" in board.head.value


def test_running_the_cell_again_replaces_it(board, server):
    again = widgets.dashboard(server)
    assert board.button.disabled
    assert len(watchers()) == 1
    again.stop()
    assert repr(again) == "<Dashboard 'widgets': 0 requests in 30 s>"
