"""Hourly summaries in a log: kept once, corrected by feedback, and there when the predictions are gone."""

import time

import numpy as np
import pytest

from mlops_lab.monitor import PredictionLog, Retention, compare, merge, observe, summarise
from mlops_lab.monitor.database import connect
from mlops_lab.predict import PredictionEvent

HOUR = 3600


@pytest.fixture
def answer(clothes, halves):
    def at(moment, start, count=20):
        images = halves[1].images[start : start + count]
        return PredictionEvent(f"{moment}-{start}", moment, clothes, images, clothes.probabilities(images), 0.01)

    return at


@pytest.fixture
def fill(answer):
    """Write three hours of predictions, the last of them the current one."""

    def into(log):
        now = time.time()
        for hours in (2, 1, 0):
            for part in range(5):
                log.append(answer(now - hours * HOUR, 100 * hours + 20 * part))
        log.flush()

    return into


def parts(path):
    database = connect(path)
    try:
        return database.run("SELECT COUNT(*) FROM summaries")[0][0]
    finally:
        database.close()


def test_a_report_of_summaries_is_a_report_of_predictions(tmp_path, fill, reference):
    with PredictionLog(tmp_path / "a.db") as log:
        fill(log)
        whole = summarise(log.read("clothes"), reference.scale)
        for _ in range(3):  # complete hours are kept by the first look, and are not counted twice by the next
            hours = log.summaries(reference.scale, "clothes")
            assert (merge(*(one for _, one in hours)).sums == whole.sums).all()
        assert len(hours) == 3 and parts(tmp_path / "a.db") == 2
        newest = log.summaries(reference.scale, "clothes", since=float(HOUR * hours[-1][0]))
        assert [hour for hour, _ in newest] == [hours[-1][0]]
        assert (
            compare(reference, hours).to_dict()["evidence"]
            == compare(reference, log.read("clothes")).to_dict()["evidence"]
        )


def test_feedback_reaches_what_is_summarised_already(tmp_path, fill, reference):
    with PredictionLog(tmp_path / "a.db") as log:
        fill(log)
        log.summaries(reference.scale, "clothes")
        window = log.read("clothes")
        first = connect(tmp_path / "a.db")
        request_id = first.run("SELECT request_id FROM predictions ORDER BY id LIMIT 1")[0][0]
        first.close()
        said = window.labels[window.classes[0]]
        other = next(label for label in window.labels if label != said)
        for label, correct in ((other, 0), (said, 1), (other, 0), (said, 1)):
            log.feedback(request_id, label)
            summary = merge(*(one for _, one in log.summaries(reference.scale, "clothes")))
            assert (summary.labelled, summary.correct, summary.count) == (1, correct, 300)
        assert (summary.sums == summarise(log.read("clothes"), reference.scale).sums).all()


def test_summaries_outlive_their_predictions(tmp_path, fill, reference):
    scales = {"clothes": reference.scale}
    keep = Retention(days=1 / 48)
    with PredictionLog(tmp_path / "a.db", retention=keep, scales=lambda name, version: scales.get(name)) as log:
        fill(log)
        whole = summarise(log.read("clothes"), reference.scale)
        assert log.trim() == 200
        assert len(log.read("clothes")) == 100
        assert (merge(*(one for _, one in log.summaries(reference.scale, "clothes"))).sums == whole.sums).all()


def test_logs_of_several_servers_merge(tmp_path, answer, reference, clothes, halves):
    found = []
    for place in range(2):
        with PredictionLog(tmp_path / f"{place}.db") as log:
            log.append(answer(1e9, 100 * place, count=100))
            found.append(merge(*(one for _, one in log.summaries(reference.scale, "clothes"))))
    together = observe(clothes, halves[1].images[:200])
    assert np.array_equal(merge(*found).sums, summarise(together, reference.scale).sums)
