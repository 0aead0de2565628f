import warnings

import numpy as np
import pytest

from mlops_lab.errors import DamagedArtifact
from mlops_lab.store import ModelStore
from mlops_lab.store.golden import check_agreement
from mlops_lab.store.intake.quiet import quiet_export
from mlops_lab.store.parameters import count_parameters


def test_agreement_is_of_shape_and_of_every_number():
    expected = np.array([[0.25, 0.75]], np.float32)
    check_agreement("onnx", {"y": expected}, {"y": expected + np.float32(5e-6)}, 1e-5)
    for received in (expected + np.float32(1e-4), np.zeros((1, 3), np.float32), np.full((1, 2), np.nan, np.float32)):
        with pytest.raises(DamagedArtifact, match="The onnx engine"):
            check_agreement("onnx", {"y": expected}, {"y": received}, 1e-5)


def test_the_two_ends_of_float32_differ_without_a_warning():
    far = np.full((1, 2), 3.4e38, np.float32)
    with pytest.raises(DamagedArtifact, match=r"6\.\d+e\+38"):
        check_agreement("onnx", {"y": far}, {"y": -far}, 1e-5)


def test_the_parameters_of_an_estimator(digits_run):
    assert count_parameters(digits_run.model, digits_run.framework) == {
        "number_of_parameters": 64 * 64 + 64 + 64 * 10 + 10,
        "trainable_parameters": 4810,
        "optimizer_parameters": 0,
    }


def test_the_parameters_of_a_pipeline(digits):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from mlops_lab import train

    run = train.fit_sklearn(digits.limited(300), make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)))
    assert count_parameters(run.model, run.framework)["trainable_parameters"] == 650


def test_converters_keep_quiet(capfd):
    with quiet_export():
        print("chatter")
        warnings.warn("a remark", stacklevel=1)
    assert capfd.readouterr() == ("", "")


@pytest.mark.tensorflow
@pytest.mark.parametrize("engine", ["keras", "onnx"])
def test_a_keras_model_answers_alike_on_every_engine(fashion_store, fashion_run, tiny_fashion, engine):
    from mlops_lab.engines.keras import KerasEngine
    from mlops_lab.image import to_input

    inputs = to_input(tiny_fashion.test.images, tiny_fashion.input)
    expected = KerasEngine(fashion_run.model).predict(inputs)
    received = fashion_store.load("clothes", engine=engine).probabilities(tiny_fashion.test.images)
    assert np.abs(expected - received).max() < 1e-5


@pytest.mark.tensorflow
def test_the_saved_model_answers_alike(fashion_store, fashion_run, tiny_fashion):
    import tensorflow as tf

    from mlops_lab.engines.keras import KerasEngine
    from mlops_lab.image import to_input

    inputs = to_input(tiny_fashion.test.images, tiny_fashion.input)
    loaded = tf.saved_model.load(str(fashion_store.root / "clothes/1"))
    answer = next(iter(loaded.signatures["serving_default"](image=tf.constant(inputs)).values())).numpy()
    assert np.abs(answer - KerasEngine(fashion_run.model).predict(inputs)).max() < 1e-5


@pytest.mark.tensorflow
def test_the_folder_of_a_keras_model(fashion_store):
    folder = fashion_store.root / "clothes/1"
    assert {"model.keras", "saved_model.pb", "variables", "model.onnx", "manifest.json", "README.md"} <= {
        path.name for path in folder.iterdir()
    }
    manifest = fashion_store.get("clothes").manifest
    assert manifest.number_of_parameters == 133_280
    assert manifest.trainable_parameters == 44_426
    assert manifest.optimizer_parameters == 88_854
    assert manifest.engine == "onnx"
    assert set(manifest.files) >= {"model.keras", "saved_model.pb", "model.onnx", "variables/variables.index"}


@pytest.fixture(scope="module")
def fashion_run(tiny_fashion):
    from mlops_lab import train

    return train.fit(tiny_fashion, train.TrainConfig(epochs=1), progress=False)


@pytest.fixture(scope="module")
def fashion_store(fashion_run, tmp_path_factory):
    store = ModelStore(tmp_path_factory.mktemp("fashion") / "models")
    store.publish(fashion_run, "clothes")
    return store
