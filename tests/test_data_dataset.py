import re

import numpy as np
import pytest

from mlops_lab.data import Dataset, Split
from mlops_lab.errors import WrongUsage
from mlops_lab.image import InputSpec


@pytest.fixture
def split():
    labels = np.repeat([0, 1, 2], [600, 300, 100])
    return Split(np.arange(1000, dtype=np.uint8)[:, None, None] * np.ones((1, 4, 4), np.uint8), labels)


@pytest.mark.parametrize("limit", [10, 37, 500, 999])
def test_a_sample_keeps_the_proportions(split, limit):
    counts = np.bincount(split.sample(limit).labels, minlength=3)
    assert counts.sum() == limit
    assert np.abs(counts - limit * np.array([0.6, 0.3, 0.1])).max() < 1


def test_a_sample_takes_images_with_their_labels():
    labels = np.arange(200) % 5
    split = Split(np.repeat(labels, 16).reshape(200, 4, 4).astype(np.uint8), labels)
    sample = split.sample(50)
    assert np.array_equal(sample.images[:, 0, 0], sample.labels)


def test_a_sample_takes_nothing_twice():
    split = Split(np.arange(200, dtype=np.uint8)[:, None, None], np.arange(200) % 5)
    assert len(np.unique(split.sample(150).images)) == 150


def test_a_sample_is_shuffled_and_decided_by_its_seed(split):
    one, again, other = split.sample(100, seed=1), split.sample(100, seed=1), split.sample(100, seed=2)
    assert np.array_equal(one.images, again.images)
    assert not np.array_equal(one.images, other.images)
    assert not np.array_equal(one.labels, np.sort(one.labels))


def test_a_limit_beyond_the_end_takes_everything(split):
    assert split.sample(5000) is split


def test_a_data_set_is_limited_in_both_splits(digits):
    limited = digits.limited(200)
    assert (len(limited.train), len(limited.test)) == (200, 50)
    assert limited.classes == digits.classes
    assert digits.limited(None) is digits


@pytest.mark.parametrize("limit", [0, -5, 9])
def test_a_limit_below_the_number_of_classes_is_refused(digits, limit):
    with pytest.raises(WrongUsage, match=f"limit={limit}"):
        digits.limited(limit)


def test_the_checksum_tells_data_apart(digits):
    changed = digits.train.images.copy()
    changed[0, 0, 0] ^= 1
    other = Dataset("digits", digits.classes, Split(changed, digits.train.labels), digits.test, digits.input)
    assert re.fullmatch("[0-9a-f]{64}", digits.checksum)
    assert digits.checksum == digits.limited(None).checksum
    assert digits.checksum != other.checksum
    assert digits.checksum != digits.limited(100).checksum


def test_representations(digits):
    assert digits.to_dict()["train"] == 1438
    assert digits.to_dict()["input"]["shape"] == [64]
    html = digits._repr_html_()
    assert html.count("<img") == html.count("alt=") == 20
    assert "7, an example" in html


def test_a_colour_data_set_draws_too():
    split = Split(np.zeros((4, 6, 5, 3), np.uint8), np.arange(4) % 2)
    spec = InputSpec(shape=(6, 5, 3), size=(6, 5), mode="rgb")
    dataset = Dataset("colours", ("a", "b"), split, split, spec)
    assert repr(dataset) == "<Dataset colours: 4 train + 4 test images of 5×6, 2 classes>"
    assert dataset._repr_html_().count("<img") == 4
