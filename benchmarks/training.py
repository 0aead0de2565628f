"""What the lab's recipe gives: test accuracy by change, and seconds an epoch against the course's own script.

    python benchmarks/training.py accuracy            every recipe, seeds 0 1 2, 20 epochs (half an hour)
    python benchmarks/training.py accuracy --recipes lab
    python benchmarks/training.py speed               the course's script and the lab's, in turn, in one run

Seconds differ from machine to machine; quote the ratio. The first epoch, which compiles, is left out; of the others the
median counts, the epoch that a student waits for.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

from mlops_lab import data, train
from mlops_lab.engines.quiet import import_keras

# Each recipe adds to the one before it; `lab`, the default, adds bfloat16.
RECIPES: dict[str, dict[str, Any]] = {
    "course": {"learning_rate": 1e-3, "schedule": "constant", "steps_per_call": 1, "bfloat16": False},
    "+ 25 steps to a call": {"learning_rate": 1e-3, "schedule": "constant", "bfloat16": False},
    "+ cosine from 3e-3": {"bfloat16": False},
    "lab": {},
    "+ XLA": {"xla": True},
    "+ mirrored, from 5e-3": {"xla": True, "flip": True, "learning_rate": 5e-3},
}


def accuracy(recipes: list[str], seeds: list[int], epochs: int) -> None:
    """Print the test accuracy of each recipe and seed."""
    dataset = data.load("fashion-mnist")
    print(f"{'recipe':30} {'median':>7}  by seed {seeds}, {epochs} epochs")
    for name in recipes:
        found = []
        for seed in seeds:
            config = train.TrainConfig(epochs=epochs, seed=seed, **RECIPES[name])
            found.append(train.fit(dataset, config, progress=False).metrics["test_accuracy"])
        print(f"{name:30} {statistics.median(found):7.4f}  {' '.join(f'{value:.4f}' for value in found)}", flush=True)


def speed(rounds: int, epochs: int) -> None:
    """Print seconds an epoch of the course's script and of the lab's recipe, in turn.

    Each trains in a process of its own, as a student's script does: what an earlier model left in TensorFlow's runtime
    slows a later one down, and not both alike.
    """
    ratios = []
    for _ in range(rounds):
        course, lab = _in_a_process(course_seconds, epochs), _in_a_process(lab_seconds, epochs)
        ratios.append(course / lab)
        print(f"course {course:5.2f} s/epoch   lab {lab:5.2f} s/epoch   {course / lab:.2f} times as fast", flush=True)
    print(f"median of {rounds}: {statistics.median(ratios):.2f} times as fast")


def _in_a_process(seconds: Callable[[int], float], epochs: int) -> float:
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        return pool.submit(seconds, epochs).result()


def course_seconds(epochs: int) -> float:
    """Return the seconds of the median epoch after the first, the way the course writes it."""
    dataset = data.load("fashion-mnist")
    keras = import_keras()
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.models.Sequential()
    model.add(keras.Input((28, 28, 1)))
    model.add(layers.Conv2D(6, kernel_size=(5, 5), activation="relu"))
    model.add(layers.AveragePooling2D(pool_size=(2, 2)))
    model.add(layers.Conv2D(16, kernel_size=(5, 5), activation="relu"))
    model.add(layers.AveragePooling2D(pool_size=(2, 2)))
    model.add(layers.Flatten())
    model.add(layers.Dense(120, activation="relu"))
    model.add(layers.Dense(84, activation="relu"))
    model.add(layers.Dense(10, activation="softmax"))
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    stopwatch = _stopwatch()
    model.fit(
        dataset.train.images / 255.0,
        keras.utils.to_categorical(dataset.train.labels, 10),
        validation_split=0.2,
        epochs=epochs,
        batch_size=128,
        verbose=0,
        callbacks=[stopwatch],
    )
    return statistics.median(stopwatch.seconds[1:])


def lab_seconds(epochs: int) -> float:
    """Return the seconds of the median epoch after the first, of the lab's recipe."""
    stopwatch = _stopwatch()
    train.fit(data.load("fashion-mnist"), train.TrainConfig(epochs=epochs), callbacks=[stopwatch], progress=False)
    return statistics.median(stopwatch.seconds[1:])


def _stopwatch() -> Any:
    keras = import_keras()

    class Stopwatch(keras.callbacks.Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            self.seconds: list[float] = []

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.started = time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.seconds.append(time.perf_counter() - self.started)

    return Stopwatch()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["accuracy", "speed"])
    parser.add_argument("--recipes", nargs="+", choices=list(RECIPES), default=list(RECIPES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if options.what == "accuracy":
        accuracy(options.recipes, options.seeds, options.epochs or 20)
    else:
        speed(options.rounds, options.epochs or 5)


if __name__ == "__main__":
    main()
