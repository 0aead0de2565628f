"""otter-grader: a test file for each exercise, in its exception format."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from mlops_lab.grade.exercises import Exercise, find
from mlops_lab.grade.results import CheckResult

HEAD = '''"""{title}: written by mlops-lab for otter-grader."""

from otter.test_files import test_case

OK_FORMAT = False
name = {id!r}
points = None
'''

CASE = """

@test_case(name={name!r}, points={points!r}, hidden={hidden!r})
def test_{function}({arguments}):
    from mlops_lab.grade.exporters.otter import judge

    judge({id!r}, {check!r}, {answer}, {secret!r}, {rubric!r})
"""


def files(exercises: Iterable[Exercise], *, secret: bytes | None = None, rubric: str | None = None) -> dict[str, str]:
    """Return test files by their names.

    With a secret they are the autograder's: what has held-out cases becomes two tests, the visible cases without points
    and the held-out ones, hidden, with all of them. Without one they are the students': the visible cases only. A test
    of otter's is passed or not, so a check that gives a share of its points gives none there.

    Parameters
    ----------
    exercises
        Which.
    secret
        What held-out cases are drawn from.
    rubric
        A folder with exercises of one's own, as seen where the tests run.
    """
    return {f"{one.id.replace('-', '_')}.py": _file(one, secret, rubric) for one in exercises}


def write(folder: str | Path, texts: dict[str, str]) -> list[Path]:
    """Write test files into a folder."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in texts]


def _file(exercise: Exercise, secret: bytes | None, rubric: str | None) -> str:
    parts = [HEAD.format(title=exercise.title, id=exercise.id)]
    calls = exercise.kind == "functions"
    names = list(exercise.names)
    for check in exercise.checks:
        for hidden in [False, True] if check.held_out and secret else [False]:
            worth = 0 if check.held_out and secret and not hidden else check.points
            parts.append(
                CASE.format(
                    name=f"{check.id}: {check.title}" + (" (held out)" if hidden else ""),
                    points=worth,
                    hidden=hidden,
                    function=check.id.replace("-", "_").replace(".", "_") + ("_held_out" if hidden else ""),
                    arguments=", ".join(names) if calls else "",
                    id=exercise.id,
                    check=check.id,
                    answer="{" + ", ".join(f"{name!r}: {name}" for name in names) + "}" if calls else repr(names[0]),
                    secret=secret.hex() if hidden and secret else "",
                    rubric=rubric,
                )
            )
    return "".join(parts)


def judge(id: str, check: str, answer: Any, secret: str = "", rubric: str | None = None) -> None:
    """Run one check, and raise what otter shows where it is not full.

    Raises
    ------
    AssertionError
        The check lost points; the message and the hint say why.
    """
    part = _part(id, check, answer, secret, rubric)
    if not part.full:
        raise AssertionError("\n".join(text for text in (part.summary, part.hint) if text))


def _part(id: str, check: str, answer: Any, secret: str, rubric: str | None) -> CheckResult:
    exercise = find(id, rubric)
    if exercise.kind == "functions":
        answer = answer[exercise.names[0]] if len(exercise.names) == 1 else answer
        return _run(exercise, check, answer, secret)
    return _once(exercise, check, answer, secret)


@lru_cache(64)
def _once(exercise: Exercise, check: str, answer: str, secret: str) -> CheckResult:
    return _run(exercise, check, answer, secret)


def _run(exercise: Exercise, check: str, answer: Any, secret: str) -> CheckResult:
    from mlops_lab.grade.running import Settings
    from mlops_lab.grade.session import checked

    result = checked(exercise, answer, Settings(secret=bytes.fromhex(secret) if secret else None, step=2, only=check))
    return next((part for part in result.parts if part.id == check), result)
