"""Grade one submission: find what it answers, run its code in the sandbox, and write the report."""

from __future__ import annotations

import hashlib
import os
import platform
import stat
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path

import mlops_lab
from mlops_lab.errors import LabError, NotFound, WrongUsage
from mlops_lab.grade import secret, slowdown
from mlops_lab.grade.calls import Answer, LocalTarget
from mlops_lab.grade.cases import Failed, Verdict
from mlops_lab.grade.exercises import STAGES, Exercise, all_exercises
from mlops_lab.grade.live import SandboxServer
from mlops_lab.grade.remote import RemoteTarget
from mlops_lab.grade.report import Report
from mlops_lab.grade.results import CheckResult, clip
from mlops_lab.grade.running import Settings, never_started, run_exercise, unanswered
from mlops_lab.grade.sandbox import Sandbox, choose
from mlops_lab.grade.sandbox.isolation import using
from mlops_lab.grade.sandbox.tree import MAX_BYTES, put, walk
from mlops_lab.grade.submitted import SubmittedAnswers, look

MATERIAL = Path(__file__).parent / "material"
# Seconds that exercises without all their points may take before no other is begun: a submission that hangs ends, and
# one that is right is graded to its end, however many of its models Keras loads.
BUDGET = 115.0


@dataclass(frozen=True)
class Grading:
    """The settings of grading.

    Parameters
    ----------
    only
        Stages or exercises; all where empty.
    secret
        What held-out cases are drawn from.
    rubric
        A folder with exercises of the instructor's own.
    docker
        Whether Docker may be used: for what a submission's files describe, and as the sandbox of its code.
    sandbox
        ``"docker"``, ``"bubblewrap"`` or ``"limits"``; the highest that holds where empty.
    step
        How far hints go, 1 to 3.
    check
        Run just this check, and those that it comes after.
    """

    only: tuple[str, ...] = ()
    secret: bytes = field(default_factory=lambda: secret.read(None), repr=False)
    rubric: str | Path | None = None
    docker: bool = False
    sandbox: str = ""
    step: int = 2
    check: str = ""

    def exercises(self) -> list[Exercise]:
        """Return the exercises that are asked for.

        Raises
        ------
        WrongUsage
            A word names neither a stage nor an exercise.
        """
        known = all_exercises(self.rubric)
        for word in self.only:
            if word not in known and word not in {one.stage for one in known.values()} | set(STAGES):
                raise WrongUsage(f"There is no stage or exercise {word!r}.", f"Stages: {', '.join(STAGES)}.")
        chosen = [one for one in known.values() if not self.only or {one.id, one.stage} & set(self.only)]
        chosen = [one for one in chosen if not self.check or self.check.split(".")[0] == one.id]
        return [one.with_docker() if self.docker else one for one in chosen]


def grade_submission(folder: str | Path, grading: Grading | None = None) -> Report:
    """Grade one submission.

    Parameters
    ----------
    folder
        The submission. It is copied first, and never changed.
    grading
        How.

    Returns
    -------
    Report

    Raises
    ------
    NotFound
        There is no such folder.
    """
    grading, folder = grading or Grading(), Path(folder)
    if not folder.is_dir():
        raise NotFound(f"There is no folder {folder}.", "Give the folder of a submission.")
    exercises = grading.exercises()
    started, began = time.gmtime(), time.monotonic()
    isolation = choose(grading.sandbox, docker=grading.docker)
    with ExitStack() as stack:
        stack.enter_context(using(isolation))
        try:
            sandbox = stack.enter_context(Sandbox(folder, isolation=isolation))
        except (LabError, OSError) as error:
            return refused(folder, grading, error)
        files = digest(sandbox.folder)
        submission = Submission(sandbox, grading, stack)
        results = submission.results(exercises)
        warnings = [*sandbox.warnings, *submission.warnings]
    if not results:
        warnings.append("Nothing that an exercise asks for was found.")
    return Report(
        clip(folder.resolve().name, 200),
        tuple(results),
        frozenset(one.id for one in exercises if one.core),
        isolation.to_dict(),
        files,
        secret.digest(grading.secret),
        versions(),
        time.strftime("%Y-%m-%dT%H:%M:%SZ", started),
        round(time.monotonic() - began, 3),
        tuple(warnings),
        tuple(one.id for one in exercises),
    )


def refused(folder: Path, grading: Grading, error: Exception) -> Report:
    """Return the report of a submission that cannot be graded at all."""
    exercises, isolation = grading.exercises(), choose(grading.sandbox, docker=grading.docker)
    message = clip(error.message if isinstance(error, LabError) else f"{type(error).__name__}: {error}")
    results = tuple(unanswered(one, "not_gradable", f"The submission cannot be copied: {message}") for one in exercises)
    core = frozenset(one.id for one in exercises if one.core)
    asked = tuple(one.id for one in exercises)
    return Report(
        clip(folder.resolve().name, 200), results, core, isolation.to_dict(), versions=versions(), asked=asked
    )


def versions() -> dict[str, str]:
    """Return the versions that a report names."""
    found = {"mlops_lab": mlops_lab.__version__, "python": platform.python_version()}
    for name in ("numpy", "flask", "keras", "tensorflow", "onnxruntime"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def digest(folder: Path) -> str:
    """Return the SHA-256 of the files of a folder that are graded, with their names; empty where they are too large.

    A submission has the same as its copy.
    """
    whole, left = hashlib.sha256(), MAX_BYTES
    for path, inside in sorted(walk(folder, Path()), key=lambda found: found[1]):
        status = path.lstat()
        if stat.S_ISREG(status.st_mode):
            left -= status.st_size
            if left < 0:
                return ""
            with open(path, "rb") as file:
                whole.update(os.fsencode(inside.as_posix()) + b"\0" + hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()


def _with_docker(exercise: Exercise) -> set[str]:
    return {check.id for check in exercise.checks if "docker" in check.needs}


class Submission:
    """A submission that is being graded: its server and its functions are started once, when they are first needed."""

    def __init__(self, sandbox: Sandbox, grading: Grading, stack: ExitStack) -> None:
        self._sandbox, self._stack = sandbox, stack
        self._lost = 0.0
        self._asked_for = grading.only
        self.warnings: list[str] = []
        self._found: SubmittedAnswers = look(sandbox.folder)
        self.warnings += self._found.warnings
        self._settings = Settings(
            grading.secret, grading.step, grading.docker, sandbox.folder, only=grading.check, slowdown=slowdown.factor
        )  # fmt: skip
        self._servers: dict[str, SandboxServer | Verdict] = {}

    def results(self, exercises: list[Exercise]) -> list[CheckResult]:
        """Return the results of the exercises that the submission attempts, in their order.

        Servers come last: they run in this copy and may change it, while everything else reads it.
        """
        attempted = [one for one in exercises if self.answers(one)]
        done = {one.id: self.result(one) for one in sorted(attempted, key=lambda one: one.kind == "server")}
        return [done[one.id] for one in attempted]

    def answers(self, exercise: Exercise) -> bool:
        """Whether the submission attempts an exercise."""
        if exercise.id in self._asked_for:
            return True
        if exercise.kind == "functions":
            return self._found.attempts(exercise)
        path = self._path(exercise)
        if path is None or not exercise.attempted_by:
            return path is not None
        text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        return any(word in text for word in exercise.attempted_by)

    def _path(self, exercise: Exercise) -> Path | None:
        """Return the file or folder that answers an exercise."""
        paths = (self._sandbox.folder / name for name in exercise.names)
        return next((path for path in paths if path.exists()), None)

    def result(self, exercise: Exercise) -> CheckResult:
        """Return the result of an exercise; whatever goes wrong is one."""
        if self._lost > BUDGET:
            message = f"Exercises that were not full had used {BUDGET:.0f} s before this one."
            return unanswered(exercise, "timeout", message)
        began = time.monotonic()
        result = self._result(exercise)
        # Building an image installs packages, and has its own limit.
        built = sum(part.seconds for part in result.leaves() if part.id in _with_docker(exercise))
        self._lost += 0 if result.full else time.monotonic() - began - built
        return result

    def _result(self, exercise: Exercise) -> CheckResult:
        runs: Mapping[str, Callable[[Exercise], CheckResult]] = {
            "server": self._served, "functions": self._called, "file": self._read, "folder": self._read,
        }  # fmt: skip
        if exercise.kind != "functions" and self._path(exercise) is None:
            message = f"The submission has no {' or '.join(exercise.names)}."
            return unanswered(exercise, "failed", message, "Hand it in under that name.")
        try:
            return runs[exercise.kind](exercise)
        except Verdict as verdict:
            return never_started(exercise, verdict, self._settings)
        except LabError as error:
            return unanswered(exercise, "failed", clip(error.message), clip(error.hint))
        except Exception as error:
            return unanswered(exercise, "error", clip(f"The grader broke: {type(error).__name__}: {error}"))

    def _served(self, exercise: Exercise) -> CheckResult:
        path = self._path(exercise) or self._sandbox.folder
        server = self._server(path.relative_to(self._sandbox.folder).as_posix())
        if isinstance(server, Verdict):
            return never_started(exercise, server, self._settings)
        if not server.alive:
            server.restart()
        return run_exercise(exercise, server, self._settings)

    def _server(self, name: str) -> SandboxServer | Verdict:
        if name not in self._servers:
            self._give_models()
            try:
                self._servers[name] = self._stack.enter_context(closing(SandboxServer(self._sandbox, name)))
            except Failed as failed:
                self._servers[name] = failed
        return self._servers[name]

    def _give_models(self) -> None:
        """Put the shipped model where a submission brings none."""
        folder, model = self._sandbox.folder, MATERIAL / "clothes.keras"
        if not os.path.lexists(folder / "models"):
            put(folder, Path("models", model.name), model.read_bytes())
            self._sandbox.give_to_user()

    def _called(self, exercise: Exercise) -> CheckResult:
        with RemoteTarget(
            self._sandbox.folder, self._found.sources(exercise), isolation=self._sandbox.isolation
        ) as target:
            settings = replace(self._settings, stop=target.kill)
            return run_exercise(exercise, Answer(target, exercise.names, self._sandbox.folder), settings)

    def _read(self, exercise: Exercise) -> CheckResult:
        path = self._path(exercise)
        return run_exercise(exercise, Answer(LocalTarget({}), exercise.names, path), self._settings)
