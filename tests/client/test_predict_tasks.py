"""The client and models of every task: what it sends, and the small classes that it returns."""

import numpy as np
import pytest
from flask import Flask
from task_models import CASES, MASK, MODELS, PIXELS

from mlops_lab import serve
from mlops_lab.answers import LabelSet, Mask, NamedAnswers, Prediction, Score, Tensor, Value, Vector
from mlops_lab.client import Client
from mlops_lab.errors import BadRequest, ServerError, WrongShape, WrongUsage
from mlops_lab.inputs import InputSpec
from mlops_lab.serve import create_app

KINDS = {
    **{"price": Value, "two": Value, "spam": Prediction, "topics": LabelSet, "logits": Prediction, "embed": Vector},
    **{"paint": Mask, "odd": Score, "sum": Tensor, "several": NamedAnswers, "fixed": Value},
}


@pytest.fixture(scope="module")
def client(bright):
    with serve.start(create_app([*MODELS, bright]), name="tasks of the client") as server:
        yield Client(server.url)


@pytest.mark.parametrize("name", CASES)
def test_every_task_comes_back_as_its_class(client, name):
    inputs, predictions, _ = CASES[name]
    if name in ("paint", "sum"):  # images, as pixels
        inputs = {
            key: (255 * PIXELS if name == "paint" else np.array(value)).astype(np.uint8)
            for key, value in inputs.items()
        }
    found = client.predict(name, 1, inputs)
    assert [answer.to_dict() for answer in found] == predictions
    assert all(isinstance(answer, KINDS[name]) for answer in found)
    if len(inputs) == 1:
        again = client.predict(name, "v1", next(iter(inputs.values())))
        assert [answer.to_dict() for answer in again] == predictions
    html = found._repr_html_()
    assert all(str(answer).split(":")[0].split(",")[0] in html for answer in found) or name in (
        "paint",
        "several",
        "odd",
    )
    assert "<script" not in html and found.status == 200


def test_labels_come_with_the_answer(client):
    assert client.predict("spam", 1, "win")[0].labels == ("ham", "spam")
    assert client.predict("several", 1, CASES["several"][0])[0]["old"].labels == ("new", "old")
    assert client.predict("paint", 1, (255 * PIXELS).astype(np.uint8))[0].labels == ("red", "green", "blue")


class Table:
    """What the client needs of a table of pandas."""

    iloc = None

    def __init__(self, **columns):
        self.columns = list(columns)
        self._rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def to_dict(self, kind):
        assert kind == "records"
        return self._rows

    def to_numpy(self):
        return np.array([list(row.values()) for row in self._rows])


@pytest.mark.parametrize(
    "examples",
    [
        [3, 100],
        [[3, 100]],
        (3.0, 100.0),
        np.array([3, 100]),
        np.array([[3, 100]], np.float64),
        np.array([3, 100], np.float32),
        [np.array([3, 100])],
        {"house": [3, 100]},
        {"rooms": 3, "area": 100},
        {"area": [100], "rooms": [3]},
        {"area": np.array([100]), "rooms": np.array([3])},
        [{"area": np.float32(100), "rooms": np.int64(3)}],
        Table(area=[100], rooms=[3]),
        Table(a=[3], b=[100]),
    ],
    ids=lambda examples: str(type(examples).__name__),
)
def test_every_form_of_a_row(client, examples):
    assert [answer.value for answer in client.predict("price", 1, examples)] == [80.0]


@pytest.mark.parametrize("texts", ["win", ["win"], np.array(["win"]), ("win",), np.array(["win"], object)])
def test_every_form_of_a_text(client, texts):
    assert [answer.label for answer in client.predict("spam", 1, texts)] == ["spam"]


def test_an_image_is_sent_as_it_always_was(client, images):
    found, classified = client.predict("bright", 1, images), client.classify("bright", 1, images)
    assert [answer.to_dict() for answer in found] == [answer.to_dict() for answer in classified]
    assert np.array_equal(found[2].image, images[2])
    painted = client.predict("paint", 1, (255 * PIXELS[0]).astype(np.uint8))
    assert painted[0].mask.tolist() == MASK and painted[0].image.shape == (4, 4, 3)


def test_what_the_model_does_not_take_is_said(client):
    with pytest.raises(WrongUsage, match="takes the inputs house, years, text; received a list"):
        client.predict("several", 1, [[1, 2]])
    with pytest.raises(WrongShape):
        client.predict("price", 1, [[1, 2, 3]])
    with pytest.raises(BadRequest, match="where there should be text"):
        client.predict("spam", 1, [1])
    with pytest.raises(BadRequest, match="differ in their number"):
        client.predict("several", 1, {"house": [[1, 2]], "years": [[1], [2]], "text": ["a"]})


def test_a_request_can_be_prepared_and_sent_by_other_means(client):
    import requests

    prepared = client.prepare("spam", 1, ["win"])
    assert requests.Session().send(prepared).json()["predictions"][0]["label"] == "spam"


@pytest.mark.parametrize(
    "entry, text",
    [({"score": 1.0}, "lacks 'outlier'"), ({"labels": []}, "lacks 'probabilities'"), ({"label": "a"}, "lacks 'class'")],
)
def test_an_entry_that_lacks_a_key_names_it(entry, text):
    about = {"name": "m", "input": InputSpec((2,), name="x").to_dict()}
    app = Flask("half")
    app.add_url_rule("/models/m/v1", "about", lambda: about)
    app.add_url_rule("/models/m/v1", "ask", lambda: {"version": "v1", "predictions": [entry]}, methods=["POST"])
    with serve.start(app, name="half an answer") as server, pytest.raises(ServerError, match=text):
        Client(server.url).predict("m", 1, [[1, 2]])
