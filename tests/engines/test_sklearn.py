import io
import sys

import numpy as np
import pytest

from mlops_lab.engines import sklearn
from mlops_lab.errors import MissingPackage, UnsafeFile
from mlops_lab.image import to_input


def test_it_answers_as_the_model_that_was_trained(shared_models, digits, digits_run):
    engine = sklearn.load((shared_models.root / "digits/1/model.skops").read_bytes())
    inputs = to_input(digits.test.images[:50], digits.input)
    assert np.abs(engine.predict(inputs) - digits_run.model.predict_proba(inputs)).max() < 1e-6
    assert engine.predict(inputs).dtype == np.float32


def test_images_become_rows(digits_run, digits):
    inputs = to_input(digits.test.images[:3], digits.input)
    engine = sklearn.SklearnEngine(digits_run.model)
    assert np.array_equal(engine.predict(inputs.reshape(3, 8, 8)), engine.predict(inputs))


class Stranger:
    def predict_proba(self, inputs):
        return np.full((len(inputs), 2), 0.5)


def test_types_that_nobody_trusts_are_named_and_not_loaded():
    from skops import io as skops

    with pytest.raises(UnsafeFile, match="Stranger") as caught:
        sklearn.load(skops.dumps(Stranger()))
    assert caught.value.code == "untrusted_type"


def test_a_pickle_is_not_run(tmp_path):
    import pickle

    canary = tmp_path / "canary"

    class Bad:
        def __reduce__(self):
            return (canary.touch, ())

    with pytest.raises(Exception, match="zip"):
        sklearn.load(pickle.dumps(Bad()))
    assert not canary.exists()


def test_without_the_package_the_install_line_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "skops", None)
    with pytest.raises(MissingPackage, match="pip install skops"):
        sklearn.load(io.BytesIO().getvalue())
