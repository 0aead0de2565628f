"""What the event loop answers and what Flask answers to the same request: the same status, headers and bytes."""

import asyncio
import base64
import gzip
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hostile_bodies import bodies

from mlops_lab.image import encode_png
from mlops_lab.serve import Limits, create_app
from mlops_lab.serve.asgi import FAST_PATH_TYPES, AsgiApp, create_asgi

LIMITS = Limits(body_bytes=200_000, batch=4)
PNG = encode_png(np.arange(784, dtype=np.uint8).reshape(28, 28))
LARGE = encode_png(np.full((600, 700), 90, np.uint8))


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def jpeg():
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.full((28, 28), 77, np.uint8)).save(buffer, format="JPEG")
    return buffer.getvalue()


def form(text):
    """Return a form whose field is text."""
    return b'--x\r\nContent-Disposition: form-data; name="image"\r\n\r\n' + text.encode() + b"\r\n--x--\r\n"


FIELD = Path(__file__).parents[1] / "data" / "field"
V1, GREY = "/models/bright/v1", np.full((28, 28), 128, np.uint8)
UNTYPED = ("", "application/octet-stream", "image/jpg", "image/webp")
BASE64 = base64.b64encode(PNG).decode()
TEXTS = (BASE64, base64.encodebytes(PNG).decode(), f"data:image/jpg;base64,{BASE64}", f"b'{BASE64}'", "boot.png")
SCALES = (GREY > 0, GREY / 255, (GREY > 0).astype(np.uint8), 0 * GREY)
REQUESTS = [
    (V1, "image/png", PNG, {}),
    ("/models/bright", "image/png", PNG, {}),
    ("/models/bright/latest", "image/png; charset=x", PNG, {}),
    (V1, "IMAGE/PNG", LARGE, {}),
    (V1, "image/jpeg", jpeg(), {}),
    (V1, "image/png", jpeg(), {}),
    (V1, "application/json", json.dumps({"image": GREY.tolist()}).encode(), {}),
    (V1, "application/json", json.dumps({"images": [GREY.tolist()] * 3}).encode(), {}),
    (V1, "application/x-npy", npy(np.stack([GREY] * 4)), {}),
    (V1, "image/png", gzip.compress(PNG), {"Content-Encoding": "gzip"}),
    (V1, "image/png", PNG, {"X-Request-Id": "an-id", "traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01"}),
    (V1, "image/png", PNG, {"X-Request-Id": "not an id"}),
    (V1, "image/png", b"", {}),
    (V1, "image/png", b"hello", {}),
    (V1, "image/png", PNG[:200], {}),
    (V1, "image/png", PNG[:60] + b"x" + PNG[61:], {}),
    (V1, "image/jpeg", jpeg()[:100], {}),
    (V1, "image/png", encode_png(np.zeros((5000, 2), np.uint8)), {}),
    (V1, "image/png", PNG, {"Content-Encoding": "gzip"}),
    (V1, "image/png", PNG, {"Content-Encoding": "br"}),
    (V1, "image/png", gzip.compress(bytes(300_000)), {"Content-Encoding": "gzip"}),
    (V1, "image/png", bytes(200_001), {}),
    (V1, "application/x-npy", npy(np.stack([GREY] * 5)), {}),
    (V1, "application/x-npy", npy(np.zeros((2, 7, 7))), {}),
    (V1, "application/json", b'{"image": NaN}', {}),
    (V1, "application/json", b'{"image": 1, "image": 2}', {}),
    (V1, "application/json", b"[" * 50, {}),
    (V1, "text/plain", PNG, {}),
    (V1, "", PNG, {}),
    (V1, "application/x-www-form-urlencoded", PNG, {}),
    *((V1, kind, body, {}) for kind in UNTYPED for body in (PNG, jpeg(), npy(GREY), b"RIFF....WEBPVP8 ", b"{}", b"")),
    *((V1, "application/json", json.dumps({"image": text}).encode(), {}) for text in TEXTS),
    *(
        (V1, "application/json", json.dumps({"images": [GREY.tolist(), image.tolist()]}).encode(), {})
        for image in SCALES
    ),
    *((V1, "application/x-npy", npy(np.stack([GREY, image])), {}) for image in SCALES),
    *((V1, "multipart/form-data; boundary=x", form(text), {}) for text in TEXTS),
    (V1, "multipart/form-data", form(TEXTS[0]), {}),
    (V1, "application/x-www-form-urlencoded", b"image=iVBORw0K", {}),
    ("/api/models/bright/v1", "image/png", PNG, {}),
    ("/predict", "image/png", PNG, {}),
    ("/models/bright/v1/predict", "image/png", PNG, {}),
    *(
        (V1, "image/png", (FIELD / name).read_bytes(), {})
        for name in ("long-comment.png", "bad-exif.png", "webp-named.png")
    ),
    (V1, "image/jpeg", jpeg()[:-2], {}),
    ("/models/nobody/v1", "image/png", PNG, {}),
    ("/models/bright/v9", "image/png", PNG, {}),
    ("/models/bright/v1/", "image/png", PNG, {}),
    ("/models//v1", "image/png", PNG, {}),
    ("/models/bright/", "image/png", PNG, {}),
    ("/models/br%69ght/v1", "image/png", PNG, {}),
    ("/models/bright%2Fv1", "image/png", PNG, {}),
    ("/models/bright/traffic", "image/png", PNG, {}),
    ("/models/bright/v1?x=1", "image/png", PNG, {}),
    ("/models/broken/v1", "image/png", PNG, {}),
]


@pytest.fixture(scope="module")
def app(bright):
    from dataclasses import replace

    from mlops_lab.engines.python import PythonEngine

    broken = replace(bright, name="broken", engine=PythonEngine(lambda inputs: 1 / 0))
    nan = replace(bright, name="nan", engine=PythonEngine(lambda inputs: [[np.nan, 0.0]] * len(inputs)))
    few = replace(bright, name="few", engine=PythonEngine(lambda inputs: [[0.5, 0.5]]))
    return create_app([bright, broken, nan, few], limits=LIMITS, api_keys=[])


def on_the_loop(app, path, kind, body, headers):
    """Return status, headers and body of the ASGI application."""
    path, _, query = path.partition("?")
    fields = [(b"host", b"localhost"), (b"content-length", str(len(body)).encode())]
    fields += [(b"content-type", kind.encode())] if kind else []
    fields += [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    from urllib.parse import unquote

    scope = {
        **{"type": "http", "method": "POST", "path": unquote(path), "raw_path": path.encode(), "root_path": ""},
        **{"headers": fields, "query_string": query.encode(), "http_version": "1.1"},
    }
    sent = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    asyncio.run(create_asgi(app)(scope, receive, send))
    found = [(name.decode().lower(), value.decode()) for name, value in sent[0]["headers"]]
    return sent[0]["status"], found, b"".join(message.get("body", b"") for message in sent[1:])


def by_flask(app, path, kind, body, headers):
    answer = app.test_client().post(path, data=body, content_type=kind or None, headers=headers)
    return answer.status_code, [(name.lower(), value) for name, value in answer.headers.items()], answer.data


def comparable(answer, request_id):
    """Leave out what differs between any two requests: a random id, and the times."""
    status, headers, body = answer
    fields = dict(headers)
    assert len(fields) == len(headers)
    number = fields.pop("x-request-id")
    timing = [part.partition(";")[0] for part in fields.pop("server-timing", "").split(", ")]
    if request_id != number:
        body = body.replace(number.encode(), b"the id")
        number = ""
    return status, sorted(fields.items()), timing, number, body


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: f"{request[0]} {request[1]} {len(request[2])}")
def test_both_roads_answer_the_same(app, request_):
    path, kind, body, headers = request_
    answers = [road(app, path, kind, body, headers) for road in (on_the_loop, by_flask)]
    first, second = (comparable(answer, headers.get("X-Request-Id")) for answer in answers)
    assert first == second


def test_the_corpus_of_hostile_bodies_is_answered_the_same(app):
    valid = [{"image": GREY.tolist()}, {"images": [GREY.tolist()] * 2}]
    statuses = set()
    for number, body in enumerate(bodies(valid, 400, seed=11)):
        kind = ("application/json", "image/png", "application/x-npy")[number % 3]
        first, second = (road(app, V1, kind, body, {}) for road in (on_the_loop, by_flask))
        assert comparable(first, "") == comparable(second, ""), body[:200]
        statuses.add(first[0])
    assert {200, 400} <= statuses


@pytest.mark.parametrize("name", ["nan", "few"])
def test_an_engine_that_answers_nonsense_is_an_error_on_both_roads(app, name):
    batch = npy(np.stack([GREY] * 2))
    for road in (on_the_loop, by_flask):
        status, _, body = road(app, f"/models/{name}/v1", "application/x-npy", batch, {})
        assert (status, json.loads(body)["code"]) == (500, "invalid_output")


def test_a_key_is_required_on_both_roads(bright):
    secured = create_app([bright], api_keys=["sesame"])
    for headers, status in (({}, 401), ({"X-API-Key": "no"}, 401), ({"Authorization": "Bearer sesame"}, 200)):
        answers = [road(secured, V1, "image/png", PNG, headers) for road in (on_the_loop, by_flask)]
        assert comparable(answers[0], "") == comparable(answers[1], "")
        assert answers[0][0] == status


def test_both_roads_are_counted_and_logged_alike(bright):
    log = io.StringIO()
    app = create_app([bright], access_log=log)
    for road in (on_the_loop, by_flask):
        road(app, V1, "image/png", PNG, {})
    first, second = map(json.loads, log.getvalue().splitlines())
    assert first.keys() == second.keys()
    different = {"time", "ms", "request_id"}
    assert {k: v for k, v in first.items() if k not in different} == {
        k: v for k, v in second.items() if k not in different
    }
    text = app.test_client().get("/metrics").text
    assert 'mlops_lab_requests_total{method="POST",route="/models/<name>/<version>",status="200"} 2.0' in text


@pytest.mark.parametrize("kind", sorted(FAST_PATH_TYPES))
def test_the_fast_path_is_taken(app, monkeypatch, kind):
    taken = []
    answer = AsgiApp.answer
    monkeypatch.setattr(AsgiApp, "answer", lambda self, *more: taken.append(1) or answer(self, *more))
    on_the_loop(app, V1, kind, PNG, {})
    assert taken == [1]


def test_only_small_images_of_fast_versions_are_computed_on_the_loop(shared_models, monkeypatch):
    from mlops_lab.serve.http.dispatcher import Dispatcher

    app, in_threads = create_app(shared_models), []
    run = Dispatcher.run
    monkeypatch.setattr(Dispatcher, "run", lambda self, call: in_threads.append(1) or run(self, call))
    small, state = encode_png(np.zeros((8, 8), np.uint8)), app.extensions["mlops_lab"]
    cases = [
        ("image/png", small, 0),
        ("image/png", encode_png(np.zeros((600, 700), np.uint8)), 1),
        ("image/png", encode_png(np.random.default_rng(0).integers(0, 256, (300, 300), np.uint8)), 1),
        ("application/json", json.dumps({"image": [[0] * 8] * 8}).encode(), 1),
    ]
    for kind, body, threads in cases:
        in_threads.clear()
        assert on_the_loop(app, "/models/digits", kind, body, {})[0] == 200
        assert len(in_threads) == threads, (kind, len(body))
    for change in ("slow", "blocking"):
        in_threads.clear()
        if change == "slow":
            state.registry.entries["digits"].seconds[1] = 0.002
        else:
            state.registry.entries["digits"].seconds[1] = 0.0001
            state.service.blocking = True
        assert on_the_loop(app, "/models/digits", "image/png", small, {})[0] == 200
        assert in_threads == [1], change


def test_hooks_and_middleware_that_were_added_see_every_request(bright):
    seen = []
    hooked, wrapped = create_app([bright]), create_app([bright])
    hooked.before_request(lambda: seen.append("hook"))
    inner = wrapped.wsgi_app
    wrapped.wsgi_app = lambda environ, start: seen.append("middleware") or inner(environ, start)
    for app in (hooked, wrapped):
        assert on_the_loop(app, V1, "image/png", PNG, {})[0] == 200
    assert seen == ["hook", "middleware"]


def test_a_store_is_watched_from_the_first_request_on_by_either_road(shared_models):
    app = create_app(shared_models.root)
    registry = app.extensions["mlops_lab"].registry
    image = encode_png(np.zeros((8, 8), np.uint8))
    for _ in range(2):
        status, _, _ = on_the_loop(app, "/models/digits/v1", "image/png", image, {})
        assert (status, registry.watched_in) == (200, os.getpid())
