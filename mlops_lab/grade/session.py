"""The two lines that a student types: ``grade.check("serve-2", "api.py")`` and ``grade.progress()``."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlops_lab.errors import LabError, NotFound
from mlops_lab.grade.autograding import silence
from mlops_lab.grade.calls import NOT_OWN, Answer, LocalTarget, library_name, named
from mlops_lab.grade.cases import Verdict
from mlops_lab.grade.exercises import Exercise, all_exercises, find
from mlops_lab.grade.record import Progress, ProgressFile, progress_of
from mlops_lab.grade.results import CheckResult, clip
from mlops_lab.grade.running import Settings, never_started, run_exercise, unanswered


def check(
    id: str, answer: Any = None, *, progress_file: str | Path | None = None, secret: str | None = None,
    rubric: str | Path | None = None,
) -> CheckResult:  # fmt: skip
    """Check an answer, and return a card that says what was seen and what to look at. Never raises.

    Parameters
    ----------
    id
        The exercise, such as ``"serve-2"``.
    answer
        What the exercise asks for: a function, several in a tuple, a file's path, or a server as ``"api.py"``, an
        address or a :class:`~mlops_lab.client.Client`.
    progress_file
        Where hints and results are counted; by default ``.mlops-lab/progress.json``.
    secret
        Hexadecimal digits that held-out cases are drawn from, which are then run as well; only graders give one.
    rubric
        A folder with exercises of an instructor's own.

    Returns
    -------
    CheckResult
        ``passed`` means all visible cases; ``held_out`` counts those that only the grader runs.

    Examples
    --------
    >>> check("no-1").state
    'error'
    """
    record = ProgressFile(progress_file) if progress_file is not None else ProgressFile()
    try:
        exercise = find(id, rubric)
    except NotFound as error:
        return CheckResult(str(id), "There is no such exercise", "error", message=error.message, hint=error.hint)
    started = time.perf_counter()
    drawn_from = bytes.fromhex(secret) if secret else None
    with silence():
        result = checked(exercise, answer, Settings(drawn_from, record.step(exercise.id)))
        record.note(result)
    return replace(result, seconds=round(time.perf_counter() - started, 3))


def checked(exercise: Exercise, answer: Any, settings: Settings) -> CheckResult:
    """Return the result of an answer that stands in this very process; whatever is wrong with it is one."""
    try:
        own = _of_this_library(answer)
        if own:
            return unanswered(exercise, "failed", NOT_OWN.format(own), "Write your own; then compare the two.")
        if exercise.kind == "server":
            return _server_checked(exercise, answer, settings)
        return run_exercise(exercise, local_answer(exercise, answer), settings)
    except LabError as error:
        return unanswered(exercise, "failed", clip(error.message), clip(error.hint))
    except Exception as error:  # what the checks themselves raise is caught closer; this is about the answer
        return unanswered(exercise, "failed", clip(f"The answer cannot be used: {type(error).__name__}: {error}"))


def _server_checked(exercise: Exercise, answer: Any, settings: Settings) -> CheckResult:
    from mlops_lab.grade.live import served

    try:
        with served(answer) as server:
            return run_exercise(exercise, server, settings)
    except Verdict as verdict:
        return never_started(exercise, verdict, settings)


def local_answer(exercise: Exercise, answer: Any) -> Answer:
    """Return what the checks of an exercise work with, from what a student handed over."""
    if exercise.kind == "functions":
        return Answer(LocalTarget(named(answer, exercise.names)), exercise.names)
    path = Path(answer)
    if not path.exists():
        raise NotFound(f"There is no {path}.", f"Paths begin at {Path.cwd()}.")
    return Answer(LocalTarget({}), exercise.names, path)


def _of_this_library(answer: Any) -> str:
    several = answer.values() if isinstance(answer, dict) else answer if isinstance(answer, tuple | list) else (answer,)
    return next((name for one in several if (name := library_name(one))), "")


def progress(*, progress_file: str | Path | None = None) -> Progress:
    """Return where you stand: every exercise, its state and the best points so far.

    Examples
    --------
    >>> progress(progress_file="nowhere.json").points
    0.0
    """
    record = ProgressFile(progress_file) if progress_file is not None else ProgressFile()
    return progress_of(all_exercises().values(), record.read())
