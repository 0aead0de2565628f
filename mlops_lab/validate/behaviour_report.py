"""The report of the tests of behaviour: one finding for each, with the images whose answers changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any

from numpy.typing import NDArray

from mlops_lab import show
from mlops_lab.findings import ICONS, Finding
from mlops_lab.validate import drawing


@dataclass(frozen=True, eq=False)
class BehaviourFinding(Finding):
    """The result of one test of behaviour.

    Parameters
    ----------
    value, limit
        The figure that was measured, of the worst change, and its threshold.
    worst
        The share of images whose answer survives all changes of the kind, or of the worst class.
    details
        The figure of each change, or class.
    images, samples
        The images that failed: their names, and a few of them before and after.
    """

    value: float = 0.0
    limit: float = 0.0
    worst: float | None = None
    details: Mapping[str, float] = field(default_factory=dict)
    images: tuple[str, ...] = ()
    samples: tuple[NDArray[Any], ...] = field(default=(), repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, without pixels."""
        keys = ("state", "passed", "name", "message", "hint", "value", "limit", "worst")
        return {**{key: getattr(self, key) for key in keys}, "details": dict(self.details), "images": list(self.images)}

    def _repr_html_(self) -> str:
        return show.card(self.name, show.state(ICONS[self.state], self.state), *self.parts())

    def parts(self) -> list[str]:
        """Return what was seen, what to do and the images, as HTML."""
        return [escape(self.message), f"→ {escape(self.hint)}" if self.hint else "", self.draw()]

    def draw(self) -> str:
        """Return the samples, each with its name as the text that stands for it."""
        return "" if self.passed else drawing.samples(self.samples, self.images, self.name)


@dataclass(frozen=True, eq=False)
class BehaviourReport:
    """The tests of a model's behaviour, in order.

    Examples
    --------
    >>> BehaviourReport((BehaviourFinding(False, "Half of the answers survive.", name="move"),), 500).summary
    '0 of 1 tests of behaviour passed; failed: move'
    """

    findings: tuple[BehaviourFinding, ...]
    count: int

    @property
    def passed(self) -> bool:
        """Whether no test failed."""
        return not self.failed

    @property
    def failed(self) -> tuple[BehaviourFinding, ...]:
        """The tests that failed."""
        return tuple(finding for finding in self.findings if not finding.passed)

    @property
    def summary(self) -> str:
        """One line: how many tests passed, and which did not."""
        total = len(self.findings)
        text = f"{total - len(self.failed)} of {total} tests of behaviour passed"
        return f"{text}; failed: {', '.join(one.name for one in self.failed)}" if self.failed else text

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        findings = [finding.to_dict() for finding in self.findings]
        return {"passed": self.passed, "summary": self.summary, "count": self.count, "findings": findings}

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.summary}>"

    def __str__(self) -> str:
        return "\n".join([*map(str, self.findings), self.summary])

    def _repr_html_(self) -> str:
        rows = [
            (show.Html(show.state(ICONS[one.state], one.state)), one.name, show.Html(_stacked(one.parts())))
            for one in self.findings
        ]
        table = show.table(rows, ("state", "test", "what was seen"))
        state = show.state("ok" if self.passed else "error", self.summary)
        return show.card(f"Behaviour on {self.count:,} images", state, table)


def _stacked(parts: list[str]) -> str:
    return "".join(f"<div>{part}</div>" for part in parts if part)
