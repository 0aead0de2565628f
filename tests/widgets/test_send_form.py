import json
import re
from html import unescape

import pytest

from mlops_lab import serve, widgets
from mlops_lab.errors import ServerError, UnknownModel, UnknownVersion


@pytest.fixture
def sender(server, digits):
    return widgets.send(server, digits, "light", "v1")


def text(html):
    return unescape(re.sub(r"<[^>]+>", " ", html))


def test_sending_shows_the_whole_exchange(sender, predictors):
    sender.gallery.buttons.index = 5
    sender.button.click()
    expected = predictors[0].predict([sender.image])[0]
    assert sender.answer[0].label == expected.label
    shown = text(sender.result.value)
    for part in ("POST /models/light/v1", "✓ 200", " ms", f"It says: {expected}", "test image 5", "64 numbers"):
        assert part in shown


def test_the_bars_follow_the_pick(sender, predictors):
    sender.send()
    before = sender.result.value
    sender.gallery.picked = 30
    sender.send()
    assert sender.result.value != before
    assert str(predictors[0].predict([sender.image])[0]) in text(sender.result.value)


def test_the_tabs_hold_the_json_and_the_request_as_text(sender):
    sender.send()
    answer, curl, requests = (text(tab.value) for tab in sender.texts)
    assert json.loads(answer) == sender.answer.response
    assert curl.strip().startswith("echo ")
    assert f"requests.post('{sender.url}'" in requests


def test_it_is_the_version_in_the_box_that_is_asked(sender):
    sender._version_box.value = "v2"
    sender.send()
    assert (sender.answer.response["version"], sender.answer[0].label) == ("v2", "9")


@pytest.mark.parametrize(
    ("box", "value", "error"), [("_version_box", "v9", UnknownVersion), ("_name_box", "heavy", UnknownModel)]
)
def test_a_refusal_is_a_sentence_and_a_hint(sender, box, value, error):
    sender.send()
    getattr(sender, box).value = value
    sender.send()
    assert type(sender.error) is error
    assert sender.answer is None
    shown = text(sender.result.value)
    assert "✗ 404" in shown
    assert sender.error.message in shown
    assert sender.error.hint in shown
    assert json.loads(text(sender.texts[0].value))["code"] == error.code


def test_a_server_that_is_gone(sender, server):
    server.stop()
    sender.send()
    assert type(sender.error) is ServerError
    assert "✗ no answer" in text(sender.result.value)
    assert "There was no response." in text(sender.texts[0].value)


def test_a_server_that_was_replaced_answers_as_the_next_generation(sender, server, predictors):
    sender.send()
    first = int(sender.answer.headers["X-Lab-Generation"])
    with serve.start(predictors, name="widgets"):
        sender.send()
    assert int(sender.answer.headers["X-Lab-Generation"]) == first + 1
    assert f"answered by generation {first + 1}" in text(sender.result.value)


def test_another_version_clears_the_predictions(sender, digits):
    sender.gallery.prediction_filter.value = "wrong"
    sender._version_box.value = "v2"
    assert all("→ 9" in caption for caption, _ in sender.gallery.buttons.options)


def test_its_text_is_short(sender, server):
    assert repr(sender) == f"<SendAndSee POST /models/light/v1 at {server.url}>"


def test_the_models_of_the_server_are_offered_and_an_old_answer_goes(sender):
    assert sender._name_box.options == ("light",) and sender._version_box.options == ("latest", "v2", "v1")
    sender._version_box.value = "v9"
    sender.send()
    assert "✗ 404" in text(sender.result.value)
    sender._version_box.value = "v2"
    assert (sender.result.value, sender.error) == ("", None)
    sender.send()
    assert "✓ 200" in text(sender.result.value)
