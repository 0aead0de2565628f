"""Summaries add up: exactly, in any order, however the predictions were cut."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_lab.errors import WrongUsage
from mlops_lab.summary.scale import make_scale
from mlops_lab.summary.summary import empty, from_bytes, merge, summarise
from mlops_lab.summary.window import UNKNOWN, Window

LABELS, STATISTICS = ("a", "b", "c"), ("brightness", "contrast")


def make_window(seed, n, *, labelled=False):
    random = np.random.default_rng(seed)
    rows = random.dirichlet(np.ones(3), n).astype(np.float32)
    truth = random.integers(0 if labelled else UNKNOWN, 3, n)
    inputs = random.normal(0, 1 + 5 * random.random(), (n, 2)).astype(np.float32)
    return Window("m", 1, LABELS, STATISTICS, np.arange(n, dtype=float), rows, inputs, truth, np.zeros(n))


SCALE = make_scale(make_window(0, 500, labelled=True))


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(0, 60), cuts=st.lists(st.integers(0, 60), max_size=4))
def test_merging_the_parts_is_summarising_the_whole(seed, n, cuts):
    window = make_window(seed, n)
    ends = [0, *sorted(min(cut, n) for cut in cuts), n]
    parts = [summarise(window.take(slice(a, b)), SCALE) for a, b in itertools.pairwise(ends)]
    whole = summarise(window, SCALE)
    assert (merge(*parts).sums == whole.sums).all()
    assert (merge(*parts[::-1]).sums == whole.sums).all()
    assert (from_bytes(whole.to_bytes(), SCALE).sums == whole.sums).all()


def test_a_summary_says_what_the_window_says():
    window = make_window(5, 400)
    summary = summarise(window, SCALE)
    known = window.truth != UNKNOWN
    assert (summary.count, summary.labelled) == (400, known.sum())
    assert summary.correct / summary.labelled == pytest.approx(window.accuracy)
    assert summary.classes.tolist() == np.bincount(window.classes, minlength=3).tolist()
    assert (summary.histograms.sum(axis=1) == 400).all()
    features = SCALE.features_of(window)
    assert summary.means == pytest.approx(features.mean(axis=0), abs=1e-4)
    assert summary.deviations == pytest.approx(features.std(axis=0), abs=1e-3)


def test_the_reference_fills_its_own_bins_evenly():
    histograms = summarise(make_window(0, 500, labelled=True), SCALE).histograms
    assert histograms.min() >= 20 and histograms.max() <= 30


def test_what_does_not_belong_together_is_not_merged():
    other = make_scale(make_window(1, 500, labelled=True))
    with pytest.raises(WrongUsage, match="different references"):
        merge(empty(SCALE), empty(other))
    odd = Window("m", 1, ("x",), STATISTICS, np.zeros(0), np.zeros((0, 1)), np.zeros((0, 2)), np.zeros(0), np.zeros(0))
    with pytest.raises(WrongUsage, match="classes"):
        summarise(odd, SCALE)


def test_a_reference_needs_truths():
    with pytest.raises(WrongUsage, match="right class"):
        make_scale(make_window(0, 100))
