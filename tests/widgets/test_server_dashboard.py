import threading
import time

import pytest

from mlops_lab import serve, widgets
from mlops_lab.monitor import PredictionLog


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
    wait_until(lambda: board.stats.total == 3)
    wait_until(lambda: board.numbers.value != before)
    assert "GET /models" in board.numbers.value


def test_stop_ends_the_thread_and_not_the_server(board, server):
    assert len(watchers()) == 1
    board.button.click()
    assert not watchers()
    assert server.running
    assert "stopped" in board.head.value


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


def test_it_counts_what_the_models_said(board, client, digits):
    client.classify("light", "v2", digits.test.images[:3])
    wait_until(lambda: board.stats.classes)
    assert board.stats.classes == {"light v2": {**dict.fromkeys("012345678", 0), "9": 3}}
    wait_until(lambda: "light v2 predicted, for 3 images" in board.numbers.value)


def test_what_the_server_forgets_is_still_in_the_window(board, server, client):
    client.models()
    wait_until(lambda: board.stats.total == 1)
    server.requests.clear()
    board.refresh()
    assert board.stats.total == 1


def test_an_application_of_ones_own_has_no_classes(no_servers):
    from flask import Flask

    server = serve.start(Flask("own"), name="own")
    shown = widgets.dashboard(server)
    shown.stop()
    assert shown.stats.classes == {}


def test_it_shows_what_the_log_says_of_each_model(predictors, digits, tmp_path, no_servers):
    with PredictionLog(tmp_path / "predictions.db") as log, serve.start(predictors, name="logged", log=log) as server:
        shown = widgets.dashboard(server)
        wait_until(lambda: "The log is empty" in shown.reports.value)
        serve.Client(server).classify("light", "v2", digits.test.images[:3])
        shown.refresh_reports()
        assert "light v2: what it said" in shown.reports.value and "no reference" in shown.reports.value
        shown.stop()
