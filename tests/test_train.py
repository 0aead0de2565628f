import itertools

import numpy as np
import pytest

from mlops_lab import data, train
from mlops_lab.errors import WrongUsage
from mlops_lab.image import InputSpec, to_input
from mlops_lab.train import TrainConfig, accuracy

tensorflow = pytest.mark.tensorflow


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"batch_size": 0},
        {"validation_split": 0.0},
        {"validation_split": 1.0},
        {"schedule": "step"},
    ],
)
def test_settings_that_make_no_sense(wrong):
    with pytest.raises(WrongUsage):
        TrainConfig(**wrong)


def test_the_cosine_falls_to_nothing_and_the_course_stays():
    config = TrainConfig(epochs=20)
    rates = [config.learning_rate_at(epoch) for epoch in range(20)]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] == pytest.approx(config.learning_rate, rel=0.01)
    assert rates[-1] < 0.01 * config.learning_rate
    assert {TrainConfig.course().learning_rate_at(epoch) for epoch in range(20)} == {1e-3}


def test_the_course_s_recipe():
    course = TrainConfig.course(epochs=3, seed=4)
    assert (course.epochs, course.seed, course.flip, course.schedule) == (3, 4, False, "constant")
    assert (course.batch_size, course.validation_split) == (128, 0.2)


def test_the_split_is_keras_s_own(digits):
    training, validation = train._split(digits, 0.2)
    assert (len(training), len(validation)) == (1150, 288)
    assert np.array_equal(validation.images[-1], digits.train.images[-1])


def test_accuracy():
    assert accuracy(np.eye(4), np.array([0, 1, 2, 0])) == 0.75


# scikit-learn


def test_a_scikit_learn_run(digits_run, digits):
    assert digits_run.metrics["test_accuracy"] > 0.95
    assert digits_run.framework == "scikit-learn"
    assert digits_run.data_checksum == digits.checksum
    assert digits_run.examples.shape == (10, 8, 8)
    assert digits_run.settings["model"] == "MLPClassifier"


def test_the_same_seed_gives_the_same_scikit_learn_model(digits, digits_run):
    again = train.fit_sklearn(digits)
    assert all(np.array_equal(a, b) for a, b in zip(again.model.coefs_, digits_run.model.coefs_, strict=True))


def test_an_estimator_of_one_s_own(digits):
    from sklearn.linear_model import LogisticRegression

    run = train.fit_sklearn(digits.limited(300), LogisticRegression(max_iter=5000))
    assert run.settings["model"] == "LogisticRegression"
    assert run.metrics["test_accuracy"] > 0.8


def test_faces_of_a_run_without_curves(digits_run):
    assert "scikit-learn model trained on digits" in str(digits_run)
    assert "<img" not in digits_run._repr_html_()
    assert digits_run.to_dict()["data"]["sha256"] == digits_run.data_checksum


# Keras


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
def test_the_optimizer_keeps_the_learning_rate_a_variable(run):
    optimizer = sum(int(np.prod(variable.shape)) for variable in run.model.optimizer.variables)
    assert run.model.count_params() + optimizer == 133_280


@tensorflow
def test_the_curves_are_drawn(run):
    assert run.curves_png().startswith(b"\x89PNG")
    assert 'alt="Accuracy and loss by epoch.' in run._repr_html_()


@tensorflow
def test_the_progress_bar_and_callbacks_of_one_s_own(digits, capsys):
    from mlops_lab.engines.quiet import import_keras

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
    pictures, labels = to_input(dataset.test.images, dataset.input), dataset.test.labels
    probabilities = run.model.predict(pictures, verbose=0)
    loss = -np.log(probabilities[np.arange(len(labels)), labels]).mean()
    assert loss == pytest.approx(run.model.evaluate(pictures, labels, verbose=0)[0], abs=1e-5)
    assert {str(weight.dtype) for weight in run.model.weights} == {"float32"}


@tensorflow
def test_every_epoch_has_an_order_of_its_own():
    split = data.Split(np.arange(40, dtype=np.uint8).reshape(10, 2, 2), np.arange(10))
    batches = train._batches(split, InputSpec(shape=(2, 2, 1), size=(2, 2)), TrainConfig(batch_size=4))
    epochs = [[batch[1].numpy().tolist() for batch in batches] for _ in range(3)]
    assert [[len(batch) for batch in epoch] for epoch in epochs] == [[4, 4, 2]] * 3
    orders = [tuple(itertools.chain(*epoch)) for epoch in epochs]
    assert all(sorted(order) == list(range(10)) for order in orders)
    assert len(set(orders)) == 3
