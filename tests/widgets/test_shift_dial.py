"""The dial: the monitor's verdict and the truth move with it."""

from pathlib import Path

import pytest

from mlops_lab import data, monitor, store, widgets
from mlops_lab.monitor import rehearsal


@pytest.fixture(scope="module")
def dial():
    predictor = store.ModelStore(Path(__file__).parents[2] / "models").load("clothes", 1)
    test = data.load("fashion-mnist").test
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rehearsal, "WINDOWS_OF_A_KIND", 6)
        patch.setattr(rehearsal, "QUIET_WINDOWS", 40)
        reference = monitor.make_reference(predictor, test.sample(1500, seed=1))
    return widgets.shift(predictor, reference, test)


def test_nothing_is_said_of_nothing(dial):
    dial.strength.value = 0.0
    assert not dial.verdict.harmful and dial.truth > 0.85
    assert "the monitor is right" in dial.said.value


@pytest.mark.parametrize("kind", ["masks", "moved", "broken camera"])
def test_turning_it_up_rings_and_the_truth_falls(dial, kind):
    dial.kind.value = kind
    dial.strength.value = 0.9
    assert dial.verdict.harmful and dial.truth < 0.75
    assert "harmful" in dial.said.value and "The truth" in dial.said.value
    assert dial.images.value.count("<img") == 6
    assert kind in repr(dial)
