"""The dial: nothing at zero, more with strength, and the truth moves along."""

from pathlib import Path

import numpy as np
import pytest

from mlops_lab import store
from mlops_lab.data import Split
from mlops_lab.errors import WrongUsage
from mlops_lab.monitor import KINDS, disturb
from mlops_lab.summary.window import NO_CLASS


@pytest.fixture(scope="module")
def garments(tiny_fashion):
    return tiny_fashion.test.sample(300)


@pytest.mark.parametrize("kind", KINDS)
def test_a_dial_changes_images_and_nothing_at_zero(garments, kind):
    assert disturb(garments, kind, 0.0) is garments
    shifted = disturb(garments, kind, 1.0)
    assert shifted.images.dtype == np.uint8 and shifted.images.shape == garments.images.shape
    assert len(shifted.labels) == len(garments)
    assert (shifted.images != garments.images).any()
    again = disturb(garments, kind, 1.0)
    assert (shifted.images == again.images).all() and (shifted.labels == again.labels).all()


@pytest.mark.parametrize("sides", [(28, 28), (20, 28)])
@pytest.mark.parametrize("kind", KINDS)
def test_each_colour_is_disturbed_as_grey_is(garments, kind, sides):
    grey = [255 - garments.images, garments.images, garments.images[::-1]]
    grey = [np.ascontiguousarray(images[:60, : sides[0], : sides[1]]) for images in grey]
    labels = garments.labels[:60]
    shifted = disturb(Split(np.stack(grey, axis=3), labels), kind, 0.7, share=0.8, seed=3)
    assert shifted.images.dtype == np.uint8 and shifted.images.shape == (60, *sides, 3)
    if kind == "noise":  # each colour has its own
        assert (shifted.images != np.stack(grey, axis=3)).any(axis=(0, 1, 2)).all()
        return
    for place, images in enumerate(grey):
        alone = disturb(Split(images, labels), kind, 0.7, share=0.8, seed=3)
        assert (shifted.images[..., place] == alone.images).all() and (shifted.labels == alone.labels).all()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("seasons", "inverted", "new clothes")])
def test_a_stronger_one_changes_more_and_the_model_less_right(garments, kind):
    model = store.ModelStore(Path(__file__).parents[2] / "models").load("clothes", 1)
    change, right = [], []
    for strength in (0.0, 0.4, 1.0):
        shifted = disturb(garments, kind, strength)
        change.append(np.abs(shifted.images.astype(int) - garments.images).mean())
        right.append((model.probabilities(shifted.images).argmax(1) == shifted.labels).mean())
    assert change == sorted(change)
    assert right[2] < right[0]


def test_the_share_that_is_not_disturbed_stays(garments):
    shifted = disturb(garments, "noise", 1.0, share=0.25)
    same = (shifted.images == garments.images).all(axis=(1, 2)).mean()
    assert 0.65 < same < 0.85


def test_new_clothes_belong_to_no_class(garments):
    labels = disturb(garments, "new clothes", 1.0).labels
    assert 0.5 < (labels == NO_CLASS).mean() < 0.7


def test_seasons_change_the_shares_of_the_classes(garments):
    counts = np.bincount(disturb(garments, "seasons", 1.0).labels, minlength=10)
    assert counts[1::2].sum() > 10 * counts[::2].sum()


def test_an_unknown_kind_names_the_nearest(garments):
    with pytest.raises(WrongUsage, match="Did you mean 'noise'"):
        disturb(garments, "noisy", 1.0)
    with pytest.raises(WrongUsage, match="strength 2"):
        disturb(garments, "noise", 2.0)
