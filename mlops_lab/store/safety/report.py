"""The result of the audit: findings, each with a code, a message and a hint, and the report that holds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mlops_lab import show
from mlops_lab.filetype import printable
from mlops_lab.store.safety.codes import CODES, RUNS_CODE, UNBOUNDED_COST


@dataclass(frozen=True)
class AuditFinding:
    """One reason to refuse a file."""

    code: str
    """The stable word a program can compare."""
    message: str
    """The problem, as one sentence."""
    hint: str
    """What to do."""
    where: str = ""
    """The member, layer, data set or node that it is about."""

    def to_dict(self) -> dict[str, str]:
        """Return the finding as JSON shows it."""
        return {"code": self.code, "message": self.message, "hint": self.hint, "where": self.where}

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" + (f" [{self.where}]" if self.where else "")


class AuditRefusal(Exception):
    """Raised inside the audit to end it with a finding; it never leaves :func:`~mlops_lab.store.safety.inspect`."""

    def __init__(self, code: str, message: str, where: str = "") -> None:
        super().__init__(message)
        self.finding = finding(code, message, where)


def finding(code: str, message: str, where: object = "", *, hint: str = "") -> AuditFinding:
    """Return a finding; what came from the file is shortened and made printable."""
    return AuditFinding(code, printable(message, 300), hint or CODES[code], printable(str(where), 120))


@dataclass(frozen=True)
class AuditReport:
    """The verdict on one model file: whether it holds a model and nothing more."""

    path: str
    """The path that the bytes were read from."""
    format: str
    """``keras``, ``legacy-h5``, ``saved-model``, ``version-folder``, ``onnx``, ``skops``, ``pickle``, … by content."""
    safe: bool
    """Whether the audit found nothing."""
    code: str
    """``"ok"``, or the code of the first finding."""
    findings: tuple[AuditFinding, ...] = ()
    """Every reason to refuse it."""
    needs_pin: bool = False
    """Whether the format loads only with ``trust=True`` and a pinned SHA-256."""
    sha256: str = ""
    """The digest of the bytes that were judged; empty for a folder."""

    @property
    def runs_code(self) -> bool:
        """Whether loading it would run code, or call something that it names."""
        return any(item.code in RUNS_CODE for item in self.findings)

    @property
    def bounded(self) -> bool:
        """Whether its cost in time and memory has a bound; what runs code has none."""
        return not self.runs_code and not any(item.code in UNBOUNDED_COST for item in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON shows it."""
        return {
            "path": self.path,
            "format": self.format,
            "safe": self.safe,
            "code": self.code,
            "runs_code": self.runs_code,
            "bounded": self.bounded,
            "findings": [item.to_dict() for item in self.findings],
            "needs_pin": self.needs_pin,
            "sha256": self.sha256,
        }

    def __str__(self) -> str:
        if self.safe:
            pin = " It loads only with trust=True and its SHA-256." if self.needs_pin else ""
            return f"{self.path}: nothing unsafe found ({self.format}).{pin}"
        lines = [f"{self.path}: refused ({self.format})", *(f"  {item}" for item in self.findings)]
        return "\n".join([*lines, f"  → {self.findings[0].hint}"])

    def _repr_html_(self) -> str:
        if self.safe:
            pin = "Loads only with trust=True and its SHA-256." if self.needs_pin else ""
            return show.card(f"Audit of {self.path}", show.state("ok", "nothing unsafe found"), self.format, pin)
        rows = [(item.code, item.message, item.where, item.hint) for item in self.findings]
        details = show.table(rows, head=("code", "what is wrong", "where", "what to do"))
        return show.card(f"Audit of {self.path}", show.state("error", "refused"), self.format, details)
