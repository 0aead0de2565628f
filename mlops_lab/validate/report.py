"""The report of a test run against a server: one finding for each check, and whether all passed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from mlops_lab import show
from mlops_lab.errors import LabError
from mlops_lab.findings import Finding, table


class CheckFailed(LabError):
    """The server did not answer as the check requires."""

    code = "check_failed"


@dataclass(frozen=True)
class Report:
    """The checks of one server, in order.

    Examples
    --------
    >>> report = Report("Contract", "http://127.0.0.1:8000", (Finding(False, "No answer.", name="alive"),), 0.1)
    >>> report.passed, report.summary
    (False, '0 of 1 passed; failed: alive')
    """

    title: str
    url: str
    checks: tuple[Finding, ...]
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether at least one check ran, and none failed."""
        return not self.failed and any(check.passed for check in self.checks)

    @property
    def failed(self) -> tuple[Finding, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if check.state == "failed")

    @property
    def summary(self) -> str:
        """One line: how many passed, and which did not."""
        asked = [check for check in self.checks if check.state != "skipped"]
        names = ", ".join(check.name for check in self.failed)
        passed = f"{len(asked) - len(self.failed)} of {len(asked)} passed"
        return f"{passed}; failed: {names}" if names else passed

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        checks = [check.to_dict() for check in self.checks]
        facts = {"title": self.title, "url": self.url, "seconds": self.seconds}
        return {"passed": self.passed, "summary": self.summary, **facts, "checks": checks}

    def __str__(self) -> str:
        return "\n".join([f"{self.title} at {self.url}", *(f"  {check}" for check in self.checks), self.summary])

    def _repr_html_(self) -> str:
        outcome = show.state("ok" if self.passed else "error", self.summary)
        return show.card(f"{self.title} at {self.url}", outcome, table(self.checks))


def skip(name: str, reason: str) -> Finding:
    """Return the finding of a check that does not apply."""
    return Finding(None, reason, name=name)


def ask(name: str, check: Callable[[], str]) -> Finding:
    """Run one check; an error is its result, so that the next one runs all the same."""
    try:
        return Finding(True, check(), name=name)
    except LabError as error:
        return Finding(False, error.message, error.hint, name=name)
    except KeyError as error:
        return Finding(False, f"The answer lacks {error}.", name=name)
    except (LookupError, TypeError, ValueError, AttributeError) as error:  # an answer of an unexpected shape
        return Finding(False, f"The answer has another shape: {type(error).__name__}: {error}", name=name)


def examine(title: str, url: str, checks: Iterable[Finding]) -> Report:
    """Run the checks and return their report."""
    started = time.perf_counter()
    found = tuple(checks)
    return Report(title, url, found, round(time.perf_counter() - started, 3))
