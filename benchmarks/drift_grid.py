"""What `benchmarks/drift.py` judges: the shifts, the models, the splits, and the cells of the grid."""

from __future__ import annotations

import random
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from scipy.ndimage import rotate, shift

from mlops_lab import data, monitor, store, train
from mlops_lab.data import Split
from mlops_lab.engines.python import PythonEngine
from mlops_lab.monitor import reference as references
from mlops_lab.predict import Predictor
from mlops_lab.validate.intervals import wilson

SHIPPED = Path(__file__).parents[1] / "models"
HELD_OUT = tuple(random.Random(0).sample(monitor.KINDS, 3))
STRENGTHS = (0.2, 0.4, 0.6, 0.8, 1.0)
SIZES = (50, 100, 200, 500, 1000)
SPLITS = 20
MODELS = {"fashion-mnist": ("lenet5", "mlp", "logistic"), "digits": ("mlp", "logistic", "forest")}
HARMFUL, HARMLESS = 0.05, 0.01
# Trained models and references are kept here, so that an interrupted run need not make them again.
FOLDER = Path("build/drift")

# The grid of "Failing Loudly" (Rabanser and others, 2019) as its published code has it, without adversarial images.
PUBLISHED = {
    "gaussian noise": ("1", "10", "100"),
    "class knock-out": ("0.1", "0.5", "1.0"),
    "image": ("small", "medium", "large"),
}
SHARES = ("0.1", "0.5", "1.0")
TRANSFORMS = {"small": (10, 0.05), "medium": (40, 0.2), "large": (90, 0.4)}


@dataclass(frozen=True)
class Cell:
    """What is judged: one line of the results."""

    dataset: str
    model: str
    split: int
    grid: str
    kind: str
    strength: str
    size: int

    @property
    def key(self) -> str:
        """Its name in the file of results."""
        return f"{self.shift_key}/{self.size}"

    @property
    def shift_key(self) -> str:
        """Its name without the size of the window: cells that share it share their images."""
        return "/".join(map(str, (self.dataset, self.model, self.split, self.grid, self.kind, self.strength)))


def cells_of(dataset: str, model: str, split: int, sizes: tuple[int, ...] = (200,)) -> Iterator[Cell]:
    """Yield the cells of a model on a split: all sizes of one shift after each other."""
    shifts = [("quiet", "quiet", "0")]
    shifts += [("ours", kind, str(strength)) for kind in monitor.KINDS for strength in STRENGTHS]
    for kind, strengths in PUBLISHED.items():
        for strength in strengths:
            shares = ("1.0",) if kind == "class knock-out" else SHARES
            shifts += [("published", kind, f"{strength}@{share}") for share in shares]
    for grid, kind, strength in shifts:
        for size in sizes:
            yield Cell(dataset, model, split, grid, kind, strength, size)


def shift_of(cell: Cell, split: Split) -> Split:
    """Return production's images as the cell's shift makes them."""
    seed = zlib.crc32(cell.shift_key.encode())
    if cell.kind == "quiet":
        return split
    if cell.grid == "ours":
        return monitor.disturb(split, cell.kind, float(cell.strength), seed=seed)
    return failing_loudly(split, cell.kind, cell.strength, np.random.default_rng(seed))


def failing_loudly(split: Split, kind: str, strength: str, chance: np.random.Generator) -> Split:
    """Return images with one of the published shifts; the strength is its size and the share of images, ``10@0.5``."""
    size, share = strength.split("@")
    chosen = np.flatnonzero(chance.random(len(split)) < float(share))
    if kind == "class knock-out":
        gone = (split.labels == split.labels.min()) & (chance.random(len(split)) < float(size))
        return Split(split.images[~gone], split.labels[~gone])
    images = split.images.copy()
    x = images[chosen].astype(np.float32)
    if kind == "gaussian noise":
        x = x + chance.normal(0, float(size), x.shape)
    else:
        angle, move = TRANSFORMS[size]
        for place in range(len(x)):
            turned = rotate(x[place], chance.uniform(-angle, angle), reshape=False, order=1)
            x[place] = shift(turned, chance.uniform(-move, move, 2) * x.shape[1:], order=1)
    images[chosen] = np.clip(np.rint(x), 0, 255).astype(np.uint8)
    return Split(images, split.labels)


@cache
def predictor_of(dataset: str, model: str) -> Predictor:
    """Return one of three models of a data set; but for the shipped LeNet-5, it is trained on first use."""
    if (dataset, model) == ("fashion-mnist", "lenet5"):
        return store.ModelStore(SHIPPED).load("clothes", 1)
    learning, _ = halves_of(dataset)
    path = FOLDER / "models" / f"{dataset}-{model}.joblib"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a model that has not converged is one, too
            joblib.dump(train.fit_sklearn(learning, _estimator(model)).model, path)
    trained = joblib.load(path)

    def answer(inputs: Any) -> Any:
        return trained.predict_proba(flatten(inputs))

    return Predictor(f"{dataset}-{model}", 1, learning.input, learning.classes, PythonEngine(answer))


def flatten(images: Any) -> Any:
    """Return a row for each image."""
    return np.asarray(images).reshape(len(images), -1)


def _estimator(model: str) -> Any:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    estimators = {
        "mlp": lambda: MLPClassifier((64,), max_iter=60, early_stopping=True, random_state=0),
        "logistic": lambda: LogisticRegression(max_iter=200),
        "forest": lambda: RandomForestClassifier(100, random_state=0),
    }
    return make_pipeline(FunctionTransformer(flatten), estimators[model]())


@cache
def halves_of(dataset: str) -> tuple[data.Dataset, Split]:
    """Return what models are trained on, and what is held out of that."""
    loaded = data.load(dataset)
    if dataset != "digits":
        return replace(loaded, train=loaded.train.sample(10_000)), loaded.test
    # The shipped test split of digits has 359 images: too few for a reference and for production.
    images = np.concatenate([loaded.train.images, loaded.test.images])
    labels = np.concatenate([loaded.train.labels, loaded.test.labels])
    order = np.random.default_rng(0).permutation(len(labels))
    learning = Split(images[order[:600]], labels[order[:600]])
    return replace(loaded, train=learning), Split(images[order[600:]], labels[order[600:]])


@cache
def split_of(dataset: str, number: int) -> tuple[Split, Split]:
    """Return a fresh split of the held-out images: the reference's and production's."""
    held_out = halves_of(dataset)[1]
    order = np.random.default_rng(1000 + number).permutation(len(held_out))
    parts = order[: len(order) // 2], order[len(order) // 2 :]
    first, second = (Split(held_out.images[part], held_out.labels[part]) for part in parts)
    return first, second


@lru_cache(maxsize=4)
def reference_of(dataset: str, model: str, number: int) -> monitor.Reference:
    """Return the reference of a model on a split; the kinds that are held out are not rehearsed."""
    path = FOLDER / "references" / f"{dataset}-{model}-{number}.npz"
    if path.exists():
        return references.from_bytes(path.read_bytes(), str(path))
    kinds = [kind for kind in monitor.KINDS if kind not in HELD_OUT]
    reference, _ = split_of(dataset, number)
    made = monitor.make_reference(predictor_of(dataset, model), reference, kinds=kinds, seed=number)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".tmp").write_bytes(references.to_bytes(made))
    path.with_suffix(".tmp").replace(path)
    return references.from_bytes(path.read_bytes(), str(path))


def production(cell: Cell) -> tuple[monitor.Window, float]:
    """Return all of production, shifted, and the accuracy where nothing was."""
    return _shifted(replace(cell, size=0)), _quiet(cell.dataset, cell.model, cell.split)


@lru_cache(maxsize=1)
def _shifted(cell: Cell) -> monitor.Window:
    predictor = predictor_of(cell.dataset, cell.model)
    shifted = shift_of(cell, split_of(cell.dataset, cell.split)[1])
    return monitor.observe(predictor, shifted.images, shifted.labels, start=0.0)


@lru_cache(maxsize=4)
def _quiet(dataset: str, model: str, number: int) -> float:
    images = split_of(dataset, number)[1]
    rows = predictor_of(dataset, model).probabilities(images.images)
    return float((rows.argmax(axis=1) == images.labels).mean())


def draws(cell: Cell, length: int, windows: int) -> list[Any]:
    """Return the places of so many windows of a cell: the same each time it is asked."""
    chance = np.random.default_rng(zlib.crc32(cell.key.encode()))
    return [chance.choice(length, min(cell.size, length), replace=False) for _ in range(windows)]


def blind(window: monitor.Window) -> monitor.Window:
    """Return a window without its truth."""
    return replace(window, truth=np.full(len(window), -1))


def share(hits: int, total: int) -> str:
    """Return a share as text, with its interval by Wilson."""
    if not total:
        return "–"
    low, high = wilson(hits, total)
    return f"{hits / total:.3f} ({low:.3f}–{high:.3f})"
