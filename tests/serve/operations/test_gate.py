import hmac
import http.client
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from mlops_lab import serve
from mlops_lab.engines.python import PythonEngine
from mlops_lab.errors import DeadlineExceeded, Unavailable, WrongUsage
from mlops_lab.image import encode_png
from mlops_lab.predict import Predictor
from mlops_lab.serve import Limits, create_app
from mlops_lab.serve.operations.gate import Gate, Keys

PNG = encode_png(np.zeros((28, 28), np.uint8))


def wait_until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_no_more_are_in_flight_than_the_limit_and_all_are_served():
    gate = Gate(Limits(in_flight=3, queue=32))
    lock, now, most = threading.Lock(), 0, 0

    def work(_):
        nonlocal now, most
        with gate.admit("m"):
            with lock:
                now += 1
                most = max(most, now)
            time.sleep(0.003)
            with lock:
                now -= 1

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(work, range(100)))
    lane = gate.lane("m")
    assert most == 3
    assert (lane.flying, len(lane.waiting), gate._inside) == (0, 0, 0)


def test_who_waits_is_served_in_order():
    gate = Gate(Limits(in_flight=1, queue=5))
    served = []

    def work(number):
        with gate.admit("m"):
            served.append(number)

    gate.enter("m")
    threads = []
    for number in range(5):
        threads.append(threading.Thread(target=work, args=(number,)))
        threads[-1].start()
        wait_until(lambda number=number: len(gate.lane("m").waiting) == number + 1)
    gate.leave("m")
    for thread in threads:
        thread.join()
    assert served == [0, 1, 2, 3, 4]


def test_a_full_queue_names_the_limit_its_value_and_its_setting():
    gate = Gate(Limits(in_flight=1, queue=0))
    gate.enter("m")
    with pytest.raises(Unavailable, match=r"'m' has 1 requests .*in_flight=1 and queue=0") as caught:
        gate.enter("m")
    assert (caught.value.status, caught.value.code, caught.value.retry_after) == (503, "overloaded", 1)
    gate.enter("another model")
    gate.leave("m")
    gate.enter("m")


def test_one_thread_is_left_for_health():
    gate = Gate(Limits(threads=3))
    gate.enter("a")
    gate.enter("b")
    with pytest.raises(Unavailable, match="threads=3"):
        gate.enter("c")
    gate.leave("a")
    gate.enter("c")


def test_who_waits_too_long_gives_up_and_leaves_nothing_behind():
    gate = Gate(Limits(in_flight=1, queue=1, request_seconds=0.02))
    gate.enter("m")
    with pytest.raises(DeadlineExceeded, match=r"request_seconds=0.02") as caught:
        gate.enter("m")
    assert caught.value.status == 504
    assert not gate.lane("m").waiting
    gate.leave("m")
    assert gate.lane("m").flying == gate._inside == 0


def test_time_spent_before_counts_against_the_deadline():
    gate = Gate(Limits(in_flight=1, queue=1, request_seconds=60))
    gate.enter("m")
    with pytest.raises(DeadlineExceeded):
        gate.enter("m", waited=61)


@pytest.fixture
def held(bright):
    """A model that answers only once it is let go, and the event that lets it."""
    go = threading.Event()

    def wait(inputs):
        assert go.wait(20)
        return bright.engine.predict(inputs)

    yield Predictor("held", 1, bright.input, bright.labels, PythonEngine(wait)), go
    go.set()


def post(port, path="/models/held/v1"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", path, PNG, {"Content-Type": "image/png"})
        answer = connection.getresponse()
        return answer.status, answer.headers["Retry-After"], answer.read()
    finally:
        connection.close()


def test_an_overloaded_server_refuses_at_once_and_stays_alive(held, no_servers):
    model, go = held
    app = create_app([model], limits=Limits(in_flight=2, queue=3))
    server = serve.start(app, name="overload")
    with ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(post, server.port) for _ in range(20)]
        wait_until(lambda: sum(future.done() for future in asked) == 15)
        metrics = app.test_client().get("/metrics").text
        probe = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
        probe.request("GET", "/healthz")
        assert probe.getresponse().status == 200
        probe.close()
        go.set()
        answers = [future.result() for future in asked]
    assert 'mlops_lab_in_flight{model="held"} 2.0' in metrics
    assert 'mlops_lab_waiting{model="held"} 3.0' in metrics
    assert sorted(status for status, _, _ in answers) == [200] * 5 + [503] * 15
    for status, retry, body in answers:
        if status == 503:
            assert retry == "1"
            assert b"in_flight=2 and queue=3" in body
    assert post(server.port)[0] == 200


def test_a_request_that_waits_too_long_is_answered_504(held):
    model, go = held
    app = create_app([model], limits=Limits(in_flight=1, request_seconds=0.05))
    thread = threading.Thread(target=lambda: app.test_client().post("/models/held", data=PNG, content_type="image/png"))
    thread.start()
    wait_until(lambda: 'mlops_lab_in_flight{model="held"} 1.0' in app.test_client().get("/metrics").text)
    answer = app.test_client().post("/models/held", data=PNG, content_type="image/png")
    go.set()
    thread.join()
    assert answer.status_code == 504
    assert answer.headers["Retry-After"] == "1"
    assert "request_seconds=0.05" in answer.json["error"]
    assert app.test_client().post("/models/held", data=PNG, content_type="image/png").status_code == 200


@pytest.mark.parametrize("body, kind", [(PNG, "image/png"), (b"junk", "image/png"), (PNG, "text/plain")])
def test_a_place_is_given_back_whatever_comes_of_the_request(bright, body, kind):
    client = create_app([bright], limits=Limits(in_flight=1, queue=0)).test_client()
    for _ in range(3):
        assert client.post("/models/bright", data=body, content_type=kind).status_code != 503
    assert 'mlops_lab_in_flight{model="bright"} 0.0' in client.get("/metrics").text


def test_unknown_models_get_no_lane(bright):
    client = create_app([bright], limits=Limits(in_flight=1, queue=0)).test_client()
    assert client.post("/models/nobody", data=PNG, content_type="image/png").status_code == 404


@pytest.fixture(scope="module")
def secured(bright):
    return create_app([bright], api_keys=["open sesame", "zweiter"]).test_client()


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer open sesame"},
        {"Authorization": "bearer  zweiter "},
        {"X-API-Key": "open sesame"},
    ],
)
def test_a_key_opens(secured, headers):
    assert secured.get("/models", headers=headers).status_code == 200
    answer = secured.post("/models/bright", data=PNG, content_type="image/png", headers=headers)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer open"},
        {"Authorization": "Basic open sesame"},
        {"Authorization": "Bearer ", "X-API-Key": "open sesame"},
        {"X-API-Key": "open sesame and more"},
        {"X-API-Key": "ungültig"},
    ],
)
@pytest.mark.parametrize("path", ["/models", "/metrics", "/openapi.json", "/nowhere", "/v1/models/bright"])
def test_without_a_key_everything_is_refused(secured, path, headers):
    answer = secured.get(path, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="mlops-lab"'
    assert answer.json["code"] == "unauthorized"
    assert "sesame" not in answer.text


@pytest.mark.parametrize(
    "path", ["/healthz", "/readyz", "/v2/health/live", "/v2/health/ready", "/", "/docs", "/pages/page.js"]
)
def test_health_and_the_empty_pages_stay_open(secured, path):
    assert secured.get(path).status_code == 200


def test_keys_are_compared_in_constant_time(monkeypatch):
    compared = []
    real = hmac.compare_digest
    monkeypatch.setattr("hmac.compare_digest", lambda a, b: compared.append((len(a), len(b))) or real(a, b))
    assert Keys(["one", "a much longer key"]).open_with("one")
    assert compared == [(32, 32), (32, 32)]


def test_an_empty_key_would_open_everything():
    with pytest.raises(WrongUsage, match="empty"):
        Keys(["", "x"])


def test_one_key_may_be_a_string():
    keys = Keys("secret")
    assert keys.open_with("secret")
    assert not keys.open_with("s")
