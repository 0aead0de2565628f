"""A reference of the shipped model, from fewer rehearsals than in earnest, and held-out images it has not seen."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from mlops_lab import data, store
from mlops_lab.data import Split
from mlops_lab.monitor import make_reference, rehearsal


@pytest.fixture(scope="session")
def clothes():
    return store.ModelStore(Path(__file__).parents[2] / "models").load("clothes", 1)


@pytest.fixture(scope="session")
def halves():
    """The test images in two halves: one for the reference, one for production."""
    test = data.load("fashion-mnist").test
    order = np.random.default_rng(3).permutation(len(test))
    return tuple(Split(test.images[part], test.labels[part]) for part in (order[:3000], order[3000:6000]))


@pytest.fixture(scope="session")
def reference(clothes, halves, made_once):
    def rehearse(new):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(rehearsal, "WINDOWS_OF_A_KIND", 20)
            patch.setattr(rehearsal, "QUIET_WINDOWS", 60)
            (new / "reference").write_bytes(pickle.dumps(make_reference(clothes, halves[0])))

    return pickle.loads((made_once("reference", rehearse) / "reference").read_bytes())
