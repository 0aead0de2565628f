"""Events become rows: together as alone, and together with fewer calls of NumPy."""

import numpy as np
import pytest

from mlops_lab.monitor import rows
from mlops_lab.predict import PredictionEvent


def make(predictor, images, number=0):
    answers = predictor.probabilities(images)
    return PredictionEvent(f"r{number}", float(number), predictor, images, answers, 0.001)


@pytest.fixture
def pictures():
    return np.random.default_rng(7).integers(0, 256, (12, 28, 28), np.uint8)


def test_events_together_become_the_rows_that_each_becomes_alone(bright, pictures):
    batches = [
        [pictures[0]],
        pictures[1:4],
        list(pictures[4:6]),
        pictures[6:7, ..., np.newaxis],
        [pictures[7, :20, :9]],
    ]
    batches += [list(pictures[8:10]), [pictures[10], pictures[11, 3:]], [pictures[11].astype(float)]]
    events = [make(bright, batch, number) for number, batch in enumerate(batches)]
    together = rows.to_rows(events)
    alone = [row for event in events for row in rows.to_rows([event])]
    for one, other in zip(sorted(together), sorted(alone), strict=True):
        assert one[:8] + one[9:] == other[:8] + other[9:]
        assert np.frombuffer(one[8], np.float32) == pytest.approx(np.frombuffer(other[8], np.float32), abs=1e-6)
    assert [row[1] for row in together if row[0] == "r1"] == [0, 1, 2]


def test_images_that_came_one_by_one_are_described_in_one_call(bright, pictures, monkeypatch):
    sizes = []
    described = rows.describe_inputs
    monkeypatch.setattr(
        rows, "describe_inputs", lambda batch, spec: (sizes.append(len(batch)), described(batch, spec))[1]
    )
    assert len(rows.to_rows([make(bright, [image], number) for number, image in enumerate(pictures)])) == 12
    assert sizes == [12]
