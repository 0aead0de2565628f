"""The shapes and codes are those of the protocol's text and of Triton's sources."""

import gzip
import json
import random
from dataclasses import replace

import numpy as np
import pytest
from hostile_bodies import bodies, mangle

from mlops_lab.image import InputSpec
from mlops_lab.predict import Predictor
from mlops_lab.serve import create_app
from mlops_lab.serve.codecs.tensors import pack
from mlops_lab.serve.core.registry import Registry

INFER = "/v2/models/bright/infer"
HEADER = "Inference-Header-Content-Length"
TENSORS = np.stack([np.full((28, 28, 1), level, np.float32) for level in (0.0, 0.25, 1.0)])
ANSWERS = [[1.0, 0.0], [0.75, 0.25], [0.0, 1.0]]


def question(tensors=TENSORS, datatype="FP32", **changes):
    """Return an inference request; what is ``None`` among the changes of its input is left out."""
    outer = {key: changes.pop(key) for key in ("id", "outputs", "parameters") if key in changes}
    entry = {"name": "image", "shape": list(tensors.shape), "datatype": datatype, "data": tensors.tolist()} | changes
    return {"inputs": [{key: value for key, value in entry.items() if value is not None}], **outer}


def ask(client, path=INFER, **changes):
    return client.post(path, json=question(**changes))


def binary(client, raw, *, path=INFER, declared=None, **changes):
    """Send a tensor as bytes after the JSON."""
    message = question(**changes)
    del message["inputs"][0]["data"]
    message["inputs"][0]["parameters"] = {"binary_data_size": len(raw) if declared is None else declared}
    text = json.dumps(message)
    return client.post(path, data=text.encode() + raw, headers={HEADER: str(len(text))})


def rows(answer):
    assert answer.status_code == 200, answer.text
    output = answer.json["outputs"][0]
    assert (output["name"], output["datatype"]) == ("probabilities", "FP32")
    return np.reshape(output["data"], output["shape"]).tolist()


@pytest.fixture
def chance():
    return random.Random(7)


@pytest.fixture
def small(bright):
    """The bright model for images of 2×2 pixels: what is hostile about a body is not its length."""
    return replace(bright, name="small", input=InputSpec(shape=(2, 2, 1), size=(2, 2)))


def test_server_says_what_it_is(client):
    answer = client.get("/v2").json
    assert answer["name"] == "mlops_lab" and "binary_tensor_data" in answer["extensions"]
    assert client.get("/v2/health/live").json == {"live": True}
    assert client.get("/v2/health/ready").json["ready"] is True
    assert client.get("/v2/models").json == {"models": ["bright", "digits"]}


def test_an_empty_server_is_alive_and_not_ready():
    client = create_app([]).test_client()
    assert client.get("/v2/health/live").status_code == 200
    assert client.get("/v2/health/ready").status_code == 400


@pytest.mark.parametrize("place", ["", "/versions/1", "/versions/v1"])
def test_metadata(client, place):
    assert client.get(f"/v2/models/bright{place}").json == {
        "name": "bright",
        "versions": ["1"],
        "platform": "python_callable",
        "inputs": [{"name": "image", "datatype": "FP32", "shape": [-1, 28, 28, 1]}],
        "outputs": [{"name": "probabilities", "datatype": "FP32", "shape": [-1, 2]}],
    }
    assert client.get(f"/v2/models/bright{place}/ready").json == {"name": "bright", "ready": True}


def test_a_published_model_says_what_made_it(client):
    assert client.get("/v2/models/digits").json["platform"] == "sklearn_skops"


@pytest.mark.parametrize("place", ["", "/versions/1", "/versions/v1"])
@pytest.mark.parametrize("data", [TENSORS.tolist(), TENSORS.ravel().tolist()], ids=["nested", "flat"])
def test_infer_takes_nested_and_flat_data(client, data, place):
    message = question()
    message["inputs"][0]["data"] = data
    answer = client.post(f"/v2/models/bright{place}/infer", json=message)
    assert rows(answer) == ANSWERS
    assert (answer.json["model_name"], answer.json["model_version"]) == ("bright", "1")
    assert "id" not in answer.json


def test_the_id_comes_back(client):
    assert ask(client, id="seven").json["id"] == "seven"


@pytest.mark.parametrize("datatype, code", [("FP16", "<f2"), ("FP32", "<f4"), ("FP64", "<f8")])
def test_binary_input_of_every_precision(client, datatype, code):
    assert rows(binary(client, TENSORS.astype(code).tobytes(), datatype=datatype)) == ANSWERS


def test_brain_floats_are_the_upper_half_of_a_float(client):
    halves = (TENSORS.view(np.uint32) >> 16).astype("<u2")
    assert rows(binary(client, halves.tobytes(), datatype="BF16")) == ANSWERS


@pytest.mark.parametrize(
    "outputs, everything, packed",
    [
        ([{"name": "probabilities", "parameters": {"binary_data": True}}], None, True),
        ([{"name": "probabilities", "parameters": {"binary_data": False}}], True, False),
        ([{"name": "probabilities"}], True, True),
        (None, True, True),
        ([], False, False),
    ],
)
def test_binary_output_where_it_is_asked_for(client, outputs, everything, packed):
    changes = {"parameters": {"binary_data_output": everything}} if everything is not None else {}
    answer = ask(client, **changes, **({"outputs": outputs} if outputs is not None else {}))
    if not packed:
        assert rows(answer) == ANSWERS
        return
    length = int(answer.headers[HEADER])
    entry = json.loads(answer.data[:length])["outputs"][0]
    assert answer.mimetype == "application/octet-stream"
    assert entry["parameters"] == {"binary_data_size": 24} and "data" not in entry
    assert np.frombuffer(answer.data[length:], "<f4").reshape(entry["shape"]).tolist() == ANSWERS


def test_a_raw_body_is_one_example_and_is_answered_in_bytes(client):
    answer = client.post(INFER, data=TENSORS[1].tobytes(), headers={HEADER: "0"})
    length = int(answer.headers[HEADER])
    assert np.frombuffer(answer.data[length:], "<f4").tolist() == ANSWERS[1]
    assert client.post(INFER, data=TENSORS.tobytes(), headers={HEADER: "0"}).status_code == 400


def test_the_best_classes_come_in_words(client):
    wanted = [{"name": "probabilities", "parameters": {"classification": 1}}]
    output = ask(client, outputs=wanted).json["outputs"][0]
    assert (output["datatype"], output["shape"]) == ("BYTES", [3, 1])
    assert output["data"] == ["1.000000:0:dark", "0.750000:0:dark", "1.000000:1:bright"]


def test_the_best_classes_in_bytes_have_their_lengths(client):
    wanted = [{"name": "probabilities", "parameters": {"classification": 9, "binary_data": True}}]
    answer = ask(client, tensors=TENSORS[1:2], outputs=wanted)
    assert answer.data[int(answer.headers[HEADER]) :] == pack([b"0.750000:0:dark", b"0.250000:1:bright"])


def test_a_packed_body_is_unpacked(client):
    body = gzip.compress(json.dumps(question()).encode())
    assert rows(client.post(INFER, data=body, headers={"Content-Encoding": "gzip"})) == ANSWERS


def test_a_model_of_numbers_takes_whole_numbers_too():
    class Sum:
        def predict(self, inputs):
            return inputs.sum(axis=1, keepdims=True)

    app = create_app([Predictor("sum", 1, InputSpec(shape=(3,), name="x"), (), Sum())])
    message = {"inputs": [{"name": "x", "shape": [1, 3], "datatype": "INT64", "data": [1, 2, 3]}]}
    output = app.test_client().post("/v2/models/sum/infer", json=message).json["outputs"][0]
    assert (output["data"], output["shape"]) == ([6.0], [1, 1])


@pytest.mark.parametrize(
    "changes, text",
    [
        ({"name": "scan"}, "takes the input 'image'"),
        ({"name": None}, "takes the input 'image'"),
        ({"datatype": "UINT8"}, "UINT8"),
        ({"datatype": "BYTES"}, "BYTES"),
        ({"datatype": None}, "datatype"),
        ({"shape": [3, 28, 28]}, "[3, 28, 28]"),
        ({"shape": [2, 28, 28, 1]}, "says shape"),
        ({"shape": [-1, 28, 28, 1]}, "[-1, 28, 28, 1]"),
        ({"shape": [0, 28, 28, 1]}, "empty"),
        ({"shape": [True, 28, 28, 1]}, "whole numbers"),
        ({"shape": "3"}, "whole numbers"),
        ({"shape": None}, "whole numbers"),
        ({"data": None}, "NoneType"),
        ({"data": ["1"] * 2352}, "str"),
        ({"data": [[1, 2], [3]]}, "differ in length"),
        ({"parameters": 3}, "'parameters'"),
        ({"parameters": {"binary_data_output": 1}}, "true or false"),
        ({"outputs": [{"name": "other"}]}, "has the output 'probabilities'"),
        ({"outputs": [{"name": "probabilities"}] * 2}, "has the output 'probabilities'"),
        ({"outputs": [{"name": "probabilities", "parameters": {"classification": -1}}]}, "classification"),
        ({"outputs": 3}, "'outputs'"),
        ({"id": 7}, "'id'"),
    ],
)
def test_what_is_wrong_with_a_message_is_said(client, changes, text):
    answer = ask(client, **changes)
    assert answer.status_code == 400 and text in answer.json["error"], answer.json


@pytest.mark.parametrize("inputs", [None, [], [1], {}, question()["inputs"] * 2])
def test_just_one_input_is_taken(client, inputs):
    assert client.post(INFER, json={"inputs": inputs}).status_code == 400


def test_a_batch_over_the_limit_is_refused_before_anything_is_made_of_it(client):
    answer = ask(client, shape=[10**12, 28, 28, 1])
    assert answer.status_code == 413 and "batch=256" in answer.json["error"]


@pytest.mark.parametrize("declared", [-1, 0, 1, 10**30, True, "9408", 9407.5])
def test_a_size_that_lies_is_refused(client, declared):
    answer = binary(client, TENSORS.tobytes(), declared=declared)
    assert answer.status_code == 400 and "binary_data_size" in answer.json["error"]


@pytest.mark.parametrize("header", ["-1", "x", "", "99999999", "1" * 5000, "²", "1.5", "+5"])
def test_a_header_that_lies_is_refused(client, header):
    answer = client.post(INFER, data=b"{}" + TENSORS.tobytes(), headers={HEADER: header})
    assert answer.status_code in (400, 413), answer.text


def test_bytes_that_belong_to_no_input_are_refused(client):
    text = json.dumps(question()).encode()
    answer = client.post(INFER, data=text + b"1234", headers={HEADER: str(len(text))})
    assert answer.status_code == 400 and "4 bytes after the JSON" in answer.json["error"]


def test_numbers_that_are_not_finite_are_refused(client):
    for odd in (np.nan, np.inf, -np.inf):
        assert binary(client, np.full_like(TENSORS, odd).tobytes()).status_code == 400
    assert binary(client, np.full(TENSORS.shape, 1e300).tobytes(), datatype="FP64").status_code == 400


@pytest.mark.parametrize(
    "method, path, status",
    [
        ("POST", "/v2/models/nope/infer", 404),
        ("POST", "/v2/models/bright/versions/9/infer", 404),
        ("GET", "/v2/models/nope", 404),
        ("GET", "/v2/models/nope/ready", 404),
        ("GET", "/v2/models/bright/versions/x/ready", 404),
        ("GET", "/v2/nothing", 404),
        ("GET", INFER, 405),
        ("POST", "/v2/models/bright", 405),
        ("DELETE", "/v2/health/live", 405),
    ],
)
def test_errors_have_the_codes_of_triton(client, method, path, status):
    answer = client.open(path, method=method)
    assert answer.status_code == status and isinstance(answer.json["error"], str)


def test_a_version_that_could_not_be_loaded_is_not_ready(bright):
    registry = Registry.of([bright])
    registry.entry("bright").failed = {2: "The file is damaged."}
    client = create_app(registry).test_client()
    answer = client.get("/v2/models/bright/versions/2/ready")
    assert (answer.status_code, answer.json) == (400, {"name": "bright", "ready": False})
    broken = {"name": "bright", "version": "2", "state": "UNAVAILABLE", "reason": "The file is damaged."}
    fine = {"name": "bright", "version": "1", "state": "READY", "reason": ""}
    assert client.post("/v2/repository/index").json == [fine, broken]
    assert client.post("/v2/repository/index", json={"ready": True}).json == [fine]


def test_hostile_bodies_never_break_the_server(small):
    client, path = create_app([small]).test_client(), "/v2/models/small/infer"
    entry = {"name": "image", "shape": [2, 2, 2, 1], "datatype": "FP32", "data": [0.5] * 8, "parameters": {"a": 1}}
    wanted = [{"name": "probabilities", "parameters": {"binary_data": True, "classification": 1}}]
    valid = [
        {"id": "1", "inputs": [entry], "outputs": wanted, "parameters": {"binary_data_output": True}},
        {"inputs": [entry | {"data": [[[[0.5]] * 2] * 2] * 2}]},
    ]
    statuses = set()
    for body in bodies(valid, 3000, seed=5):
        answer = client.post(path, data=body)
        statuses.add(answer.status_code)
        assert answer.status_code in (200, 400, 413), (answer.status_code, body[:300])
    assert statuses == {200, 400, 413}


def test_hostile_binary_bodies_never_break_the_server(small, chance):
    client, path = create_app([small]).test_client(), "/v2/models/small/infer"
    entry = {"name": "image", "shape": [2, 2, 2, 1], "datatype": "FP32", "parameters": {"binary_data_size": 32}}
    raw, statuses = np.full(8, 0.5, "<f4").tobytes(), set()
    for text in bodies([{"inputs": [entry]}], 3000, seed=6):
        body = text + (mangle(raw, chance) if chance.random() < 0.3 else raw)
        lie = str(chance.choice([len(text), len(text), len(text), 0, len(text) - 1, len(body), len(body) + 1, -1]))
        answer = client.post(path, data=body, headers={HEADER: lie})
        statuses.add(answer.status_code)
        assert answer.status_code in (200, 400, 413), (answer.status_code, lie, body[:300])
    assert {200, 400} <= statuses
