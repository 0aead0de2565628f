import io
import threading
import time

import numpy as np
import pytest
import requests

from mlops_lab.engines import onnx
from mlops_lab.engines.python import PythonEngine
from mlops_lab.errors import DeadlineExceeded
from mlops_lab.image import InputSpec
from mlops_lab.predict import Predictor
from mlops_lab.serve import Limits, create_app
from mlops_lab.serve.asgi import create_asgi
from mlops_lab.serve.core.batching import Batching
from mlops_lab.serve.core.inference import Batch
from mlops_lab.serve.core.timing import RequestContext
from mlops_lab.serve.core.watchdog import WATCHDOG
from mlops_lab.serve.http import HttpServer
from mlops_lab.serve.ports import bind

SHORT = Limits(request_seconds=0.3, in_flight=2, queue=0)
PAIR = InputSpec((2,), dtype="float32")


def runaway():
    """Return a model that runs a loop as often as its first number says, times a billion."""
    from onnx import TensorProto, helper, numpy_helper

    def scalar(name, value):
        return numpy_helper.from_array(np.array(value), name)

    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["still"]),
            helper.make_node("Mul", ["held", "one"], ["next"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("held", TensorProto.FLOAT, ["N", 2]),
        ],
        [
            helper.make_tensor_value_info("still", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, ["N", 2]),
        ],
    )
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["most"], keepdims=0),
        helper.make_node("Mul", ["most", "billion"], ["times"]),
        helper.make_node("Cast", ["times"], ["turns"], to=TensorProto.INT64),
        helper.make_node("Loop", ["turns", "yes", "x"], ["y"], body=body),
    ]
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 2]) for name in ("x", "y")]
    constants = [scalar("billion", np.float32(1e9)), scalar("yes", True), scalar("one", np.float32(1))]
    graph = helper.make_graph(nodes, "g", [info[0]], [info[1]], constants)
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    return Predictor("runaway", 1, PAIR, ("a", "b"), onnx.load(model.SerializeToString()))


def held(leave):
    """Return a model that computes until an event is set, in an engine that cannot be interrupted."""

    def compute(inputs):
        leave.wait(30)
        return np.full((len(inputs), 2), 0.5, np.float32)

    return Predictor("held", 1, PAIR, ("a", "b"), PythonEngine(compute))


def npy(*rows):
    with io.BytesIO() as file:
        np.save(file, np.array(rows, np.float32))
        return file.getvalue()


class Served:
    def __init__(self, model, limits=SHORT, **options):
        self.app = create_app(model, limits=limits, **options)
        self.state = self.app.extensions["mlops_lab"]
        self.server = HttpServer(create_asgi(self.app), bind("127.0.0.1", 0), limits)

    def __enter__(self):
        self.server.start()
        return self

    def __exit__(self, *_):
        self.server.stop()

    def ask(self, name, path, **options):
        return requests.post(f"http://127.0.0.1:{self.server.port}{path.format(name)}", timeout=20, **options)


def until(check):
    deadline = time.monotonic() + 10
    while not check() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert check()


def course(value):
    return {
        "path": "/models/{}",
        "data": npy([value, 0.0]),
        "headers": {"Content-Type": "application/x-npy", "X-Request-Id": "mine"},
    }


def tfserving(value):
    return {
        "path": "/v1/models/{}:predict",
        "json": {"instances": [[value, 0.0]]},
        "headers": {"X-Request-Id": "mine"},
    }


@pytest.mark.parametrize("road", [course, tfserving])
@pytest.mark.parametrize("batching", [None, Batching(size=4)])
def test_onnx_runtime_is_stopped_at_the_deadline(road, batching):
    with Served(runaway(), batching=batching) as served:
        assert served.ask("runaway", **road(0.0)).status_code == 200
        late = served.ask("runaway", **road(1.0))
        assert (late.status_code, late.json()["code"]) == (504, "deadline_exceeded")
        assert late.headers["X-Request-Id"] == "mine"
        until(lambda: served.state.service.admission.queue("runaway").in_flight == 0)
        assert served.ask("runaway", **road(0.0)).status_code == 200


def test_it_is_stopped_on_the_event_loop_as_well(image_model_on_the_loop):
    served, body = image_model_on_the_loop
    late = served.ask("runaway", "/models/{}", data=body, headers={"Content-Type": "image/png"})
    assert late.status_code == 504
    assert requests.get(f"http://127.0.0.1:{served.server.port}/healthz", timeout=5).status_code == 200


@pytest.fixture
def image_model_on_the_loop():
    """Serve a runaway model of images that was quick when it was measured, so that the loop itself computes it."""
    from dataclasses import replace

    from mlops_lab.image import encode_png

    spec = InputSpec((2,), size=(1, 2), dtype="float32")
    threads = []

    class Noted:
        def __init__(self, engine):
            self.predict_, self.interrupter = engine.predict, engine.interrupter

        def predict(self, inputs):
            threads.append(threading.current_thread().name)
            return self.predict_(inputs)

    model = runaway()
    with Served(replace(model, input=spec, engine=Noted(model.engine))) as served:
        served.state.registry.entries["runaway"].seconds[1] = 0.0001
        yield served, encode_png(np.full((1, 2), 255, np.uint8))
        assert threads == [f"mlops-lab-{served.server.port}"]


@pytest.mark.parametrize("road", [course, tfserving])
def test_an_engine_that_cannot_be_stopped_keeps_its_place_until_it_returns(road):
    leave = threading.Event()
    with Served(held(leave)) as served:
        queue = served.state.service.admission.queue("held")
        try:
            late = served.ask("held", **road(1.0))
            assert late.status_code == 504
            assert late.headers["X-Request-Id"] == "mine"
            assert (queue.in_flight, queue.overdue) == (1, 1)
            text = requests.get(f"http://127.0.0.1:{served.server.port}/metrics", timeout=5).text
            assert 'mlops_lab_overdue{model="held"} 1.0' in text
            assert WATCHDOG.longest_overdue() > 0
            assert served.ask("held", **road(1.0)).status_code == 504
            assert served.ask("held", **road(1.0)).status_code == 503  # both places are held
        finally:
            leave.set()
        until(lambda: (queue.in_flight, queue.overdue) == (0, 0))
        assert served.ask("held", **road(1.0)).status_code == 200
        text = requests.get(f"http://127.0.0.1:{served.server.port}/metrics", timeout=5).text
        assert 'mlops_lab_overdue{model="held"} 0.0' in text
        assert 'status="504"' in text


def test_without_anybody_to_tell_the_answer_is_an_error_when_the_engine_returns():
    leave = threading.Event()
    service = create_app(held(leave), limits=Limits(request_seconds=0.05)).extensions["mlops_lab"].service
    threading.Timer(0.5, leave.set).start()
    with pytest.raises(DeadlineExceeded, match=r"request_seconds=0\.05"):
        service.infer("held", "", lambda _: Batch(tensor=np.ones((1, 2))), RequestContext.begin())


def test_decoding_counts_too():
    service = create_app(held(threading.Event()), limits=Limits(request_seconds=0.05)).extensions["mlops_lab"].service

    def decode(_):
        time.sleep(0.1)
        return Batch(tensor=np.ones((1, 2)))

    with pytest.raises(DeadlineExceeded):
        service.infer("held", "", decode, RequestContext.begin())


def test_the_thread_sleeps_where_nothing_is_asked_and_wakes_again():
    until(lambda: WATCHDOG.sleeping)
    with Served(runaway()) as served:
        assert served.ask("runaway", **course(1.0)).status_code == 504


def test_a_runaway_shadow_is_stopped(tmp_path):
    with WATCHDOG.watching(runaway(), 30):
        pass
    with pytest.raises(DeadlineExceeded), WATCHDOG.watching(model := runaway(), 0.1):
        model.infer(np.ones((1, 2)))
    assert not WATCHDOG.calls
