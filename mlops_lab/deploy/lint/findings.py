"""What the linter says: findings, each with its rule, its place, one sentence and a remedy."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from mlops_lab import show


@dataclass(frozen=True)
class Finding:
    """One thing that would go wrong on a cluster."""

    rule: str
    """The stable word a program can compare, such as ``"latest-tag"``."""
    where: str
    """The file and the object in it."""
    says: str
    """What is wrong, in one sentence."""
    remedy: str
    """What to do about it."""

    def __str__(self) -> str:
        return f"{self.where}: {self.says} {self.remedy} [{self.rule}]"


@dataclass(frozen=True)
class Findings:
    """Everything :func:`~mlops_lab.deploy.lint.check` found; none is what one hopes for."""

    findings: tuple[Finding, ...]
    """In the order of the files."""
    objects: int
    """How many Kubernetes objects were looked at."""

    @property
    def good(self) -> bool:
        """Whether nothing was found in at least one object."""
        return not self.findings and self.objects > 0

    @property
    def rules(self) -> set[str]:
        """Which rules found something."""
        return {finding.rule for finding in self.findings}

    def to_dict(self) -> dict[str, Any]:
        """Return the findings as plain values."""
        return {"good": self.good, "objects": self.objects, "findings": [asdict(item) for item in self.findings]}

    def __str__(self) -> str:
        return "\n".join([*map(str, self.findings), self._sum()])

    def _sum(self) -> str:
        found = {0: "nothing", 1: "one thing"}.get(len(self.findings), f"{len(self.findings)} things")
        return f"{found} to mend in {self.objects} Kubernetes object{'' if self.objects == 1 else 's'}"

    def _repr_html_(self) -> str:
        if self.good:
            return show.card("Kubernetes files", show.state("ok", self._sum()))
        rows = [(item.rule, item.where, item.says, item.remedy) for item in self.findings]
        table = show.table(rows, ("rule", "where", "what is wrong", "what to do"))
        return show.card("Kubernetes files", show.state("error", self._sum()), table)
