"""Seconds of training and accuracy: the lab's recipe against the course's own script, and what each change gives.

    python benchmarks/training.py speed       the course's script and the lab's recipe in turn, one pair for each seed
    python benchmarks/training.py recipes     validation accuracy of each recipe after as many epochs as the lab's takes

`speed` measures the whole of both fits: from images in memory and Keras imported to the accuracy on the test images.
Each fit has a process of its own, as a student's script has: what an earlier model left in TensorFlow's runtime slows
a later one down. Seconds differ from machine to machine and with what else runs there; quote the ratio of medians, and
beside the seconds of the clock those of the processor. `recipes` shows validation accuracy only: recipes are chosen by
it, and the test images are looked at once, by `speed`.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

from mlops_lab import data, train
from mlops_lab.engines.quiet import import_keras

COURSE = {"optimizer": "adam", "learning_rate": 1e-3, "schedule": "constant", "steps_per_call": 1, "bfloat16": False}
RECIPES: dict[str, dict[str, Any]] = {
    "course: Adam at 0.001 throughout": COURSE,
    "Adam from 0.003, cosine": {"optimizer": "adam", "learning_rate": 3e-3, "schedule": "cosine"},
    "Adam from 0.01, linear": {"optimizer": "adam"},
    "Muon from 0.01, cosine": {"schedule": "cosine"},
    "lab: Muon from 0.01, linear": {},
    "lab + mirrored half of the time": {"flip": True},
}


@dataclass(frozen=True)
class Fit:
    """The figures of one fit."""

    seconds: float
    cpu_seconds: float
    validation_accuracy: float
    test_accuracy: float

    def __str__(self) -> str:
        times = f"{self.seconds:6.1f} s, {self.cpu_seconds:6.1f} s of processor time"
        return f"{times}, validation {self.validation_accuracy:.4f}, test {self.test_accuracy:.4f}"


def course_fit(seed: int, epochs: int) -> Fit:
    """Train as the course's script does: float64 images, one-hot labels, Adam, the data as arrays."""
    dataset, keras = data.load("fashion-mnist"), import_keras()
    began = time.perf_counter(), time.process_time()
    keras.utils.set_random_seed(seed)
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
    labels = keras.utils.to_categorical(dataset.train.labels, 10)
    history = model.fit(
        dataset.train.images / 255.0, labels, validation_split=0.2, epochs=epochs, batch_size=128, verbose=0
    )
    probabilities = model.predict(dataset.test.images / 255.0, verbose=0)
    test = train.accuracy(probabilities, dataset.test.labels)
    return Fit(*_since(began), history.history["val_accuracy"][-1], test)


def lab_fit(seed: int, epochs: int, **recipe: Any) -> Fit:
    """Train by a recipe of the lab's."""
    dataset, _ = data.load("fashion-mnist"), import_keras()
    began = time.perf_counter(), time.process_time()
    run = train.fit(dataset, train.TrainConfig(epochs=epochs, seed=seed, **recipe), progress=False)
    return Fit(*_since(began), run.metrics["validation_accuracy"], run.metrics["test_accuracy"])


def _since(began: tuple[float, float]) -> tuple[float, float]:
    return time.perf_counter() - began[0], time.process_time() - began[1]


def in_own_process(fit: Callable[..., Fit], *arguments: Any, **recipe: Any) -> Fit:
    """Return the figures of a fit that has a new process to itself."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        return pool.submit(fit, *arguments, **recipe).result()


def speed(seeds: list[int], epochs: int) -> None:
    """Print both sides, one pair for each seed, and the ratios of the medians."""
    sides: dict[str, list[Fit]] = {"course": [], "lab": []}
    for seed in seeds:
        for name, fit, count in (("course", course_fit, 20), ("lab", lab_fit, epochs)):
            sides[name].append(in_own_process(fit, seed, count))
            print(f"seed {seed}  {name:7}{count:3} epochs {sides[name][-1]}", flush=True)
    for name, fits in sides.items():
        print(f"median  {name:17}{Fit(*(median(fits, field) for field in Fit.__annotations__))}")
    for field in ("seconds", "cpu_seconds"):
        ratio = median(sides["course"], field) / median(sides["lab"], field)
        print(f"{field}: the lab's recipe takes 1/{ratio:.1f} of the course's")


def median(fits: list[Fit], field: str) -> float:
    """Return the median of one figure."""
    return statistics.median(getattr(fit, field) for fit in fits)


def recipes(seeds: list[int], epochs: int) -> None:
    """Print the validation accuracy of each recipe, by seed."""
    print(f"{'validation accuracy':34} {'median':>7}  seeds {seeds}, {epochs} epochs")
    for name, recipe in RECIPES.items():
        fits = [in_own_process(lab_fit, seed, epochs, **recipe) for seed in seeds]
        values = " ".join(f"{fit.validation_accuracy:.4f}" for fit in fits)
        cpu = median(fits, "cpu_seconds")
        print(f"{name:34} {median(fits, 'validation_accuracy'):7.4f}  {values}  {cpu:5.1f} s CPU", flush=True)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["speed", "recipes"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=train.TrainConfig().epochs, help="of the lab's recipe")
    options = parser.parse_args()
    {"speed": speed, "recipes": recipes}[options.what](options.seeds, options.epochs)


if __name__ == "__main__":
    main()
