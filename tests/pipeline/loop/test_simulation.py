"""Two days in production: what must happen does, what must not does not, and the picture says so."""

import re

import pytest

from mlops_lab import pipeline
from mlops_lab.serve import stop_all

KINDS = ["promoted", "shift", "labels asked", "retrained", "canary", "promoted", "broken camera", "camera repaired"]


def hours(day, world):
    return [one for one in day.hours if one.world == world]


def tell_the_story(day, tmp_path):
    assert [event.kind for event in day.events] == KINDS, str(day)
    assert (day.failed, day.versions) == (0, (1, 2))
    before = [one.accuracy for one in day.hours[:4]]
    masked = [one for one in hours(day, "masks") if set(one.served) == {1}]
    learned = [one for one in hours(day, "masks") if set(one.served) == {2}]
    mean = lambda some: sum(one.accuracy for one in some) / len(some)  # noqa: E731
    assert min(before) > mean(masked) + 0.15 and mean(learned) > mean(masked) + 0.05, str(day)
    # It was caught in the first hour, without labels, and the canary took its share before the promotion.
    assert [event.clock for event in day.events if event.kind in ("shift", "labels asked")] == [
        "Mon 12:00",
        "Mon 13:00",
    ]
    shared = [one for one in day.hours if set(one.served) == {1, 2}]
    assert shared and all(one.served[2] < one.served[1] for one in shared)
    # Nothing was trained on what a broken camera saw.
    trained = [run for run in day.runs if any((one.name, one.state) == ("train", "passed") for one in run.outcomes)]
    assert [run.state for run in trained] == ["stopped", "released"]
    assert [run.state for run in day.runs].count("broken source") == len(hours(day, "black")) == 3
    assert pipeline.read_history(tmp_path / "pipeline.toml").runs == day.runs


@pytest.mark.slow
def test_two_days_with_digits(tmp_path):
    seen = []
    day = pipeline.day(tmp_path, fast=True, watch=seen.append)
    tell_the_story(day, tmp_path)
    assert len(seen) == len(day.hours) == 24
    drawing = day.draw()
    assert drawing.count("<polyline") == 1 and "broken camera" in drawing
    assert len(re.findall(r'r="8.5"', drawing)) == len(day.events)
    assert day.to_dict()["failed"] == 0 and "<svg" in day.page() and "0 of 6,000" in day.page()
    stop_all()


@pytest.mark.tensorflow
@pytest.mark.slow
def test_two_days_with_garments_and_lenet(tmp_path):
    tell_the_story(pipeline.day(tmp_path), tmp_path)
    stop_all()
