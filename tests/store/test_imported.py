from pathlib import Path

import numpy as np
import pytest

from mlops_lab import data, store
from mlops_lab.errors import UnsafeFile, WrongUsage
from mlops_lab.image import InputSpec

MODEL = Path(__file__).parents[2] / "models" / "digits" / "1" / "model.onnx"


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


def imported(digits, model=MODEL, examples=None):
    examples = digits.test.images[:4] if examples is None else examples
    return store.from_onnx(
        model, input=digits.input, labels=digits.classes, examples=examples, metrics={"test_accuracy": 0.97}
    )


@pytest.mark.parametrize("model", [MODEL, str(MODEL), MODEL.read_bytes()], ids=["path", "text", "bytes"])
def test_a_model_of_any_framework_is_published_and_served(digits, tmp_path, model):
    models = store.ModelStore(tmp_path)
    version = models.publish(imported(digits, model), "elsewhere", description="From another framework")
    assert (version.manifest.framework, version.manifest.engine) == ("onnx", "onnx")
    shipped = store.ModelStore("models").load("digits", 1)
    here = models.load("elsewhere", 1)
    np.testing.assert_array_equal(here.probabilities(digits.test.images), shipped.probabilities(digits.test.images))


def test_its_weights_are_counted(digits, tmp_path):
    manifest = store.ModelStore(tmp_path).publish(imported(digits), "elsewhere").manifest
    shipped = store.ModelStore("models").get("digits", 1).manifest
    assert manifest.number_of_parameters == shipped.number_of_parameters


def test_there_must_be_examples(digits):
    with pytest.raises(WrongUsage, match="no examples"):
        imported(digits, examples=digits.test.images[:0])


def test_what_is_not_onnx_is_refused(digits):
    with pytest.raises(UnsafeFile):
        imported(digits, model=b"not a model")


def test_another_kind_of_model_file_is_refused(digits):
    with pytest.raises(WrongUsage, match="not ONNX"):
        imported(digits, model=MODEL.parents[2] / "clothes" / "1" / "model.keras")


def test_a_model_that_takes_no_pictures(tmp_path, digits):
    """The same graph with its bare input: 64 numbers, already scaled."""
    bare = InputSpec(shape=(64,))
    examples = np.zeros((2, 64), np.float32)
    model = store.from_onnx(MODEL, input=bare, labels=digits.classes, examples=examples)
    version = store.ModelStore(tmp_path).publish(model, "bare")
    assert version.manifest.input.size is None
