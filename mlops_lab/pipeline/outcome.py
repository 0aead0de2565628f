"""The result of a release, with one outcome for each stage that ran."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from mlops_lab import show

STATES = {"passed": "ok", "cached": "info", "failed": "error", "running": "info"}
MARKS = {"passed": "✓", "cached": "=", "failed": "✗"}


@dataclass(frozen=True)
class StageOutcome:
    """The outcome of one stage.

    Parameters
    ----------
    name
        The name of the stage.
    state
        ``"passed"`` or ``"failed"``; of a step of the loop also ``"cached"``: its inputs are as before.
    seconds
        The duration of the stage.
    message
        The observation in one line; where the stage failed, the reason.
    evidence
        The measurements behind the message, as plain values.

    Examples
    --------
    >>> print(StageOutcome("build", "passed", 0.31, "6 files checked"))
    ✓ build            0.3 s  6 files checked
    """

    name: str
    state: str
    seconds: float
    message: str
    evidence: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def passed(self) -> bool:
        """Return whether the stage passed."""
        return self.state in ("passed", "cached")

    def __str__(self) -> str:
        return f"{MARKS[self.state]} {self.name:12} {self.seconds:7.1f} s  {self.message}"

    def _repr_html_(self) -> str:
        return show.card(self.name, show.state(STATES[self.state], self.state), html.escape(self.message))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> StageOutcome:
        """Read what :meth:`to_dict` wrote; older files hold the message under ``says``."""
        values = dict(entry)
        if "says" in values:
            values["message"] = values.pop("says")
        return cls(**values)


@dataclass(frozen=True)
class Release:
    """One run of the pipeline.

    Parameters
    ----------
    name, version, environment
        The model, its version, and the environment that it was released into.
    before
        The version that was in production before; ``None`` where there was none.
    production
        The version that is in production now.
    started, by, why
        The time of the start, the user, and the reason.
    state
        ``"running"``, ``"released"``, ``"refused"`` (production was never touched), ``"rolled back"``, or ``"stuck"``
        where the rollback failed too.
    outcomes
        The outcomes of the stages that ran, in order.
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
    outcomes: tuple[StageOutcome, ...] = ()

    @property
    def passed(self) -> bool:
        """Return whether the version is in production and verified."""
        return self.state == "released"

    @property
    def reason(self) -> str:
        """Return the first failure; empty where every stage passed."""
        return next((f"{one.name}: {one.message}" for one in self.outcomes if not one.passed), "")

    @property
    def summary(self) -> str:
        """Return one line: the version that is in production now, and the reason."""
        version, now = f"{self.name} v{self.version}", version_label(self.production)
        text = {
            "running": f"{version} is being released; production is {now}",
            "released": f"{version} is released; production was {version_label(self.before)}",
            "refused": f"{version} is refused; production is {now}, as before",
            "rolled back": f"{version} is rolled back; production is {now} again",
            "stuck": f"{version} could not be rolled back; production is {now}: check production now",
        }[self.state]
        return f"{text}. {self.reason}" if self.reason else text

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as they are stored as evidence."""
        return {"passed": self.passed, "summary": self.summary, **asdict(self)}

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> Release:
        """Read what :meth:`to_dict` wrote."""
        values = {key: entry[key] for key in cls.__dataclass_fields__}
        return replace(cls(**values), outcomes=tuple(map(StageOutcome.from_dict, entry["outcomes"])))

    def __str__(self) -> str:
        head = f"{self.name} v{self.version} → {self.environment}, {self.started} by {self.by} {self.why}".rstrip()
        return "\n".join([head, *map(str, self.outcomes), self.summary])

    def _repr_html_(self) -> str:
        rows = [
            (show.Html(show.state(STATES[one.state], one.state)), one.name, f"{one.seconds:.1f} s", one.message)
            for one in self.outcomes
        ]
        kind = "ok" if self.passed else "info" if self.state == "running" else "error"
        title = f"{self.name} v{self.version} → {self.environment}"
        table = show.table(rows, ("state", "stage", "time", "message"))
        return show.card(title, show.state(kind, self.state), html.escape(self.summary), table)


def version_label(version: int | None) -> str:
    """Return a version number as text.

    Examples
    --------
    >>> version_label(2), version_label(None)
    ('v2', 'none')
    """
    return "none" if version is None else f"v{version}"
