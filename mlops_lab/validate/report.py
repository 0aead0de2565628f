"""What an examination found: one line for each question, and whether all of them went well."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

from mlops_lab import show
from mlops_lab.errors import LabError

STATES = {"passed": "ok", "failed": "error", "skipped": "info"}


class Unmet(LabError):
    """What was seen is not what was asked for."""

    code = "unmet"


@dataclass(frozen=True)
class Check:
    """One question to a server and what came of it.

    Parameters
    ----------
    name
        What was asked.
    state
        ``"passed"``, ``"failed"``, or ``"skipped"`` where the question makes no sense for this server.
    says
        What was seen.
    """

    name: str
    state: str
    says: str

    def __str__(self) -> str:
        return f"{self.state:7}  {self.name}: {self.says}"

    def _repr_html_(self) -> str:
        return show.card(self.name, show.state(STATES[self.state], self.state), escape(self.says))


@dataclass(frozen=True)
class Report:
    """Everything that was asked of one server.

    Examples
    --------
    >>> report = Report("Contract", "http://127.0.0.1:8000", (Check("alive", "failed", "no answer"),), 0.1)
    >>> report.good, report.summary
    (False, '0 of 1 passed; failed: alive')
    """

    title: str
    url: str
    checks: tuple[Check, ...]
    seconds: float

    @property
    def good(self) -> bool:
        """Whether something was asked, and nothing failed."""
        return not self.failed and any(check.state == "passed" for check in self.checks)

    @property
    def failed(self) -> tuple[Check, ...]:
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
        checks = [asdict(check) for check in self.checks]
        return {"good": self.good, "summary": self.summary, **asdict(self), "checks": checks}

    def __str__(self) -> str:
        return "\n".join([f"{self.title} at {self.url}", *(f"  {check}" for check in self.checks), self.summary])

    def _repr_html_(self) -> str:
        rows = [(narrow(show.state(STATES[c.state], c.state)), c.name, c.says) for c in self.checks]
        outcome = show.state("ok" if self.good else "error", self.summary)
        return show.card(f"{self.title} at {self.url}", outcome, show.table(rows, ("state", "what", "seen")))


def narrow(state: str) -> show.Html:
    """Return a cell for a state that stays in one line."""
    return show.Html(f'<span style="white-space: nowrap">{state}</span>')


def ask(name: str, question: Callable[[], str]) -> Check:
    """Ask one question; whatever goes wrong is the answer, so that the next one is asked all the same."""
    try:
        return Check(name, "passed", question())
    except LabError as error:
        return Check(name, "failed", str(error))
    except (LookupError, TypeError, ValueError, AttributeError) as error:  # an answer of a shape that nobody expects
        return Check(name, "failed", f"The answer has another shape: {type(error).__name__}: {error}")


def examine(title: str, url: str, checks: Iterable[Check]) -> Report:
    """Return the report of checks that are made while this runs."""
    started = time.perf_counter()
    found = tuple(checks)
    return Report(title, url, found, round(time.perf_counter() - started, 3))
