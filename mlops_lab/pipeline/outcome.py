"""What came of a release: one outcome for each stage."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from mlops_lab import show
from mlops_lab.validate.report import narrow

STATES = {"passed": "ok", "failed": "error", "running": "info"}
MARKS = {"passed": "✓", "failed": "✗"}


@dataclass(frozen=True)
class Outcome:
    """What one stage came to.

    Parameters
    ----------
    name
        Of the stage.
    state
        ``"passed"`` or ``"failed"``.
    seconds
        How long it took.
    says
        What was seen, in one line; where it failed, the reason.
    evidence
        The figures behind it, as plain values.

    Examples
    --------
    >>> print(Outcome("build", "passed", 0.31, "6 files checked"))
    ✓ build            0.3 s  6 files checked
    """

    name: str
    state: str
    seconds: float
    says: str
    evidence: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def good(self) -> bool:
        """Whether it passed."""
        return self.state == "passed"

    def __str__(self) -> str:
        return f"{MARKS[self.state]} {self.name:12} {self.seconds:7.1f} s  {self.says}"

    def _repr_html_(self) -> str:
        return show.card(self.name, show.state(STATES[self.state], self.state), html.escape(self.says))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Release:
    """One run of the pipeline.

    Parameters
    ----------
    name, version, environment
        What was to be released, and where.
    before
        The version that was in production; ``None`` where there was none.
    production
        The version that is in production now.
    started, by, why
        When, who and what for.
    state
        ``"running"``, ``"released"``, ``"refused"`` (production was never touched), ``"rolled back"``, or ``"stuck"``
        where rolling back failed too.
    outcomes
        Of the stages that ran, in order.
    """

    name: str
    version: int
    environment: str
    before: int | None
    production: int | None
    started: str
    by: str
    why: str = ""
    state: str = "running"
    outcomes: tuple[Outcome, ...] = ()

    @property
    def good(self) -> bool:
        """Whether the version is in production, verified."""
        return self.state == "released"

    @property
    def reason(self) -> str:
        """The first thing that failed; nothing where all went well."""
        return next((f"{one.name}: {one.says}" for one in self.outcomes if not one.good), "")

    @property
    def summary(self) -> str:
        """One line: what is in production now, and why."""
        version, now = f"{self.name} v{self.version}", word(self.production)
        said = {
            "running": f"{version} is being released; production is {now}",
            "released": f"{version} is released; production was {word(self.before)}",
            "refused": f"{version} is refused; production is {now}, as before",
            "rolled back": f"{version} is rolled back; production is {now} again",
            "stuck": f"{version} could not be rolled back; production is {now}: look at it now",
        }[self.state]
        return f"{said}. {self.reason}" if self.reason else said

    def to_dict(self) -> dict[str, Any]:
        """Return plain values: this is what is kept as evidence."""
        return {"good": self.good, "summary": self.summary, **asdict(self)}

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> Release:
        """Read what :meth:`to_dict` wrote."""
        values = {key: entry[key] for key in cls.__dataclass_fields__}
        return replace(cls(**values), outcomes=tuple(Outcome(**one) for one in entry["outcomes"]))

    def __str__(self) -> str:
        head = f"{self.name} v{self.version} → {self.environment}, {self.started} by {self.by} {self.why}".rstrip()
        return "\n".join([head, *map(str, self.outcomes), self.summary])

    def _repr_html_(self) -> str:
        rows = [
            (narrow(show.state(STATES[one.state], one.state)), one.name, f"{one.seconds:.1f} s", one.says)
            for one in self.outcomes
        ]
        kind = "ok" if self.good else "info" if self.state == "running" else "error"
        title = f"{self.name} v{self.version} → {self.environment}"
        table = show.table(rows, ("state", "stage", "took", "what was seen"))
        return show.card(title, show.state(kind, self.state), html.escape(self.summary), table)


def word(version: int | None) -> str:
    """Return a version as one says it.

    Examples
    --------
    >>> word(2), word(None)
    ('v2', 'none')
    """
    return "none" if version is None else f"v{version}"
