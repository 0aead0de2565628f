"""Exercises and their checks: a check is a plain function with a marker, in ``grade/rubric/<stage>.py``.

::

    prepare = Exercise("data-3", "Prepare pixels", names=("prepare",))

    @prepare.check("range", "Values lie between 0 and 1", points=1, held_out=20, hints={"whole": Hint("Only 0 and 1.")})
    def in_range(answer, case):
        batch = answer.prepare(case.rng.integers(0, 256, (5, 28, 28)))
        case.expect(batch.max() <= 1, "A value is above 1.", expected="at most 1", received=batch.max(), hint="whole")
"""

from __future__ import annotations

import copy
import importlib
import importlib.util
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from mlops_lab.errors import NotFound, WrongUsage, nearest

STAGES = ("data", "train", "store", "serve", "validate", "deploy", "monitor", "grade")
KINDS = ("functions", "file", "server", "folder")
_ID = re.compile(r"[a-z]+-\d+")

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Hint:
    """A hint in three steps. The first failure shows the first, the second adds the second, the third the last.

    Parameters
    ----------
    seen
        What was seen. Braces are filled with the figures that the check passes: ``"right for {rate:.0%}"``.
    means
        What it means.
    read
        Where to look again; by default the exercise's section.

    Examples
    --------
    >>> Hint("Only {n} values are left.", "Whole-number division.").text(2, {"n": 2}, "data, section 3")
    'Only 2 values are left. Whole-number division.'
    """

    seen: str
    means: str = ""
    read: str = ""

    def text(self, step: int, figures: Mapping[str, Any], section: str = "") -> str:
        """Return the hint as far as it is shown at a step, 1 to 3."""
        read = self.read or (f"Read again: {section}." if section else "")
        steps = [part for part in (self.seen, self.means, read) if part]
        return " ".join(_filled(part, figures) for part in steps[: max(1, step)])


def _filled(text: str, figures: Mapping[str, Any]) -> str:
    try:
        return text.format_map(figures)
    except (KeyError, ValueError, IndexError, TypeError, AttributeError):
        return text  # a hint with a hole is better than none


@dataclass(frozen=True)
class Check:
    """One check of an exercise. :meth:`Exercise.check` makes it.

    Parameters
    ----------
    id
        ``"data-3.range"``; an exercise's only check bears the exercise's id.
    title
        What is checked, as a short sentence.
    run
        The function, called with the answer and a :class:`~mlops_lab.grade.cases.Case`.
    points
        What it is worth.
    held_out
        The number of cases that only the grader runs. The function is then called a second time, with
        ``case.held_out`` true and random numbers drawn from the grader's secret.
    covers
        Which property the held-out cases test, for students.
    timeout
        Seconds for one call.
    after
        Names of checks that must have passed before; else this one is ``blocked``.
    hints
        A :class:`Hint` for each mistake that the check recognises.
    needs
        What the machine must have, of :data:`mlops_lab.grade.needs.NEEDS`: else the check is ``skipped``.
    again
        Whether it depends on time, so that the grader calls it again where it failed; two calls that disagree are
        ``flaky``.
    with_docker
        What it is worth where Docker is used. A check that needs Docker is worth nothing elsewhere, so that no total
        holds points which nobody can reach.
    """

    id: str
    title: str
    run: Callable[[Any, Any], Any]
    points: float = 1.0
    held_out: int = 0
    covers: str = ""
    timeout: float = 10.0
    after: tuple[str, ...] = ()
    hints: Mapping[str, Hint] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    again: bool = False
    with_docker: float = 0.0


class Exercise:
    """One exercise: what the student writes, and the checks of it.

    Parameters
    ----------
    id
        A stage and a number, such as ``"data-3"``.
    title
        Its name.
    kind
        What an answer is: ``"functions"`` (or classes, constants: whatever Python can name), ``"file"``,
        ``"server"`` or ``"folder"``.
    names
        What the student writes: names of functions, or the path of the file in the submission.
    core
        Whether the exercise must be full for its notebook to be passed.
    section
        Which section of the course to read again, for the third step of hints.
    hints
        Hints that all of its checks share.
    attempted_by
        Words of which one stands in the file of whoever attempts it, where a file serves several exercises.

    Examples
    --------
    >>> double = Exercise("data-9", "Double a number", names=("double",))
    >>> @double.check("value", "Twice the number", points=2)
    ... def value(answer, case):
    ...     case.expect(answer.double(4) == 8, "Twice 4 is 8.")
    >>> double.max_points
    2.0
    """

    def __init__(
        self, id: str, title: str, *, kind: str = "functions", names: Iterable[str] = (), core: bool = True,
        section: str = "", hints: Mapping[str, Hint] | None = None, attempted_by: Iterable[str] = (),
    ) -> None:  # fmt: skip
        if not _ID.fullmatch(id) or kind not in KINDS:
            raise WrongUsage(f"There is no exercise {id!r} of kind {kind!r}.", f"Kinds: {', '.join(KINDS)}.")
        self.id, self.title, self.kind, self.names = id, title, kind, tuple(names)
        self.core, self.section, self.hints = core, section, dict(hints or {})
        self.attempted_by = tuple(attempted_by)
        self.checks: list[Check] = []

    @property
    def stage(self) -> str:
        """The stage that it belongs to."""
        return self.id.split("-")[0]

    @property
    def max_points(self) -> float:
        """The sum of the points of its checks."""
        return float(sum(check.points for check in self.checks))

    @property
    def held_out(self) -> int:
        """The number of cases that only the grader runs."""
        return sum(check.held_out for check in self.checks)

    def check(
        self, name: str, title: str, *, points: float = 1.0, held_out: int = 0, covers: str = "", timeout: float = 10.0,
        after: str | Iterable[str] = (), hints: Mapping[str, Hint] | None = None, needs: str | Iterable[str] = (),
        again: bool = False,
    ) -> Callable[[Function], Function]:  # fmt: skip
        """Mark a function as a check of this exercise; it stays the plain function that it is."""
        wanted = tuple(f"{self.id}.{one}" for one in ((after,) if isinstance(after, str) else after))
        missing = set(wanted) - {check.id for check in self.checks}
        if missing:
            raise WrongUsage(f"{self.id}.{name} comes after {sorted(missing)}, which is not there.", "Write it first.")

        def mark(function: Function) -> Function:
            needed = (needs,) if isinstance(needs, str) else tuple(needs)
            known = {**self.hints, **(hints or {})}
            self.checks.append(
                Check(
                    f"{self.id}.{name}",
                    title,
                    function,
                    0.0 if "docker" in needed else points,
                    held_out,
                    covers,
                    timeout,
                    wanted,
                    known,
                    needed,
                    again,
                    points,
                )
            )
            return function

        return mark

    def with_docker(self) -> Exercise:
        """Return the same exercise as it counts where Docker is used."""
        counted = copy.copy(self)
        counted.checks = [replace(check, points=check.with_docker) for check in self.checks]
        return counted

    def __repr__(self) -> str:
        return f"<Exercise {self.id} {self.title!r}: {len(self.checks)} checks, {self.max_points:g} points>"


def exercises_of(module: ModuleType) -> list[Exercise]:
    """Return the exercises that a module defines, in the order of their numbers."""
    found = [value for value in vars(module).values() if isinstance(value, Exercise)]
    return sorted(found, key=lambda one: int(one.id.split("-")[1]))


def all_exercises(rubric: str | Path | None = None) -> dict[str, Exercise]:
    """Return every exercise by its id: the shipped ones, and those of an instructor's folder.

    Parameters
    ----------
    rubric
        A folder of Python files with exercises of one's own. An exercise there replaces a shipped one of its id.
    """
    found = [one for stage in STAGES for one in _of_stage(stage)]
    if rubric is not None:
        found += _of_folder(rubric)
    return {one.id: one for one in found}


def find(id: str, rubric: str | Path | None = None) -> Exercise:
    """Return one exercise.

    Raises
    ------
    NotFound
        There is no such exercise; the message names the nearest.
    """
    # An instructor's own first, then its stage: the other stages, and what they import, are not needed.
    stage = id.split("-")[0]
    own = _of_folder(rubric) if rubric is not None else []
    shipped = _of_stage(stage) if stage in STAGES and id not in {one.id for one in own} else []
    near: dict[str, Exercise] = {one.id: one for one in (*shipped, *own)}
    if id in near:
        return near[id]
    everything = all_exercises(rubric)
    if id not in everything:
        raise NotFound(f"There is no exercise {id!r}.", nearest(id, everything))
    return everything[id]


def _of_stage(stage: str) -> list[Exercise]:
    name = f"mlops_lab.grade.rubric.{stage}"
    if importlib.util.find_spec(name) is None:
        return []
    return exercises_of(importlib.import_module(name))


def _of_folder(rubric: str | Path) -> list[Exercise]:
    return [one for path in sorted(Path(rubric).glob("*.py")) for one in exercises_of(_module(path))]


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"rubric_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise WrongUsage(f"{path} is not a Python file.", "Give a folder of .py files.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
