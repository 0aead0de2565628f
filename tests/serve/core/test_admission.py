import asyncio
import http.client
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from mlops_lab import serve
from mlops_lab.engines.python import PythonEngine
from mlops_lab.errors import DeadlineExceeded, Unavailable
from mlops_lab.image import encode_png
from mlops_lab.predict import Predictor
from mlops_lab.serve import Limits, create_app
from mlops_lab.serve.core.admission import AdmissionController

PNG = encode_png(np.zeros((28, 28), np.uint8))


def wait_until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_no_more_are_in_flight_than_the_limit_and_all_are_served():
    admission = AdmissionController(Limits(in_flight=3, queue=32))
    lock, now, most = threading.Lock(), 0, 0

    def work(_):
        nonlocal now, most
        with admission.admit("m"):
            with lock:
                now += 1
                most = max(most, now)
            time.sleep(0.003)
            with lock:
                now -= 1

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(work, range(100)))
    queue = admission.queue("m")
    assert most == 3
    assert (queue.in_flight, len(queue.waiting), admission._total) == (0, 0, 0)


def test_who_waits_is_served_in_order():
    admission = AdmissionController(Limits(in_flight=1, queue=5))
    served = []

    def work(number):
        with admission.admit("m"):
            served.append(number)

    first = admission.enter("m")
    threads = []
    for number in range(5):
        threads.append(threading.Thread(target=work, args=(number,)))
        threads[-1].start()
        wait_until(lambda number=number: len(admission.queue("m").waiting) == number + 1)
    admission.leave(first)
    for thread in threads:
        thread.join()
    assert served == [0, 1, 2, 3, 4]


def test_a_full_queue_names_the_limit_its_value_and_its_setting():
    admission = AdmissionController(Limits(in_flight=1, queue=0))
    ticket = admission.enter("m")
    with pytest.raises(Unavailable, match=r"'m' has 1 requests .*in_flight=1 and queue=0") as caught:
        admission.enter("m")
    assert (caught.value.status, caught.value.code, caught.value.retry_after) == (503, "overloaded", 1)
    admission.enter("another model")
    admission.leave(ticket)
    assert admission.enter("m").granted


def test_one_thread_is_left_for_health():
    admission = AdmissionController(Limits(threads=3))
    first, _ = admission.enter("a"), admission.enter("b")
    with pytest.raises(Unavailable, match="threads=3"):
        admission.enter("c")
    admission.leave(first)
    assert admission.enter("c").granted


@pytest.mark.parametrize(
    ("limits", "error", "setting"),
    [
        ({"request_seconds": 0.02}, DeadlineExceeded, "request_seconds=0.02"),
        ({"queue_seconds": 0.02}, Unavailable, "queue_seconds=0.02"),
    ],
)
def test_a_request_that_waits_too_long_gives_up_and_leaves_nothing_behind(limits, error, setting):
    admission = AdmissionController(Limits(in_flight=1, queue=1, **limits))
    ticket = admission.enter("m")
    with pytest.raises(error, match=setting) as caught, admission.admit("m"):
        pytest.fail("it was admitted")
    assert caught.value.status == (504 if error is DeadlineExceeded else 503)
    assert not admission.queue("m").waiting
    admission.leave(ticket)
    assert admission.queue("m").in_flight == admission._total == 0


@pytest.mark.parametrize("limits", [{"request_seconds": 60, "queue_seconds": 90}, {"queue_seconds": 60}])
def test_time_spent_before_counts_against_the_deadline(limits):
    admission = AdmissionController(Limits(in_flight=1, queue=1, **limits))
    admission.enter("m")
    with pytest.raises(Unavailable), admission.admit("m", elapsed=61):
        pytest.fail("it was admitted")


def test_the_event_loop_waits_without_blocking():
    admission = AdmissionController(Limits(in_flight=1, queue=2))

    async def both():
        first = await admission.wait("m")
        second = asyncio.ensure_future(admission.wait("m"))
        await asyncio.sleep(0.01)
        assert not second.done()
        admission.leave(first)
        admission.leave(await second)

    asyncio.run(both())
    assert admission.queue("m").in_flight == admission._total == 0


def test_a_client_that_leaves_while_it_waits_leaves_nothing_behind():
    admission = AdmissionController(Limits(in_flight=1, queue=2))

    async def leave():
        first = await admission.wait("m")
        second = asyncio.ensure_future(admission.wait("m"))
        await asyncio.sleep(0.01)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        admission.leave(first)

    asyncio.run(leave())
    assert not admission.queue("m").waiting
    assert admission.queue("m").in_flight == admission._total == 0


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


def test_unknown_models_get_no_queue(bright):
    client = create_app([bright], limits=Limits(in_flight=1, queue=0)).test_client()
    assert client.post("/models/nobody", data=PNG, content_type="image/png").status_code == 404
