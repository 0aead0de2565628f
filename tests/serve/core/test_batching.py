import gc
import shutil
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import requests

from mlops_lab import serve
from mlops_lab.engines.onnx import OnnxEngine
from mlops_lab.errors import DeadlineExceeded, LabError, Unavailable, WrongUsage
from mlops_lab.image import encode_png
from mlops_lab.predict import Predictor
from mlops_lab.serve import Batching, Limits, Registry, create_app
from mlops_lab.serve.command import Settings, build
from mlops_lab.serve.core.batching import BatchingEngine
from mlops_lab.store import ModelStore


class Engine:
    """Doubles what it gets; notes the length of every call; holds each call until it may go on."""

    def __init__(self):
        self.lengths = []
        self.open = threading.Event()
        self.open.set()
        self.inside = threading.Event()

    def predict(self, inputs):
        self.lengths.append(len(inputs))
        self.inside.set()
        assert self.open.wait(10)
        if (inputs < 0).any():
            raise ValueError(f"{inputs.min():g} is below 0")
        return 2 * inputs


def row(value, length=1):
    return np.full((length, 2), value, np.float32)


def wait_until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.fixture
def engine():
    return Engine()


@pytest.fixture
def pool():
    with ThreadPoolExecutor(16) as pool:
        yield pool


@pytest.fixture
def behind(engine, pool):
    """Ask while the engine is busy with another request: what is asked waits together; then the engine goes on."""

    def ask(batched, *batches):
        engine.open.clear()
        engine.inside.clear()
        futures = [pool.submit(batched.predict, row(100))]
        assert engine.inside.wait(10)
        for number, inputs in enumerate(batches, start=1):
            futures.append(pool.submit(batched.predict, inputs))
            wait_until(lambda number=number: len(batched._waiting) == number)
        engine.open.set()
        return futures[1:]

    return ask


def test_what_comes_while_the_engine_computes_is_one_call(engine, behind):
    batched = BatchingEngine(engine, Batching(milliseconds=0))
    futures = behind(batched, row(1), row(2, 3), row(3))
    assert [future.result(10).tolist() for future in futures] == [
        (2 * row(1)).tolist(),
        (2 * row(2, 3)).tolist(),
        (2 * row(3)).tolist(),
    ]
    assert engine.lengths == [1, 5]
    assert (batched.batch_counts.calls, batched.batch_counts.examples) == (2, 6)


def test_a_batch_is_no_longer_than_its_size_but_for_one_long_request(engine, behind):
    futures = behind(
        BatchingEngine(engine, Batching(size=4, milliseconds=0)), row(1, 3), row(2, 2), row(3), row(4, 9), row(5)
    )
    assert [len(future.result(10)) for future in futures] == [3, 2, 1, 9, 1]
    assert engine.lengths == [1, 3, 3, 9, 1]


def test_the_first_waits_for_others_until_the_batch_is_full(engine, pool):
    batched = BatchingEngine(engine, Batching(size=3, milliseconds=60_000))
    futures = [pool.submit(batched.predict, row(number)) for number in range(3)]
    assert sorted(future.result(10)[0, 0] for future in futures) == [0, 2, 4]
    assert engine.lengths == [3]


def test_nobody_is_refused_while_the_first_only_waits(engine, pool):
    batched = BatchingEngine(engine, Batching(size=32, milliseconds=60_000, queue=3))
    futures = [pool.submit(batched.predict, row(number)) for number in range(3)]
    assert sorted(future.result(10)[0, 0] for future in futures) == [0, 2, 4]


def test_the_first_does_not_wait_longer_than_told(engine):
    batched = BatchingEngine(engine, Batching(size=3, milliseconds=20))
    started = time.perf_counter()
    batched.predict(row(1))
    assert time.perf_counter() - started >= 0.02
    assert engine.lengths == [1]


def test_who_was_alone_does_not_wait_for_nobody(engine, behind):
    batched = BatchingEngine(engine, Batching(size=3, milliseconds=500))
    batched.predict(row(0))
    started = time.perf_counter()
    batched.predict(row(1))
    assert time.perf_counter() - started < 0.5
    futures = behind(batched, row(2), row(3))
    assert [future.result(10)[0, 0] for future in futures] == [4, 6]
    assert not batched._was_single


def test_one_bad_request_does_not_spoil_its_neighbours(engine, behind):
    futures = behind(BatchingEngine(engine, Batching(milliseconds=0)), row(1), row(-1), row(2), row(-2))
    for future, value in zip(futures[::2], (1, 2), strict=True):
        assert future.result(10).tolist() == (2 * row(value)).tolist()
    for future, value in zip(futures[1::2], (-1, -2), strict=True):
        with pytest.raises(ValueError, match=f"{value} is below 0"):
            future.result(10)
    assert engine.lengths == [1, 4, 1, 1, 1, 1]


def test_an_error_of_one_batch_does_not_reach_the_next(engine, behind):
    batched = BatchingEngine(engine, Batching(size=2, milliseconds=0))
    futures = behind(batched, row(-1), row(-1), row(1))
    assert [type(future.exception(10)) for future in futures] == [ValueError, ValueError, type(None)]
    assert batched.predict(row(4)).tolist() == (2 * row(4)).tolist()


def test_an_engine_that_answers_too_few_rows_mixes_nothing_up(engine, behind):
    whole = engine.predict
    engine.predict = lambda inputs: whole(inputs)[:1]
    futures = behind(BatchingEngine(engine, Batching(milliseconds=0)), row(1), row(2))
    assert [future.result(10)[0, 0] for future in futures] == [2, 4]


def test_a_full_queue_names_the_limit_its_value_and_its_setting(engine, behind, pool):
    batched = BatchingEngine(engine, Batching(milliseconds=0, queue=2))
    engine.open.clear()
    futures = [pool.submit(batched.predict, row(0))]
    assert engine.inside.wait(10)
    futures += [pool.submit(batched.predict, row(number)) for number in (1, 2)]
    wait_until(lambda: len(batched._waiting) == 2)
    with pytest.raises(Unavailable, match=r"2 requests wait for a batch; the limit is queue=2.* Batching") as caught:
        batched.predict(row(3))
    assert (caught.value.code, caught.value.retry_after) == ("overloaded", 1)
    engine.open.set()
    assert [future.result(10)[0, 0] for future in futures] == [0, 2, 4]


def test_a_request_that_waited_too_long_is_given_up_and_not_computed(engine, pool):
    batched = BatchingEngine(engine, Batching(milliseconds=0), seconds=0.05)
    engine.open.clear()
    first = pool.submit(batched.predict, row(1))
    assert engine.inside.wait(10)
    with pytest.raises(DeadlineExceeded, match=r"request_seconds=0\.05"):
        batched.predict(row(2))
    engine.open.set()
    assert first.result(10).tolist() == (2 * row(1)).tolist()
    assert engine.lengths == [1]
    assert batched.predict(row(3)).tolist() == (2 * row(3)).tolist()


@pytest.mark.parametrize(("length", "asked"), [(1, [1]), (2, [2]), (3, [4]), (5, [8]), (8, [8]), (19, [8, 8, 4])])
def test_batches_are_filled_up_to_buckets(engine, length, asked):
    batched = BatchingEngine(engine, Batching(size=8, milliseconds=0, buckets=(1, 2, 4, 8)))
    inputs = np.arange(2 * length, dtype=np.float32).reshape(length, 2)
    assert (batched.predict(inputs) == 2 * inputs).all()
    assert engine.lengths == asked


def test_every_bucket_is_tried_before_the_first_request(engine, bright):
    model = Predictor("m", 1, bright.input, bright.labels, engine)
    Registry.of(model, Batching(size=4, buckets=(1, 4)).wrap(Limits()))
    assert engine.lengths == [1, 4]


@pytest.mark.parametrize(
    "wrong",
    [{"size": 0}, {"queue": 0}, {"milliseconds": -1}, {"milliseconds": float("nan")}, {"buckets": (1, 2)},
     {"size": 4, "buckets": (2, 1, 4)}, {"size": 4, "buckets": (0, 4)}, {"size": 4, "buckets": (4, 8)}],
)  # fmt: skip
def test_numbers_that_make_no_sense(wrong):
    with pytest.raises(WrongUsage):
        Batching(**wrong)


def test_many_threads_get_the_answers_they_would_get_alone(shared_models, digits, pool):
    alone = shared_models.load("digits", 1)
    together = Registry.of(shared_models, Batching(milliseconds=20).wrap(Limits())).get("digits")
    images = digits.test.images[:160]

    def ask(place):
        return together.probabilities(images[place : place + 1 + place % 3])

    for place, rows in zip(range(150), pool.map(ask, range(150)), strict=True):
        assert np.abs(rows - alone.probabilities(images[place : place + 1 + place % 3])).max() < 1e-6
    assert together.engine.batch_counts.calls < 150
    assert together.engine.batch_counts.examples == sum(1 + place % 3 for place in range(150))


@pytest.mark.parametrize(
    ("engine", "buckets"),
    [("onnx", ()), pytest.param("keras", (), marks=pytest.mark.tensorflow),
     pytest.param("keras", (1, 2, 4, 8), marks=pytest.mark.tensorflow)],
)  # fmt: skip
def test_the_shipped_model_answers_alike_alone_and_in_batches(engine, buckets, pool):
    predictor = ModelStore("models").load("clothes", 1, engine=engine)
    images = np.random.default_rng(0).integers(0, 256, (24, 28, 28), np.uint8)
    together = Batching(size=8, milliseconds=5, buckets=buckets).wrap(Limits())(predictor)
    alone = [predictor.probabilities(images[place : place + 1]) for place in range(24)]
    rows = list(pool.map(lambda place: together.probabilities(images[place : place + 1]), range(24)))
    assert together.engine.batch_counts.calls < 24
    assert np.abs(np.array(rows) - np.array(alone)).max() < 1e-6


def test_an_unloaded_version_goes_and_leaves_no_thread(models, digits_run):
    registry = Registry.of(models, Batching(milliseconds=0).wrap(Limits()))
    threads = set(threading.enumerate())
    predictor = registry.get("digits", "v1")
    predictor.probabilities(np.zeros((1, 8, 8), np.uint8))
    engine = weakref.ref(predictor.engine)
    del predictor
    models.publish(digits_run, "digits")
    shutil.rmtree(models.root / "digits/1")
    registry.refresh()
    gc.collect()
    assert engine() is None
    assert isinstance(registry.get("digits", "v2").engine, BatchingEngine)
    assert set(threading.enumerate()) <= threads


def test_the_server_answers_in_batches_and_says_which_limit_fired(bright):
    slow = Engine()
    slow.predict = lambda inputs, whole=bright.engine.predict: (time.sleep(0.05), whole(inputs))[1]
    models = [Predictor("slow", 1, bright.input, bright.labels, slow, {"name": "slow"})]
    levels = range(0, 240, 15)
    with serve.start(models, name="batched", batching=Batching(size=16, milliseconds=20)) as server:

        def ask(level):
            return serve.Client(server.url).classify("slow", "v1", [np.full((28, 28), level, np.uint8)])[0]

        with ThreadPoolExecutor(16) as pool:
            found = list(pool.map(ask, levels))
        engine = server.app.extensions["mlops_lab"].registry.get("slow").engine
        assert engine.batch_counts.examples == len(levels)
        assert engine.batch_counts.calls < len(levels) / 2
        told = requests.get(f"{server.url}/metrics", timeout=5).text
        assert f'mlops_lab_batches_total{{model="slow",version="v1"}} {engine.batch_counts.calls}.0' in told
        assert f'mlops_lab_batched_pictures_total{{model="slow",version="v1"}} {len(levels)}.0' in told
        for level, prediction in zip(levels, found, strict=True):
            assert prediction.probabilities[1] == pytest.approx(level / 255, abs=1e-6)
    refusing = create_app(models, batching=Batching(queue=1), limits=Limits(request_seconds=0.01))
    statuses = _crowd(refusing)
    assert statuses <= {200, 503, 504}
    assert 503 in statuses  # the others may all have reached the deadline, waiting or computed


def _crowd(app):
    image = encode_png(np.zeros((28, 28), np.uint8))

    def ask(_):
        answer = app.test_client().post("/models/slow", data=image, content_type="image/png")
        if answer.status_code == 503:
            assert answer.json["code"] == "overloaded"
            assert "queue=1" in answer.json["error"]
            assert answer.headers["Retry-After"] == "1"
        return answer.status_code

    with ThreadPoolExecutor(8) as pool:
        return set(pool.map(ask, range(24)))


def test_the_time_in_the_queue_is_told_apart_from_the_time_of_computing(bright):
    app = create_app(bright, batching=Batching(milliseconds=30))
    answer = app.test_client().post(
        "/models/bright", data=encode_png(np.zeros((28, 28), np.uint8)), content_type="image/png"
    )
    spent = dict(part.split(";dur=") for part in answer.headers["Server-Timing"].split(", "))
    assert float(spent["queue"]) >= 25 > float(spent["infer"])


def test_a_registry_and_an_application_have_theirs_already(bright):
    with pytest.raises(WrongUsage, match="wrapped already"):
        create_app(Registry.of(bright), batching=Batching())
    with pytest.raises(WrongUsage, match="this is an application"):
        serve.start(create_app(bright), batching=Batching())


def test_a_batch_may_be_in_flight_unless_limits_say_otherwise(bright):
    for options, in_flight in [({}, 40), ({"limits": Limits(in_flight=3)}, 3)]:
        app = create_app(bright, batching=Batching(size=40), **options)
        assert app.extensions["mlops_lab"].service.limits.in_flight == in_flight


def test_the_command_has_it(shared_models):
    for options, kind in [({}, OnnxEngine), ({"batch_size": 8, "batch_wait_ms": 1.5}, BatchingEngine)]:
        app, _ = build(Settings(str(shared_models.root), **options), print)
        engine = app.extensions["mlops_lab"].registry.get("digits").engine
        assert type(engine) is kind
    assert engine._batching == Batching(size=8, milliseconds=1.5)


def test_errors_of_ours_pass_through(engine):
    def refuse(inputs):
        raise LabError("No.")

    engine.predict = refuse
    with pytest.raises(LabError, match="No"):
        BatchingEngine(engine, Batching(milliseconds=0)).predict(row(1))
