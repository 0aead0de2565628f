"""The result of one check, which the doctor, the linters and the validation share.

A finding says whether a check passed, what was seen, and what to do about it. Reports hold tuples of findings and
render them with :func:`table`::

    Finding(False, "Port 8000 is used by process 4711.", "mlops-lab serve --port 8001", name="port", severity="warning")
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from html import escape
from typing import Any, Literal

from mlops_lab import show

ICONS = {"passed": "ok", "skipped": "info", "warning": "warning", "failed": "error"}
"""The kind of :func:`mlops_lab.show.state` that shows each state."""
COLUMNS = ("place", "name", "message", "hint")


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Parameters
    ----------
    passed
        Whether the check passed; ``None`` where it does not apply and was skipped.
    message
        The observation, in a complete sentence.
    hint
        What to do, as a sentence or a command; empty where nothing has to be done.
    name
        The name of the check, such as ``"port 8000"``, or the stable code of a linter's rule, such as ``"latest-tag"``.
    place
        The location that the finding is about, such as a file and the object in it; empty where there is only one.
    severity
        The weight of a check that did not pass: ``"error"`` fails the whole report, ``"warning"`` does not.

    Examples
    --------
    >>> found = Finding(False, "The image has no tag.", "Name a version.", name="latest-tag", place="deployment.yaml")
    >>> print(found)
    failed   deployment.yaml: latest-tag: The image has no tag. → Name a version.
    >>> Finding(None, "The model has no labels.", name="labels").state
    'skipped'
    """

    passed: bool | None
    message: str
    hint: str = ""
    name: str = ""
    place: str = ""
    severity: Literal["error", "warning"] = "error"

    @property
    def state(self) -> str:
        """Return the state in one word: ``"passed"``, ``"skipped"``, ``"warning"`` or ``"failed"``."""
        if self.passed is None:
            return "skipped"
        if self.passed:
            return "passed"
        return "failed" if self.severity == "error" else "warning"

    def to_dict(self) -> dict[str, Any]:
        """Return the fields and the state as plain values."""
        return {"state": self.state, **asdict(self)}

    def __str__(self) -> str:
        text = ": ".join(filter(None, (self.place, self.name, self.message)))
        return f"{self.state:7}  {text}" + (f" → {self.hint}" if self.hint else "")

    def _repr_html_(self) -> str:
        hint = f"→ {escape(self.hint)}" if self.hint else ""
        title = ": ".join(filter(None, (self.place, self.name))) or "Finding"
        return show.card(title, _state(self), escape(self.message), hint)


def table(findings: Iterable[Finding]) -> str:
    """Return an HTML table of findings; a column that is empty in every row is left out.

    Examples
    --------
    >>> table([Finding(True, "3.12.4", name="Python")]).count("<th ")
    3
    """
    rows = list(findings)
    columns = [column for column in COLUMNS if any(getattr(item, column) for item in rows)]
    cells = [(show.Html(_state(item)), *(getattr(item, column) for column in columns)) for item in rows]
    return show.table(cells, ("state", *columns))


def _state(finding: Finding) -> str:
    return show.state(ICONS[finding.state], finding.state)
