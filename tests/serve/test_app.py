import errno
import io
import json
import re
import tempfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug import formparser

from mlops_lab.engines.python import PythonEngine
from mlops_lab.image import InputSpec, encode_png
from mlops_lab.predict import Predictor
from mlops_lab.serve import Limits, create_app
from mlops_lab.serve.rest.route_hints import HABITS, ROUTES

URL = "/models/bright/v1"
PNG = encode_png(np.zeros((28, 28), np.uint8))
TEXT_FIELD = b'--x\r\nContent-Disposition: form-data; name="image"\r\n\r\nno file\r\n--x--\r\n'


def refused(answer, status, code):
    """Check that an answer is an error in the design's form; return its text."""
    assert (answer.status_code, answer.json["code"]) == (status, code), answer.text
    assert answer.content_type == "application/json"
    assert answer.json.keys() == {"error", "code", "hint", "request_id"}
    assert type(answer.json["error"]) is str
    assert answer.json["hint"] in answer.json["error"]
    assert answer.json["request_id"] == answer.headers["X-Request-Id"]
    assert "Traceback" not in answer.text
    return answer.json["error"]


def test_alive_and_ready(client):
    assert client.get("/healthz").json == {"status": "alive"}
    answer = client.get("/readyz").json
    assert answer["status"] == "ready"
    assert [model["name"] for model in answer["models"]] == ["bright", "digits"]


def test_readiness_lists_nothing_to_who_has_no_key(bright):
    client = create_app(bright, api_keys=["secret"]).test_client()
    assert client.get("/readyz").json == {"status": "ready"}
    assert client.get("/readyz", headers={"X-API-Key": "wrong"}).json == {"status": "ready"}
    assert client.get("/readyz", headers={"X-API-Key": "secret"}).json["models"]
    app = create_app(bright, api_keys=["secret"])
    entry = app.extensions["mlops_lab"].registry.entries["bright"]
    entry.by_version = {}
    assert "bright" not in refused(app.test_client().get("/readyz"), 503, "unavailable")


def test_not_ready_without_models_and_while_draining(bright):
    empty = create_app([]).test_client().get("/readyz")
    assert refused(empty, 503, "unavailable")
    assert empty.headers["Retry-After"] == "1"
    app = create_app(bright)
    app.extensions["mlops_lab"].draining = True
    answer = app.test_client().get("/readyz")
    assert refused(answer, 503, "draining")
    assert app.test_client().get("/healthz").status_code == 200


def test_unknown_model_version_and_route(client):
    text = refused(client.get("/models/brigth/v1"), 404, "unknown_model")
    assert "'brigth'" in text
    assert "Did you mean 'bright'" in text
    assert "'digits'" in text
    text = refused(client.post("/models/bright/v7", data=PNG, content_type="image/png"), 404, "unknown_version")
    assert "'v7'" in text
    assert "'v1'" in text
    text = refused(client.get("/model/bright"), 404, "unknown_route")
    assert "'/model/bright'" in text
    assert "/models/<name>/<version>" in text


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/model", "/models"), ("/model/bright", "/models/bright"), ("/modelz/bright/v1", "/models/bright/v1"),
        ("/models/", "/models"), ("/chain/number", "/chains/number"), ("/health", "/healthz"), ("/doc", "/docs"),
        ("/ping", "/healthz"), ("/ready", "/readyz"), ("/swagger.json", "/openapi.json"), ("/redoc/", "/docs"),
    ],
)  # fmt: skip
def test_the_nearest_route_is_named(client, path, meant):
    assert f"Did you mean {meant!r}?" in refused(client.get(path), 404, "unknown_route")


def test_a_path_that_is_like_no_route_is_taken_for_none(client):
    assert "Did you mean" not in refused(client.get("/admin"), 404, "unknown_route")


@pytest.mark.parametrize(
    ("path", "prefix", "rest"),
    [
        ("/api/models", "/api", "/models"), ("/a/b/models/bright/v1", "/a/b", "/models/bright/v1"),
        ("/ml/v1/models/bright:predict", "/ml", "/v1/models/bright:predict"), ("/ml/v2/health/live", "/ml", None),
        ("/ml/v2/models/bright/versions/1/infer", "/ml", None), ("/x/healthz", "/x", "/healthz"),
        ("/x/chains/number", "/x", "/chains/number"), ("/user/ada/proxy/8000/docs", "/user/ada/proxy/8000", "/docs"),
    ],
)  # fmt: skip
def test_a_prefix_that_a_proxy_left_is_named(client, path, prefix, rest):
    for ask in (client.get, client.post):
        text = refused(ask(path), 404, "unknown_route")
        assert f"begins with {prefix!r}" in text and f"Ask {rest or path.removeprefix(prefix)!r}" in text
        assert "Did you mean" not in text


@pytest.mark.parametrize(
    "path", ["/predict", "/invocations", "/api/predict", "/models/bright/v1/predict", "/clothes:infer"]
)
def test_the_words_of_other_servers_lead_to_the_route(client, path):
    text = refused(client.post(path, data=PNG, content_type="image/png"), 404, "unknown_route")
    assert ("POST the image to '/models/bright/v1' itself" in text) == ("/v1/" in path)
    assert "/models/<name>" in text and "POST" in text


def test_the_routes_that_are_named_are_there(client):
    rules = {re.sub("<.*?([a-z]+)>", r"<\1>", rule.rule) for rule in client.application.url_map.iter_rules()}
    assert {*ROUTES, *HABITS.values()} <= rules


@pytest.mark.parametrize(
    "path",
    [
        "/models/../etc", "/models/..%2f..%2fetc/v1", "/models/%00/v1", "/models/%ff%fe/v1", "/models/CON",
        "/models/" + "x" * 300, "/models/bright/v0", "/models/bright/v-1", "/models/bright/v1e3",
        "/models/bright/v999999999999", "/models/brіght", "/models/bright/v1/extra", "/models/", "/etc/passwd",
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_hostile_paths_are_not_found(client, path, method):
    answer = client.open(path, method=method)
    assert answer.status_code in (404, 405)
    assert answer.json.keys() == {"error", "code", "hint", "request_id"}
    assert len(answer.text) < 1500


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", URL, {"GET", "POST"}),
        ("PUT", "/models", {"GET"}),
        ("POST", "/healthz", {"GET"}),
        ("TRACE", URL, {"GET"}),
    ],
)
def test_a_method_that_the_route_does_not_take(client, method, path, allowed):
    answer = client.open(path, method=method)
    assert method in refused(answer, 405, "method_not_allowed")
    assert allowed <= set(answer.headers["Allow"].split(", "))
    assert answer.headers["Allow"].split(", ") == sorted(answer.headers["Allow"].split(", "))


@pytest.mark.parametrize("kind", ["text/plain", "text/html", "application/x-www-form-urlencoded", None])
def test_a_content_type_that_is_not_read(client, kind):
    body = PNG if kind else b"no image"
    text = refused(client.post(URL, data=body, content_type=kind), 415, "unsupported_media_type")
    assert "image/png" in text
    assert ("-H" in text) == (kind == "application/x-www-form-urlencoded")


def test_a_body_over_its_limit(client):
    answer = client.post(URL, data=bytes(2 * 1024 * 1024 + 1), content_type="image/png")
    text = refused(answer, 413, "too_large")
    assert "2097153 bytes" in text
    assert "body_bytes=2097152" in text


# Werkzeug leaves the parts of a form that it gives up for the garbage collector to close.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_too_many_parts_of_a_form(client):
    def form(parts):
        return {"image": [(io.BytesIO(PNG), "x.png") for _ in range(parts)]}

    assert "257 images; the limit is batch=256" in refused(client.post(URL, data=form(257)), 413, "too_large")
    assert "264 parts; the limit is batch=256" in refused(client.post(URL, data=form(400)), 413, "too_large")


def test_a_bomb(client):
    import struct
    import zlib

    header = struct.pack(">IIBBBBB", 9000, 9000, 1, 0, 0, 0, 0)
    body = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + header
    body += struct.pack(">I", zlib.crc32(b"IHDR" + header)) + struct.pack(">I", 0) + b"IDAT\x35\xaf\x06\x1e"
    assert "9000×9000" in refused(client.post(URL, data=body, content_type="image/png"), 413, "too_large")


@pytest.mark.parametrize(
    ("kind", "body", "code"),
    [
        ("image/png", b"", "bad_image"),
        ("image/png", b"<svg/>", "bad_image"),
        ("image/jpeg", PNG[:40], "bad_image"),
        ("application/json", b"", "bad_request"),
        ("application/json", b'{"image": [[1, 2], [3]]}', "wrong_shape"),
        ("application/json", b'{"image": [[1, 2], [3, 4]]}', "wrong_shape"),
        ("application/json", b'{"image": ' + b"[" * 10**5, "bad_request"),
        ("application/x-npy", b"\x93NUMPY", "bad_request"),
        ("multipart/form-data", b"", "bad_request"),
        ("multipart/form-data; boundary=" + "x" * 90, b"--", "bad_request"),
        ("multipart/form-data; boundary=x", TEXT_FIELD, "bad_image"),
    ],
)  # fmt: skip
def test_bodies_that_make_no_sense(client, kind, body, code):
    refused(client.post(URL, data=body, content_type=kind), 400, code)


def test_a_body_shorter_than_declared(client):
    declared = {"CONTENT_LENGTH": str(len(PNG) + 5)}
    answer = client.post(URL, data=PNG, content_type="image/png", environ_overrides=declared)
    assert answer.status_code == 400
    assert answer.json["code"] == "bad_request"


def test_too_many_headers(client):
    headers = {f"X-{number}": "x" for number in range(150)}
    assert "headers=100" in refused(client.get("/models", headers=headers), 413, "too_many_headers")


def test_no_host(client):
    answer = client.get("/models", environ_overrides={"HTTP_HOST": "", "SERVER_PROTOCOL": "HTTP/1.1"})
    assert "Host" in refused(answer, 400, "bad_request")


def test_limits_are_settings(bright, images):
    client = create_app(bright, limits=Limits(body_bytes=900, image_side=10, batch=1)).test_client()
    assert "image_side=10" in refused(client.post(URL, data=PNG, content_type="image/png"), 413, "too_large")
    assert "body_bytes=900" in refused(client.post(URL, data=bytes(901), content_type="image/png"), 413, "too_large")


@pytest.mark.parametrize("wanted", ["my-id.1", "x" * 64])
def test_a_request_id_is_sent_back(client, wanted):
    assert client.get("/models", headers={"X-Request-Id": wanted}).headers["X-Request-Id"] == wanted


@pytest.mark.parametrize("wanted", ["", "x" * 65, "a b", "<script>", "é"])
def test_a_request_id_that_is_none_is_replaced(client, wanted):
    answer = client.get("/models", headers={"X-Request-Id": wanted})
    assert answer.headers["X-Request-Id"] not in ("", wanted)


def test_a_trace_is_passed_on(client):
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert client.get("/models", headers={"traceparent": trace}).headers["traceparent"] == trace
    assert "traceparent" not in client.get("/models").headers
    assert "traceparent" not in client.get("/models", headers={"traceparent": "x" * 500}).headers


def test_answers_cannot_be_taken_for_something_else(client):
    assert client.get("/models").headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("wrong", ["raises", "too few columns"])
def test_a_model_that_fails_is_a_500_without_its_secrets(wrong, caplog):
    def fail(inputs):
        if wrong == "raises":
            raise RuntimeError("secret /home/path")
        return np.zeros((len(inputs), 0))

    predictor = Predictor("bad", 1, InputSpec(shape=(1,)), ("a",), PythonEngine(fail))
    answer = create_app(predictor).test_client().post("/models/bad", json={"image": [1]})
    code = "internal" if wrong == "raises" else "invalid_output"
    assert "secret" not in refused(answer, 500, code)
    assert wrong != "raises" or any(record.exc_info for record in caplog.records)


KINDS = [
    "image/png",
    "image/jpeg",
    "application/json",
    "application/x-npy",
    "multipart/form-data; boundary=b",
    "",
    "x/y",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["image", "images", "x"]), inner),
    max_leaves=12,
)
BODIES = st.one_of(
    st.binary(max_size=200),
    JSON.map(lambda value: json.dumps(value).encode()),
    JSON.map(lambda value: json.dumps({"image": value}).encode()),
    JSON.map(lambda value: json.dumps({"images": [value]}).encode()),
    st.binary(max_size=60).map(lambda tail: PNG[:50] + tail),
    st.binary(max_size=60).map(lambda tail: b"\x93NUMPY\x01\x00" + tail),
    st.binary(max_size=60).map(
        lambda data: (
            b'--b\r\nContent-Disposition: form-data; name="image"; filename="x"\r\n\r\n' + data + b"\r\n--b--\r\n"
        )
    ),
)


@settings(max_examples=300, deadline=None)
@given(kind=st.sampled_from(KINDS), body=BODIES, name=st.sampled_from(["bright", "digits"]))
def test_no_body_makes_the_server_fail(app, kind, body, name):
    answer = app.test_client().post(f"/models/{name}/v1", data=body, content_type=kind)
    assert answer.status_code < 500, answer.text
    assert answer.is_json
    assert "Traceback" not in answer.text
    if answer.status_code != 200:
        assert answer.json.keys() == {"error", "code", "hint", "request_id"}


def test_uploads_are_never_written_to_a_disk(bright, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    for name in ("TemporaryFile", "SpooledTemporaryFile", "NamedTemporaryFile", "mkstemp"):
        monkeypatch.setattr(tempfile, name, full)
        monkeypatch.setattr(formparser, name, full, raising=False)
    client = create_app(bright).test_client()
    part = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n%b\r\n--x--\r\n'
    kind = "multipart/form-data; boundary=x"
    large, larger = part % (PNG + bytes(1_000_000)), part % (PNG + bytes(3_000_000))
    assert client.post("/models/bright", data=large, content_type=kind).status_code == 200
    assert client.post("/models/bright", data=larger, content_type=kind).status_code == 413


@pytest.mark.parametrize("path", ["/models/bright", "/v1/models/bright:predict"])
def test_a_full_disk_is_answered_with_507(bright, path):
    def write(event):
        raise OSError(errno.ENOSPC, "No space left on device")

    client = create_app(bright, on_prediction=write).test_client()
    key, shape = ("instances", (1, 28, 28, 1)) if "predict" in path else ("images", (1, 28, 28))
    body = {key: np.zeros(shape).tolist()}
    answer = client.post(path, json=body)
    assert refused(answer, 507, "storage_full")
    assert answer.headers["Retry-After"] == "1"
