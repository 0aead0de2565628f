"""The load test counts what its clients see, and holds that against its limits."""

import json
import socket
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
import requests

from mlops_lab import serve, validate
from mlops_lab.errors import LabError, WrongUsage
from mlops_lab.validate import LoadResult, LoadTestConfig, saturation
from mlops_lab.validate.schedule import due_times

pytestmark = pytest.mark.usefixtures("no_servers")
SHORT = LoadTestConfig(clients=3, seconds=0.3, milliseconds=60_000, per_second=1)


@pytest.fixture
def images(digits):
    return digits.test.images[:6]


def test_it_counts_what_the_server_answered(models, images):
    server = serve.start(models)
    result = validate.measure_load(serve.Client(server), "digits", "v1", images, SHORT)
    answered = [seen for seen in server.requests if seen.method == "POST"]
    assert result.passed, str(result)
    assert set(result.statuses) == {"200"}
    assert min(result.statuses["200"], 900) <= len(answered) <= result.statuses["200"]  # the last thousand are kept
    assert 0 < result.p50 <= result.p95 <= result.p99 <= result.largest
    assert result.seconds >= 0.3


def test_clients_ask_at_the_same_time_with_images_in_turn(models, images):
    inside, most, bodies, lock = [], [], set(), threading.Lock()
    app = serve.create_app(models)

    def counting(environ, start_response):
        if environ["REQUEST_METHOD"] != "POST":
            return app(environ, start_response)
        with lock:
            inside.append(1)
            most.append(len(inside))
            bodies.add(environ["CONTENT_LENGTH"])
        try:
            return app(environ, start_response)
        finally:
            with lock:
                inside.pop()

    validate.measure_load(serve.Client(serve.start(counting)), "digits", "v1", images, SHORT)
    assert 1 < max(most) <= 3
    assert len(bodies) > 1


def test_errors_are_counted_by_status(models, images):
    app, count = serve.create_app(models), iter(range(10**6))

    def every_third(environ, start_response):
        if environ["REQUEST_METHOD"] == "POST" and next(count) % 3 == 0:
            start_response("503 Service Unavailable", [("Content-Length", "0")])
            return []
        return app(environ, start_response)

    result = validate.measure_load(serve.Client(serve.start(every_third)), "digits", "v1", images, SHORT)
    assert set(result.statuses) == {"200", "503"}
    assert not result.passed
    assert f"(503: {result.statuses['503']})" in result.unmet[0]


def test_a_server_that_goes_away(models, images):
    server = serve.start(models)
    client = serve.Client(server)

    def stop_in_the_middle():
        while sum(seen.method == "POST" for seen in server.requests) < 5:
            time.sleep(0.01)
        server.stop()

    stop = threading.Thread(target=stop_in_the_middle)
    stop.start()
    result = validate.measure_load(client, "digits", "v1", images, LoadTestConfig(clients=2, seconds=1.5))
    stop.join()
    assert result.statuses["no answer"] > 0
    assert result.statuses["200"] > 0


def test_nobody_answers_at_all(images):
    with pytest.raises(LabError, match="No server answers"):
        validate.measure_load(serve.Client("http://127.0.0.1:1"), "digits", "v1", images, SHORT)


def seen(statuses, p99=10.0, seconds=1.0, **limits):
    return LoadResult("http://127.0.0.1:8000", LoadTestConfig(**limits), seconds, statuses, 1.0, 2.0, p99, 20.0)


@pytest.mark.parametrize(
    ("result", "unmet"),
    [
        (seen({"200": 100}), []),
        (seen({"200": 99, "500": 1}), ["failed"]),
        (seen({"200": 99, "500": 1}, failed=0.01), []),
        (seen({"200": 98, "500": 1, "no answer": 1}, failed=0.01), ["failed"]),
        (seen({"200": 100}, milliseconds=9.9), ["p99"]),
        (seen({"200": 100}, per_second=101), ["a second"]),
        (seen({"no answer": 3}), ["failed", "a second"]),
        (seen({}), ["a second"]),
    ],
)
def test_limits(result, unmet):
    assert len(result.unmet) == len(unmet)
    assert all(word in sentence for word, sentence in zip(unmet, result.unmet, strict=True))
    assert result.passed == (not unmet)


@pytest.mark.parametrize(
    "plan",
    [{"clients": 0}, {"clients": 257}, {"seconds": 0}, {"seconds": 3601}, {"timeout": 0}, {"rate": -1}, {"shape": "x"}],
)
def test_a_load_is_bounded(plan):
    with pytest.raises(WrongUsage):
        LoadTestConfig(**plan)


def test_nothing_to_send(models):
    with pytest.raises(WrongUsage, match="nothing to send"):
        validate.measure_load(serve.Client(serve.start(models)), "digits", "v1", np.empty((0, 8, 8)), SHORT)


class Scripted:
    """A server that answers at once, except that it stalls for a while once in a period."""

    def __init__(self, stall=0.0, period=1.0, answer=b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"):
        self.stall, self.period, self.answer = stall, period, answer
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.start, self.arrivals, self.open = None, [], []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.open.append(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        while True:
            try:
                if not connection.recv(65536):
                    return
            except OSError:
                return
            now = time.perf_counter()
            self.start = self.start or now
            self.arrivals.append(now - self.start)
            place = (now - self.start) % self.period
            if place > self.period - self.stall:
                time.sleep(self.period - place)
            try:
                connection.sendall(self.answer)
            except OSError:
                return

    def close(self):
        self.socket.close()
        for connection in self.open:
            connection.close()


@pytest.fixture
def scripted():
    """Make servers that are closed at the end."""
    made = []

    def make(**options):
        made.append(Scripted(**options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def ask(server):
    return [requests.Request("POST", f"{server.url}/x", data=b"body").prepare()]


def test_an_open_load_shows_the_stall_that_a_closed_one_hides(scripted):
    limits = {"milliseconds": 60_000, "per_second": 1}
    server = scripted(stall=0.5, period=1.5)
    opened = validate.send_load(server.url, ask(server), LoadTestConfig(rate=60, seconds=3, **limits))
    assert opened.p95 >= 400 and opened.p99 >= 450
    assert opened.statuses == {"200": 180}
    server = scripted(stall=0.5, period=1.5)
    closed = validate.send_load(server.url, ask(server), LoadTestConfig(clients=1, seconds=3, **limits))
    assert closed.p95 < 100
    assert opened.timeline and max(wait for *_, wait in opened.timeline) >= 400


def test_it_sends_no_faster_than_asked_and_on_its_clock(scripted):
    server = scripted()
    result = validate.send_load(server.url, ask(server), LoadTestConfig(rate=100, seconds=2, per_second=1))
    assert len(server.arrivals) == 200 and 1.9 < server.arrivals[-1] < 2.6
    assert result.lateness >= 0 and result.requests == 200


def test_the_rate_of_a_ramp_rises(scripted):
    server = scripted()
    plan = LoadTestConfig(rate=200, seconds=2, shape="ramp", per_second=1)
    result = validate.send_load(server.url, ask(server), plan)
    due = [one[1] for one in result.timeline]
    assert result.requests == 200 and sum(due[:5]) < sum(due[5:10]) < sum(due[10:15]) < sum(due[15:])


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
    ],
    ids=["chunked", "without a body", "closing"],
)
def test_answers_of_every_form_are_read(scripted, answer):
    server = scripted(answer=answer)
    result = validate.send_load(server.url, ask(server), LoadTestConfig(rate=20, seconds=0.5, timeout=2, per_second=1))
    assert result.failed == 0 and result.requests == 10


def test_what_is_not_answered_in_time_is_counted(scripted):
    server = scripted(answer=b"")
    result = validate.send_load(
        server.url, ask(server), LoadTestConfig(rate=20, seconds=0.5, timeout=0.3, per_second=1)
    )
    assert result.statuses == {"no answer": 10} and not result.passed


def test_a_generator_that_is_late_gives_no_verdict():
    plan = LoadTestConfig(rate=100)
    late = LoadResult("http://a", plan, 5.0, {"200": 500}, 4.0, 9.0, 20.0, 31.0, lateness=2.5)
    assert (late.verdict, late.passed) == ("no verdict", False)
    assert "late by 2.5 ms" in late.reason and "! no verdict" in late._repr_html_()
    assert LoadResult("http://a", plan, 5.0, {"200": 500}, 4.0, 9.0, 20.0, 31.0, lateness=1.9).verdict == "passed"
    assert LoadResult("http://a", plan, 5.0, {"200": 500}, 0.4, 0.5, 0.6, 0.7, lateness=0.9).verdict == "passed"


@pytest.mark.parametrize(
    ("shape", "share"), [("steady", 1), ("soak", 1), ("ramp", 0.5), ("spike", 0.36), ("steps", 0.6)]
)
def test_shapes_send_what_their_rate_adds_up_to(shape, share):
    times = due_times(100, 10, shape)
    assert len(times) == pytest.approx(1000 * share, abs=2)
    assert (np.diff(times) > 0).all() and times[0] >= 0 and times[-1] <= 10
    assert np.diff(times).min() >= 0.0099  # never faster than the rate


def test_the_result_has_three_faces():
    result = seen({"200": 99, "503": 1})
    assert json.loads(json.dumps(result.to_dict()))["statuses"] == {"200": 99, "503": 1}
    assert "p99" in result._repr_html_() and "✗" in result._repr_html_()
    assert "unmet: 1 of 100 requests failed" in str(result)


def test_saturation_is_found_where_the_server_falls_behind(models, images):
    """One request after another, each takes 20 ms: at most 50 a second."""
    lock = threading.Lock()
    app = serve.create_app(models)

    def slow(environ, start_response):
        if environ["REQUEST_METHOD"] == "POST":
            with lock:
                time.sleep(0.02)
        return app(environ, start_response)

    client = serve.Client(serve.start(slow))
    plan = LoadTestConfig(seconds=0.6, timeout=3)
    found = validate.find_saturation(client, "digits", "v1", images, limit=200, start=10, plan=plan)
    assert 10 <= found.rate <= 60
    assert any(test.unmet for test in found.tests) and any(not test.unmet for test in found.tests)
    assert found.summary in str(found) and "Saturation" in found._repr_html_()
    assert json.loads(json.dumps(found.to_dict()))["rate"] == found.rate


@pytest.mark.parametrize("start", [50.0, 15_000.0, 30_000.0])
@pytest.mark.parametrize("most", [14_000, 19_000, 10**6])
def test_saturation_asks_for_no_more_than_a_load_test_may(monkeypatch, start, most):
    def send(url, requests, plan):
        return SimpleNamespace(plan=plan, unmet=[] if plan.rate <= most else ["p99"])

    monkeypatch.setattr(saturation, "send_load", send)
    client = SimpleNamespace(url="http://127.0.0.1:1", prepare=lambda *given: given)
    found = validate.find_saturation(client, "fast", "v1", [b"image"], start=start)
    highest = min(most, 20_000)
    assert highest / saturation.CLOSE_ENOUGH <= found.rate <= highest
