"""What a browser must be told before a page of another site may ask, and read the answer: on both roads."""

import numpy as np
import pytest
from test_roads import V1, by_flask, comparable, on_the_loop

from mlops_lab.errors import WrongUsage
from mlops_lab.image import encode_png
from mlops_lab.serve import Limits, create_app
from mlops_lab.serve.rest.cors import parse_origins

PNG = encode_png(np.full((28, 28), 99, np.uint8))
PAGE, OTHER = "http://localhost:3000", "https://example.org"
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
ROADS = pytest.mark.parametrize("road", [on_the_loop, by_flask])


def allowed(headers):
    fields = {name.lower(): value for name, value in dict(headers).items()}
    return fields.get("access-control-allow-origin"), fields.get("vary")


@ROADS
def test_without_the_option_no_page_is_told_anything(bright, road):
    app = create_app(bright)
    status, headers, _ = road(app, V1, "image/png", PNG, {"Origin": PAGE})
    assert status == 200 and allowed(headers) == (None, None)
    answer = app.test_client().options(V1, headers={"Origin": PAGE, **PREFLIGHT})
    assert allowed(answer.headers) == (None, None)


@ROADS
@pytest.mark.parametrize(
    ("origins", "origin", "told"),
    [
        ([PAGE], PAGE, (PAGE, "Origin")),
        ([PAGE], OTHER, (None, "Origin")),
        ([PAGE], "http://localhost:3000.example.org", (None, "Origin")),
        ([PAGE], "null", (None, "Origin")),
        ([PAGE], "", (None, "Origin")),
        ([PAGE, OTHER], OTHER, (OTHER, "Origin")),
        (["*"], OTHER, ("*", None)),
        ("*", "", ("*", None)),
    ],
)
@pytest.mark.parametrize("body", [PNG, b"no image"])
def test_a_page_of_an_allowed_origin_may_read_answers_and_errors(bright, road, origins, origin, told, body):
    app = create_app(bright, cors_origins=origins)
    status, headers, _ = road(app, V1, "image/png", body, {"Origin": origin} if origin else {})
    assert status == (200 if body == PNG else 400)
    assert allowed(headers) == told
    assert "access-control-allow-credentials" not in dict(headers)


@pytest.mark.parametrize(
    "path", [V1, "/models/nobody/v1", "/nowhere", "/v1/models/bright:predict", "/models/bright/v1?x"]
)
@pytest.mark.parametrize("origin", [PAGE, OTHER])
def test_both_roads_tell_a_page_the_same(bright, path, origin):
    app = create_app(bright, cors_origins=[PAGE])
    first, second = (
        comparable(road(app, path, "image/png", PNG, {"Origin": origin}), "") for road in (on_the_loop, by_flask)
    )
    assert first == second


def test_the_command_passes_its_option_on(shared_models):
    from mlops_lab.serve.command import Settings, build

    for origins in ((), (PAGE,)):
        app, state = build(Settings(str(shared_models.root), cors_origins=origins), print)
        assert state.allowed_origins == set(origins)
        told = allowed(app.test_client().get("/models", headers={"Origin": PAGE}).headers)[0]
        assert told == (PAGE if origins else None)


@pytest.mark.parametrize(
    "path", [V1, "/models", "/v1/models/bright:predict", "/v2/models/bright/infer", "/chains/number", "/nowhere"]
)
def test_a_preflight_request_is_answered_for_every_path_and_needs_no_key(bright, path):
    app = create_app(bright, cors_origins=[PAGE], api_keys=["sesame"])
    client = app.test_client()
    answer = client.options(path, headers={"Origin": PAGE, **PREFLIGHT})
    assert (answer.status_code, answer.data) == (204, b"")
    assert allowed(answer.headers) == (PAGE, "Origin")
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    names = answer.headers["Access-Control-Allow-Headers"].lower().split(", ")
    assert {"content-type", "x-api-key", "authorization", "inference-header-content-length"} <= set(names)
    refused = client.options(path, headers={"Origin": OTHER, **PREFLIGHT})
    assert allowed(refused.headers)[0] is None and "Access-Control-Allow-Methods" not in refused.headers


def test_the_keys_are_still_asked_for(bright):
    app = create_app(bright, cors_origins=[PAGE], api_keys=["sesame"])
    for road in (on_the_loop, by_flask):
        status, headers, _ = road(app, V1, "image/png", PNG, {"Origin": PAGE})
        assert (status, allowed(headers)[0]) == (401, PAGE)


def test_a_page_may_read_what_was_refused_before_the_application(bright):
    app = create_app(bright, cors_origins=[PAGE], limits=Limits(body_bytes=1000))
    for kind in ("image/png", "image/jpg"):
        status, headers, _ = on_the_loop(app, V1, kind, bytes(1001), {"Origin": PAGE})
        assert (status, allowed(headers)[0]) == (413, PAGE)
    hooked = create_app(bright, cors_origins=[PAGE])
    hooked.before_request(lambda: None)  # Flask answers alone
    status, headers, _ = on_the_loop(hooked, V1, "image/png", PNG, {"Origin": PAGE})
    assert (status, allowed(headers)[0]) == (200, PAGE)


def test_a_page_may_read_that_every_thread_is_taken(bright, monkeypatch):
    from mlops_lab.errors import Unavailable
    from mlops_lab.serve.http.dispatcher import Dispatcher

    def full(self):
        raise Unavailable("Every thread is taken.", "Try again.")

    monkeypatch.setattr(Dispatcher, "check", full)
    for origins, told in (([PAGE], PAGE), ([], None)):
        app = create_app(bright, cors_origins=origins)
        status, headers, _ = on_the_loop(app, V1, "image/jpg", PNG, {"Origin": PAGE})
        assert (status, allowed(headers)[0]) == (503, told)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("http://localhost:3000/", PAGE), (" HTTP://LOCALHOST:3000 ", PAGE), ("https://example.org:443", OTHER),
        ("http://example.org:80", "http://example.org"), ("http://[::1]:3000", "http://[::1]:3000"), ("*", "*"),
        ("capacitor://localhost", "capacitor://localhost"), ("chrome-extension://abcd", "chrome-extension://abcd"),
    ],
)  # fmt: skip
def test_an_origin_as_people_write_it(written, meant):
    assert parse_origins([written]) == parse_origins(written) == {meant}


@pytest.mark.parametrize(
    "written",
    ["localhost:3000", "localhost", "http://", "http://x/page", "http://*.example.org", "http://u@x", "", "null"],
)
def test_what_is_no_origin_is_told(bright, written):
    with pytest.raises(WrongUsage, match="is not an origin"):
        create_app(bright, cors_origins=[written])
