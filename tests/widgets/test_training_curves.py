import re

import pytest

from mlops_lab import train, widgets
from mlops_lab.errors import WrongUsage
from mlops_lab.widgets.training_curves import Training


def test_the_best_epoch_keeps_its_weights():
    live = widgets.training()
    for number, accuracy in enumerate([0.5, 0.8, 0.7], start=1):
        live.record_epoch({"accuracy": accuracy, "val_accuracy": accuracy}, weights=number)
    assert (live.best, live.weights) == (2, 2)
    assert "3 epochs, best validation accuracy 0.8000 in epoch 2" in live.state.value


def test_the_curves_have_a_text():
    live = widgets.training()
    live.record_epoch({"accuracy": 0.5, "val_accuracy": 0.4}, weights=None)
    assert re.search('aria-label="Accuracy by epoch: 1 epoch, best validation accuracy 0.4000', live.curves.value)


def test_the_button_waits_for_a_run():
    live = widgets.training()
    assert live.button.disabled
    live.begin()
    assert not live.button.disabled
    live.button.click()
    assert live.stopping
    assert live.button.disabled
    live.begin()
    assert not live.stopping


def small():
    import keras

    layers = [keras.Input((64,)), keras.layers.Dense(10, activation="softmax")]
    return keras.Sequential(layers)


def test_starting_needs_something_to_train():
    live = widgets.training()
    with pytest.raises(WrongUsage, match="nothing to train"):
        live.start()
    with pytest.raises(WrongUsage, match="Nothing has been trained"):
        live.wait()


@pytest.mark.tensorflow
@pytest.mark.filterwarnings("ignore")
def test_a_training_that_fails_is_said_and_raised():
    def fit(callback):
        raise ValueError("no such layer")

    live = Training(fit)
    live.go.click()
    with pytest.raises(ValueError, match="no such layer"):
        live.wait()
    assert "✗ failed: no such layer" in live.state.value
    assert not live.go.disabled


@pytest.mark.tensorflow
@pytest.mark.filterwarnings("ignore")
def test_stopping_gives_the_model_its_best_weights(digits):
    config = train.TrainConfig(epochs=500, steps_per_call=1)
    live = widgets.training(digits, config, build=small)
    # Press the button when the third epoch has been heard.
    live.curves.observe(lambda _: live.button.click() if len(live.history["loss"]) == 3 else None, "value")
    live.go.click()
    run = live.wait()
    assert len(run.history["accuracy"]) < 10
    assert all((now == best).all() for now, best in zip(run.model.get_weights(), live.weights, strict=True))
    assert f"weights of epoch {live.best}" in live.state.value


@pytest.mark.tensorflow
@pytest.mark.filterwarnings("ignore")
def test_the_callback_draws_a_run_of_ones_own(digits):
    live = widgets.training()
    config = train.TrainConfig(epochs=2, steps_per_call=1)
    run = train.fit(digits, config, build=small, callbacks=[live.callback], progress=False)
    assert live.history["val_accuracy"] == pytest.approx(run.history["val_accuracy"])
    assert "✓ done" in live.state.value
