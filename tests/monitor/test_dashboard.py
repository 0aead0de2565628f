"""The report of a log: the same from a notebook, a file and a page."""

import re
import time

import pytest

from mlops_lab.errors import NotFound, WrongUsage
from mlops_lab.monitor import PredictionLog, accept_feedback, compare_log, disturb, feedback, page, report
from mlops_lab.monitor import dashboard as room
from mlops_lab.predict import PredictionEvent

HOSTILE = "<script>alert('x')</script>"


@pytest.fixture
def log(tmp_path, clothes, halves):
    """Three hours of predictions, masked in the last."""
    begin = time.time() // 3600 * 3600 - 2 * 3600
    with PredictionLog(tmp_path / "predictions.db") as log:
        for hour in range(3):
            split = disturb(halves[1], "masks", 0.9 if hour == 2 else 0.0)
            images = split.images[200 * hour : 200 * hour + 200]
            rows = clothes.probabilities(images)
            log.append(PredictionEvent(f"hour-{hour}", begin + 3600 * hour, clothes, images, rows, 0.1))
        log.flush()
        yield log


@pytest.fixture
def with_reference(monkeypatch, reference):
    monkeypatch.setattr(room, "find_reference", lambda store, name, version: reference)
    monkeypatch.setattr(room, "load_reference", lambda store, name, version: reference)


def test_a_report_tells_the_hours(log, with_reference):
    found = report(log, "models")
    assert [one.predictions for one in found.hours] == [200, 200, 200]
    assert [one.harmful for one in found.hours] == [False, False, True]
    assert found.verdict.predictions == 600 and found.verdict.changed
    values = found.to_dict()
    assert {"changed", "harmful", "estimate", "labels_needed", "evidence"} <= set(values)
    assert abs(sum(values["classes"].values()) - 1) < 0.01
    assert "harmful" in str(found) and found.hours[0].clock in str(found)


def test_only_a_log_that_somebody_writes_tells_how_that_goes(log, with_reference):
    assert report(log, "models").log.written == 600
    assert report(log.target, "models").log is None
    assert "Prediction log" not in page(report(log.target, "models"))


def test_the_newest_predictions_are_compared(log, with_reference):
    assert compare_log(log, "models", last=200).harmful
    assert compare_log(log.target, "models", last=600).predictions == 600


def test_a_page_is_one_file_for_both_themes(log, with_reference):
    text = page(report(log, "models"))
    assert text.startswith("<!DOCTYPE html>") and "prefers-color-scheme: dark" in text
    assert not re.findall(r"<script|<link|src=\"(?!data:)|href=|@import|url\(", text)
    assert "harmful" in text and HOSTILE not in room.draw_problem(NotFound(HOSTILE, HOSTILE))


def test_feedback_comes_as_a_request_or_from_python(log):
    body = {"request_id": "hour-0", "label": "Bag", "place": 3}
    assert accept_feedback(log, "clothes", body) == {"model": "clothes", **body}
    feedback(log, "hour-1", "Coat")
    feedback(log.target, "hour-2", "Coat", model="clothes")
    assert (log.read("clothes").truth >= 0).sum() == 3


@pytest.mark.parametrize(
    "body",
    [None, [], {}, {"request_id": "hour-0"}, {"request_id": 1, "label": "Bag"}, {"request_id": "a", "label": ["Bag"]}]
    + [{"request_id": "hour-0", "label": "Bag", "place": place} for place in (-1, 1.0, True, "0", 2**40)]
    + [{"request_id": "hour-0", "label": "Bag", HOSTILE: 1}, {"request_id": "hour-0", "label": HOSTILE}],
)
def test_feedback_that_makes_no_sense_is_a_bad_request(log, body):
    with pytest.raises(Exception) as caught:
        accept_feedback(log, "clothes", body)
    assert caught.value.status == 400


def test_feedback_reaches_the_named_model_only(log):
    with pytest.raises(NotFound, match="by 'digits'"):
        accept_feedback(log, "digits", {"request_id": "hour-0", "label": "3"})


def test_several_models_must_be_named(log, bright, images):
    log.append(PredictionEvent("b", time.time(), bright, images, bright.probabilities(images), 0.1))
    log.flush()
    with pytest.raises(WrongUsage, match="bright, clothes"):
        report(log, "models")
    assert room.choose(log, "bright", None) == ("bright", 1)
