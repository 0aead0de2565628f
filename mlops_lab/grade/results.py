"""The result of a check: a state, points, and a hint, with three representations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any

from mlops_lab import show
from mlops_lab.grade.autograding import under_nbgrader

# Each state with the kind of icon that shows it, and a sentence for students.
STATES: dict[str, tuple[str, str]] = {
    "passed": ("ok", "every case that was run gave the expected answer"),
    "partial": ("warning", "some of the points were reached"),
    "failed": ("error", "the answer is not the expected one"),
    "error": ("warning", "the check itself broke; this costs no points, tell your instructor"),
    "timeout": ("error", "there was no answer within the time limit"),
    "blocked": ("info", "could not be tried, because something it needs failed first"),
    "not_gradable": ("warning", "could not be judged; a person has to look"),
    "skipped": ("info", "not run here, and the reason is given"),
    "flaky": ("warning", "two runs of the same check disagreed"),
}
# States in which nothing can be said about the answer, so that they never count against it.
UNJUDGED = ("error", "not_gradable", "skipped", "flaky")
SHOWN = 400  # characters of a value on a card


@dataclass(frozen=True, repr=False)
class CheckResult:
    """The result of one check, or of all checks of one exercise.

    Parameters
    ----------
    id
        ``"serve-2"`` for an exercise, ``"serve-2.status"`` for one of its checks.
    title
        What is checked.
    state
        One of :data:`STATES`.
    points, max_points
        What was reached, and what there is.
    message
        What was seen.
    hint
        What it means, as far as the student has come: hints grow with each failure.
    held_out
        The number of cases that only the grader runs, and that were not run here.
    expected, received
        Both sides of a comparison, as text.
    evidence
        Requests and answers as curl, or whatever else repeats the check.
    seconds
        How long it took.
    parts
        The results of an exercise's checks; empty for a single check.
    warnings
        What costs no points and should be known.
    key
        Which hint it was; empty where no known mistake was recognised.

    Examples
    --------
    >>> CheckResult("data-3", "Prepare pixels", "passed", 3, 3, held_out=5).summary
    'The visible cases passed; 5 more at hand-in.'
    """

    id: str
    title: str
    state: str
    points: float = 0.0
    max_points: float = 0.0
    message: str = ""
    hint: str = ""
    held_out: int = 0
    expected: str = ""
    received: str = ""
    evidence: tuple[str, ...] = ()
    seconds: float = 0.0
    parts: tuple[CheckResult, ...] = field(default=(), repr=False)
    warnings: tuple[str, ...] = ()
    key: str = ""

    @property
    def passed(self) -> bool:
        """Whether every case that was run passed."""
        return self.state == "passed"

    @property
    def full(self) -> bool:
        """Whether no point that could be judged here was missed."""
        return self.state in ("passed", "skipped") or (self.state == "partial" and self.points >= self.max_points)

    @property
    def summary(self) -> str:
        """One sentence. It never says that all passed while held-out cases remain."""
        if self.passed and self.held_out:
            return f"The visible cases passed; {self.held_out} more at hand-in."
        if self.passed:
            return self.message or "Passed."
        return self.message or f"{STATES[self.state][1].capitalize()}."

    def leaves(self) -> tuple[CheckResult, ...]:
        """Return the single checks: of an exercise its parts, else this one."""
        return self.parts or (self,)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in ("parts", "key")}
        values["evidence"], values["warnings"] = list(self.evidence), list(self.warnings)
        return {**values, "parts": [part.to_dict() for part in self.parts]} if self.parts else values

    def __repr__(self) -> str:
        # nbgrader reads a cell's points from the plain text of its result.
        return (
            repr(float(self.points)) if under_nbgrader() else f"<{self.id} {self.state}: {amount(self.points)} points>"
        )

    def __str__(self) -> str:
        lines = [f"{self.state:12} {self.id}: {self.title} ({amount(self.points)} of {amount(self.max_points)})"]
        for part in self.leaves():
            if part is not self:
                lines.append(f"  {part.state:12} {part.title}: {part.summary}")
            sides = [("expected", part.expected), ("received", part.received), ("hint", part.hint)]
            lines += [f"      {name}: {text}" for name, text in sides if text and not part.passed]
            lines += [f"      warning: {text}" for text in part.warnings]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        points = f"{amount(self.points)} of {amount(self.max_points)} points"
        head = f"{badge(self.state)} · {escape(points)} · {escape(self.summary)}"
        return show.card(f"{self.id} · {self.title}", head, _table(self.leaves()), _notes(self.leaves()))


def amount(points: float) -> str:
    """Return points as people write them: ``"2"`` and not ``"2.0"``.

    Examples
    --------
    >>> amount(2.0), amount(2.5)
    ('2', '2.5')
    """
    return f"{points:.2f}".rstrip("0").rstrip(".")


def badge(state: str) -> str:
    """Return a state as icon and word, in HTML."""
    return show.state(STATES[state][0], state.replace("_", " "))


def clip(value: object, size: int = SHOWN) -> str:
    """Return a value as text that a card can hold, without control characters."""
    text = value if isinstance(value, str) else repr(value)
    text = "".join(letter if letter.isprintable() or letter == "\n" else "�" for letter in text[: size + 1])
    return text if len(text) <= size else f"{text[:size]} …"


def gather(
    id: str, title: str, parts: Iterable[CheckResult], *, max_points: float | None = None, message: str = ""
) -> CheckResult:
    """Return the result of an exercise from those of its checks."""
    parts = tuple(parts)
    points = round(sum(part.points for part in parts), 6)
    first = next((part for part in parts if part.state not in ("passed", "skipped", "blocked")), None)
    first = first or next((part for part in parts if part.state == "blocked"), None)
    state = _overall({part.state for part in parts}, points)
    if state == "skipped":
        first = first or next((part for part in parts if part.state == "skipped"), None)
    return CheckResult(
        id,
        title,
        state,
        points,
        sum(part.max_points for part in parts) if max_points is None else max_points,
        message or (first.summary if first else ""),
        first.hint if first else "",
        sum(part.held_out for part in parts),
        first.expected if first else "",
        first.received if first else "",
        seconds=round(sum(part.seconds for part in parts), 3),
        parts=parts,
        warnings=tuple(dict.fromkeys(text for part in parts for text in part.warnings)),
        key=first.key if first else "",
    )


def _overall(states: set[str], points: float) -> str:
    wrong = states - {"passed", "skipped"}
    if not wrong:
        return "skipped" if "skipped" in states and points == 0 else "passed"
    if points > 0:
        return "partial"
    return next(state for state in ("error", "not_gradable", "timeout", "flaky", "failed", "partial", "blocked")
                if state in wrong)  # fmt: skip


def _table(parts: Iterable[CheckResult]) -> str:
    rows = []
    for part in parts:
        seen = [f"<div>{escape(part.summary)}</div>"]
        for name, text in (("expected", part.expected), ("received", part.received)):
            if text and not part.passed:
                seen.append(f'<div><span style="color: {show.MUTED}">{name}</span> <code>{escape(text)}</code></div>')
        if part.hint:
            seen.append(f'<div><span style="color: {show.MUTED}">hint</span> {escape(part.hint)}</div>')
        points = f"{amount(part.points)} of {amount(part.max_points)}" if part.max_points else "–"
        rows.append((show.Html(badge(part.state)), points, part.title, show.Html("".join(seen))))
    return show.table(rows, ("state", "points", "check", "seen"))


def _notes(parts: Iterable[CheckResult]) -> str:
    texts: Mapping[str, None] = dict.fromkeys(text for part in parts for text in part.warnings)
    return "".join(f"<div>{show.state('warning')} {escape(text)}</div>" for text in texts)
