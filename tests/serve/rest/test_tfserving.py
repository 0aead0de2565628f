"""The shapes and codes are those of TensorFlow Serving's own sources."""

import gzip
import json
import shutil
import time
from dataclasses import replace

import numpy as np
import pytest
from hostile_bodies import bodies

from mlops_lab.engines.python import PythonEngine
from mlops_lab.image import InputSpec
from mlops_lab.serve import Limits, create_app
from mlops_lab.serve.core.inference import Batch, InferenceService
from mlops_lab.serve.core.registry import Registry
from mlops_lab.serve.core.timing import RequestContext
from mlops_lab.serve.rest import tfserving
from mlops_lab.store import ModelStore
from mlops_lab.store.routing import TrafficSettings

HALF = np.full((28, 28, 1), 0.5).tolist()
ONE = np.ones((28, 28, 1)).tolist()
DARK = np.zeros((28, 28, 1)).tolist()
BRIGHT = "/v1/models/bright"


def post(client, path, message):
    return client.post(path, json=message)


@pytest.fixture
def small(bright):
    """The bright model for images of 2×2 pixels: what is hostile about a body is not its length."""
    return replace(bright, name="small", input=InputSpec(shape=(2, 2, 1), size=(2, 2)))


@pytest.fixture
def registry(bright):
    """The bright model with an alias, and a second version that could not be loaded."""
    registry = Registry.of([bright])
    entry = registry.entry("bright")
    entry.aliases = {"production": 1, "broken": 2}
    entry.failed = {2: "The file is damaged."}
    entry.index()
    return registry


@pytest.fixture
def labelled(registry):
    return create_app(registry).test_client()


def test_rows_answer_predictions_in_order(client):
    answer = post(client, f"{BRIGHT}:predict", {"instances": [HALF, ONE]})
    assert answer.status_code == 200 and answer.mimetype == "application/json"
    assert answer.json == {"predictions": [[0.5, 0.5], [0.0, 1.0]]}


def test_a_first_load_does_not_count_against_the_deadline(models, monkeypatch):
    registry = Registry.of(models)
    tensor = np.zeros((1, *registry.get("digits").input.shape), np.float32)
    load = ModelStore.load
    monkeypatch.setattr(ModelStore, "load", lambda *args: time.sleep(0.3) or load(*args))
    service = InferenceService.over(registry)
    entry = registry.entry("digits")
    entry.available.add(1)
    entry.loaded.clear()
    entry.index()
    context = RequestContext.begin()
    tfserving.infer(service, "digits", "1", "", lambda _: Batch(tensor=tensor), context)
    assert context.stages["queue"] < 0.2


def test_rows_may_name_the_input(client):
    assert post(client, f"{BRIGHT}:predict", {"instances": [{"image": ONE}]}).json == {"predictions": [[0.0, 1.0]]}


def test_an_empty_signature_is_the_default(client):
    answer = post(client, f"{BRIGHT}:predict", {"instances": [ONE], "signature_name": ""})
    assert answer.json == {"predictions": [[0.0, 1.0]]}


@pytest.mark.parametrize("inputs", [[ONE], {"image": [ONE]}, {"image": [ONE], "ignored": 1}])
def test_columns_answer_outputs(client, inputs):
    assert post(client, f"{BRIGHT}:predict", {"inputs": inputs}).json == {"outputs": [[0.0, 1.0]]}


def test_an_answer_keeps_every_bit(client, app, digits):
    tensors = digits.test.images[:5].reshape(5, 64) * np.float32(16 / 255)
    answer = post(client, "/v1/models/digits:predict", {"instances": tensors.tolist()}).json["predictions"]
    direct = app.extensions["mlops_lab"].registry.get("digits").infer(tensors)
    assert np.array_equal(np.array(answer, np.float32), direct)


def test_images_and_tensors_get_the_same_answer(client, digits):
    images = digits.test.images[:5]
    tensors = (images * np.float32(16 / 255)).reshape(5, 64)
    asked = client.post("/models/digits/v1", json={"images": images.tolist()}).json["predictions"]
    answer = post(client, "/v1/models/digits:predict", {"instances": tensors.tolist()}).json["predictions"]
    assert np.allclose(answer, [item["probabilities"] for item in asked], atol=1e-6)


@pytest.mark.parametrize("place", ["/versions/1", "/versions/0001", "/labels/production"])
def test_a_version_is_found_by_number_and_label(labelled, place):
    assert post(labelled, f"{BRIGHT}{place}:predict", {"instances": [ONE]}).status_code == 200


@pytest.mark.parametrize("encoding, pack", [("gzip", gzip.compress), ("identity", bytes)])
def test_a_body_may_come_packed_and_of_any_content_type(client, encoding, pack):
    body = pack(json.dumps({"instances": [ONE]}).encode())
    headers = {"Content-Encoding": encoding, "Content-Type": "text/plain"}
    assert client.post(f"{BRIGHT}:predict", data=body, headers=headers).status_code == 200


def test_a_packed_body_is_not_unpacked_beyond_the_limit(bright):
    client = create_app([bright], limits=Limits(body_bytes=20_000)).test_client()
    bomb = gzip.compress(b" " * 5_000_000)
    answer = client.post(f"{BRIGHT}:predict", data=bomb, headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 413 and "body_bytes=20000" in answer.json["error"]


@pytest.mark.parametrize(
    "message, text",
    [
        ({}, "Missing 'inputs' or 'instances' key"),
        ({"instances": [ONE], "inputs": [ONE]}, "Both"),
        ({"instances": []}, "'instances'"),
        ({"instances": ONE}, "(n, 28, 28, 1)"),
        ({"instances": 1}, "'instances'"),
        ({"instances": [HALF, ONE[:-1]]}, "Encountered list at unexpected size"),
        ({"instances": [{"image": ONE}, ONE]}, "inputs of the signature"),
        ({"instances": [{"image": ONE, "more": 1}]}, "inputs of the signature"),
        ({"instances": [{"b64": "AAAA"}]}, "inputs of the signature"),
        ({"instances": [np.full((28, 28, 1), "0.5").tolist()]}, "str"),
        ({"instances": [np.full((28, 28, 1), True).tolist()]}, "bool"),
        ({"instances": [np.full((28, 28, 1), None).tolist()]}, "NoneType"),
        ({"instances": [np.full((28, 28, 1), 1e300).tolist()]}, "too large"),
        ({"instances": [np.full((28, 28, 1), 10**400).tolist()]}, "too large"),
        ({"inputs": {"scan": [ONE]}}, "no 'image'"),
        ({"inputs": 0.5}, "batch is empty"),
        ({"inputs": []}, "batch is empty"),
        ({"instances": [ONE], "signature_name": 3}, "signature_name"),
        ({"instances": [ONE], "signature_name": "other"}, 'Serving signature name: "other" not found'),
        ({"instances": [[[[[[[[ONE]]]]]]]]}, "json_depth=8"),
    ],
)
def test_what_is_wrong_with_a_message_is_said(client, message, text):
    answer = post(client, f"{BRIGHT}:predict", message)
    assert answer.status_code == 400 and text in answer.json["error"], answer.json


@pytest.mark.parametrize("body", [b"", b"[1]", b"{", b'{"instances": [NaN]}', b'{"inputs": 1, "inputs": 2}', b"\xff"])
def test_what_is_not_json_is_refused(client, body):
    assert client.post(f"{BRIGHT}:predict", data=body).status_code == 400


def test_an_empty_body_is_said_to_be_empty(client):
    assert "JSON Parse error: The document is empty" in client.post(f"{BRIGHT}:predict").json["error"]


def test_a_batch_over_the_limit_is_refused_by_name(bright):
    client = create_app([bright], limits=Limits(batch=3)).test_client()
    answer = post(client, f"{BRIGHT}:predict", {"instances": [ONE] * 4})
    assert answer.status_code == 413 and "batch=3" in answer.json["error"]
    assert post(client, f"{BRIGHT}:predict", {"inputs": [ONE] * 4}).status_code == 413


def test_a_model_without_a_finite_answer_says_so(bright):
    engine = PythonEngine(lambda inputs: inputs * np.float32(2))
    client = create_app(replace(bright, name="rows", input=InputSpec((2,)), engine=engine)).test_client()
    answer = post(client, "/v1/models/rows:predict", {"instances": [[3e38, 0]]})
    assert answer.status_code == 400 and "no finite answer" in answer.json["error"]


@pytest.mark.parametrize(
    "method, path, status, error",
    [
        ("POST", "/v1/models/nope:predict", 404, "Servable not found for request: Latest(nope)"),
        ("POST", "/v1/models/bright/versions/7:predict", 404, "Servable not found for request: Specific(bright, 7)"),
        ("POST", "/v1/models/bright/labels/nope:predict", 400, "Unrecognized servable version label: nope"),
        ("POST", "/v1/models/nope/labels/x:predict", 400, "Unrecognized servable version label: x"),
        ("GET", "/v1/models/nope", 404, "Could not find any versions of model nope"),
        ("GET", "/v1/models/bright/versions/9", 404, "Could not find version 9 of model bright"),
        ("GET", "/v1/models/nope/metadata", 404, "Servable not found for request: Latest(nope)"),
        ("GET", "/v1/models", 400, "Missing model name in request."),
        ("GET", f"/v1/models/bright/versions/{2**63}", 400, f"Failed to convert version: {2**63} to numeric."),
        ("GET", "/v1/models/bright/versions/v1", 400, "Malformed request: GET /v1/models/bright/versions/v1"),
        ("GET", "/v1/models/bright:predict", 400, "Malformed request: GET /v1/models/bright:predict"),
        ("POST", "/v1/models/bright", 400, "Malformed request: POST /v1/models/bright"),
        ("PUT", "/v1/models/bright:predict", 400, "Malformed request: PUT /v1/models/bright:predict"),
        ("BREW", "/v1/coffee", 400, "Malformed request: BREW /v1/coffee"),
        ("GET", "/v1/", 400, "Malformed request: GET /v1/"),
        ("GET", "/v1//models", 400, "Malformed request: GET /v1//models"),
        ("GET", "/v1/models/bright/", 400, "Malformed request: GET /v1/models/bright/"),
        ("OPTIONS", "/v1/models/bright", 400, "Malformed request: OPTIONS /v1/models/bright"),
    ],
)
def test_errors_have_the_words_and_codes_of_tensorflow_serving(client, method, path, status, error):
    answer = client.open(path, method=method)
    assert (answer.status_code, answer.json["error"]) == (status, error)
    assert answer.json["hint"]


@pytest.mark.parametrize(
    "path, hint",
    [
        ("/v1/models", "GET /v1/models/NAME. There are: 'bright'."),
        ("/v1/models/brigt", "Did you mean 'bright'? There are: 'bright'."),
        ("/v1/models/bright/versions/7/metadata", "There are: '1'."),
        ("/v1/models/bright/labels/product/metadata", "Did you mean 'production'? There are: 'production'."),
    ],
)
def test_a_hint_beside_the_words_names_what_there_is(labelled, path, hint):
    assert labelled.get(path).json["hint"] == hint


def test_a_browser_may_ask_whether_it_may_ask(client):
    assert client.options(f"{BRIGHT}:predict", headers={"Origin": "http://localhost"}).status_code == 200


def test_a_label_whose_version_is_not_loaded_is_not_there_yet(labelled):
    assert post(labelled, f"{BRIGHT}/labels/broken:predict", {"instances": [ONE]}).status_code == 503


def test_what_has_ended_stays_listed(models, digits_run):
    models.publish(digits_run, "digits")
    registry = Registry.of(models)
    client = create_app(registry).test_client()
    path, done = "/v1/models/digits", {"error_code": "OK", "error_message": ""}
    shutil.rmtree(models.root / "digits/1")
    registry.refresh()
    ended = {"version": "1", "state": "END", "status": done}
    assert client.get(path).json["model_version_status"] == [
        {"version": "2", "state": "AVAILABLE", "status": done}, ended
    ]  # fmt: skip
    assert client.get(f"{path}/versions/1").json["model_version_status"] == [ended]
    assert client.get(f"{path}/versions/3").status_code == 404
    assert post(client, f"{path}/versions/1:predict", {}).status_code == 404
    shutil.rmtree(models.root / "digits")
    registry.refresh()
    assert [item["state"] for item in client.get(path).json["model_version_status"]] == ["END", "END"]


def test_status_tells_the_newest_first_and_why_one_failed(labelled):
    fine = {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    broken = {"error_code": "UNKNOWN", "error_message": "The file is damaged."}
    listed = [{"version": "2", "state": "END", "status": broken}, fine]
    assert labelled.get(BRIGHT).json == {"model_version_status": listed}
    assert labelled.get(f"{BRIGHT}/versions/1").json == {"model_version_status": [fine]}
    assert labelled.get(f"{BRIGHT}/labels/production").json == {"model_version_status": [fine]}


def test_metadata_describes_the_signature(client):
    answer = client.get(f"{BRIGHT}/metadata").json
    assert answer["model_spec"] == {"name": "bright", "signature_name": "", "version": "1"}
    signature = answer["metadata"]["signature_def"]["signature_def"]["serving_default"]
    shape = {"dim": [{"size": side, "name": ""} for side in ("-1", "28", "28", "1")], "unknown_rank": False}
    assert signature["method_name"] == "tensorflow/serving/predict"
    assert signature["inputs"] == {
        "image": {"dtype": "DT_FLOAT", "tensor_shape": shape, "name": "serving_default_image:0"}
    }
    assert list(signature["outputs"]) == ["probabilities"]


def test_classify_answers_label_and_score(client):
    examples = [{"image": [0.25] * 784}, {}]
    answer = post(client, f"{BRIGHT}:classify", {"examples": examples, "context": {"image": [1] * 784}})
    assert answer.json == {"results": [[["dark", 0.75], ["bright", 0.25]], [["dark", 0.0], ["bright", 1.0]]]}


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"examples": []},
        {"examples": [{}]},
        {"examples": [1]},
        {"examples": [{"image": [1] * 783}]},
        {"examples": [{"image": "x"}]},
        {"examples": [{"image": 1}]},
        {"examples": [{"image": [1] * 784}], "context": 3},
    ],
)
def test_bad_examples_are_refused(client, message):
    assert post(client, f"{BRIGHT}:classify", message).status_code == 400


def test_a_classifier_does_not_regress(client):
    answer = post(client, f"{BRIGHT}:regress", {"examples": [{"image": [1] * 784}]})
    assert answer.status_code == 400 and "regression signature" in answer.json["error"]


def test_whoever_watches_predictions_sees_images(bright):
    seen = []
    app = create_app([bright], on_prediction=seen.append)
    post(app.test_client(), f"{BRIGHT}:predict", {"instances": [HALF, ONE]})
    (event,) = seen
    assert event.predictor is bright and [item.label for item in event.predictions] == ["dark", "bright"]
    assert event.images.shape == (2, 28, 28) and event.images[:, 0, 0].tolist() == [128, 255]


def test_a_canary_and_a_shadow_have_their_part_in_tensors_too(bright):
    registry = Registry.of([bright, replace(bright, version=2)])
    entry = registry.entry("bright")
    entry.aliases = {"production": 1}
    entry.index()
    entry.traffic = TrafficSettings(canary=((2, 1),), production=1, shadow=1)
    app = create_app(registry)
    client, traffic = app.test_client(), app.extensions["mlops_lab"].service.router
    post(client, f"{BRIGHT}:predict", {"instances": [DARK, ONE]})
    inputs = [{"name": "image", "shape": [1, 28, 28, 1], "datatype": "FP32", "data": np.ravel(ONE).tolist()}]
    assert client.post("/v2/models/bright/infer", json={"inputs": inputs}).json["model_version"] == "2"
    assert client.post("/v2/models/bright/versions/1/infer", json={"inputs": inputs}).json["model_version"] == "1"
    assert traffic.settle()
    told = traffic.about("bright")
    assert (told["served"]["v2"]["requests"], told["shadowed"]["compared"]) == (2, 2)
    assert told["shadowed"]["agreement"] == 1.0


def test_hostile_bodies_never_break_the_server(small):
    client, half, one = create_app([small]).test_client(), [[[0.5]] * 2] * 2, [[[1.0]] * 2] * 2
    valid = [
        {"instances": [half, one], "signature_name": "serving_default"},
        {"instances": [{"image": one}]},
        {"inputs": {"image": [one]}},
        {"examples": [{"image": [0.5] * 4}], "context": {"image": [0.5] * 4}},
    ]
    statuses = set()
    for body in bodies(valid, 3000, seed=4):
        path = "/v1/models/small:classify" if b"examples" in body else "/v1/models/small:predict"
        answer = client.post(path, data=body)
        statuses.add(answer.status_code)
        assert answer.status_code in (200, 400, 413), (answer.status_code, body[:300])
        assert answer.status_code == 200 or isinstance(answer.json["error"], str)
    assert statuses == {200, 400, 413}
    assert post(client, "/v1/models/small:predict", {"instances": [one]}).json == {"predictions": [[0.0, 1.0]]}
