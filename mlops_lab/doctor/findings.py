"""What the doctor found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from mlops_lab import show


@dataclass(frozen=True)
class Finding:
    """What one look found.

    Parameters
    ----------
    subject
        What was looked at.
    state
        ``"ok"``, ``"warning"`` (something will not work) or ``"error"`` (the main job will not work, or
        others can run code here).
    found
        What there is.
    fix
        What to do about it; empty where nothing is wrong.
    """

    subject: str
    state: str
    found: str
    fix: str = ""


@dataclass(frozen=True)
class Checkup:
    """Everything :func:`mlops_lab.doctor.examine` found."""

    findings: tuple[Finding, ...]

    @property
    def healthy(self) -> bool:
        """Whether there is no error."""
        return all(finding.state != "error" for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return the findings as plain values."""
        return {"healthy": self.healthy, "findings": [asdict(finding) for finding in self.findings]}

    def __str__(self) -> str:
        fixes = (f" → {item.fix}" if item.fix else "" for item in self.findings)
        return "\n".join(
            f"{item.state:8} {item.subject}: {item.found}{fix}" for item, fix in zip(self.findings, fixes, strict=True)
        )

    def _repr_html_(self) -> str:
        rows = [(show.Html(show.state(item.state)), item.subject, item.found, item.fix) for item in self.findings]
        return show.card(self._title(), show.table(rows, ("state", "what", "found", "what to do")))

    def _title(self) -> str:
        if not self.healthy:
            return "Something here needs mending"
        warnings = sum(finding.state == "warning" for finding in self.findings)
        return "This environment is ready" + (f"; look at the warnings ({warnings})" if warnings else "")
