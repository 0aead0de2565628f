"""Run every check of the environment, and report the findings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops_lab import show
from mlops_lab.doctor import machine, notebook, traps
from mlops_lab.findings import Finding, table


@dataclass(frozen=True)
class Checkup:
    """The findings of :func:`mlops_lab.doctor.examine`."""

    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Whether no check failed; warnings are allowed."""
        return all(finding.state != "failed" for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return the findings as plain values."""
        return {"passed": self.passed, "findings": [finding.to_dict() for finding in self.findings]}

    def __str__(self) -> str:
        return "\n".join(map(str, self.findings))

    def _repr_html_(self) -> str:
        return show.card(self._title(), table(self.findings))

    def _title(self) -> str:
        if not self.passed:
            return "This environment has errors to fix"
        warnings = sum(finding.state == "warning" for finding in self.findings)
        return "This environment is ready" + (f"; warnings: {warnings}" if warnings else "")


def examine(models: str | Path = "models", port: int = 8000) -> Checkup:
    """Check Python, the packages, the data, the models folder, the port and the disk. Nothing heavy is imported.

    In a notebook it also compares the kernel's environment with that of the Jupyter server, detects servers that
    ``app.run`` left running, and explains why ``app.run`` ended with ``SystemExit``.

    Parameters
    ----------
    models
        The models folder.
    port
        The port that the server will listen on.

    Examples
    --------
    >>> examine().findings[0].name
    'Python'
    """
    checks: list[Callable[[], Finding]] = [
        machine.python,
        machine.environment,
        machine.tensorflow,
        *(lambda name=name, purpose=purpose: machine.package(name, purpose) for name, purpose in machine.PACKAGES),
        machine.fashion_mnist,
        lambda: machine.models(Path(models)),
        lambda: machine.port(port),
        lambda: machine.disk(Path(models)),
    ]
    return Checkup((*(check() for check in checks), *notebook.check(), *traps.check()))
