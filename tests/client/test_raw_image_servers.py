"""The course's own `api.py`, from GET alone up to a server that takes one raw image per request."""

import numpy as np
import pytest
from flask import Flask, request

from mlops_lab import image, serve
from mlops_lab.client import Client
from mlops_lab.errors import BadImage, MethodNotAllowed, ServerError, UnsupportedMedia, WrongUsage

INFO = {"version": "v1", "name": "clothes", "description": "Classify images", "number_of_parameters": 133280}


def answered(pixels):
    """Predict the brightness of an image, as the tests' model of the same name does."""
    bright = round(float(pixels.mean()) / 255, 6)
    label = "bright" if bright > 0.5 else "dark"
    return {
        "label": label,
        "class": int(bright > 0.5),
        "confidence": max(bright, 1 - bright),
        "probabilities": [1 - bright, bright],
    }


def one_image():
    return {"model": "clothes", "version": "v1", "predictions": [answered(image.decode(request.data))]}


@pytest.fixture
def start():
    """Return a function that starts an `api.py` with one view for POST, and the requests it received."""
    running = []

    def run(post=None):
        app, received = Flask("api"), []
        app.add_url_rule("/models/clothes/v1", "info", lambda: INFO, methods=["GET"])
        if post:
            app.add_url_rule("/models/clothes/v1", "classify", post, methods=["POST"])
        app.before_request(lambda: received.append((request.method, request.content_type)))
        running.append(serve.start(app, name="api"))
        return Client(running[-1]), received

    yield run
    for server in running:
        server.stop()


def test_a_batch_is_sent_as_one_raw_image_per_request(start, images):
    client, received = start(one_image)
    answer = client.classify("clothes", "v1", images)
    assert [item.probabilities[1] for item in answer] == pytest.approx([0, 0.2, 0.4, 0.6, 1])
    assert all(np.array_equal(item.image, pixels) for item, pixels in zip(answer, images, strict=True))
    assert [kind for method, kind in received if method == "POST"] == ["image/png"] * 5
    assert answer.request == "POST /models/clothes/v1 (5 requests)"
    assert len(answer.response["predictions"]) == 5 and answer.response["version"] == "v1"


def test_every_form_of_images(start, images, tmp_path):
    client, received = start(one_image)
    path = tmp_path / "x.png"
    path.write_bytes(image.encode_png(images[1]))
    forms = (images[1], images[1].astype(float), images[1:2], [images[1]], path, [path, path.read_bytes(), images[1]])
    for form in forms:
        assert {item.probabilities[1] for item in client.classify("clothes", "v1", form)} == {0.2}
    assert {kind for method, kind in received if method == "POST"} == {"image/png"}


def test_the_description_is_requested_once(start, images):
    client, received = start(one_image)
    for _ in range(3):
        client.classify("clothes", "v1", images)
    assert [method for method, _ in received].count("GET") == 2  # for the batch, and for the labels


def test_pixels_that_no_png_can_hold_are_rejected(start, images):
    client, received = start(one_image)
    with pytest.raises(BadImage, match="divided by 255"):
        client.classify("clothes", "v1", images / 255)
    assert "POST" not in dict(received)


def test_prepare_makes_one_request_and_no_more(start, images):
    client, _ = start(one_image)
    assert client.prepare("clothes", "v1", images[0]).headers["Content-Type"] == "image/png"
    with pytest.raises(WrongUsage, match="takes one image per request; received 5"):
        client.prepare("clothes", "v1", images)


@pytest.mark.parametrize("several", [lambda images: images[0], lambda images: images])
def test_get_alone(start, images, several):
    client, _ = start()
    with pytest.raises(MethodNotAllowed, match=r"POST is not implemented \(405\)") as caught:
        client.classify("clothes", "v1", several(images))
    assert "<" not in str(caught.value) and "GET" in caught.value.message
    assert client.info("clothes", "v1") == INFO


def test_another_content_type(start, images):
    client, _ = start(lambda: request.get_json()["image"])
    with pytest.raises(UnsupportedMedia, match=r"image/png is not accepted \(415\) at /models/clothes/v1"):
        client.classify("clothes", "v1", images[0])


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"predictions": []}, "lacks 'version'"),
        ({"version": "v1"}, "lacks 'predictions'"),
        ({"version": "v1", "predictions": ["Bag"]}, "A prediction .* lacks 'label', 'class'"),
        ({"version": "v1", "predictions": [{"label": "Bag", "class": 8}]}, "lacks 'confidence', 'probabilities'"),
        ({"version": "v1", "predictions": {"label": "Bag"}}, "not a list with one entry per image"),
        (["Bag"], "not a JSON object"),
    ],
)
def test_other_json_is_named_and_no_key_error(start, images, message, text):
    client, _ = start(lambda: message)
    with pytest.raises(ServerError, match=text):
        client.classify("clothes", "v1", images[0])


def test_a_response_without_an_entry_for_its_image(start, images):
    client, _ = start(lambda: {"version": "v1", "predictions": []})
    with pytest.raises(ServerError, match="not a list with one entry per image"):
        client.classify("clothes", "v1", images)


def test_a_bug_in_the_api_is_a_sentence(start, images):
    client, _ = start(lambda: ("<p>Internal error</p>", 500))
    with pytest.raises(ServerError, match="POST /models/clothes/v1 was answered 500") as caught:
        client.classify("clothes", "v1", images[0])
    assert "log" in caught.value.hint and "<p>" not in str(caught.value)


def test_an_error_in_json_of_its_own_is_shown(start, images):
    client, _ = start(lambda: ({"detail": "no such garment"}, 422))
    with pytest.raises(ServerError, match="no such garment"):
        client.classify("clothes", "v1", images[0])
