"""The progress of a student: one small JSON file, so that a rerun loses neither a hint nor a result."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from mlops_lab import show
from mlops_lab.errors import LabError
from mlops_lab.grade.exercises import Exercise
from mlops_lab.grade.results import STATES, CheckResult, amount, badge

FILE = Path(".mlops-lab") / "progress.json"
STEPS = 3


class ProgressFile:
    """The file. It never stands in a check's way: what cannot be read is empty, what cannot be written is lost.

    Parameters
    ----------
    path
        By default ``.mlops-lab/progress.json`` in the current folder.
    """

    def __init__(self, path: str | Path = FILE) -> None:
        self.path = Path(path)

    def read(self) -> dict[str, dict[str, Any]]:
        """Return what is known of each exercise."""
        try:
            values = json.loads(self.path.read_text(encoding="utf-8"))["exercises"]
            return {str(id): dict(entry) for id, entry in values.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}

    def step(self, id: str) -> int:
        """Return how far the next hint of an exercise goes: one further than the failures so far, at most three."""
        return min(STEPS, 1 + int(_number(self.read().get(id, {}), "failures")))

    def note(self, result: CheckResult) -> None:
        """Keep the result of an exercise, and count a failure."""
        from mlops_lab.files import write_atomically

        entries = self.read()
        entry = entries.setdefault(result.id, {})
        entry |= {"state": result.state, "points": result.points, "max_points": result.max_points}
        entry["best"] = max(_number(entry, "best"), result.points)
        entry["tries"] = int(_number(entry, "tries")) + 1
        entry["failures"] = int(_number(entry, "failures")) + (result.state in ("failed", "partial", "timeout"))
        entry["time"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        text = json.dumps({"format": 1, "exercises": entries}, indent=1)
        with suppress(OSError, LabError):
            write_atomically(self.path, text.encode())


def _number(entry: dict[str, Any], key: str) -> float:
    """Return a number of 0 or more from an entry that anybody may have edited."""
    value = entry.get(key)
    return float(value) if isinstance(value, int | float) and 0 <= value < 1e9 else 0.0


@dataclass(frozen=True)
class ExerciseStatus:
    """The state and the points of one exercise."""

    id: str
    title: str
    state: str
    points: float
    max_points: float
    core: bool
    held_out: int


@dataclass(frozen=True, repr=False)
class Progress:
    """The progress of a student: every exercise, with the best points so far.

    Examples
    --------
    >>> Progress((ExerciseStatus("data-3", "Prepare pixels", "passed", 3, 3, True, 5),)).points
    3.0
    """

    exercises: tuple[ExerciseStatus, ...]

    @property
    def points(self) -> float:
        """The points that were reached."""
        return sum((one.points for one in self.exercises), 0.0)

    @property
    def max_points(self) -> float:
        """The points that can be reached."""
        return sum((one.max_points for one in self.exercises), 0.0)

    @property
    def held_out(self) -> int:
        """The number of cases that only the grader runs."""
        return sum(one.held_out for one in self.exercises)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        rows = [vars(one) for one in self.exercises]
        return {"points": self.points, "max_points": self.max_points, "exercises": [dict(row) for row in rows]}

    def __repr__(self) -> str:
        return f"<Progress: {self._sum()}>"

    def __str__(self) -> str:
        lines = [f"{one.id:12} {one.state:12} {amount(one.points)}/{amount(one.max_points)}  {one.title}"
                 for one in self.exercises]  # fmt: skip
        return "\n".join([*lines, self._sum()])

    def _sum(self) -> str:
        return (
            f"{amount(self.points)} of {amount(self.max_points)} points with the visible cases; "
            f"{self.held_out} held-out cases come at hand-in."
        )

    def _repr_html_(self) -> str:
        stages: dict[str, list[ExerciseStatus]] = {}
        for one in self.exercises:
            stages.setdefault(one.id.split("-")[0], []).append(one)
        rows = []
        for stage, ones in stages.items():
            points = f"{amount(sum(o.points for o in ones))} of {amount(sum(o.max_points for o in ones))}"
            states = " · ".join(f"{_state(one.state)} {escape(one.id)}" for one in ones)
            rows.append((stage, points, show.Html(states)))
        return show.card("Progress", escape(self._sum()), show.table(rows, ("stage", "points", "exercises")))


def _state(state: str) -> str:
    return badge(state) if state in STATES else show.state("info", state)


def progress_of(exercises: Iterable[Exercise], entries: dict[str, dict[str, Any]]) -> Progress:
    """Return where a student stands, from what the progress file holds."""
    return Progress(tuple(_standing(one, entries.get(one.id, {})) for one in exercises))


def _standing(one: Exercise, entry: dict[str, Any]) -> ExerciseStatus:
    state = entry.get("state")
    state = state if isinstance(state, str) and state in STATES else "not tried"
    best = min(_number(entry, "best"), one.max_points)
    return ExerciseStatus(one.id, one.title, state, best, one.max_points, one.core, one.held_out)
