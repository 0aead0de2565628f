"""Days of predictions: a quiet one rings nothing, a bad one soon."""

import numpy as np
import pytest

from mlops_lab.data import Split
from mlops_lab.errors import WrongUsage
from mlops_lab.monitor import disturb, observe, watch


@pytest.fixture
def day(clothes, halves):
    """Return a stream that is disturbed from a place on."""

    def of(kind, strength, begin, n=2000):
        order = np.random.default_rng(1).choice(len(halves[1]), n, replace=False)
        calm = Split(halves[1].images[order], halves[1].labels[order])
        bad = disturb(calm, kind, strength)
        images = np.concatenate([calm.images[:begin], bad.images[begin:]])
        return observe(clothes, images, start=1e9)

    return of


def test_a_quiet_day_rings_nothing(reference, day):
    watched = watch(reference, day("noise", 0.0, 0))
    assert watched.alarms == () and len(watched.looks) == 37
    assert "0 alarms" in str(watched)


@pytest.mark.parametrize("kind", ["masks", "broken camera", "bright"])
def test_what_begins_at_noon_rings_once_and_soon(reference, day, kind):
    watched = watch(reference, day(kind, 0.8, 1000))
    assert len(watched.alarms) == 1
    alarm = watched.alarms[0]
    assert 1000 < alarm.place <= 1300 and alarm.time == 1e9 + alarm.place - 1
    assert alarm.reason == alarm.verdict.reason


def test_one_look_is_enough_where_very_much_is_lost(reference, day):
    stream = day("masks", 1.0, 1000)
    (alarm,) = watch(reference, stream).alarms
    assert alarm.place == 1050 and alarm.verdict.expected - alarm.verdict.estimate.accuracy > 0.1


def test_a_look_must_see_something(reference, day):
    with pytest.raises(WrongUsage, match="too small"):
        watch(reference, day("noise", 0.0, 0, n=100), size=10)
