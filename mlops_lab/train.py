"""Stage 2: train. The course's LeNet-5, trained the same way every time.

``fit(dataset, TrainConfig(...))`` answers a :class:`TrainingRun`. Keras is imported inside the functions that need it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab import show
from mlops_lab.data import Dataset, Split
from mlops_lab.engines.quiet import import_keras
from mlops_lab.errors import WrongUsage
from mlops_lab.image import InputSpec, to_input


@dataclass(frozen=True)
class TrainConfig:
    """How to train. The defaults are the lab's recipe; :meth:`course` is the course's own.

    Parameters
    ----------
    epochs
        How often every training example is seen.
    batch_size
        Examples to a step.
    learning_rate
        Of Adam, at its highest.
    schedule
        ``"cosine"`` lets the learning rate fall to nothing over the epochs; ``"constant"`` keeps it.
    flip
        Show each picture mirrored half of the time: a mirrored shoe is still a shoe.
    validation_split
        The share of the training examples, the last ones, that only judge.
    seed
        Of every random number: the same seed gives the same weights.
    steps_per_call
        Steps that TensorFlow runs before Python has its turn again. The arithmetic is the same.
    bfloat16
        Let convolutions and matrix products compute in bfloat16 while training, on processors that can (elsewhere
        TensorFlow leaves float32). Weights, loss and Adam's sums stay float32, and so does every answer afterwards.
    xla
        Compile the step with XLA: faster on some processors, slower on others.

    Examples
    --------
    >>> TrainConfig(epochs=2).batch_size
    128
    """

    epochs: int = 20
    batch_size: int = 128
    learning_rate: float = 3e-3
    schedule: str = "cosine"
    flip: bool = False
    validation_split: float = 0.2
    seed: int = 0
    steps_per_call: int = 25
    bfloat16: bool = True
    xla: bool = False

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1:
            raise WrongUsage(f"epochs={self.epochs} and batch_size={self.batch_size} must be 1 or more.", "Raise them.")
        if not 0 < self.validation_split < 1:
            raise WrongUsage(f"validation_split={self.validation_split} must lie between 0 and 1.", "Take 0.2.")
        if self.schedule not in ("cosine", "constant"):
            raise WrongUsage(f"There is no schedule {self.schedule!r}.", "Take 'cosine' or 'constant'.")

    @classmethod
    def course(cls, epochs: int = 20, seed: int = 0) -> TrainConfig:
        """Return the course's recipe: Adam at its default of 0.001 throughout, nothing else."""
        return cls(epochs=epochs, seed=seed, learning_rate=1e-3, schedule="constant", steps_per_call=1, bfloat16=False)

    def learning_rate_at(self, epoch: int) -> float:
        """Return the learning rate of an epoch, counted from 0.

        Examples
        --------
        >>> config = TrainConfig(epochs=20, learning_rate=1.0)
        >>> [round(config.learning_rate_at(epoch), 2) for epoch in (0, 10, 19)]
        [1.0, 0.46, 0.0]
        """
        if self.schedule == "constant":
            return self.learning_rate
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (epoch + 0.5) / self.epochs))


@dataclass(frozen=True, eq=False)
class TrainingRun:
    """A trained model and everything needed to say how it came about.

    ``model`` and ``history`` are Keras's own; ``metrics`` holds ``test_accuracy`` and ``validation_accuracy``;
    ``examples`` are test pictures, one for each class, by which the store remembers the model's answers.
    """

    model: Any = field(repr=False)
    framework: str
    input: InputSpec = field(repr=False)
    labels: tuple[str, ...] = field(repr=False)
    history: dict[str, list[float]] = field(repr=False)
    config: TrainConfig | None
    metrics: dict[str, float]
    seconds: float
    data: dict[str, Any] = field(repr=False)
    seed: int | None
    examples: NDArray[np.uint8] = field(repr=False)
    settings: dict[str, Any] = field(repr=False)

    @property
    def data_checksum(self) -> str:
        """SHA-256 of the pixels and labels that the run saw."""
        return str(self.data["sha256"])

    def to_dict(self) -> dict[str, Any]:
        """Return the run without its model and pictures."""
        return {
            "framework": self.framework,
            "settings": self.settings,
            "metrics": self.metrics,
            "history": self.history,
            "seconds": round(self.seconds, 1),
            "data": self.data,
            "seed": self.seed,
        }

    def __str__(self) -> str:
        numbers = ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in self.metrics.items())
        return f"{self.framework} model trained on {self.data['name']} in {self.seconds:.0f} s: {numbers}"

    def _repr_html_(self) -> str:
        curves = show.picture(self.curves_png(), f"Accuracy and loss by epoch. {self}") if self.history else ""
        return show.card(str(self), curves)

    def curves_png(self) -> bytes:
        """Return a picture of accuracy and loss by epoch, as PNG."""
        from matplotlib.ticker import MaxNLocator

        drawing = show.figure(8, 3)
        for place, name in enumerate(("accuracy", "loss"), start=1):
            axes = drawing.add_subplot(1, 2, place)
            epochs = range(1, len(self.history[name]) + 1)
            axes.plot(epochs, self.history[name], "o-", markersize=3, label="training")
            axes.plot(epochs, self.history[f"val_{name}"], "s--", markersize=3, label="validation")
            axes.set(xlabel="epoch", title=name.capitalize())
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.grid(alpha=0.3)
            axes.legend()
        return show.figure_png(drawing)


def lenet5(shape: tuple[int, ...] = (28, 28, 1), classes: int = 10) -> Any:
    """Return the course's LeNet-5, untrained: 44,426 weights for ten classes of 28×28 pictures.

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
    training, validation = _split(dataset, config.validation_split)
    started = time.perf_counter()
    with _arithmetic(config):
        history = model.fit(
            _batches(training, dataset.input, config),
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
        data=_provenance(dataset),
        seed=config.seed,
        examples=_one_of_each(dataset.test),
        settings={"model": model.name, "optimizer": "adam", **asdict(config)},
    )


def fit_sklearn(dataset: Dataset, estimator: Any = None, *, seed: int = 0) -> TrainingRun:
    """Train a scikit-learn classifier on a data set and judge it on the test split.

    Parameters
    ----------
    dataset
        From :func:`mlops_lab.data.load`.
    estimator
        Anything with ``fit`` and ``predict_proba``; by default a small neural network.
    seed
        Of the default estimator.

    Returns
    -------
    TrainingRun

    Examples
    --------
    >>> from mlops_lab import data
    >>> run = fit_sklearn(data.load("digits"))
    >>> run.metrics["test_accuracy"] > 0.95
    True
    """
    if estimator is None:
        from sklearn.neural_network import MLPClassifier

        estimator = MLPClassifier((64,), max_iter=400, random_state=seed)
    started = time.perf_counter()
    estimator.fit(to_input(dataset.train.images, dataset.input), dataset.train.labels)
    seconds = time.perf_counter() - started
    probabilities = estimator.predict_proba(to_input(dataset.test.images, dataset.input))
    return TrainingRun(
        model=estimator,
        framework="scikit-learn",
        input=dataset.input,
        labels=dataset.classes,
        history={},
        config=None,
        metrics={"test_accuracy": accuracy(probabilities, dataset.test.labels)},
        seconds=seconds,
        data=_provenance(dataset),
        seed=seed,
        examples=_one_of_each(dataset.test),
        settings={"model": type(estimator).__name__, **_plain(estimator.get_params())},
    )


def accuracy(probabilities: NDArray[Any], labels: NDArray[np.int64]) -> float:
    """Return the share of rows whose most probable class is the label.

    Examples
    --------
    >>> accuracy(np.array([[0.9, 0.1], [0.8, 0.2]]), np.array([0, 1]))
    0.5
    """
    return float((probabilities.argmax(axis=1) == labels).mean())


def _split(dataset: Dataset, share: float) -> tuple[Split, Split]:
    """Return the first examples for training and the last for validation, as Keras's ``validation_split`` does."""
    edge = int(len(dataset.train) * (1 - share))
    images, labels = dataset.train.images, dataset.train.labels
    return Split(images[:edge], labels[:edge]), Split(images[edge:], labels[edge:])


def _batches(split: Split, spec: InputSpec, config: TrainConfig) -> Any:
    """Return the training examples as batches, in a new order each epoch, mirrored half of the time if asked."""
    import tensorflow as tf

    pictures, labels = tf.constant(to_input(split.images, spec)), tf.constant(split.labels, tf.int32)

    def order(draw: Any) -> Any:
        # Whole numbers are shuffled, and the pictures looked up by the batch: one by one they cost a tenth of an epoch.
        numbers = tf.random.experimental.stateless_shuffle(tf.range(len(split)), seed=(config.seed, draw))
        return tf.data.Dataset.from_tensor_slices(numbers).batch(config.batch_size)

    def look_up(numbers: Any) -> Any:
        return tf.gather(pictures, numbers), tf.gather(labels, numbers)

    def flip(pictures: Any, labels: Any) -> Any:
        mirrored = tf.random.uniform((tf.shape(pictures)[0], 1, 1, 1), seed=config.seed) < 0.5
        return tf.where(mirrored, pictures[:, :, ::-1], pictures), labels

    batches = tf.data.Dataset.random(config.seed, rerandomize_each_iteration=True).take(1).flat_map(order).map(look_up)
    count = math.ceil(len(split) / config.batch_size)
    batches = batches.apply(tf.data.experimental.assert_cardinality(count))
    return (batches.map(flip) if config.flip else batches).prefetch(8)


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


def _provenance(dataset: Dataset) -> dict[str, Any]:
    """Return what a run says about the data it saw."""
    return {
        "name": dataset.name,
        "task": dataset.task,
        "train": len(dataset.train),
        "test": len(dataset.test),
        "sha256": dataset.checksum,
    }


def _one_of_each(split: Split) -> NDArray[np.uint8]:
    _, first = np.unique(split.labels, return_index=True)
    return split.images[first]


def _plain(settings: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value if isinstance(value, int | float | str | bool | None) else str(value)
        for name, value in settings.items()
    }


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
