import base64
import gzip
import io
import time
import zlib

import numpy as np
import pytest

from mlops_lab.engines.python import PythonEngine
from mlops_lab.image import InputSpec, encode_png
from mlops_lab.predict import Predictor
from mlops_lab.serve import create_app

URL = "/models/bright/v1"


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def brightness(answer):
    assert answer.status_code == 200, answer.json
    assert answer.json.keys() == {"model", "version", "predictions"}
    return [item["probabilities"][1] for item in answer.json["predictions"]]


def jpeg(image):
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG")
    return buffer.getvalue()


def test_the_list_of_models(client):
    answer = client.get("/models")
    assert answer.status_code == 200
    assert answer.json == {
        "models": [
            {"name": "bright", "versions": ["v1"], "aliases": {}},
            {"name": "digits", "versions": ["v1"], "aliases": {}},
        ]
    }


def test_what_a_model_is(client):
    answer = client.get("/models/digits").json
    assert answer["versions"] == ["v1"]
    assert answer["aliases"] == {}
    assert answer["states"] == {"v1": "ready"}


def test_what_a_version_is(client):
    answer = client.get("/models/digits/v1").json
    assert answer["version"] == "v1"
    assert answer["name"] == "digits"
    assert answer["description"] == "Read handwritten digits"
    assert answer["number_of_parameters"] == 4810
    assert {
        "trainable_parameters", "optimizer_parameters", "framework", "labels", "input", "metrics", "tensorflow_version",
        "keras_version",
    } <= answer.keys()  # fmt: skip
    assert not {"files", "golden", "path"} & answer.keys()


@pytest.mark.parametrize("word", ["/v1", "/latest", "", "/1"])
def test_the_words_for_a_version(client, images, word):
    assert client.get(f"/models/digits{word}").status_code == 200
    answer = client.post(f"/models/bright{word}", data=encode_png(images[3]), content_type="image/png")
    assert answer.json["version"] == "v1"
    assert brightness(answer) == [0.6]


def test_an_alias(models, digits, digits_run):
    models.publish(digits_run, "digits")
    models.promote("digits", 1)
    client = create_app(models).test_client()
    body = encode_png(digits.test.images[0])
    for path, version in {"/production": "v1", "": "v1", "/latest": "v2"}.items():
        assert client.get(f"/models/digits{path or '/production'}").json["version"] in ("v1", "v2")
        assert client.post(f"/models/digits{path}", data=body, content_type="image/png").json["version"] == version
    assert client.get("/models").json["models"][0]["aliases"] == {"production": "v1"}


@pytest.mark.parametrize(("kind", "write"), [("image/png", encode_png), ("image/jpeg", jpeg)])
def test_a_raw_image(client, images, kind, write):
    assert brightness(client.post(URL, data=write(images[1]), content_type=kind)) == pytest.approx([0.2], abs=0.01)


def test_a_form_of_several_images_keeps_its_order(client, images):
    files = [(io.BytesIO(encode_png(images[place])), "../../x.png") for place in (4, 0, 2)]
    answer = client.post(URL, data={"image": files, "note": "ignored"})
    assert brightness(answer) == pytest.approx([1, 0, 0.4])


def test_every_form_of_json(client, images):
    text = base64.b64encode(encode_png(images[2])).decode()
    assert brightness(client.post(URL, json={"image": text})) == [0.4]
    assert brightness(client.post(URL, json={"image": images[2].tolist()})) == [0.4]
    several = [text, images[4].tolist(), images[0][..., None].tolist()]
    assert brightness(client.post(URL, json={"images": several})) == pytest.approx([0.4, 1, 0])


@pytest.mark.parametrize("shape", [(5, 28, 28), (5, 28, 28, 1)])
def test_a_batch_of_arrays(client, images, shape):
    answer = client.post(URL, data=npy(images.reshape(shape)), content_type="application/x-npy")
    assert brightness(answer) == pytest.approx([0, 0.2, 0.4, 0.6, 1])


@pytest.mark.parametrize("shape", [(28, 28), (28, 28, 1)])
def test_one_array(client, images, shape):
    answer = client.post(URL, data=npy(images[3].reshape(shape)), content_type="application/x-npy")
    assert brightness(answer) == [0.6]


def test_the_shape_of_a_prediction(client, images):
    (entry,) = client.post(URL, data=encode_png(images[4]), content_type="image/png").json["predictions"]
    assert entry == {"label": "bright", "class": 1, "confidence": 1.0, "probabilities": [0.0, 1.0]}


def test_every_way_of_sending_gives_the_same_answer(client, digits):
    image = digits.test.images[7]
    png = encode_png(image)
    url = "/models/digits/v1"
    answers = [
        client.post(url, data=png, content_type="image/png"),
        client.post(url, data={"image": (io.BytesIO(png), "x.png")}),
        client.post(url, json={"image": base64.b64encode(png).decode()}),
        client.post(url, json={"image": image.tolist()}),
        client.post(url, data=npy(image), content_type="application/x-npy"),
        client.post(url, data=npy(image[None]), content_type="application/x-npy"),
    ]
    assert [answer.status_code for answer in answers] == [200] * 6
    assert all(answer.json == answers[0].json for answer in answers)


def test_both_models_answer_at_once(client, digits, images):
    one = client.post("/models/digits/v1", data=npy(digits.test.images[:50]), content_type="application/x-npy")
    assert (
        sum(item["class"] == label for item, label in zip(one.json["predictions"], digits.test.labels, strict=False))
        > 45
    )
    assert brightness(client.post(URL, data=encode_png(images[1]), content_type="image/png")) == [0.2]


def test_predictions_are_reported(bright, images):
    seen = []
    app = create_app(bright, on_prediction=seen.append)
    headers = {"X-Request-Id": "an-id"}
    app.test_client().post(URL, data=npy(images), content_type="application/x-npy", headers=headers)
    (event,) = seen
    assert event.predictor is bright
    assert event.request_id == "an-id"
    assert abs(event.time - time.time()) < 60 and event.seconds > 0
    assert np.array_equal(np.stack(list(event.images)), images)
    assert [item.label for item in event.predictions] == ["dark", "dark", "dark", "bright", "bright"]


def test_a_refused_request_is_not_reported(bright):
    seen = []
    app = create_app(bright, on_prediction=seen.append)
    assert app.test_client().post(URL, data=b"x", content_type="image/png").status_code == 400
    assert seen == []


def test_a_model_without_images():
    engine = PythonEngine(lambda inputs: inputs[:, :2])
    client = create_app(Predictor("rows", 1, InputSpec(shape=(2,)), ("a", "b"), engine)).test_client()
    answer = client.post("/models/rows", json={"images": [[0.25, 0.75], [1, 0]]})
    assert [item["label"] for item in answer.json["predictions"]] == ["b", "a"]


@pytest.mark.parametrize("encoding, pack", [("gzip", gzip.compress), ("deflate", zlib.compress), ("identity", bytes)])
@pytest.mark.parametrize("kind", ["image/png", "application/x-npy"])
def test_packed_bodies_are_unpacked(client, images, kind, encoding, pack):
    body = encode_png(images[0]) if kind == "image/png" else npy(images[:1])
    plain = brightness(client.post(URL, data=body, content_type=kind))
    packed = client.post(URL, data=pack(body), content_type=kind, headers={"Content-Encoding": encoding})
    assert brightness(packed) == plain


@pytest.mark.parametrize("encoding, status", [("br", 415), ("gzip", 400)])
def test_a_body_that_is_not_packed_as_it_says(client, images, encoding, status):
    answer = client.post(
        URL, data=encode_png(images[0]), content_type="image/png", headers={"Content-Encoding": encoding}
    )
    assert answer.status_code == status
    assert encoding in answer.json["error"]


def test_a_body_that_unpacks_to_more_than_the_limit(client):
    bomb = gzip.compress(bytes(2 * 1024 * 1024 + 1))
    answer = client.post(URL, data=bomb, content_type="image/png", headers={"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.json["code"]) == (413, "too_large")
    assert "body_bytes=2097152" in answer.json["error"]


def test_a_predictor_without_a_manifest_tells_what_it_knows():
    coin = Predictor("coin", 2, InputSpec((4,)), ("heads", "tails"), PythonEngine(lambda inputs: inputs[:, :2]))
    client = create_app([coin]).test_client()
    facts = {"name": "coin", "version": "v2", "labels": ["heads", "tails"], "input": InputSpec((4,)).to_dict()}
    assert client.get("/models/coin/v2").json == facts
    assert client.get("/models/coin").json.items() >= facts.items()
    assert client.get("/models/coin").json["versions"] == ["v2"]
