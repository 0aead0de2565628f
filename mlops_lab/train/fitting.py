"""LeNet-5, and the training of a Keras model."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from mlops_lab.data import Dataset
from mlops_lab.engines.quiet import import_keras
from mlops_lab.image import to_input
from mlops_lab.train.callbacks import learning_rate_schedule, progress_bar
from mlops_lab.train.config import TrainConfig
from mlops_lab.train.examples import batches, split
from mlops_lab.train.optimizers import build_optimizer
from mlops_lab.train.run import TrainingRun, accuracy, one_of_each, provenance

# Loss and metrics of every model that is trained here.
OBJECTIVE: dict[str, Any] = {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}


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
    """Train a Keras model on a data set and evaluate it on the test split.

    Parameters
    ----------
    dataset
        From :func:`mlops_lab.data.load`.
    config
        Settings of the run; by default the lab's recipe.
    build
        Function that returns the untrained model; by default :func:`lenet5`.
    callbacks
        Additional Keras callbacks. A file that one of them saves during training holds the optimizer of the recipe:
        load it with ``compile=False``.
    progress
        Show a progress bar.

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
    model = build() if build else lenet5(dataset.input.least_shape, len(dataset.classes))
    model.compile(
        optimizer=build_optimizer(config),
        **OBJECTIVE,
        jit_compile=config.xla,
        steps_per_execution=config.steps_per_call,
    )
    training, validation = split(dataset, config.validation_split)
    started = time.perf_counter()
    with _arithmetic(config):
        history = model.fit(
            batches(training, dataset.input, config),
            validation_data=(to_input(validation.images, dataset.input), validation.labels),
            # The batch size of validation changes only its speed.
            validation_batch_size=1000,
            epochs=config.epochs,
            shuffle=False,  # the batches are shuffled already
            callbacks=[
                learning_rate_schedule(config),
                *([progress_bar(config.epochs)] if progress else []),
                *callbacks,
            ],
            verbose=0,
        )
    if config.optimizer != "adam":
        _compile_with_adam(model)
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
        settings={"model": model.name, **asdict(config)},
        held_out=dataset.test,
    )


def _compile_with_adam(model: Any) -> None:
    """Replace the optimizer of a trained model by a new Adam, the optimizer of the course's models.

    The saved file then refers only to classes that every version of Keras knows, and training can be resumed from it.
    """
    keras = import_keras()
    model.compile(optimizer=keras.optimizers.Adam(), **OBJECTIVE)
    model.optimizer.build(model.trainable_variables)


@contextmanager
def _arithmetic(config: TrainConfig) -> Iterator[None]:
    """Enable bfloat16 while training if the recipe says so, and restore float32 afterwards."""
    import tensorflow as tf

    before = tf.config.optimizer.get_experimental_options()
    if config.bfloat16:
        tf.config.optimizer.set_experimental_options({"auto_mixed_precision_onednn_bfloat16": True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({"auto_mixed_precision_onednn_bfloat16": False, **before})
