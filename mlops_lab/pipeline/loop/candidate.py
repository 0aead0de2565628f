"""The steps that make a version and find out whether it is good: train, validate, package, stage, and three tests."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops_lab import train
from mlops_lab.client import Client
from mlops_lab.data import Dataset, Split
from mlops_lab.data import check as check_data
from mlops_lab.data import load as load_data
from mlops_lab.errors import GateFailed, VersionExists
from mlops_lab.files import explained, sync_folder, write_atomically
from mlops_lab.pipeline import stages
from mlops_lab.pipeline.loop.cache import StepResult
from mlops_lab.pipeline.loop.versions import Candidate, plain
from mlops_lab.pipeline.stages import ReleaseContext, StageFailed
from mlops_lab.store import ModelStore, ModelVersion
from mlops_lab.store.disk import locked, sync_tree, temporary_folder
from mlops_lab.store.history import append_history, read_history
from mlops_lab.store.publish import next_number
from mlops_lab.store.version import load_version
from mlops_lab.summary.held_out import LEAST
from mlops_lab.train import TrainConfig, TrainingRun
from mlops_lab.validate import Assessment, Gate, assess, keep

if TYPE_CHECKING:
    from mlops_lab.pipeline.loop.engine import Loop

PURPOSES = {
    "stage": "Serve a copy of it that no client uses",
    "integration": "Check on staging everything that clients rely on",
    "acceptance": "Ask staging about images, and compare the accuracy with what was measured",
    "load": "Send requests to staging from several concurrent clients",
}


def prepare_data(loop: Loop) -> str:
    """Check the data of the first version, keep them, and return their checksum."""
    settings = loop.config.data

    def make(folder: Path) -> StepResult:
        dataset = load_data(settings.name, limit=settings.limit or None, seed=settings.seed)
        report = check_data(dataset)
        if not report.passed:
            raise StageFailed(report.summary, report.to_dict())
        checksum = loop.datasets.keep(dataset)
        text = f"{len(dataset.train):,} + {len(dataset.test):,} examples of {dataset.name}; {report.summary}"
        return StepResult(text, {"data": checksum})

    return str(loop.step("data", "Check the data", asdict(settings), make)["data"])


def build(loop: Loop, data: str) -> Candidate:
    """Train, validate, package and stage a version, and run the three tests on it."""
    candidate = fit(loop, data)
    validated = validate(loop, candidate)
    package(loop, candidate, validated)
    release = asdict(loop.config.release)
    inputs = {"digest": candidate.digest, "release": {key: release[key] for key in sorted(release) if key != "url"}}
    tests: dict[str, Callable[[ReleaseContext], stages.StageResult]] = {
        "stage": _stage,
        "integration": stages.integration,
        "acceptance": partial(_acceptance, loop, candidate),
        "load": stages.load,
    }
    for name, test in tests.items():
        loop.step(name, PURPOSES[name], inputs, partial(_tested, loop, candidate, test))
    return candidate


def fit(loop: Loop, data: str) -> Candidate:
    """Train a version on kept data, under a number that nobody else takes."""
    config, settings = loop.config, loop.config.train

    def make(folder: Path) -> StepResult:
        number, before = _reserve(loop, loop.cache.key("train", inputs))
        dataset, fresh = loop.datasets.load(data)
        run = _trained(dataset, settings.framework, settings.epochs, settings.seed)
        known = fresh is not None and len(fresh) >= LEAST
        # What production looks like now is what the monitor holds the version against.
        run = replace(run, settings={**run.settings, "loop": data[:12]}, held_out=fresh if known else run.held_out)
        version = ModelStore(folder).publish(run, config.name, number)
        text = f"v{number}: {run.metrics['test_accuracy']:.4f} on {len(dataset.test):,} test examples"
        outputs = {"number": number, "digest": version.digest, "before": before, "metrics": run.metrics}
        return StepResult(text, outputs, run.to_dict())

    inputs = _fit_inputs(loop, data)
    found = loop.step("train", "Train a version", inputs, make)
    return Candidate(found["number"], found["digest"], data, found["before"])


def _fit_inputs(loop: Loop, data: str) -> dict[str, Any]:
    return {"train": asdict(loop.config.train), "data": data, "name": loop.config.name}


def _trained(dataset: Dataset, framework: str, epochs: int, seed: int) -> TrainingRun:
    if framework == "sklearn":
        return train.fit_sklearn(dataset, seed=seed)
    return train.fit(dataset, TrainConfig(epochs=epochs, seed=seed), progress=False)


def _reserve(loop: Loop, key: str) -> tuple[int, int | None]:
    """Return the number of a version that is about to be trained, and what is in production; the same after a kill.

    An empty folder of that number keeps it from other publishers: it is not a version, and no number is used twice.
    """
    path, parent = loop.config.work / "numbers.json", loop.store.root / loop.config.name
    with explained(parent):
        parent.mkdir(parents=True, exist_ok=True)
    try:
        numbers = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        numbers = {}
    if key not in numbers or _taken(parent / str(numbers[key]["number"])):
        with locked(parent):
            numbers[key] = {"number": next_number(parent), "before": loop.store.aliases(parent.name).get("production")}
            write_atomically(path, json.dumps(numbers, indent=1).encode() + b"\n")
    (parent / str(numbers[key]["number"])).mkdir(exist_ok=True)
    return numbers[key]["number"], numbers[key]["before"]


def _taken(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def trained(loop: Loop, candidate: Candidate) -> ModelVersion:
    """Return a version as its training left it, in the folder of that step."""
    folder = loop.folder("train", _fit_inputs(loop, candidate.data))
    return ModelStore(folder).get(loop.config.name, candidate.number)


def validate(loop: Loop, candidate: Candidate) -> str:
    """Hold a version against the thresholds before it is in the store, and return the digest of the decision."""
    settings = loop.config.validate
    own = loop.store.root / loop.config.name / "gates.toml"
    gates = Path(settings.gates) if settings.gates else own
    text = gates.read_text(encoding="utf-8") if gates.is_file() else ""

    def make(folder: Path) -> StepResult:
        version = trained(loop, candidate)
        dataset, fresh = loop.datasets.load(candidate.data)
        np.savez(folder / "test.npz", images=dataset.test.images, labels=dataset.test.labels)
        before = None if candidate.before is None else loop.version(candidate.before)
        found = assess(
            version, gates=gates if text else None, data=folder / "test.npz", baseline=before, server=False,
            images=settings.images,
        )  # fmt: skip
        least = settings.min_new_gain
        if fresh is None and before is not None:  # it was not trained again, so it must know what production knows
            fresh, least = _learned_by(loop, before), -settings.max_old_drop
        if fresh is not None and before is not None:
            extra = _old_and_new(version, before, dataset.test, fresh, settings.max_old_drop, least)
            found = replace(found, gates=(*found.gates, *extra))
        keep(version, found)
        if not found.passed:
            raise StageFailed(_reasons(found), found.to_dict())
        return StepResult(found.summary, {"passed": True}, found.to_dict())

    inputs = {"digest": candidate.digest, "gates": text, "validate": {**asdict(settings), "gates": ""}}
    loop.step("validate", "Hold it against the thresholds", inputs, make)
    return loop.cache.key("validate", inputs)


def _learned_by(loop: Loop, before: ModelVersion) -> Split | None:
    """Return what production has learned since its first version; ``None`` where that is nothing, or not here."""
    try:
        return loop.datasets.of(before)[1]
    except GateFailed:
        return None


def _reasons(found: Assessment) -> str:
    reasons = "; ".join(f"{gate.section} {gate.name}: {gate.message}" for gate in found.failed)
    return reasons or found.summary


def _old_and_new(
    version: ModelVersion, before: ModelVersion, old: Split, new: Split, most: float, least: float
) -> tuple[Gate, Gate]:
    """Return whether a retrained version is better on what is new, and as good on what it knew."""
    models = [load_version(one, on_mismatch="ignore") for one in (version, before)]
    (old_now, old_then), (new_now, new_then) = ([_accuracy(model, part) for model in models] for part in (old, new))
    lost, won = old_then - old_now, new_now - new_then
    text = f"On old data it is right {old_now:.4f} of the time, v{before.version} {old_then:.4f}"
    kept = Gate(
        lost <= most, f"{text}; at most {most:g} may be lost.", "Train on more old data: it forgot.",
        section="retraining", name="old data", value=-lost, limit=-most,
    )  # fmt: skip
    text = f"On new data it is right {new_now:.4f} of the time, v{before.version} {new_then:.4f}"
    better = Gate(
        won > least, f"{text}; it must win more than {least:g}.", "Train on what production has learned, and more.",
        section="retraining", name="new data", value=won, limit=least,
    )  # fmt: skip
    return kept, better


def _accuracy(model: Any, split: Split) -> float:
    return float((model.probabilities(split.images).argmax(axis=1) == split.labels).mean())


def package(loop: Loop, candidate: Candidate, validated: str) -> None:
    """Copy a version that passed into the store, bit for bit and in one step."""

    def make(folder: Path) -> StepResult:
        version, parent = trained(loop, candidate), loop.store.root / loop.config.name
        final = parent / str(candidate.number)
        if not _is(loop, candidate):
            _copy(version.path, parent, final)
        events = [entry for entry in read_history(parent) if entry["event"] == "published"]
        if not any(entry.get("version") == candidate.number for entry in events):
            append_history(parent, "published", version=candidate.number, description=version.manifest.description)
        return StepResult(f"{version} is in {loop.config.models.name}, with its evidence and its card")

    loop.step("package", "Publish it whole or not at all", {"digest": candidate.digest, "validated": validated}, make)


def _is(loop: Loop, candidate: Candidate) -> bool:
    """Return whether the version is in the store already; another one of its number is an error."""
    if candidate.number not in loop.store.versions(loop.config.name):
        return False
    if loop.version(candidate.number).digest != candidate.digest:
        message = f"{loop.config.name} v{candidate.number} was published by somebody else in the meantime."
        raise VersionExists(message, "Run the loop again: it takes the next number.")
    return True


def _copy(source: Path, parent: Path, final: Path) -> None:
    with temporary_folder(parent) as folder, explained(final):
        shutil.copytree(source, folder, dirs_exist_ok=True)
        sync_tree(folder)
        if final.is_dir():  # the folder that kept the number
            final.rmdir()
        os.rename(folder, final)
        sync_folder(parent)


def _acceptance(loop: Loop, candidate: Candidate, context: ReleaseContext) -> stages.StageResult:
    """Classify the test images over HTTP, and compare the accuracy with the manifest's and with production's."""
    found = stages.acceptance(context)
    fresh = loop.datasets.load(candidate.data)[1]
    if fresh is None:
        return found
    # No data set of this name is shipped, so nobody but the loop can ask about it.
    client = Client(context.staging)
    right = 0
    for start in range(0, len(fresh), 100):
        said = client.classify(context.version.name, f"v{candidate.number}", fresh.images[start : start + 100])
        right += sum(
            one.class_index == label for one, label in zip(said, fresh.labels[start : start + 100], strict=True)
        )
    seen = right / len(fresh)
    promised = _accuracy(load_version(context.version, on_mismatch="ignore"), fresh)
    text = f"{seen:.4f} on {len(fresh):,} new images over HTTP"
    if abs(seen - promised) > context.plan.expected.tolerance:
        message = f"{text}; without a server {promised:.4f}: images are prepared in another way"
        raise StageFailed(message, {"seen": seen, "promised": promised})
    return stages.StageResult(f"{found.message}; {text}", found.evidence)


def _stage(context: ReleaseContext) -> stages.StageResult:
    """Serve a copy of it that no client uses."""
    return stages.StageResult(f"a copy of {context.version} is ready")


def _tested(
    loop: Loop, candidate: Candidate, stage: Callable[[ReleaseContext], stages.StageResult], folder: Path
) -> StepResult:
    context = loop.staged(candidate.number, candidate.before)
    found = stage(context)
    return StepResult(found.message, {"passed": True}, plain(found.evidence))
