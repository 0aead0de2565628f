import numpy as np
import pytest

from mlops_lab import data, train
from mlops_lab.engines.quiet import import_keras
from mlops_lab.image import to_input
from mlops_lab.train import TrainConfig

tensorflow = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def run(tiny_fashion):
    return train.fit(tiny_fashion, TrainConfig(epochs=2), progress=False)


@tensorflow
def test_the_course_s_architecture():
    model = train.lenet5()
    assert [type(layer).__name__ for layer in model.layers] == [
        "Conv2D",
        "AveragePooling2D",
        "Conv2D",
        "AveragePooling2D",
        "Flatten",
        "Dense",
        "Dense",
        "Dense",
    ]
    assert model.count_params() == 44_426
    assert [layer.activation.__name__ for layer in model.layers if hasattr(layer, "activation")] == [
        "relu",
        "relu",
        "relu",
        "relu",
        "softmax",
    ]
    assert (model.layers[0].filters, model.layers[0].kernel_size) == (6, (5, 5))
    assert (model.layers[2].filters, model.layers[2].kernel_size) == (16, (5, 5))
    assert [layer.units for layer in model.layers[-3:]] == [120, 84, 10]


@tensorflow
def test_a_keras_run(run, tiny_fashion):
    assert set(run.history) >= {"accuracy", "loss", "val_accuracy", "val_loss"}
    assert len(run.history["accuracy"]) == 2
    assert 0.5 < run.metrics["test_accuracy"] <= 1
    assert run.metrics["validation_accuracy"] == run.history["val_accuracy"][-1]
    assert run.data_checksum == tiny_fashion.checksum
    assert run.examples.shape == (10, 28, 28)
    assert run.seconds > 0


@tensorflow
def test_the_same_seed_gives_the_same_weights_and_another_does_not(tiny_fashion):
    def weights(seed):
        return train.fit(tiny_fashion, TrainConfig(epochs=1, seed=seed), progress=False).model.get_weights()

    one, again, other = weights(0), weights(0), weights(1)
    assert all(np.array_equal(a, b) for a, b in zip(one, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@tensorflow
def test_the_finished_model_holds_adam_whatever_trained_it(run):
    """As many numbers as in the course's file, and an optimizer that every Keras reads."""
    assert run.settings["optimizer"] == "muon"
    assert type(run.model.optimizer).__name__ == "Adam"
    state = sum(int(np.prod(variable.shape)) for variable in run.model.optimizer.variables)
    assert run.model.count_params() + state == 133_280


@tensorflow
def test_the_learning_rate_falls_within_an_epoch(tiny_fashion):
    seen = []
    keras = import_keras()
    note = keras.callbacks.LambdaCallback(on_train_batch_begin=lambda batch, logs: seen.append(rate(note)))

    def rate(callback):
        return float(callback.model.optimizer.learning_rate)

    config = TrainConfig(epochs=2, steps_per_call=2, learning_rate=0.5)
    run = train.fit(tiny_fashion, config, callbacks=[note], progress=False)
    assert len(seen) > 4
    assert seen == pytest.approx([0.5 * (1 - call / len(seen)) for call in range(len(seen))], abs=0.03)
    assert run.history["learning_rate"][-1] == pytest.approx(seen[-1])


@tensorflow
def test_the_curves_are_drawn(run):
    assert run.curves_png().startswith(b"\x89PNG")
    assert 'aria-label="Accuracy and loss by epoch.' in run._repr_html_()


@tensorflow
def test_the_progress_bar_and_callbacks_of_one_s_own(digits, capsys):
    keras = import_keras()
    seen = []
    called = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch))

    def build():
        return keras.Sequential([keras.Input((64,)), keras.layers.Dense(10, activation="softmax")])

    run = train.fit(digits.limited(200), TrainConfig(epochs=2, flip=False), build=build, callbacks=[called])
    assert seen == [0, 1]
    assert "validation" in capsys.readouterr().out
    assert run.model.count_params() == 650


@tensorflow
def test_the_course_s_recipe_runs(tiny_fashion):
    run = train.fit(tiny_fashion.limited(500), TrainConfig.course(epochs=1), progress=False)
    assert run.settings["schedule"] == "constant"


@tensorflow
def test_half_the_bits_only_while_training():
    """After bfloat16 the model answers in float32, and Keras's own evaluation agrees with its predictions."""
    dataset = data.load("fashion-mnist", limit=600)
    run = train.fit(dataset, TrainConfig(epochs=1, bfloat16=True), progress=False)
    images, labels = to_input(dataset.test.images, dataset.input), dataset.test.labels
    probabilities = run.model.predict(images, verbose=0)
    loss = -np.log(probabilities[np.arange(len(labels)), labels]).mean()
    assert loss == pytest.approx(run.model.evaluate(images, labels, verbose=0)[0], abs=1e-5)
    assert {str(weight.dtype) for weight in run.model.weights} == {"float32"}
