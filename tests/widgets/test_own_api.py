"""The widgets with a student's own `api.py`, which takes one raw image and does not describe its input."""

import datetime

import numpy as np
import pytest
from flask import Flask, request

from mlops_lab import serve, widgets
from mlops_lab.image import decode, encode_png


def info():
    return {"name": "light", "version": "v1"}


def classify():
    bright = round(float(decode(request.data).mean()) / 255, 6)
    entry = {"label": "bright", "class": 1, "confidence": bright, "probabilities": [1 - bright, bright]}
    return {"model": "light", "version": "v1", "predictions": [entry]}


@pytest.fixture
def api():
    app = Flask("api")
    app.add_url_rule("/models/light/v1", "info", info)
    app.add_url_rule("/models/light/v1", "classify", classify, methods=["POST"])
    with serve.start(app, name="api") as running:
        yield running


def test_send(api, digits):
    form = widgets.send(api, digits, "light", "v1")
    form.send()
    assert form.error is None and form.answer[0].label == "bright"
    assert "It says: bright" in form.result.value and "The model sees" not in form.result.value


def test_upload(api):
    form = widgets.upload(api, "light", "v1")
    content = memoryview(encode_png(np.full((20, 20), 51, np.uint8)))
    now = datetime.datetime.now(tz=datetime.UTC)
    chosen = {"name": "x.png", "type": "image/png", "size": len(content), "content": content, "last_modified": now}
    form.file.value = [chosen]
    assert form.answer[0].confidence == 0.2
    assert "1 Your image" in form.result.value and "Grey" not in form.result.value


def test_draw(api, digits):
    pytest.importorskip("anywidget")
    paper = widgets.draw(api, digits, "light", "v1")
    assert paper.classify(encode_png(np.full((28, 28), 255, np.uint8))) == "bright (100.0%)"
    assert "It says: bright" in paper.result.value


def test_confusion_of_a_batch(api, digits):
    matrix = widgets.confusion(api, digits.limited(40), "light", "v1")
    assert matrix.counts[:, 1].sum() == matrix.counts.sum() > 0
