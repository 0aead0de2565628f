import json
import re

import numpy as np
import pytest

from mlops_lab.client import Predictions
from mlops_lab.errors import ServerError, UnknownVersion
from mlops_lab.image import InputSpec
from mlops_lab.predict import Prediction
from mlops_lab.widgets import fragments

SPEC = InputSpec(shape=(28, 28, 1), size=(28, 28))
IMAGE = np.full((14, 14), 255, np.uint8)


def test_what_the_model_sees_has_the_models_size_and_range():
    html = fragments.model_input(IMAGE, SPEC)
    assert "784 numbers, 1 to 1" in html
    assert "shape 28×28×1" in html


def test_every_image_has_alt_text():
    images = re.findall(r"<img [^>]*>", fragments.sent_image(IMAGE, "a <square>") + fragments.model_input(IMAGE, SPEC))
    assert len(images) == 2
    assert all(re.search('alt="[^"]+"', tag) for tag in images)


@pytest.mark.parametrize(("truth", "word"), [("a", "✓ right"), ("b", "✗ wrong"), ("", "")])
def test_right_and_wrong_are_said_in_a_word(truth, word):
    assert word in fragments.verdict(Prediction("a", 0, 0.9, (0.9, 0.1), ("a", "b")), truth)


def test_an_exchange_in_one_line():
    answer = Predictions([], "POST /models/x/v1", 200, 3.21, {}, {"X-Lab-Generation": "4"})
    for part in ("POST /models/x/v1", "✓ 200", "3.2 ms", "generation 4"):
        assert part in fragments.exchange(answer)


def test_an_error_shows_its_sentence_and_hint():
    html = fragments.failed_request("POST /models/x/v9", UnknownVersion("There is no <v9>.", "Take 'v1'."))
    for part in ("✗ 404", "There is no &lt;v9&gt;.", "→ Take &#x27;v1&#x27;."):
        assert part in html


def test_where_no_server_answers_there_is_no_status():
    assert "✗ no answer" in fragments.failed_request("POST /", ServerError("Gone."))


@pytest.mark.parametrize(
    "value", [{}, {"a": []}, {"a": [{"b": [1, 2]}, {"c": None}], "d": {"e": "é"}}, {"a": [[1], [2]]}]
)
def test_pretty_json_is_the_same_json(value):
    assert json.loads(fragments.pretty(value)) == value


def test_code_is_text():
    assert "&lt;b&gt;" in fragments.code("<b>")
