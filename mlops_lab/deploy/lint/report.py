"""The report of the linter: its findings, each with the rule's code, the place, a message and a hint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mlops_lab import show
from mlops_lab.findings import Finding, table


@dataclass(frozen=True)
class LintReport:
    """The findings of :func:`~mlops_lab.deploy.lint.check`.

    Parameters
    ----------
    findings
        The problems, in the order of the files. Their ``name`` is the rule, their ``place`` the file and the object.
    objects
        The number of Kubernetes objects that were checked.

    Examples
    --------
    >>> LintReport((), 3).passed, LintReport((), 0).passed
    (True, False)
    """

    findings: tuple[Finding, ...]
    objects: int

    @property
    def passed(self) -> bool:
        """Return whether at least one object was checked, and no problem was found."""
        return not self.findings and self.objects > 0

    @property
    def rules(self) -> set[str]:
        """Return the codes of the rules that found a problem."""
        return {finding.name for finding in self.findings}

    @property
    def summary(self) -> str:
        """Return the number of problems and objects in one line."""
        problems = {0: "no problems", 1: "1 problem"}.get(len(self.findings), f"{len(self.findings)} problems")
        return f"{problems} in {self.objects} Kubernetes object{'' if self.objects == 1 else 's'}"

    def to_dict(self) -> dict[str, Any]:
        """Return the findings as plain values."""
        return {"passed": self.passed, "objects": self.objects, "findings": [item.to_dict() for item in self.findings]}

    def __str__(self) -> str:
        return "\n".join([*map(str, self.findings), self.summary])

    def _repr_html_(self) -> str:
        state = show.state("ok" if self.passed else "error", self.summary)
        return show.card("Kubernetes files", state, table(self.findings) if self.findings else "")
