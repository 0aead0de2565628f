import json
import re
from datetime import UTC, datetime
from html import unescape

import numpy as np
import pytest
import requests
from task_models import CASES, MODELS, PIXELS

from mlops_lab import serve, widgets
from mlops_lab.engines.python import PythonEngine
from mlops_lab.errors import ServerError, UnknownModel, WrongUsage
from mlops_lab.image import InputSpec, encode_png
from mlops_lab.predict import Predictor


@pytest.fixture(scope="module")
def tasks():
    with serve.start(MODELS, name="tasks of the widgets") as running:
        yield running


def text(html):
    return unescape(re.sub(r"<[^>]+>", " ", html))


def test_a_table_has_a_number_for_each_column(tasks):
    form = widgets.ask(tasks, "price", "v1")
    rooms, area = form.fields["house"]
    assert (rooms.description, area.description) == ("rooms", "area")
    rooms.value, area.value = 3, 100
    form.button.click()
    assert form.answer[0].value == 80.0 and "80" in text(form.result.value)
    assert "POST /models/price/v1" in text(form.result.value)
    answer, curl, code = (text(tab.value) for tab in form.texts)
    assert json.loads(answer) == form.answer.response
    assert """-d '{"inputs": {"house": [[3.0, 100.0]]}}'""" in curl
    assert "json={'inputs': {'house': [[3.0, 100.0]]}}" in code


def test_text_has_a_box(tasks):
    form = widgets.ask(tasks, "spam")
    form.fields["text"][0].value = "win now"
    form.send()
    assert form.answer[0].label == "spam" and "spam (75.0%)" in text(form.result.value)


def test_several_inputs_have_their_fields_under_their_names(tasks):
    form = widgets.ask(tasks, "several", 1)
    for control, value in zip(form.fields["house"], (3, 100), strict=True):
        control.value = value
    form.fields["years"][0].value = "[60, 70]"  # a free side: JSON
    form.fields["text"][0].value = "a"
    form.send()
    assert form.answer[0].to_dict() == CASES["several"][1][0]
    form.fields["years"][0].value = "[60,"
    form.send()
    assert type(form.error) is WrongUsage and form.answer is None and "not JSON" in text(form.result.value)


def test_an_image_is_a_file_and_a_mask_is_drawn(tasks):
    form = widgets.ask(tasks, "paint")
    form.send()
    assert type(form.error) is WrongUsage
    file = {"name": "a.png", "type": "image/png", "size": 1, "last_modified": datetime.now(UTC)}
    form.fields["photo"][0].value = ({**file, "content": memoryview(encode_png((255 * PIXELS[0]).astype(np.uint8)))},)
    form.send()
    assert form.answer[0].mask.tolist() == CASES["paint"][1][0]["mask"]
    assert form.result.value.count("data:image/png") == 4 and "blue" in text(form.result.value)


@pytest.mark.parametrize("name, field", [("paint", "photo"), ("coin", "image")])
def test_the_command_for_an_image_is_one_that_its_model_takes(name, field):
    coin = Predictor("coin", 1, InputSpec((4, 4, 1), size=(4, 4)), ("a", "b"), PythonEngine(lambda x: np.eye(2)[:1]))
    with serve.start([coin, *MODELS], name="image commands") as running:
        form = widgets.ask(running, name)
        content = memoryview(encode_png(np.full((4, 4), 9, np.uint8)))
        file = {"name": "a.png", "type": "image/png", "size": 1, "last_modified": datetime.now(UTC)}
        form.fields[field][0].value = ({**file, "content": content},)
        form.send()
        body = json.loads(re.search("-d '(.*?)' http", text(form.texts[1].value))[1])
        assert requests.post(form.url, json=body, timeout=5).json() == form.answer.response


def test_what_the_server_refuses_is_said(tasks):
    with pytest.raises(UnknownModel):
        widgets.ask(tasks, "nobody")
    form = widgets.ask(tasks, "price")
    assert repr(form) == f"<AskForm price latest at {tasks.url}>"
    form.client.url = "http://127.0.0.1:9"
    form.send()
    assert type(form.error) is ServerError and "no answer" in text(form.result.value)
