"""The load test counts what its clients see, and holds that against its limits."""

import json
import threading

import numpy as np
import pytest

from mlops_lab import serve, validate
from mlops_lab.errors import LabError, WrongUsage
from mlops_lab.validate import LoadResult, LoadTestConfig

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
    assert result.statuses == {"200": len(answered)}
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
    stop = threading.Timer(0.2, server.stop)
    stop.start()
    result = validate.measure_load(client, "digits", "v1", images, LoadTestConfig(clients=2, seconds=0.8))
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


@pytest.mark.parametrize("plan", [{"clients": 0}, {"clients": 257}, {"seconds": 0}, {"seconds": 3601}, {"timeout": 0}])
def test_a_load_is_bounded(plan):
    with pytest.raises(WrongUsage):
        LoadTestConfig(**plan)


def test_nothing_to_send(models):
    with pytest.raises(WrongUsage, match="nothing to send"):
        validate.measure_load(serve.Client(serve.start(models)), "digits", "v1", np.empty((0, 8, 8)), SHORT)


def test_the_result_has_three_faces():
    result = seen({"200": 99, "503": 1})
    assert json.loads(json.dumps(result.to_dict()))["statuses"] == {"200": 99, "503": 1}
    assert "p99" in result._repr_html_() and "✗" in result._repr_html_()
    assert "unmet: 1 of 100 requests failed" in str(result)
