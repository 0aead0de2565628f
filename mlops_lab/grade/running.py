"""Run the checks of an exercise against an answer. Whatever goes wrong becomes a result; nothing is raised."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any

from mlops_lab.errors import LabError
from mlops_lab.grade.cases import Case, CheckTimeout, Verdict
from mlops_lab.grade.exercises import Check, Exercise
from mlops_lab.grade.needs import load, missing
from mlops_lab.grade.results import CheckResult, clip, gather

AGAIN = 0.2  # seconds after which an answer that swallowed the first interruption is interrupted again


@dataclass(frozen=True)
class Settings:
    """The settings of a run of checks.

    Parameters
    ----------
    secret
        What held-out cases are drawn from; ``None`` in a notebook, where only visible cases are run.
    step
        How far hints go, 1 to 3.
    docker
        Whether Docker may be used.
    submission
        The folder that is graded, where one is.
    only
        Run this one check and those that it comes after.
    stop
        Ends what an answer started, when its time is over.
    slowdown
        Gives what time limits are multiplied by.
    """

    secret: bytes | None = None
    step: int = 1
    docker: bool = False
    submission: Path | None = None
    only: str = ""
    stop: Callable[[], Any] = field(default=lambda: None)
    slowdown: Callable[[], float] = field(default=lambda: 1.0)


def run_exercise(exercise: Exercise, answer: Any, settings: Settings) -> CheckResult:
    """Return the result of an exercise: each of its checks in order, those that come after a failed one blocked."""
    done: dict[str, CheckResult] = {}
    for check in _chosen(exercise, settings.only):
        # What was not asked for is skipped in any case: nothing that failed before is the reason.
        blocked = _blocked(check, done) if settings.docker or "docker" not in check.needs else None
        done[check.id] = blocked or run_check(check, answer, settings, exercise.section)
    return gather(exercise.id, exercise.title, done.values(), max_points=exercise.max_points)


def unanswered(exercise: Exercise, state: str, message: str, hint: str = "") -> CheckResult:
    """Return the result of an exercise whose answer cannot be tried at all: the first check says why."""
    first, *others = exercise.checks
    parts = [CheckResult(first.id, first.title, state, 0.0, first.points, message, hint, key="unanswered")]
    why = f"Blocked by {first.id}."
    parts += [CheckResult(one.id, one.title, "blocked", 0.0, one.points, why) for one in others]
    return gather(exercise.id, exercise.title, parts, max_points=exercise.max_points)


def never_started(exercise: Exercise, verdict: Verdict, settings: Settings) -> CheckResult:
    """Return the result of an exercise whose server did not start, with the hint for what was seen."""
    hint = exercise.hints.get(verdict.key)
    text = hint.text(settings.step, verdict.figures, exercise.section) if hint else ""
    result = unanswered(exercise, "failed", clip(verdict.message), text)
    parts = (replace(result.parts[0], received=clip(verdict.received, 800), key=verdict.key), *result.parts[1:])
    return replace(result, parts=parts, received=clip(verdict.received, 800), key=verdict.key)


def _chosen(exercise: Exercise, only: str) -> list[Check]:
    if not only or only == exercise.id:
        return exercise.checks
    wanted = {only}
    for check in reversed(exercise.checks):
        wanted |= set(check.after) if check.id in wanted else set()
    return [check for check in exercise.checks if check.id in wanted]


def _blocked(check: Check, done: dict[str, CheckResult]) -> CheckResult | None:
    stopped = next((id for id in check.after if id in done and not done[id].full), None)
    if stopped is None:
        return None
    return CheckResult(check.id, check.title, "blocked", 0.0, check.points, f"Blocked by {stopped}.")


def run_check(check: Check, answer: Any, settings: Settings, section: str = "") -> CheckResult:
    """Return the result of one check: its visible cases, and then the held-out ones where there is a secret."""
    lacking = missing(check.needs, docker=settings.docker)
    if lacking:
        return CheckResult(check.id, check.title, "skipped", 0.0, check.points, f"Skipped: {lacking}.")
    load(check.needs)
    first = _call(check, answer, Case(check.id, None, settings.submission), settings, section)
    if check.again and settings.secret is not None and first.state in ("failed", "timeout"):
        second = _call(check, answer, Case(check.id, None, settings.submission), settings, section)
        if second.passed:
            message = f"Two runs disagreed; one of them: {first.message}"
            return replace(first, state="flaky", points=0.0, message=message, hint="")
    if not check.held_out:
        return first
    if settings.secret is None:
        return replace(first, held_out=check.held_out)
    if first.points == 0 and first.state != "passed":
        return first
    second = _call(check, answer, Case(check.id, settings.secret, settings.submission), settings, section)
    return _both(first, second)


def _both(first: CheckResult, second: CheckResult) -> CheckResult:
    """Return what visible and held-out cases say together: the fewer points of the two."""
    seconds = round(first.seconds + second.seconds, 3)
    evidence = first.evidence + second.evidence
    worse = min(first, second, key=lambda one: (one.points, one.state == "passed"))
    if worse is first or second.state == "passed":
        return replace(first, evidence=evidence, seconds=seconds)
    before = "The visible cases passed, a held-out one did not: " if first.passed else "Of the held-out cases: "
    warnings = tuple(dict.fromkeys(first.warnings + second.warnings))
    return replace(second, message=before + second.message, evidence=evidence, seconds=seconds, warnings=warnings)


def _call(check: Check, answer: Any, case: Case, settings: Settings, section: str) -> CheckResult:
    """Run one check's function once."""
    started = time.perf_counter()
    state, share = "passed", 1.0
    values: dict[str, Any] = {}
    limit = check.timeout * settings.slowdown()
    try:
        with time_limit(limit):
            check.run(answer, case)
    except CheckTimeout:
        settings.stop()
        state, share, values = "timeout", 0.0, {"message": f"There was no answer within {limit:.3g} s."}
    except Verdict as verdict:
        state, share, values = _judge(check, verdict, settings.step, section)
    except LabError as error:
        state, share, values = "failed", 0.0, {"message": clip(error.message), "hint": clip(error.hint)}
    except Exception as error:
        state, share, values = "error", 0.0, {"message": f"The check broke: {clip(f'{type(error).__name__}: {error}')}"}
    finally:
        case.close()
    return CheckResult(
        check.id, check.title, state, round(share * check.points, 6), check.points,
        evidence=tuple(case.evidence), warnings=tuple(case.warnings),
        seconds=round(time.perf_counter() - started, 3), **values,
    )  # fmt: skip


def _judge(check: Check, verdict: Verdict, step: int, section: str) -> tuple[str, float, dict[str, Any]]:
    hint = check.hints.get(verdict.key)
    figures = {"expected": verdict.expected, "received": verdict.received, **verdict.figures}
    values = {
        "message": clip(verdict.message),
        "hint": clip(hint.text(step, figures, section), 800) if hint else "",
        "expected": clip(verdict.expected),
        "received": clip(verdict.received),
        "key": verdict.key,
    }
    state = "partial" if verdict.state == "failed" and verdict.share > 0 else verdict.state
    return state, min(1.0, max(0.0, verdict.share)), values


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise :class:`CheckTimeout` in this thread when the time is over.

    Only in a process's main thread, where signals arrive; elsewhere the limit is the caller's to keep. Code that
    swallows the interruption is interrupted again and again.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:
        raise CheckTimeout

    before, began = signal.signal(signal.SIGALRM, ring), time.monotonic()
    outer, _ = signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN)  # of a check that runs those of another exercise
    try:
        yield
    finally:
        with suppress(CheckTimeout):
            signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if outer:
            signal.setitimer(signal.ITIMER_REAL, max(0.01, outer - (time.monotonic() - began)), AGAIN)
