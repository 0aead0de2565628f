"""Load what was written, and ask it, before anybody can see it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlops_lab import engines
from mlops_lab.errors import DamagedArtifact, LabError
from mlops_lab.predict import Predictor
from mlops_lab.store import safety
from mlops_lab.store.golden import ask, check_agreement, inputs_of
from mlops_lab.store.golden_arrays import GOLDEN_FILE, Arrays, Golden
from mlops_lab.store.intake.quiet import brief, quiet_export
from mlops_lab.store.intake.source import Prepared

MOST_GOLDEN = 16
MOST_ALIKE = 0.9
GOLDEN_BYTES = 4 * 2**20
SAVED_MODEL = "saved_model.pb"


@dataclass(frozen=True, eq=False)
class Written:
    """The files of a version that were loaded and answered as the model does.

    Parameters
    ----------
    files
        Their bytes by name.
    engines
        The engines that read them, the fastest first.
    golden
        The golden examples, and the answers to them.
    notes
        What the version goes without, and why.
    """

    files: dict[str, bytes]
    engines: list[str]
    golden: Golden
    notes: tuple[str, ...]


def verify(prepared: Prepared, folder: Path, name: str, notes: list[str]) -> Written:
    """Return what was written once each form of it answers as the model does; a form that does not is removed.

    Raises
    ------
    DamagedArtifact
        No form does.
    """
    files = _read(folder)
    trained = Predictor.of(prepared.signature, prepared.source.engine, name)
    answers = ask(trained, prepared.examples)
    working, failed = [], {}
    alike = np.ones(len(next(iter(answers.values()))), bool)
    for engine in [engine for engine, file in engines.FILES.items() if file in files]:
        try:
            alike &= _check(prepared, engine, files, answers, name)
            working.append(engine)
        except Exception as error:  # frameworks raise whatever they like on what they wrote themselves
            failed[engine] = error
            (folder / engines.FILES[engine]).unlink()
    if not working:
        raise _nothing_left(prepared, failed, notes)
    notes = [*notes, *(f"It is not served by {engine}: {_reason(error)}" for engine, error in failed.items())]
    if SAVED_MODEL in files:
        notes += _check_saved_model(prepared, folder, answers)
    if not alike.all():
        notes.append(f"{(~alike).sum()} of {len(alike)} examples lie between neighbours that are equally near")
    golden = _golden(prepared, answers, np.flatnonzero(alike))
    (folder / GOLDEN_FILE).write_bytes(golden.to_bytes())
    return Written(_read(folder), working, golden, tuple(notes))


def _read(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("README.md", "manifest.json")
    }


def _check(prepared: Prepared, engine: str, files: dict[str, bytes], answers: Arrays, name: str) -> NDArray[np.bool_]:
    """Return which examples an engine answers as the model does, which is all of them but for ties."""
    if engine not in engines.RUNS_CODE:
        safety.audit(files[engines.FILES[engine]], max_bytes=safety.HARD_LIMIT)
    loaded = Predictor.of(prepared.signature, engines.load(engine, files), name)
    found = ask(loaded, prepared.examples)
    alike = np.ones(len(next(iter(answers.values()))), bool)
    if prepared.source.ties:
        for output, wanted in answers.items():
            near = np.isclose(wanted, found[output], rtol=prepared.tolerance, atol=prepared.tolerance)
            alike &= near.reshape(len(near), -1).all(axis=1)
        if alike.mean() >= MOST_ALIKE:
            return alike
    check_agreement(engine, answers, found, prepared.tolerance)
    return alike


def _nothing_left(prepared: Prepared, failed: dict[str, Exception], notes: list[str]) -> LabError:
    """Return the error where no form of the model can be served."""
    first = next(iter(failed.values()), None)
    if len(failed) == 1 and not notes and isinstance(first, LabError):
        return first
    if failed and all(isinstance(error, DamagedArtifact) for error in failed.values()) and isinstance(first, LabError):
        return first
    reasons = [*notes, *(f"{engine}: {_reason(error)}" for engine, error in failed.items())]
    kind = type(prepared.source.model).__name__
    message = f"This {kind} cannot be saved in a form that is safe to load: {'; '.join(reasons) or 'it has none'}."
    return DamagedArtifact(
        message, "Export it to ONNX yourself, or publish a function of a file model.py that asks it."
    )


def _reason(error: Exception) -> str:
    return error.message.rstrip(".") if isinstance(error, LabError) else brief(error)


def _check_saved_model(prepared: Prepared, folder: Path, answers: Arrays) -> list[str]:
    """Ask the SavedModel as TensorFlow Serving would; one that does not answer is removed."""
    import tensorflow as tf

    from mlops_lab.store.intake.keras_model import remove_saved_model

    try:
        with quiet_export():
            signature = tf.saved_model.load(str(folder)).signatures["serving_default"]
            given = inputs_of(prepared.signature.inputs, prepared.examples)
            plain = {name: array.tolist() if array.dtype == object else array for name, array in given.items()}
            found = signature(**{name: tf.constant(value) for name, value in plain.items()})
    except Exception as error:
        remove_saved_model(folder)
        return [f"TensorFlow Serving cannot serve it: {brief(error)}"]
    if {len(array) for array in found.values()} != {len(next(iter(answers.values())))}:
        remove_saved_model(folder)
        return ["TensorFlow Serving cannot serve it: the SavedModel answers another number of rows"]
    return []


def _golden(prepared: Prepared, answers: Arrays, alike: NDArray[np.intp]) -> Golden:
    """Return some examples, spread over all of them and over the classes, within a limit of bytes."""
    first = next(iter(answers.values()))
    length = len(first)
    size = sum(array.nbytes for array in (*prepared.examples.values(), *answers.values())) // length + 1
    number = max(1, min(MOST_GOLDEN, GOLDEN_BYTES // size, len(alike)))
    places = alike[np.unique(np.linspace(0, len(alike) - 1, number).astype(int))]
    examples = {name: array[places] for name, array in prepared.examples.items()}
    return Golden.of(examples, {name: array[places] for name, array in answers.items()}, prepared.tolerance)
