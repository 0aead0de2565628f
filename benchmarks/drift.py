"""Is a harmful shift found, and a harmless one left alone? Ours on a grid of shifts, and the windows for the peers.

    python benchmarks/drift.py --quick            # some minutes: one split, window 200
    python benchmarks/drift.py                    # the whole grid: hours; runs on where it was interrupted
    python benchmarks/drift.py --export windows   # the windows at 200 that benchmarks/peers/{evidently,nannyml} judge
    python benchmarks/drift.py --peers windows    # their answers beside ours

Each line of the results is one cell: a data set, a model, a fresh split into reference and production, a shift and a
window size. A cell that is there already is not computed again. Truth is the accuracy on all production images of the
split, shifted in the same way: harmful is more than 5 points below the quiet accuracy, harmless less than 1.

Three kinds in fourteen were drawn by chance (seed 0) and are held out: nothing that is judged on them has rehearsed
them. Rehearsals do mix classes in shares of their own.
"""

from __future__ import annotations

import argparse
import json
import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import rotate, shift

from mlops_lab import data, monitor, store, train
from mlops_lab.data import Split
from mlops_lab.engines.python import PythonEngine
from mlops_lab.predict import Predictor
from mlops_lab.validate.intervals import wilson

MODELS = Path(__file__).parents[1] / "models"
HELD_OUT = tuple(random.Random(0).sample(monitor.KINDS, 3))
STRENGTHS = (0.2, 0.4, 0.6, 0.8, 1.0)
SIZES = (50, 100, 200, 500, 1000)
HARMFUL, HARMLESS = 0.05, 0.01


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
        return "/".join(
            map(str, (self.dataset, self.model, self.split, self.grid, self.kind, self.strength, self.size))
        )

    @property
    def seed(self) -> int:
        """A number of its own."""
        return zlib.crc32(self.key.encode())


def shift_of(cell: Cell, split: Split) -> Split:
    """Return production's images as the cell's shift makes them."""
    if cell.kind == "quiet":
        return split
    if cell.grid == "ours":
        return monitor.disturb(split, cell.kind, float(cell.strength), seed=cell.seed)
    return failing_loudly(split, cell.kind, cell.strength, np.random.default_rng(cell.seed))


# The grid of "Failing Loudly" (Rabanser and others, 2019) as its published code has it, without adversarial images.
PUBLISHED = {
    "gaussian noise": ("1", "10", "100"),
    "class knock-out": ("0.1", "0.5", "1.0"),
    "image": ("small", "medium", "large"),
}
TRANSFORMS = {"small": (10, 0.05), "medium": (40, 0.2), "large": (90, 0.4)}


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
    """Return one of three models of a data set."""
    if (dataset, model) == ("fashion-mnist", "lenet5"):
        return store.ModelStore(MODELS).load("clothes", 1)
    learning, _ = halves_of(dataset)
    run = train.fit_sklearn(learning, _estimator(model))

    def answer(inputs: Any) -> Any:
        return run.model.predict_proba(inputs.reshape(len(inputs), -1))

    return Predictor(f"{dataset}-{model}", 1, learning.input, learning.classes, PythonEngine(answer))


def _estimator(model: str) -> Any:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    flat = FunctionTransformer(lambda x: np.asarray(x).reshape(len(x), -1))
    estimators = {
        "mlp": lambda: MLPClassifier((64,), max_iter=60, early_stopping=True, random_state=0),
        "logistic": lambda: LogisticRegression(max_iter=200),
        "forest": lambda: RandomForestClassifier(100, random_state=0),
    }
    return make_pipeline(flat, estimators[model]())


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
    middle = len(order) // 2
    return tuple(Split(held_out.images[part], held_out.labels[part]) for part in (order[:middle], order[middle:]))  # type: ignore[return-value]


@cache
def reference_of(dataset: str, model: str, number: int) -> monitor.Reference:
    """Return the reference of a model on a split; the kinds that are held out are not rehearsed."""
    kinds = [kind for kind in monitor.KINDS if kind not in HELD_OUT]
    reference, _ = split_of(dataset, number)
    return monitor.make_reference(predictor_of(dataset, model), reference, kinds=kinds, seed=number)


def judge(cell: Cell, windows: int) -> dict[str, Any]:
    """Return how often windows of a cell are called changed and harmful, and how wrong their estimates are."""
    reference = reference_of(cell.dataset, cell.model, cell.split)
    shifted, quiet = production(cell)
    lost = quiet - float((shifted.classes == shifted.truth).mean())
    found = [monitor.compare(reference, blind(shifted.take(chosen))) for chosen in draws(cell, len(shifted), windows)]
    truths = [float((shifted.classes == shifted.truth)[chosen].mean()) for chosen in draws(cell, len(shifted), windows)]
    estimates = [one.estimate for one in found]
    confident = [
        float(reference.scale.features_of(shifted.take(chosen))[:, 0].mean())
        for chosen in draws(cell, len(shifted), windows)
    ]
    return {
        "lost": lost,
        "windows": windows,
        "changed": sum(one.changed for one in found),
        "harmful": sum(one.harmful for one in found),
        "trusted": sum(one.trust for one in estimates),
        "error": float(np.mean([abs(one.accuracy - (quiet - lost)) for one in estimates])),
        "error_of_confidence": float(np.mean([abs(one - (quiet - lost)) for one in confident])),
        "trusted_error": float(sum(abs(one.accuracy - (quiet - lost)) for one in estimates if one.trust)),
        "smallest_p": [float(f"{min(d.p_value for d in one.evidence):.2g}") for one in found],
        "estimates": [round(one.accuracy - quiet, 4) for one in estimates],
        "covered": sum(one.low <= truth <= one.high for one, truth in zip(estimates, truths, strict=True)),
    }


def production(cell: Cell) -> tuple[monitor.Window, float]:
    """Return all of production, shifted, and the accuracy where nothing was."""
    predictor = predictor_of(cell.dataset, cell.model)
    images = split_of(cell.dataset, cell.split)[1]
    shifted = shift_of(cell, images)
    return monitor.observe(predictor, shifted.images, shifted.labels, start=0.0), _quiet(
        cell.dataset, cell.model, cell.split
    )


@cache
def _quiet(dataset: str, model: str, number: int) -> float:
    images = split_of(dataset, number)[1]
    rows = predictor_of(dataset, model).probabilities(images.images)
    return float((rows.argmax(axis=1) == images.labels).mean())


def draws(cell: Cell, length: int, windows: int) -> Iterator[Any]:
    """Yield the same places each time it is asked."""
    chance = np.random.default_rng(cell.seed)
    for _ in range(windows):
        yield chance.choice(length, min(cell.size, length), replace=False)


def blind(window: monitor.Window) -> monitor.Window:
    """Return a window without its truth."""
    window.truth[:] = -1
    return window


def grid(quick: bool) -> Iterator[Cell]:
    """Yield the cells."""
    models = [("fashion-mnist", name) for name in ("lenet5", "mlp", "logistic")]
    models += [("digits", name) for name in ("mlp", "logistic", "forest")]
    for dataset, model in models[:1] + models[3:4] if quick else models:
        for split in range(2 if quick else 20):
            yield from _cells_of(dataset, model, split, (200,) if quick else SIZES)


def _cells_of(dataset: str, model: str, split: int, sizes: tuple[int, ...]) -> Iterator[Cell]:
    for size in sizes:
        yield Cell(dataset, model, split, "quiet", "quiet", "0", size)
        for kind in monitor.KINDS:
            for strength in STRENGTHS:
                yield Cell(dataset, model, split, "ours", kind, str(strength), size)
        for kind, strengths in PUBLISHED.items():
            for strength in strengths:
                for share in ("0.1", "0.5", "1.0"):
                    if kind != "class knock-out" or share == "1.0":
                        yield Cell(dataset, model, split, "published", kind, f"{strength}@{share}", size)


def run(path: Path, quick: bool, datasets: list[str]) -> list[dict[str, Any]]:
    """Judge the cells that are not in the file yet; return all of them."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
    done = {row["key"] for row in rows}
    with path.open("a", encoding="utf-8") as file:
        for cell in grid(quick):
            if cell.key in done or cell.dataset not in datasets:
                continue
            windows = (100 if cell.kind == "quiet" else 10) if quick else (40 if cell.kind == "quiet" else 20)
            row = {"key": cell.key, **cell.__dict__, **judge(cell, windows)}
            file.write(json.dumps(row) + "\n")
            file.flush()
            rows.append(row)
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Return the measures by data set and window, with Wilson's intervals."""
    head = ("data", "window", "shifts", "quiet alarms", "harmful found", "harmless called harmful", "error")
    lines = [f"| {' | '.join((*head, 'of confidence', 'covered'))} |", "|---" * 9 + "|"]
    for dataset in dict.fromkeys(row["dataset"] for row in rows):
        for size in sorted({row["size"] for row in rows}):
            for name, belongs in GROUPS.items():
                here = [row for row in rows if row["dataset"] == dataset and row["size"] == size]
                lines.append(f"| {dataset} | {size} | {name} | {_measures([r for r in here if belongs(r)], here)} |")
    return "\n".join(lines)


GROUPS: dict[str, Any] = {
    "ours, all": lambda row: row["grid"] == "ours",
    "ours, rehearsed": lambda row: row["grid"] == "ours" and row["kind"] not in HELD_OUT,
    "ours, held out": lambda row: row["grid"] == "ours" and row["kind"] in HELD_OUT,
    "published": lambda row: row["grid"] == "published",
}


def _measures(rows: list[dict[str, Any]], all_rows: list[dict[str, Any]]) -> str:
    quiet = [row for row in all_rows if row["kind"] == "quiet"]
    harmful = [row for row in rows if row["lost"] > HARMFUL]
    harmless = [row for row in rows if row["lost"] < HARMLESS]
    shares = [_share(group, "harmful") for group in (quiet, harmful, harmless)]
    error, confidence = (
        np.mean([row[name] for row in rows]) if rows else np.nan for name in ("error", "error_of_confidence")
    )
    return " | ".join([*shares, f"{error:.3f}", f"{confidence:.3f}", _share(rows, "covered")])


def _share(rows: list[dict[str, Any]], name: str) -> str:
    total, hits = sum(row["windows"] for row in rows), sum(row[name] for row in rows)
    if not total:
        return "–"
    low, high = wilson(hits, total)
    return f"{hits / total:.3f} ({low:.3f}–{high:.3f})"


def export(folder: Path) -> None:
    """Write the windows that the peers judge: one model for each data set, 300 windows of 200."""
    folder.mkdir(parents=True, exist_ok=True)
    for dataset, model in (("fashion-mnist", "lenet5"), ("digits", "mlp")):
        predictor, (reference, _) = predictor_of(dataset, model), split_of(dataset, 0)
        seen = monitor.observe(predictor, reference.images, reference.labels, start=0.0)
        arrays: dict[str, Any] = {"reference": _frame(seen), "reference_truth": seen.truth}
        about = []
        for cell in _cells_of(dataset, model, 0, (200,)):
            if cell.grid == "published":
                continue
            window, quiet = production(cell)
            for chosen in draws(cell, len(window), 90 if cell.kind == "quiet" else 3):
                arrays[f"window_{len(about)}"] = _frame(window.take(chosen))
                lost = quiet - float((window.classes == window.truth).mean())
                about.append({"kind": cell.kind, "strength": cell.strength, "lost": lost, "accuracy": quiet - lost})
        columns = [*reference_columns(seen)]
        (folder / f"{dataset}.json").write_text(json.dumps({"columns": columns, "windows": about}), encoding="utf-8")
        np.savez_compressed(folder / f"{dataset}.npz", **arrays)


def peers(folder: Path) -> str:
    """Return what the peers said of the exported windows, at their defaults and calibrated to 5% quiet alarms."""
    lines = ["| peer | data | windows | quiet alarms | harmful found | harmless alarmed | error |", "|---" * 7 + "|"]
    for path in sorted(folder.glob("*.evidently.json")):
        rows = json.loads(path.read_text(encoding="utf-8"))
        quiet = [row["share"] for row in rows if row["kind"] == "quiet"]
        calibrated = float(np.quantile(quiet, 0.95, method="higher")) if quiet else 1.0
        data_set = path.name.split(".")[0]
        lines.append(_peer("Evidently, defaults", data_set, [{**r, "alert": r["share"] >= 0.5} for r in rows]))
        lines.append(_peer("Evidently, calibrated", data_set, [{**r, "alert": r["share"] > calibrated} for r in rows]))
    for path in sorted(folder.glob("*.nannyml.json")):
        rows = json.loads(path.read_text(encoding="utf-8"))
        data_set = path.name.split(".")[0]
        quiet = [row["estimate"] for row in rows if row["kind"] == "quiet"]
        calibrated = float(np.quantile(quiet, 0.05, method="lower"))
        lines.append(_peer("NannyML CBPE, defaults", data_set, rows))
        shifted = [{**row, "alert": row["estimate"] < calibrated} for row in rows]
        lines.append(_peer("NannyML CBPE, calibrated", data_set, shifted))
    return "\n".join(lines)


def _peer(name: str, dataset: str, rows: list[dict[str, Any]]) -> str:
    shifted = [row for row in rows if row["kind"] != "quiet"]
    groups = (
        [row for row in rows if row["kind"] == "quiet"],
        [row for row in shifted if row["lost"] > HARMFUL],
        [row for row in shifted if row["lost"] < HARMLESS],
    )
    shares = [_share([{"windows": 1, "alert": row["alert"]} for row in group], "alert") for group in groups]
    errors = [abs(row["estimate"] - row["accuracy"]) for row in shifted if "estimate" in row]
    error = f"{np.mean(errors):.3f}" if errors else "–"
    return f"| {name} | {dataset} | {len(rows)} | {' | '.join(shares)} | {error} |"


def reference_columns(window: monitor.Window) -> list[str]:
    """Return the names of what the peers are shown: what our own detector sees."""
    return [*(f"p{place}" for place in range(len(window.labels))), *window.statistics, "class"]


def _frame(window: monitor.Window) -> Any:
    return np.column_stack([window.probabilities, window.inputs, window.classes])


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--data", nargs="+", default=["fashion-mnist", "digits"], help="Of these data sets only.")
    parser.add_argument("--out", type=Path, default=Path("drift.jsonl"))
    parser.add_argument("--export", type=Path)
    parser.add_argument("--peers", type=Path)
    arguments = parser.parse_args()
    if arguments.export:
        export(arguments.export)
    elif arguments.peers:
        print(peers(arguments.peers))
    else:
        rows = run(arguments.out, arguments.quick, arguments.data)
        print(f"Held out: {', '.join(HELD_OUT)}.\n\n{table(rows)}")


if __name__ == "__main__":
    main()
