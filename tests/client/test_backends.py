"""The same client against TensorFlow Serving's interface: ours with nothing else in sight, and its answers by hand."""

import json
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from flask import Flask, Response, request
from werkzeug.wrappers import Response as Answer

from mlops_lab import data, serve
from mlops_lab.client import Client
from mlops_lab.client.backends import model_path
from mlops_lab.client.signatures import read_signature
from mlops_lab.errors import BadRequest, NotFound, ServerError, TooLarge, UnknownModel, UnknownVersion, WrongShape
from mlops_lab.image import encode_png
from mlops_lab.serve import create_app

ROOT = Path(__file__).parents[2]


def only_v1(app):
    """Hide whatever TensorFlow Serving has not: its HTTP layer answers 404 there, and not in JSON."""

    def narrow(environ, start_response):
        path = environ["PATH_INFO"]
        return (app if path.startswith("/v1/") else Answer("Not Found", 404))(environ, start_response)

    return narrow


@pytest.fixture
def whole(models, bright):
    models.promote("digits", 1, "production")
    return create_app(models)


@pytest.fixture
def ours(whole):
    with serve.start(whole, name="whole") as server:
        yield server.url


@pytest.fixture
def theirs(models):
    """The same registry behind a server that has `/v1` alone."""
    app = create_app(models)
    app.wsgi_app = only_v1(app.wsgi_app)
    with serve.start(app, name="narrow") as server:
        yield server.url


def asked(client, images, tmp_path):
    """What a notebook does with a client, whoever answers."""
    path = tmp_path / "x.png"
    path.write_bytes(encode_png(images[0]))
    versions = ("v1", 1, "1", "latest", "production")
    forms = (
        images[0],
        images[0][..., None],
        path,
        path.read_bytes(),
        images,
        list(images),
        [path, images[1]],
    )
    answers = [client.classify("digits", version, form) for version in versions for form in forms]
    return [
        (item.label, item.class_index, item.labels, item.image.tolist(), item.probabilities, answer.response["version"])
        for answer in answers
        for item in answer
    ]


def test_changing_the_address_changes_nothing(ours, theirs, models, digits, tmp_path):
    images = digits.test.images[:4].astype(np.uint8)
    first = asked(Client(ours), images, tmp_path)
    second = asked(Client(theirs, models=models.root), images, tmp_path)
    assert len(first) == len(second) == 5 * 14
    for one, other in zip(first, second, strict=True):
        assert one[:4] + one[5:] == other[:4] + other[5:]
        assert one[4] == pytest.approx(other[4], abs=1e-6)


def test_the_same_lines_of_a_notebook():
    images = data.load("fashion-mnist").test.images[:200]
    narrow = create_app(ROOT / "models")
    narrow.wsgi_app = only_v1(narrow.wsgi_app)
    found = []
    for app, name in ((create_app(ROOT / "models"), "whole"), (narrow, "narrow")):
        with serve.start(app, name=name) as server:
            client = Client(server.url, models=ROOT / "models")
            found.append([one.class_index for one in client.classify("clothes", "v1", images)])
    assert found[0] == found[1]
    assert len(set(found[0])) == 10


def test_models_and_info_come_from_the_store(ours, theirs, models):
    client = Client(theirs, models=models)
    assert client.models() == Client(ours).models()
    assert client.info("digits", "v1")["number_of_parameters"] == Client(ours).info("digits")["number_of_parameters"]


def test_without_the_store_the_signature_tells(theirs, digits):
    client = Client(theirs)
    assert client.info("digits")["input"]["shape"] == [64]
    with pytest.raises(NotFound, match="does not list its models") as caught:
        client.models()
    assert "models='models'" in caught.value.hint


def test_the_request_is_of_the_version_that_was_looked_up(theirs, models, digits):
    answer = Client(theirs, models=models).classify("digits", "latest", digits.test.images[0])
    assert answer.request == "POST /v1/models/digits/versions/1:predict"
    assert answer.response["model"] == "digits" and answer.response["predictions"][0]["label"] == answer[0].label
    assert "versions/1:predict → 200" in answer._repr_html_()


def test_errors_are_those_of_our_own_routes(theirs, models, digits):
    client, image = Client(theirs, models=models), digits.test.images[0]
    wrong = {
        UnknownModel: lambda: client.classify("digts", "latest", image),
        UnknownVersion: lambda: client.classify("digits", "v9", image),
        WrongShape: lambda: client.classify("digits", "v1", np.zeros((2, 5, 5), np.uint8)),
        TooLarge: lambda: client.classify("digits", "v1", np.zeros((300, 8, 8), np.uint8)),
    }
    for kind, ask in wrong.items():
        with pytest.raises(kind) as caught:
            ask()
        assert caught.value.hint
    with pytest.raises(UnknownVersion, match="Unrecognized servable version label: stagin"):
        client.classify("digits", "stagin", image)


# What TensorFlow Serving answers, written down from its sources: no code words, no hints, and metadata nested twice.
SIDES = [{"size": side, "name": ""} for side in ("-1", "28", "28", "1")]
INPUT = {"dtype": "DT_FLOAT", "tensor_shape": {"dim": SIDES, "unknown_rank": False}, "name": "serving_default_x:0"}
OUTPUT = {
    "dtype": "DT_FLOAT",
    "tensor_shape": {"dim": [{"size": "-1", "name": ""}, {"size": "2", "name": ""}], "unknown_rank": False},
    "name": "StatefulPartitionedCall:0",
}
SIGNATURE = {
    "inputs": {"x": INPUT},
    "outputs": {"output_0": OUTPUT},
    "method_name": "tensorflow/serving/predict",
    "defaults": {},
}
METADATA = {
    "model_spec": {"name": "clothes", "signature_name": "", "version": "7"},
    "metadata": {"signature_def": {"signature_def": {"serving_default": SIGNATURE, "__saved_model_init_op": {}}}},
}
STATUS = {
    "model_version_status": [
        {"version": "7", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}},
        {"version": "6", "state": "END", "status": {"error_code": "OK", "error_message": ""}},
    ]
}
PLACES = {
    "GET /v1/models": (400, {"error": "Missing model name in request."}),
    "GET /v1/models/clothes": (200, STATUS),
    "GET /v1/models/clothes/metadata": (200, METADATA),
    "GET /v1/models/clothes/versions/7/metadata": (200, METADATA),
    "GET /v1/models/clothes/labels/stable/metadata": (200, METADATA),
    "GET /v1/models/clothes/labels/odd/metadata": (400, {"error": "Unrecognized servable version label: odd"}),
    "GET /v1/models/clothes/versions/9/metadata": (
        404,
        {"error": "Servable not found for request: Specific(clothes, 9)"},
    ),
    "GET /v1/models/nope/metadata": (404, {"error": "Servable not found for request: Latest(nope)"}),
    "POST /v1/models/clothes/versions/7:predict": (200, {"predictions": [[0.25, 0.75], [0.75, 0.25]]}),
}


@pytest.fixture
def recorded():
    """A server that gives the answers written down, and the bodies that it was sent."""
    app, bodies, places = Flask("recorded"), [], dict(PLACES)

    @app.route("/<path:path>", methods=["GET", "POST"])
    def answer(path):
        status, message = places.get(f"{request.method} {request.path}", (404, None))
        if request.method == "POST" and message:
            bodies.append(request.get_json())
        return Response(json.dumps(message, indent=4) if message else "", status, content_type="application/json")

    with serve.start(app, name="recorded") as server:
        yield server.url, places, bodies


def test_answers_written_down(recorded):
    url, _, bodies = recorded
    images = np.stack([np.zeros((28, 28), np.uint8), np.full((28, 28), 51, np.uint8)])
    for version in (7, "v7", "latest", "stable"):
        answer = Client(url, labels=("dark", "bright")).classify("clothes", version, images)
        assert [(item.label, item.confidence) for item in answer] == [("bright", 0.75), ("dark", 0.75)]
        assert (answer[0].labels, answer.response["version"]) == (("dark", "bright"), "v7")
        assert np.shape(bodies[-1]["instances"]) == (2, 28, 28, 1)
        assert bodies[-1].keys() == {"instances"}
        assert bodies[-1]["instances"][1][0][0] == [pytest.approx(0.2)]


def test_classes_without_names_are_numbers(recorded):
    answer = Client(recorded[0]).classify("clothes", 7, np.zeros((2, 28, 28), np.uint8))
    assert [item.label for item in answer] == ["1", "0"]
    assert [item.labels for item in answer] == [("0", "1")] * 2


def test_too_few_labels(recorded):
    with pytest.raises(WrongShape, match="2 numbers for an image; there are 1 labels"):
        Client(recorded[0], labels=["dark"]).classify("clothes", 7, np.zeros((2, 28, 28), np.uint8))


def test_their_errors(recorded):
    client, image = Client(recorded[0]), np.zeros((28, 28), np.uint8)
    with pytest.raises(UnknownModel, match=r"Latest\(nope\)") as caught:
        client.classify("nope", "latest", image)
    assert "--lint" in caught.value.hint
    with pytest.raises(UnknownVersion, match=r"Specific\(clothes, 9\)") as caught:
        client.classify("clothes", 9, image)
    assert "'v7'" in caught.value.hint and "v6" not in caught.value.hint
    with pytest.raises(UnknownVersion, match="label: odd"):
        client.classify("clothes", "odd", image)


def test_another_refusal_stays_one(recorded):
    url, places, _ = recorded
    places["GET /v1/models/clothes/metadata"] = (400, {"error": "Malformed request"})
    with pytest.raises(BadRequest, match="Malformed"):
        Client(url).info("clothes")


@pytest.mark.parametrize("message", [{"predictions": [{"a": [1], "b": [2]}]}, {"predictions": []}, {"predictions": 3}])
def test_answers_that_are_no_rows(recorded, message):
    url, places, _ = recorded
    places["POST /v1/models/clothes/versions/7:predict"] = (200, message)
    with pytest.raises(ServerError, match="not a row of numbers"):
        Client(url).classify("clothes", 7, np.zeros((28, 28), np.uint8))


def test_metadata_without_a_signature(recorded):
    url, places, _ = recorded
    places["GET /v1/models/clothes/metadata"] = (200, {"model_spec": {"version": "7"}, "metadata": {}})
    with pytest.raises(ServerError, match="no signature 'serving_default'"):
        Client(url).info("clothes")


def test_a_store_of_something_else_is_noticed(recorded, models):
    url, places, _ = recorded
    spec = {**METADATA["model_spec"], "name": "digits", "version": "1"}
    places["GET /v1/models/digits/metadata"] = (200, {**METADATA, "model_spec": spec})
    with pytest.raises(WrongShape, match=r"takes \(28, 28, 1\) at the server and \(64,\) in the store"):
        Client(url, models=models).info("digits")


def test_what_is_not_in_the_store_is_read_from_the_signature(recorded, models):
    assert Client(recorded[0], models=models).info("clothes")["input"]["preprocessing"]["size"] == [28, 28]


@pytest.mark.parametrize(
    ("shape", "size", "mode"),
    [((28, 28, 1), (28, 28), "grey"), ((8, 9), (8, 9), "grey"), ((4, 5, 3), (4, 5), "rgb"), ((64,), None, "grey")],
)
def test_signatures(shape, size, mode):
    dims = [{"size": str(side)} for side in (-1, *shape)]
    spec = read_signature("m", {"inputs": {"x": {"dtype": "DT_DOUBLE", "tensor_shape": {"dim": dims}}}})
    assert (spec.shape, spec.size, spec.mode, spec.name, spec.dtype) == (shape, size, mode, "x", "float64")


@pytest.mark.parametrize(
    "inputs",
    [
        {},
        {"a": INPUT, "b": INPUT},
        {"a": {**INPUT, "dtype": "DT_STRING"}},
        {"a": {"dtype": "DT_FLOAT", "tensor_shape": {"dim": [{"size": "-1"}] * 4}}},
        {"a": {"dtype": "DT_FLOAT", "tensor_shape": {"unknown_rank": True}}},
    ],
)
def test_signatures_that_the_client_cannot_fill(inputs):
    with pytest.raises(WrongShape, match="The model 'm' takes"):
        read_signature("m", {"inputs": inputs})


def test_names_are_quoted():
    assert model_path("a b/c", "x:y") == "/v1/models/a%20b%2Fc/labels/x%3Ay"


def test_the_number_of_classes_may_be_left_open(recorded):
    url, places, _ = recorded
    open_ended = {**SIGNATURE, "outputs": {"output_0": {"dtype": "DT_FLOAT", "tensor_shape": {"unknown_rank": True}}}}
    metadata = {"signature_def": {"signature_def": {"serving_default": open_ended}}}
    places["GET /v1/models/clothes/versions/7/metadata"] = (200, {**METADATA, "metadata": metadata})
    answer = Client(url).classify("clothes", 7, np.zeros((2, 28, 28), np.uint8))
    assert [item.label for item in answer] == ["1", "0"]


def test_a_version_is_looked_up_once_and_an_alias_each_time(theirs, models, digits, monkeypatch):
    client, asked_for = Client(theirs, models=models), []
    send = client._send
    monkeypatch.setattr(client, "_send", lambda *words, **options: asked_for.append(words) or send(*words, **options))
    for version in ("v1", "v1", "production", "production"):
        with pytest.raises(UnknownVersion) if version == "production" else nullcontext():
            client.classify("digits", version, digits.test.images[0].astype(np.uint8))
    paths = [path for _, path in asked_for]
    assert paths.count("/v1/models/digits/versions/1/metadata") == 1
    assert paths.count("/v1/models/digits/labels/production/metadata") == 2
    assert paths.count("/models/digits/v1") == paths.count("/v1/models") == 1


def test_our_own_server_is_asked_nothing_more(ours, digits, monkeypatch):
    client, asked_for = Client(ours), []
    send = client._send
    monkeypatch.setattr(client, "_send", lambda *words, **options: asked_for.append(words) or send(*words, **options))
    client.classify("digits", "v1", digits.test.images[0].astype(np.uint8))
    assert asked_for == [("POST", "/models/digits/v1"), ("GET", "/models/digits/v1")]


@pytest.mark.parametrize("ask", [Client.models, lambda client: client.info("clothes")])
def test_a_web_server_is_neither(ask):
    with serve.start(Flask("web"), name="web") as server, pytest.raises(ServerError, match="was answered 404"):
        ask(Client(server))
