import sys

import numpy as np
import pytest

from mlops_lab import engines
from mlops_lab.engines import onnx
from mlops_lab.errors import DamagedArtifact, MissingPackage
from mlops_lab.image import to_input


@pytest.fixture(scope="module")
def model(shared_models):
    return (shared_models.root / "digits/1/model.onnx").read_bytes()


def test_it_answers_as_the_model_that_was_trained(model, digits, digits_run):
    inputs = to_input(digits.test.images, digits.input)
    answer = onnx.load(model).predict(inputs)
    assert answer.shape == (359, 10)
    assert answer.dtype == np.float32
    assert np.abs(answer - digits_run.model.predict_proba(inputs)).max() < 1e-5


@pytest.mark.parametrize("length", [0, 1, 100, 5000])
def test_a_truncated_model_is_damaged(model, length):
    with pytest.raises(DamagedArtifact, match="ONNX Runtime does not take"):
        onnx.load(model[:length])


def test_a_file_that_is_no_model_is_damaged(capfd):
    with pytest.raises(DamagedArtifact):
        onnx.load(b"no model at all")
    assert capfd.readouterr().err == ""


def test_without_the_package_the_install_line_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingPackage, match="pip install onnxruntime"):
        onnx.load(b"")


def test_the_room_finds_the_engine_by_name(model):
    from mlops_lab.errors import WrongUsage

    assert isinstance(engines.load("onnx", {"model.onnx": model}), onnx.OnnxEngine)
    with pytest.raises(WrongUsage, match="nothing for an engine 'keras'"):
        engines.load("keras", {"model.onnx": model})
    with pytest.raises(WrongUsage, match="Did you mean 'onnx'"):
        engines.load("onx", {"model.onnx": model})
