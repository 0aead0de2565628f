"""LeNet-5, and the one loop that trains a Keras model."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from mlops_lab.data import Dataset
from mlops_lab.engines.quiet import import_keras
from mlops_lab.image import to_input
from mlops_lab.train.config import TrainConfig
from mlops_lab.train.examples import batches, split
from mlops_lab.train.run import TrainingRun, accuracy, one_of_each, provenance


def lenet5(shape: tuple[int, ...] = (28, 28, 1), classes: int = 10) -> Any:
    """Return the course's LeNet-5, untrained: 44,426 weights for ten classes of 28×28 images.

    Source: Y. LeCun et al., "Gradient-based learning applied to document recognition", 1998, with the course's relu
    and softmax.

    Examples
    --------
    >>> lenet5().count_params()  # doctest: +SKIP
    44426
    """
    keras = import_keras()
    layers = keras.layers
    return keras.Sequential(
        [
            # The name is the one that TensorFlow Serving's clients use.
            keras.Input(shape, name="image"),
            layers.Conv2D(6, kernel_size=(5, 5), activation="relu"),
            layers.AveragePooling2D(pool_size=(2, 2)),
            layers.Conv2D(16, kernel_size=(5, 5), activation="relu"),
            layers.AveragePooling2D(pool_size=(2, 2)),
            layers.Flatten(),
            layers.Dense(120, activation="relu"),
            layers.Dense(84, activation="relu"),
            layers.Dense(classes, activation="softmax"),
        ],
        name="lenet5",
    )


def fit(
    dataset: Dataset,
    config: TrainConfig | None = None,
    *,
    build: Callable[[], Any] | None = None,
    callbacks: Sequence[Any] = (),
    progress: bool = True,
) -> TrainingRun:
    """Train a Keras model on a data set and judge it on the test split.

    Parameters
    ----------
    dataset
        From :func:`mlops_lab.data.load`.
    config
        How to train; by default the lab's recipe for 20 epochs.
    build
        Returns the untrained model; by default :func:`lenet5`.
    callbacks
        More Keras callbacks.
    progress
        Show a bar with the epochs.

    Returns
    -------
    TrainingRun

    Examples
    --------
    >>> run = fit(data.load("fashion-mnist"), TrainConfig(epochs=2))  # doctest: +SKIP
    >>> run.metrics["test_accuracy"]  # doctest: +SKIP
    0.8623
    """
    config = config or TrainConfig()
    keras = import_keras()
    keras.utils.set_random_seed(config.seed)
    model = build() if build else lenet5((*dataset.input.shape,), len(dataset.classes))
    model.compile(
        # A number, not a schedule object: the learning rate stays a variable of Adam, set before each epoch.
        optimizer=keras.optimizers.Adam(config.learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=config.xla,
        steps_per_execution=config.steps_per_call,
    )
    training, validation = split(dataset, config.validation_split)
    started = time.perf_counter()
    with _arithmetic(config):
        history = model.fit(
            batches(training, dataset.input, config),
            validation_data=(to_input(validation.images, dataset.input), validation.labels),
            # Validation learns nothing, so large batches change only its speed.
            validation_batch_size=1000,
            epochs=config.epochs,
            shuffle=False,  # the batches are shuffled already
            callbacks=[
                keras.callbacks.LearningRateScheduler(lambda epoch, _: config.learning_rate_at(epoch)),
                *([_progress(config.epochs)] if progress else []),
                *callbacks,
            ],
            verbose=0,
        )
    seconds = time.perf_counter() - started
    curves = {name: [float(value) for value in values] for name, values in history.history.items()}
    probabilities = model.predict(to_input(dataset.test.images, dataset.input), batch_size=1000, verbose=0)
    return TrainingRun(
        model=model,
        framework="keras",
        input=dataset.input,
        labels=dataset.classes,
        history=curves,
        config=config,
        metrics={
            "test_accuracy": accuracy(probabilities, dataset.test.labels),
            "validation_accuracy": curves["val_accuracy"][-1],
        },
        seconds=seconds,
        data=provenance(dataset),
        seed=config.seed,
        examples=one_of_each(dataset.test),
        settings={"model": model.name, "optimizer": "adam", **asdict(config)},
    )


@contextmanager
def _arithmetic(config: TrainConfig) -> Iterator[None]:
    """Compute as the recipe says while training, and in float32 again afterwards."""
    import tensorflow as tf

    before = tf.config.optimizer.get_experimental_options()
    if config.bfloat16:
        tf.config.optimizer.set_experimental_options({"auto_mixed_precision_onednn_bfloat16": True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({"auto_mixed_precision_onednn_bfloat16": False, **before})


def _progress(epochs: int) -> Any:
    """Return a Keras callback that draws one bar for the whole run, in a terminal or a notebook."""
    import keras
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    class Bar(keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_begin(self, logs: Any = None) -> None:
            self.bar = Progress(
                TextColumn("epoch"),
                MofNCompleteColumn(),
                BarColumn(),
                TextColumn("{task.description}"),
                TimeRemainingColumn(),
            )
            self.task = self.bar.add_task("", total=epochs)
            self.bar.start()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            text = f"accuracy {logs['accuracy']:.3f}, validation {logs['val_accuracy']:.3f}"
            self.bar.update(self.task, advance=1, description=text)

        def on_train_end(self, logs: Any = None) -> None:
            self.bar.stop()

    return Bar()
