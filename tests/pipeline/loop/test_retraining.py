"""Old and new examples are mixed so that nothing is forgotten, and what is held out stays held out."""

import numpy as np
import pytest

from mlops_lab.data import Split
from mlops_lab.errors import GateFailed
from mlops_lab.pipeline.loop.datasets import DatasetFolder
from mlops_lab.pipeline.loop.retraining import mix, refuse_own_answers


@pytest.fixture
def new(digits):
    return Split(255 - digits.test.images[:200], digits.test.labels[:200])


def as_set(images):
    return {image.tobytes() for image in images}


def test_old_and_new_are_both_there_and_nothing_held_out_is_trained_on(digits, new):
    found = mix(digits, new, held_out=0.4, share=0.3)
    learned = as_set(found.dataset.train.images)
    assert as_set(digits.train.images) <= learned
    assert (found.new, len(found.fresh), found.old) == (120, 80, len(digits.train))
    assert not as_set(found.fresh.images) & learned
    assert len(found.dataset.train) == found.old + found.new * found.repeated
    assert found.dataset.name == "digits+production" and found.dataset.test is digits.test


def test_a_second_time_keeps_held_out_what_was(digits, new):
    first = mix(digits, new)
    second = mix(first.dataset, Split(new.images // 2, new.labels), before=first.fresh)
    assert as_set(first.fresh.images) <= as_set(second.fresh.images)
    assert not as_set(first.fresh.images) & as_set(second.dataset.train.images)
    assert second.dataset.name == "digits+production"


@pytest.mark.parametrize("old", [None, 30])
def test_new_data_alone_are_refused(digits, new, old):
    with pytest.raises(GateFailed, match="forgets the old"):
        mix(None if old is None else digits.limited(old), new)


def test_the_models_own_answers_are_refused():
    said = np.arange(300) % 10
    with pytest.raises(GateFailed, match="300 of 300 labels are what the model itself answered"):
        refuse_own_answers(said, said, 0.9)
    people = np.where(np.arange(300) % 10 == 3, 4, said)  # nine of ten, as on the reference
    refuse_own_answers(said, people, 0.9)
    refuse_own_answers(said[:20], said[:20], 0.9)  # that can be by chance


def test_data_come_back_as_they_were(tmp_path, digits, new):
    folder = DatasetFolder(tmp_path / "data")
    checksum = folder.keep(digits, new)
    found, fresh = folder.load(checksum)
    assert found.checksum == checksum == digits.checksum and found.input == digits.input
    assert np.array_equal(fresh.images, new.images)
    with pytest.raises(GateFailed, match="are not in"):
        folder.load("0" * 64)


def test_a_version_from_elsewhere_is_trained_again_on_its_shipped_data(tmp_path, two, digits):
    found, fresh = DatasetFolder(tmp_path / "data").of(two.get("digits", 1))
    assert found.checksum == digits.checksum and fresh is None
