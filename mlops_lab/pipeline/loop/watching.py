"""The steps that look at production: monitor, drift, and collect what a better version is trained on."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops_lab import monitor
from mlops_lab.data import Split
from mlops_lab.errors import DamagedArtifact, NotFound, StoreError
from mlops_lab.files import write_atomically
from mlops_lab.monitor import Reference, Window
from mlops_lab.pipeline.loop.cache import StepResult
from mlops_lab.pipeline.loop.decision import FIX_SOURCE, NOTHING, WAIT, Decision, decide
from mlops_lab.pipeline.loop.history import LoopEnded
from mlops_lab.pipeline.loop.retraining import mix, refuse_own_answers
from mlops_lab.pipeline.loop.source import EMPTY_CONTRAST, examine_source
from mlops_lab.store import ModelVersion
from mlops_lab.summary.held_out import LEAST
from mlops_lab.summary.window import UNKNOWN

if TYPE_CHECKING:
    from mlops_lab.pipeline.loop.engine import Loop

COLUMNS = ("times", "probabilities", "inputs", "truth", "seconds")
MOST_EXAMPLES = 5000
ONSET = "onset.json"
STATES = {NOTHING: "nothing to do", WAIT: "waiting for labels", FIX_SOURCE: "broken source"}


def look(loop: Loop) -> tuple[int, Mapping[str, Any]]:
    """Take a picture of production's predictions, so that all that follows looks at the same."""
    settings = loop.config.monitor
    number = loop.store.aliases(loop.config.name).get("production")
    if number is None or not settings.log:
        raise LoopEnded("nothing to do", "no prediction log is named" if number else "nothing is in production")
    window, examples = _read(loop, number, _onset(loop, number))
    if len(window) < settings.fewest:
        raise LoopEnded(
            "nothing to do", f"v{number} has answered {len(window):,} of {settings.fewest:,} predictions to look at"
        )
    content, judged = _packed(window), _packed_split(examples)
    snapshot = sha256(content + judged).hexdigest()

    def make(folder: Path) -> StepResult:
        write_atomically(folder / "window.npz", content)
        write_atomically(folder / "examples.npz", judged)
        known = _reference(loop, number)
        text = f"{len(window):,} predictions of v{number}, {len(examples):,} images are judged"
        outputs = {"version": number, "snapshot": snapshot, "predictions": len(window), "judged": len(examples)}
        return StepResult(text, outputs, known.to_dict())

    inputs = {"version": number, "snapshot": snapshot, "monitor": {**asdict(settings), "log": ""}}
    outputs = loop.step("monitor", "Take a picture of what production answered", inputs, make)
    return number, {**outputs, "folder": str(loop.folder("monitor", inputs))}


def _read(loop: Loop, number: int, onset: float | None) -> tuple[Window, Split]:
    """Return the newest predictions, and the judged images since it hurts: those of better days teach nothing."""
    settings, name = loop.config.monitor, loop.config.name
    try:
        with monitor.PredictionLog(settings.log) as log:
            window = log.read(name, number, last=settings.window)
            first = float(window.times[0]) if len(window) else 0.0
            examples = log.examples(name, number, since=first if onset is None else onset, last=MOST_EXAMPLES)
            return window, _showing(examples)
    except (NotFound, StoreError) as error:
        raise LoopEnded("nothing to do", f"v{number} has answered nothing yet: {error.message}") from error


def _showing(examples: Split) -> Split:
    """Return the examples without those that show nothing: a camera may have been broken for a while."""
    if not len(examples):
        return examples
    shown = examples.images.reshape(len(examples), -1).std(axis=1) >= 255 * EMPTY_CONTRAST
    return Split(examples.images[shown], examples.labels[shown])


def _onset(loop: Loop, number: int) -> float | None:
    """Return since when it hurts, by the first of the looks in a row that said so; ``None`` where it did not."""
    try:
        found = json.loads((loop.config.work / ONSET).read_text(encoding="utf-8"))
        return float(found["since"]) if found["version"] == number else None
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _note_onset(loop: Loop, number: int, found: Mapping[str, Any]) -> None:
    path = loop.config.work / ONSET
    if not found["harmful"]:
        path.unlink(missing_ok=True)
    elif _onset(loop, number) is None:
        write_atomically(path, json.dumps({"version": number, "since": found["from"]}).encode() + b"\n")


def _reference(loop: Loop, number: int) -> Reference:
    """Return the reference of the version in production; one that is missing or damaged is made and kept beside it."""
    version = loop.version(number)
    try:
        known = monitor.load_reference(loop.store, version.name, number)
        if known.rehearsals is not None or not loop.config.monitor.rehearse:
            return known
    except (NotFound, DamagedArtifact):
        pass
    return monitor.store_reference(loop.store, version.name, number, split=_held_out(loop, version))


def _held_out(loop: Loop, version: ModelVersion) -> Split:
    dataset, fresh = loop.datasets.of(version)
    return fresh if fresh is not None and len(fresh) >= LEAST else dataset.test


def judge(loop: Loop, seen: Mapping[str, Any]) -> Decision:
    """Say whether production has changed, whether that hurts, and what is to be done.

    Raises
    ------
    Ended
        Nothing is to be trained.
    """
    number, settings = int(seen["version"]), loop.config.retrain

    def make(folder: Path) -> StepResult:
        known = _reference(loop, number)
        window = _window(Path(seen["folder"]), known)
        images, _ = _examples(Path(seen["folder"]))
        version = loop.version(number)
        source = examine_source(window, images if len(images) else None, _held_out(loop, version).images)
        judged = window.truth != UNKNOWN
        if not source.broken:
            refuse_own_answers(window.classes[judged], window.truth[judged], known.accuracy)
        verdict = monitor.compare(known, window)
        decided = decide(verdict, source, int(seen["judged"]), needed=settings.labels)
        outputs = {**decided.to_dict(), "harmful": verdict.harmful, "from": float(window.times[0])}
        return StepResult(
            f"{decided.action}: {decided.reason}", outputs, {"verdict": verdict.to_dict(), "source": source.to_dict()}
        )

    inputs = {"snapshot": seen["snapshot"], "version": number, "labels": settings.labels}
    found = loop.step("drift", "Has it changed, and does it hurt?", inputs, make)
    _note_onset(loop, number, found)
    decided = Decision(found["action"], found["reason"], found["labels_needed"])
    if decided.action in STATES:
        raise LoopEnded(STATES[decided.action], decided.reason)
    return decided


def collect(loop: Loop, seen: Mapping[str, Any]) -> str:
    """Put old and new examples together, and return the checksum of the data."""
    settings = loop.config.retrain

    def make(folder: Path) -> StepResult:
        images, labels = _examples(Path(seen["folder"]))
        old, fresh = loop.datasets.of(loop.version(int(seen["version"])))
        mixed = mix(old, Split(images, labels), held_out=settings.held_out, share=settings.share, before=fresh)
        return StepResult(str(mixed), {"data": loop.datasets.keep(mixed.dataset, mixed.fresh)})

    inputs = {"snapshot": seen["snapshot"], "version": seen["version"], "retrain": asdict(settings)}
    return str(loop.step("collect", "Put old and new examples together", inputs, make)["data"])


def _packed(window: Window) -> bytes:
    return _bytes({name: getattr(window, name) for name in COLUMNS})


def _packed_split(split: Split) -> bytes:
    return _bytes({"images": split.images, "labels": split.labels})


def _bytes(arrays: Mapping[str, Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def _window(folder: Path, known: Reference) -> Window:
    about = (known.model, known.version, known.scale.labels, known.scale.statistics)
    with np.load(folder / "window.npz", allow_pickle=False) as file:
        return Window(*about, *(file[column] for column in COLUMNS))


def _examples(folder: Path) -> tuple[Any, Any]:
    with np.load(folder / "examples.npz", allow_pickle=False) as file:
        return file["images"], file["labels"]
