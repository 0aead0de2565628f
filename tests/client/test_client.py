import numpy as np
import pytest
import requests
from flask import Flask

from mlops_lab import serve
from mlops_lab.client import Client
from mlops_lab.engines.python import PythonEngine
from mlops_lab.errors import (
    BadImage,
    MethodNotAllowed,
    ServerError,
    TooLarge,
    Unauthorized,
    Unavailable,
    UnknownModel,
    UnknownVersion,
    UnsupportedMedia,
    WrongShape,
    WrongUsage,
)
from mlops_lab.image import InputSpec, encode_png
from mlops_lab.predict import Predictor
from mlops_lab.serve import create_app


@pytest.fixture(scope="module")
def server(app):
    running = serve.start(app, name="client tests")
    yield running
    running.stop()


@pytest.fixture
def client(server):
    return Client(server.url)


def brightness(answer):
    return [item.probabilities[1] for item in answer]


def test_one_array(client, images):
    answer = client.classify("bright", "v1", images[3])
    assert brightness(answer) == [0.6]
    assert answer[0].labels == ("dark", "bright")
    assert np.array_equal(answer[0].image, images[3])


def test_every_form_of_one_image(client, images, tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(encode_png(images[1]))
    for image in (images[1], images[1][..., None], path, str(path), path.read_bytes()):
        assert brightness(client.classify("bright", 1, image)) == [0.2]


def test_every_form_of_several(client, images, tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(encode_png(images[1]))
    assert brightness(client.classify("bright", "latest", images)) == pytest.approx([0, 0.2, 0.4, 0.6, 1])
    assert brightness(client.classify("bright", "1", list(images[:2]))) == pytest.approx([0, 0.2])
    mixed = [images[4], path, path.read_bytes(), np.full((56, 56), 255, np.uint8)]
    assert brightness(client.classify("bright", "v1", mixed)) == pytest.approx([1, 0.2, 0.2, 1])


def test_a_colour_image(client):
    assert brightness(client.classify("bright", "v1", np.full((28, 28, 3), 255, np.uint8))) == [1]


@pytest.mark.parametrize("several", [lambda one: one, lambda one: one[None], lambda one: [one, one[:8]]])
def test_pixels_that_are_divided_by_255_already_are_no_black_image(client, images, several):
    with pytest.raises(BadImage, match="as if divided by 255 already"):
        client.classify("bright", "v1", several(images[1] / 255))


@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_pixels_of_other_types(client, images, dtype):
    assert brightness(client.classify("bright", "v1", images[1].astype(dtype))) == [0.2]


@pytest.mark.parametrize("images", [None, 42, [], [[0, 1], [2, 3]], iter([]), [None]])
def test_what_is_no_image_is_said_before_it_is_sent(client, images):
    with pytest.raises(WrongUsage, match="image"):
        client.classify("bright", "v1", images)


@pytest.mark.parametrize("several", [lambda rows: rows, lambda rows: rows.astype(int), list])
def test_examples_of_a_model_without_images(several):
    engine = PythonEngine(lambda inputs: np.tile(np.float32([0.25, 0.75]), (len(inputs), 1)))
    app = create_app([Predictor("rows", 1, InputSpec((3,)), ("no", "yes"), engine)])
    with serve.start(app, name="rows") as running:
        answer = Client(running).classify("rows", "v1", several(np.full((4, 3), 7.5)))
    assert [item.label for item in answer] == ["yes"] * 4
    assert "yes" in answer._repr_html_()


def test_the_answer_knows_how_it_came(client, images):
    answer = client.classify("digits", "v1", images[0])
    assert (answer.request, answer.status) == ("POST /models/digits/v1", 200)
    assert answer.milliseconds > 0
    assert answer.response["model"] == "digits"
    assert answer[0].labels == tuple("0123456789")
    html = client.classify("digits", "v1", np.stack([images[0]] * 14)[:, :8, :8])._repr_html_()
    assert "and 2 more" in html
    assert "→ 200 in" in html


def test_a_server_that_asks_for_a_key(bright, images):
    with serve.start(create_app(bright, api_keys=["sesame"]), name="keys") as running:
        assert brightness(Client(running, api_key="sesame").classify("bright", "v1", images[1])) == [0.2]
        with pytest.raises(Unauthorized, match="not one of this server's"):
            Client(running, api_key="other").models()
        with pytest.raises(Unauthorized, match="requires an API key"):
            Client(running).models()


def test_models_and_info(client, server):
    assert [model["name"] for model in client.models()] == ["bright", "digits"]
    assert client.info("digits")["version"] == "v1"
    assert Client(server).url == server.url
    assert repr(client) == f"Client({server.url!r})"


def test_the_server_s_errors_come_back_as_their_classes(client, images):
    asked = {
        UnknownModel: lambda: client.classify("brigth", "v1", images[0]),
        UnknownVersion: lambda: client.info("bright", "v9"),
        BadImage: lambda: client.classify("bright", "v1", b"no image"),
        WrongShape: lambda: client.classify("bright", "v1", np.zeros((2, 5, 5), np.uint8)),
        TooLarge: lambda: client.classify("bright", "v1", np.zeros((300, 28, 28), np.uint8)),
    }
    for kind, ask in asked.items():
        with pytest.raises(kind) as caught:
            ask()
        assert type(caught.value) is kind
        assert caught.value.hint
        assert not caught.value.message.endswith(caught.value.hint)


def test_a_content_type_error_is_one_too(server):
    client = Client(server)
    with pytest.raises(UnsupportedMedia):
        client._request("POST", "/models/bright/v1", data=b"x", headers={"Content-Type": "text/plain"})


def test_a_code_of_its_own_keeps_its_class(bright):
    app = create_app(bright)
    app.extensions["mlops_lab"].draining = True
    with serve.start(app, name="draining") as server, pytest.raises(Unavailable) as caught:
        Client(server)._request("GET", "/readyz")
    assert caught.value.code == "draining"


def test_a_file_that_is_not_there(client, tmp_path):
    with pytest.raises(BadImage, match=r"nowhere\.png"):
        client.classify("bright", "v1", tmp_path / "nowhere.png")


def test_no_server():
    with pytest.raises(ServerError, match="No server answers at http://127"):
        Client("http://127.0.0.1:9").models()
    with pytest.raises(ServerError):
        Client("nonsense").models()


def test_a_server_of_something_else(images):
    app = Flask("other")
    app.get("/models", endpoint="models")(lambda: "hello")
    app.get("/models/<name>/<version>", endpoint="version")(lambda name, version: ["a"])
    with serve.start(app, name="other") as server:
        client = Client(server)
        for ask in (client.models, lambda: client.info("x")):
            with pytest.raises(ServerError, match="Is it an inference server"):
                ask()
        with pytest.raises(MethodNotAllowed, match=r"POST is not implemented \(405\) at /models/x/v1"):
            client.classify("x", 1, images[0])


def test_a_slow_server_and_a_proxy(server, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert Client(server).models()

    def slow(*_, **__):
        raise requests.ReadTimeout("too slow")

    client = Client(server)
    monkeypatch.setattr(client._session, "request", slow)
    with pytest.raises(ServerError, match="too slow"):
        client.models()


def test_a_batch_with_channels(client, images):
    assert brightness(client.classify("bright", "v1", images[..., None])) == pytest.approx([0, 0.2, 0.4, 0.6, 1])


def test_an_answer_is_not_lost_where_the_next_server_lacks_its_version(app, images):
    """While servers are replaced behind one address, the one that describes may not be the one that answered."""

    def without_descriptions(environ, start_response):
        if environ["REQUEST_METHOD"] == "GET":
            environ["PATH_INFO"] = "/models/bright/v9"
        return app(environ, start_response)

    with serve.start(without_descriptions, name="replaced") as server:
        answer = Client(server).classify("bright", "v1", images[3])
    assert (brightness(answer), answer[0].labels) == ([0.6], ())
