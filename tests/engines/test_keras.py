import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def model():
    from mlops_lab import train

    return train.lenet5()


def test_it_answers_as_keras_does(model):
    from mlops_lab.engines.keras import KerasEngine

    inputs = np.random.default_rng(0).random((7, 28, 28, 1), np.float32)
    answer = KerasEngine(model).predict(inputs)
    assert answer.dtype == np.float32
    assert np.abs(answer - model(inputs, training=False).numpy()).max() < 1e-6
    assert KerasEngine(model).predict(inputs[:1]).shape == (1, 10)


def test_one_trace_serves_every_batch_size(model):
    from mlops_lab.engines.keras import KerasEngine

    engine = KerasEngine(model)
    for size in (1, 2, 64):
        engine.predict(np.zeros((size, 28, 28, 1), np.float32))
    assert engine._call.experimental_get_tracing_count() == 1


def test_it_loads_from_bytes(model):
    from mlops_lab.engines import keras
    from mlops_lab.store.keras_file import keras_bytes

    inputs = np.random.default_rng(0).random((2, 28, 28, 1), np.float32)
    loaded = keras.load(keras_bytes(model))
    assert np.abs(loaded.predict(inputs) - keras.KerasEngine(model).predict(inputs)).max() < 1e-6
