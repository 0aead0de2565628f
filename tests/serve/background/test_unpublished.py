"""``serve.start`` over an object, a function or a file: what is an application, and what is a model."""

import numpy as np
import pytest
import requests
from flask import Flask
from sklearn.ensemble import IsolationForest, RandomForestRegressor
from sklearn.linear_model import LogisticRegression

from mlops_lab import serve
from mlops_lab.client import Client
from mlops_lab.errors import WrongUsage
from mlops_lab.serve.background.unpublished import is_application, is_model

pytestmark = pytest.mark.usefixtures("no_servers")
ROWS = np.random.default_rng(0).normal(size=(60, 3))


class Middleware:
    def __init__(self, app):
        self.app = app

    def __call__(self, environ, start_response):
        return self.app(environ, start_response)


class Doubles:
    def predict(self, rows):
        return np.asarray(rows) * 2


@pytest.mark.parametrize(
    "thing, application",
    [
        (Flask("x"), True),
        (Middleware(Flask("x")), True),
        (Flask("x").wsgi_app, True),
        (lambda environ, start_response: [], True),
        (lambda *arguments: [], True),
        (lambda rows: rows, False),
        (lambda rows, scale=2: rows, False),
        (Doubles(), False),
        (LogisticRegression(), False),
    ],
)
def test_an_application_is_told_from_a_model(thing, application):
    assert is_application(thing) == application and is_model(thing) != application


def test_an_estimator_answers_at_the_models_route():
    labels = np.where(ROWS[:, 0] > 0, "up", "down")
    server = serve.start(LogisticRegression().fit(ROWS, labels))
    answer = requests.post(f"{server.url}/models/model/v1", json={"inputs": [[5, 0, 0], [-5, 0, 0]]}, timeout=10)
    assert [one["label"] for one in answer.json()["predictions"]] == ["up", "down"]
    assert server.name == "model"


def test_every_task_is_inferred_without_examples():
    regressor = RandomForestRegressor(5, random_state=0).fit(ROWS, ROWS.sum(axis=1))
    odd = IsolationForest(n_estimators=20, random_state=0).fit(ROWS)
    for name, model in (("sum", regressor), ("odd", odd)):
        client = Client(serve.start(model, name=name))
        found = client.predict(name, "v1", ROWS[:3])
        expected = model.predict(ROWS[:3])
        if name == "sum":
            assert [answer.value for answer in found] == pytest.approx(expected.tolist())
        else:
            assert [answer.outlier for answer in found] == (expected == -1).tolist()


def test_a_function_says_what_it_takes_by_examples():
    with pytest.raises(WrongUsage, match="does not tell what it takes"):
        serve.start(lambda rows: rows.sum(axis=1))
    server = serve.start(lambda rows: rows.sum(axis=1), name="total", examples=[[1.0, 2.0]])
    assert [answer.value for answer in Client(server).predict("total", 1, [[1.5, 2], [3, 4]])] == [3.5, 7.0]
    with pytest.raises(WrongUsage, match="examples are for one model"):
        serve.start(Flask("x"), examples=[[1.0]])


def test_a_file_is_a_model_of_its_name(models):
    server = serve.start(models.get("digits", 1).path / "model.onnx")
    found = Client(server).predict("model", "v1", np.zeros((1, 64), np.float32))
    assert len(found[0].probabilities) == 10
    with pytest.raises(WrongUsage, match="There is no file"):
        serve.start("models/nowhere.keras")


def test_a_file_of_code_is_a_process(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "api.py").write_text("from flask import Flask\napp = Flask('api')\napp.get('/')(lambda: 'hello')\n")
    server = serve.start("api.py")
    assert requests.get(server.url, timeout=10).text == "hello" and server.name == "api"
    with pytest.raises(WrongUsage, match="mode='process'"):
        serve.start("api.py", mode="thread")
