"""Every task over HTTP: the course's routes, TensorFlow Serving's and the Open Inference Protocol, beside the hooks."""

import base64
import io
import json
import struct
from dataclasses import replace

import numpy as np
import pytest
from task_models import BY_NAME, CASES, HOUSE, MODELS, PIXELS, TEXT, VALUE, Named, arrays, model

from mlops_lab.answers import Mask, NamedAnswers, Value
from mlops_lab.image import encode_png
from mlops_lab.predict import Predictor
from mlops_lab.serve import Limits, create_app
from mlops_lab.serve.codecs.tensors import NAMES, pack, unpack
from mlops_lab.signature import OutputSpec, Signature

HEADER = "Inference-Header-Content-Length"
EVENTS = []


@pytest.fixture(scope="module")
def client():
    return create_app(MODELS, on_prediction=EVENTS.append).test_client()


def ask(client, name, inputs):
    return client.post(f"/models/{name}", json={"inputs": inputs})


@pytest.mark.parametrize("name", CASES)
def test_the_courses_routes_answer_by_task(client, name):
    inputs, predictions, _ = CASES[name]
    if name == "paint":
        inputs = {"photo": (255 * PIXELS).astype(int).tolist()}
    answer = ask(client, name, inputs)
    assert answer.json == {"model": name, "version": "v1", "predictions": predictions}, answer.text
    if len(inputs) == 1:
        assert ask(client, name, next(iter(inputs.values()))).data == answer.data
    else:
        rows = [dict(zip(inputs, each, strict=True)) for each in zip(*inputs.values(), strict=True)]
        assert ask(client, name, rows).data == answer.data


@pytest.mark.parametrize("name", CASES)
def test_tensorflow_serving_carries_every_signature(client, name):
    inputs, _, outputs = CASES[name]
    column = client.post(f"/v1/models/{name}:predict", json={"inputs": inputs}).json
    only = len(outputs) == 1
    assert column == {"outputs": next(iter(outputs.values())) if only else outputs}
    rows = [dict(zip(inputs, each, strict=True)) for each in zip(*inputs.values(), strict=True)]
    wanted = [dict(zip(outputs, each, strict=True)) for each in zip(*outputs.values(), strict=True)]
    by_row = client.post(f"/v1/models/{name}:predict", json={"instances": rows}).json
    assert by_row == {"predictions": [next(iter(one.values())) for one in wanted] if only else wanted}


@pytest.mark.parametrize("name", CASES)
def test_tensorflow_servings_metadata_names_every_input_and_output(client, name):
    found = client.get(f"/v1/models/{name}/metadata").json["metadata"]["signature_def"]["signature_def"]
    signature = BY_NAME[name].signature
    for side, specs in (("inputs", signature.inputs), ("outputs", signature.outputs)):
        entries = found["serving_default"][side]
        assert list(entries) == [spec.name for spec in specs]
        for spec in specs:
            sides = [int(one["size"]) for one in entries[spec.name]["tensor_shape"]["dim"]]
            assert sides == [-1, *(-1 if one is None else one for one in spec.shape)]
    assert "DT_STRING" in json.dumps(found) or name not in ("spam", "several")


def data_of(array):
    return array.ravel().tolist()


def packed(array):
    if array.dtype == object:
        return pack(item.encode() for item in array.ravel())
    return array.tobytes()


def read_output(entry, data):
    shape = entry["shape"]
    if entry["datatype"] == "BYTES":
        return np.array([item.decode() for item in unpack(data)], object).reshape(shape).tolist()
    kinds = {name: kind for kind, name in NAMES.items()}
    return np.frombuffer(data, kinds[entry["datatype"]]).reshape(shape).tolist()


def datatype(array):
    return "BYTES" if array.dtype == object else NAMES[array.dtype.name]


@pytest.mark.parametrize("name", CASES)
def test_the_open_inference_protocol_carries_every_signature(client, name):
    given, outputs = arrays(name), CASES[name][2]
    entries = [
        {"name": key, "shape": list(array.shape), "datatype": datatype(array), "data": data_of(array)}
        for key, array in reversed(given.items())
    ]
    answer = client.post(f"/v2/models/{name}/infer", json={"inputs": entries, "id": "seven"}).json
    assert answer["id"] == "seven"
    found = {one["name"]: np.array(one["data"], object).reshape(one["shape"]).tolist() for one in answer["outputs"]}
    assert found == outputs


@pytest.mark.parametrize("name", CASES)
def test_tensors_of_every_type_travel_as_bytes(client, name):
    given, outputs = arrays(name), CASES[name][2]
    parts = {key: packed(array) for key, array in given.items()}
    entries = [
        {
            **{"name": key, "shape": list(array.shape), "datatype": datatype(array)},
            "parameters": {"binary_data_size": len(parts[key])},
        }
        for key, array in given.items()
    ]
    text = json.dumps({"inputs": entries, "parameters": {"binary_data_output": True}}).encode()
    body = text + b"".join(parts.values())
    answer = client.post(f"/v2/models/{name}/infer", data=body, headers={HEADER: str(len(text))})
    assert answer.status_code == 200, answer.text
    length = int(answer.headers[HEADER])
    message, rest = json.loads(answer.data[:length]), answer.data[length:]
    found = {}
    for entry in message["outputs"]:
        size = entry["parameters"]["binary_data_size"]
        found[entry["name"]], rest = read_output(entry, rest[:size]), rest[size:]
    assert found == outputs and rest == b""


def test_the_metadata_of_the_open_inference_protocol_names_types_and_free_sides(client):
    found = client.get("/v2/models/several").json
    assert [(one["name"], one["datatype"], one["shape"]) for one in found["inputs"]] == [
        ("house", "FP32", [-1, 2]),
        ("years", "INT32", [-1, -1]),
        ("text", "BYTES", [-1]),
    ]
    assert [(one["name"], one["datatype"], one["shape"]) for one in found["outputs"]] == [
        ("price", "FP32", [-1, 1]),
        ("old", "FP32", [-1]),
        ("note", "BYTES", [-1]),
    ]


def infer(client, name, outputs=None, **more):
    entries = [
        {"name": key, "shape": list(array.shape), "datatype": datatype(array), "data": data_of(array)}
        for key, array in arrays(name).items()
    ]
    return client.post(f"/v2/models/{name}/infer", json={"inputs": entries, "outputs": outputs, **more})


def test_outputs_can_be_chosen_and_classes_named(client):
    answer = infer(client, "several", [{"name": "old", "parameters": {"classification": 1}}])
    assert [(one["name"], one["data"]) for one in answer.json["outputs"]] == [("old", ["1.000000:1:old"])]
    for outputs, text in (
        ([{"name": "age"}], "'price', 'old', 'note'; asked for 'age'"),
        ([{"name": "old"}, {"name": "old"}], "Ask for each once"),
        ([{"name": "note", "parameters": {"classification": 1}}], "no scores to rank"),
    ):
        refused = infer(client, "several", outputs)
        assert refused.status_code == 400 and text in refused.json["error"]


def test_a_body_without_json_is_one_example_where_there_is_one_input(client):
    one = client.post("/v2/models/price/infer", data=np.array([3, 100], "<f4").tobytes(), headers={HEADER: "0"})
    size = int(one.headers[HEADER])
    assert struct.unpack("<f", one.data[size:]) == (80.0,)
    text = client.post("/v2/models/embed/infer", data=b"abcd", headers={HEADER: "0"})
    assert np.frombuffer(text.data[int(text.headers[HEADER]) :], "<f4").tolist() == [4.0, 4.5, 5.0]
    refused = client.post("/v2/models/several/infer", data=b"abcd", headers={HEADER: "0"})
    assert refused.status_code == 400 and "several inputs" in refused.json["error"]


def test_classify_and_regress_answer_where_the_model_does(client):
    examples = [{"text": ["win now"]}, {"text": "hello"}]
    found = client.post("/v1/models/spam:classify", json={"examples": examples})
    assert found.json == {"results": [[["ham", 0.25], ["spam", 0.75]], [["ham", 0.75], ["spam", 0.25]]]}
    coded = {"examples": [{"text": {"b64": base64.b64encode(b"win").decode()}}]}
    assert client.post("/v1/models/spam:classify", json=coded).json["results"][0][1] == ["spam", 0.75]
    found = client.post("/v1/models/price:regress", json={"examples": [{"house": [3, 100]}], "context": {}})
    assert found.json == {"results": [80.0]}
    found = client.post(
        "/v1/models/several:regress", json={"examples": [{"house": [3, 100], "years": [1, 2, 3], "text": "a"}]}
    )
    assert found.json == {"results": [80.0]}
    for verb, name, text in (
        ("classify", "price", "classification signature"),
        ("regress", "spam", "regression signature"),
    ):
        refused = client.post(f"/v1/models/{name}:{verb}", json={"examples": [{}]})
        assert refused.status_code == 400 and f"Expected {text}" in refused.json["error"]


def png(pixels):
    return encode_png((255 * pixels).astype(np.uint8))


def test_an_image_of_any_task_may_come_as_a_file_a_form_or_an_array(client):
    wanted = CASES["paint"][1]
    file = png(PIXELS[0])
    assert client.post("/models/paint", data=file, content_type="image/png").json["predictions"] == wanted
    form = {"image": [(io.BytesIO(file), "a.png"), (io.BytesIO(file), "b.png")]}
    assert client.post("/models/paint", data=form).json["predictions"] == wanted * 2
    coded = base64.b64encode(file).decode()
    field = b'--x\r\nContent-Disposition: form-data; name="image"\r\n\r\n%s\r\n--x--\r\n'
    texts = {"data": field % coded.encode(), "content_type": "multipart/form-data; boundary=x"}
    assert client.post("/models/paint", **texts).json["predictions"] == wanted
    assert client.post("/models/paint", json={"image": coded}).json["predictions"] == wanted
    assert client.post("/models/paint", json={"inputs": {"photo": [coded]}}).json["predictions"] == wanted


def test_an_encoded_image_may_be_dark_and_one_of_several_is_named(client):
    dark, grey = (base64.b64encode(encode_png(np.full((4, 4), value, np.uint8))).decode() for value in (1, 9))
    for body in ({"images": [dark, grey]}, {"inputs": [dark, grey]}, {"inputs": {"scan": [dark, grey]}}):
        assert client.post("/models/sum", json=body).json["predictions"] == [{"tensor": 16}, {"tensor": 144}]
        refused = client.post("/models/sum", json={key: [grey, "AAAA"] for key in body})
        assert refused.status_code == 400 and refused.json["error"].startswith("Image 2 of 2: ")
    mask = client.post("/models/sum", json={"inputs": [[[1] * 4] * 4]})
    assert mask.status_code == 400 and "like a mask" in mask.json["error"]


@pytest.mark.parametrize("key", ["images", "inputs"])
def test_many_small_images_may_not_cost_more_than_a_large_one(key):
    client = create_app(MODELS, limits=Limits(request_pixels=32)).test_client()
    coded = base64.b64encode(encode_png(np.full((4, 4), 9, np.uint8))).decode()
    assert client.post("/models/sum", json={key: [coded] * 2}).status_code == 200
    answer = client.post("/models/sum", json={key: [coded] * 3})
    assert answer.status_code == 413 and "Image 3 of 3: " in answer.json["error"]
    assert "48 pixels; the limit is request_pixels=32" in answer.json["error"]


@pytest.mark.parametrize(
    "array, answers",
    [([[3, 100]], [80.0]), ([3.0, 100.0], [80.0]), ([[1, 2], [3, 100]], [11.0, 80.0])],
)
def test_a_table_may_come_as_npy(client, array, answers):
    buffer = io.BytesIO()
    np.save(buffer, np.array(array, np.float64))
    found = client.post("/models/price", data=buffer.getvalue(), content_type="application/x-npy")
    assert [one["value"] for one in found.json["predictions"]] == answers


def test_a_row_may_name_its_columns(client):
    assert ask(client, "price", [{"area": 100, "rooms": 3}]).json["predictions"] == [{"value": 80.0}]
    refused = ask(client, "price", [{"area": 100, "doors": 3}])
    assert refused.status_code == 400 and "rooms missing, doors unknown" in refused.json["error"]


@pytest.mark.parametrize(
    "name, inputs, text",
    [
        ("price", [[1.0, 2.0, 3.0]], "takes tensors of shape (n, 2)"),
        ("price", [1.0, 2.0], "takes tensors of shape (n, 2)"),
        ("price", [], "The batch is empty"),
        ("price", "much", "not a list of examples"),
        ("price", {"street": [[1, 2]]}, "not a list of examples"),
        ("price", [["a", "b"]], "holds str where there should be numbers"),
        ("price", [[1.0], [2.0, 3.0]], "differ in length"),
        ("price", [[1e300, 1.0]], "too large"),
        ("spam", [3], "where there should be text"),
        ("spam", "win", "not a list of examples"),
        ("sum", [[[300] * 4] * 4], "0–255"),
        ("several", {"house": [[1, 2]], "years": [[1]]}, "takes the inputs house, years, text"),
        ("several", {"house": [[1, 2]], "years": [[1.5]], "text": ["a"]}, "takes int32; received 1.5"),
        ("several", {"house": [[1, 2]], "years": [[2**40]], "text": ["a"]}, "too large for int32"),
        ("several", {"house": [[1, 2]] * 2, "years": [[1]], "text": ["a"]}, "differ in their number of examples"),
        ("several", [[1, 2]], "several inputs"),
    ],
)
def test_what_is_wrong_with_a_request_is_said(client, name, inputs, text):
    answer = ask(client, name, inputs)
    assert answer.status_code in (400, 413) and text in answer.json["error"], answer.text


def test_a_request_that_a_model_does_not_take_names_the_one_that_it_takes(client):
    for body, kind in ((png(PIXELS[0]), "image/png"), (b"win", "text/plain")):
        answer = client.post("/models/spam", data=body, content_type=kind)
        assert answer.status_code == 415 and '{"inputs": [ … ]}' in answer.json["error"]
    answer = client.post("/models/several", json={"image": [1, 2]})
    assert answer.status_code == 400 and '"house": [ … ], "years": [ … ]' in answer.json["error"]
    form = client.post("/models/spam", data={"image": (io.BytesIO(b"x"), "a.png")})
    assert form.status_code == 415


def broken(name, output, function):
    return model(name, HOUSE, output, function)


@pytest.mark.parametrize(
    "output, function",
    [
        (VALUE, lambda house: {"price": np.full((len(house), 1), np.nan)}),
        (VALUE, lambda house: {"price": np.zeros((1, 1))}),
        (VALUE, lambda house: {"price": np.zeros((len(house), 2))}),
        (OutputSpec("p", "multilabel", (None,), labels=("a", "b")), lambda house: {"p": np.zeros((len(house), 3))}),
        (
            OutputSpec("p", "classification", (None,), "float32", "logits", ("a",), "softmax"),
            lambda house: {"p": house},
        ),
    ],
)
def test_nonsense_from_an_engine_is_never_an_answer(output, function):
    client = create_app([broken("m", output, function)]).test_client()
    for path, body in (("/models/m", {"inputs": [[1, 2]] * 2}),):
        answer = client.post(path, json=body)
        assert answer.status_code >= 400, answer.text
    answer = client.post("/v1/models/m:predict", json={"instances": [[1, 2]] * 2})
    assert answer.status_code >= 400 or output.shape == (None,), answer.text


def test_labels_that_do_not_match_the_rows_of_a_classifier_are_an_error():
    wide = Predictor("wide", 1, HOUSE, ("a", "b"), Named(None))
    wide.engine.predict = lambda inputs: np.zeros((len(inputs), 3), np.float32)
    answer = create_app([wide]).test_client().post("/models/wide", json={"inputs": [[1, 2]]})
    assert answer.status_code == 500 and answer.json["code"] == "invalid_output"


def test_a_table_of_a_plain_classifier_is_taken_as_rows_too():
    coin = Predictor("coin", 1, HOUSE, ("a", "b"), Named(None))
    coin.engine.predict = lambda inputs: inputs / inputs.sum(axis=1, keepdims=True)
    client = create_app([coin]).test_client()
    old = client.post("/models/coin", json={"images": [[1, 3], [2, 2]]})
    assert old.json["predictions"][0] == {"label": "b", "class": 1, "confidence": 0.75, "probabilities": [0.25, 0.75]}
    for inputs in ([[1, 3], [2, 2]], {"house": [[1, 3], [2, 2]]}):
        assert client.post("/models/coin", json={"inputs": inputs}).data == old.data
    assert client.post("/models/coin", json={"inputs": {"flat": []}}).status_code == 400


def test_hooks_receive_every_task(client):
    for name, kind in (("price", Value), ("several", NamedAnswers), ("paint", Mask)):
        EVENTS.clear()
        inputs = CASES[name][0] if name != "paint" else {"photo": (255 * PIXELS).astype(int).tolist()}
        assert ask(client, name, inputs).status_code == 200
        (event,) = EVENTS
        assert event.task == ("other" if name == "several" else BY_NAME[name].signature.outputs[0].task)
        assert isinstance(event.predictions[0], kind) and event.predictions[0].to_dict() == CASES[name][1][0]
        assert event.outputs.keys() == CASES[name][2].keys() and event.inputs.keys() == CASES[name][0].keys()
        assert event.rows.ndim == 2 and len(event.rows) == len(event.images)
    assert event.rows.tolist() == [[0.5, 0.0, 0.5]] and event.images.dtype == np.uint8  # shares of the three colours


def test_metrics_count_classes_and_no_numbers(client):
    for name in ("spam", "odd", "price"):
        assert ask(client, name, CASES[name][0]).status_code == 200
    text = client.get("/metrics").text
    assert 'mlops_lab_predictions_total{class="spam",model="spam",version="v1"}' in text
    assert 'class="outlier",model="odd"' in text and 'model="price",version="v1",class' not in text


def test_a_limit_holds_for_every_task():
    client = create_app(MODELS, limits=Limits(batch=2)).test_client()
    for path, body in (
        ("/models/spam", {"inputs": ["a"] * 3}),
        ("/v1/models/spam:predict", {"instances": ["a"] * 3}),
        ("/v2/models/spam/infer", {"inputs": [{"name": "text", "shape": [3], "datatype": "BYTES", "data": ["a"] * 3}]}),
    ):
        answer = client.post(path, json=body)
        assert answer.status_code == 413 and "batch=2" in answer.json["error"]


def other(version, function):
    return Predictor("price", version, HOUSE, (), Named(function), signature=Signature((HOUSE,), (VALUE,)))


def test_canary_and_shadow_compare_values():
    from mlops_lab.serve.core.registry import Registry
    from mlops_lab.store.routing import TrafficSettings

    one = other(1, lambda house: {"price": house[:, :1]})
    near = other(2, lambda house: {"price": house[:, :1] * 1.0001})
    registry = Registry.of([one, near])
    registry.entry("price").traffic = TrafficSettings(shadow=1)
    app = create_app(registry)
    client = app.test_client()
    assert client.post("/models/price", json={"inputs": [[10, 1], [20, 1]]}).status_code == 200
    app.extensions["mlops_lab"].service.router.settle()
    found = client.get("/models/price/traffic").json
    assert found["shadowed"]["agreement"] == 1.0, found
    assert found["served"]["v2"]["images"] == 2 and found["served"]["v2"]["mean_confidence"] is None
    line = found["shadowed"]["last"][0]
    assert line["served"]["predictions"][0] == {"value": 10.001} and line["largest_difference"] == pytest.approx(
        0.002, rel=0.01
    )


def test_text_in_a_signature_of_one_string_per_example_may_come_flat(client):
    column = model("column", replace(TEXT, shape=(1,)), VALUE, lambda text: {"price": (text == "a") * 1.0})
    answer = create_app([column]).test_client().post("/models/column", json={"inputs": ["a", "b"]})
    assert [one["value"] for one in answer.json["predictions"]] == [1.0, 0.0]
