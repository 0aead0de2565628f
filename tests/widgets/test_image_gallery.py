import pytest

from mlops_lab import widgets
from mlops_lab.errors import WrongUsage


def test_it_shows_a_page_of_test_images(digits):
    shown = widgets.gallery(digits, count=10)
    assert shown.indices.tolist() == list(range(10))
    assert shown.buttons.options[3] == (f"#3 {digits.classes[digits.test.labels[3]]}", 3)
    assert shown.picked is None
    assert "1–10 of 359" in shown.range.value


def test_a_click_picks(digits):
    shown = widgets.gallery(digits, count=10)
    heard = []
    shown.observe(lambda change: heard.append(change["new"]), "picked")
    shown.buttons.index = 4
    assert (shown.picked, heard) == (4, [4])
    assert "Picked: test image 4" in shown.note.value


def test_a_pick_from_code_shows_on_its_button(digits):
    shown = widgets.gallery(digits, count=10)
    shown.picked = 7
    assert shown.buttons.index == 7
    shown.picked = 200  # on another page
    assert shown.buttons.index is None


def test_turning_pages(digits):
    shown = widgets.gallery(digits, count=100)
    assert (shown.back.disabled, shown.more.disabled) == (True, False)
    for _ in range(5):
        shown.more.click()
    assert shown.indices.tolist() == list(range(300, 359))
    assert (shown.back.disabled, shown.more.disabled) == (False, True)
    shown.back.click()
    assert shown.indices[0] == 200


def test_turning_pages_keeps_the_pick(digits):
    shown = widgets.gallery(digits, count=10)
    shown.buttons.index = 4
    shown.more.click()
    assert (shown.picked, shown.buttons.index) == (4, None)
    shown.back.click()
    assert shown.buttons.index == 4


def test_only_one_class(digits):
    shown = widgets.gallery(digits, count=10)
    shown.more.click()
    shown.class_filter.value = 3
    assert set(digits.test.labels[shown.indices]) == {3}
    assert shown.back.disabled


def test_without_a_client_there_is_no_filter_on_answers(digits):
    assert widgets.gallery(digits).prediction_filter not in widgets.gallery(digits).children[0].children


def test_wrongly_classified(digits, client):
    shown = widgets.gallery(digits, client=client, name="light", version="v2", count=30)
    shown.prediction_filter.value = "wrong"
    assert 9 not in digits.test.labels[shown.indices]
    assert all("→ 9" in caption for caption, _ in shown.buttons.options)
    assert "test accuracy" in shown.range.value


def test_least_confident(digits, client, predictors):
    shown = widgets.gallery(digits, client=client, name="light", version="v1", count=30)
    shown.prediction_filter.value = "unsure"
    confidence = predictors[0].probabilities(digits.test.images).max(axis=1)
    assert confidence[shown.indices].tolist() == sorted(confidence)[:30]


def test_the_model_is_asked_once(digits, server):
    shown = widgets.gallery(digits, client=server, name="light", version="v1")
    shown.prediction_filter.value = "wrong"
    asked = len(server.requests)
    shown.prediction_filter.value = "unsure"
    assert len(server.requests) == asked > 0
    shown.clear_predictions()
    assert len(server.requests) > asked


def test_a_server_that_is_gone_is_said(digits, server):
    shown = widgets.gallery(digits, client=server, name="light")
    server.stop()
    shown.prediction_filter.value = "wrong"
    assert shown.prediction_filter.value == "all"
    assert "No server answers" in shown.note.value
    assert len(shown.indices) == 24


def test_an_empty_choice_is_said(digits):
    shown = widgets.gallery(digits)
    shown.show_only([])
    assert "no image matches" in shown.range.value
    assert shown.buttons.options == ()
    shown.show_only([5, 6])
    assert shown.indices.tolist() == [5, 6]


def test_a_count_that_shows_nothing(digits):
    with pytest.raises(WrongUsage):
        widgets.gallery(digits, count=0)


def test_its_text_is_short(digits):
    assert repr(widgets.gallery(digits)) == "<Gallery digits: Nothing is picked yet.>"
