"""The report of one submission: ``mlops_lab.report/1``, whose JSON schema is shipped beside this file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from mlops_lab import show
from mlops_lab.errors import WrongUsage
from mlops_lab.grade.results import UNJUDGED, CheckResult, amount, badge, gather

SCHEMA = "mlops_lab.report/1"
SCHEMA_FILE = Path(__file__).parent / "schemas" / "report.json"
LEAF = ("id", "title", "state", "points", "max_points", "message", "hint", "expected", "received", "held_out",
        "evidence", "warnings", "seconds")  # fmt: skip


@dataclass(frozen=True)
class Report:
    """The result of one submission, check by check.

    Parameters
    ----------
    submission
        The name of its folder.
    results
        One for each exercise that was graded.
    core
        The ids of those that must be full.
    sandbox
        The isolation: its name, what it holds, and what it leaves open.
    sha256
        Of the submission's files.
    secret
        The digest of the secret that held-out cases were drawn from.
    versions
        Of this library, Python, and what the checks use.
    started, seconds
        When, in UTC, and how long.
    warnings
        About the submission as a whole.
    asked
        The ids of the exercises that were asked for, attempted or not.

    Examples
    --------
    >>> leaf = CheckResult("data-3", "Prepare pixels", "passed", 2, 3)
    >>> report = Report("ann", (leaf,))
    >>> report.score, report.max_score, report.to_dict()["schema"]
    (2, 3, 'mlops_lab.report/1')
    """

    submission: str
    results: tuple[CheckResult, ...]
    core: frozenset[str] = frozenset()
    sandbox: Mapping[str, Any] = field(default_factory=dict)
    sha256: str = ""
    secret: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    started: str = ""
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()

    @property
    def checks(self) -> tuple[CheckResult, ...]:
        """The single checks of all exercises."""
        return tuple(leaf for result in self.results for leaf in result.leaves())

    def exercises(self) -> tuple[CheckResult, ...]:
        """Return one result for each exercise, also of a report that was read from a file and knows only checks."""
        if any(result.parts for result in self.results):
            return self.results
        ids = dict.fromkeys(leaf.id.split(".")[0] for leaf in self.results)
        return tuple(gather(id, id, [one for one in self.results if one.id.split(".")[0] == id]) for id in ids)

    def by_exercise(self) -> dict[str, CheckResult]:
        """Return :meth:`exercises` by their ids."""
        return {result.id: result for result in self.exercises()}

    @property
    def score(self) -> float:
        """The sum of the points of all checks."""
        return round(sum(leaf.points for leaf in self.checks), 6)

    @property
    def max_score(self) -> float:
        """The sum of what they could have been."""
        return round(sum(leaf.max_points for leaf in self.checks), 6)

    @property
    def unjudged(self) -> float:
        """The points about which nothing could be said: the grader's fault, or a person has to look."""
        return round(sum(leaf.max_points - leaf.points for leaf in self.checks if leaf.state in UNJUDGED), 6)

    @property
    def passed(self) -> bool:
        """Whether every core exercise that was attempted is full."""
        wanted = [result for result in self.exercises() if not self.core or result.id in self.core]
        return bool(self.results) and all(leaf.full for result in wanted for leaf in result.leaves())

    def to_dict(self) -> dict[str, Any]:
        """Return the report as its schema says."""
        leaves = [{name: getattr(leaf, name) for name in LEAF} for leaf in self.checks]
        for leaf in leaves:
            leaf["evidence"], leaf["warnings"] = list(leaf["evidence"]), list(leaf["warnings"])
        values: dict[str, Any] = {
            "schema": SCHEMA,
            "submission": self.submission,
            "score": self.score,
            "max_score": self.max_score,
            "passed": self.passed,
            "unjudged": self.unjudged,
            "attempted": [result.id for result in self.exercises()],
            "versions": dict(self.versions),
            "started": self.started,
            "seconds": self.seconds,
            "warnings": list(self.warnings),
        }
        optional = {"sandbox": dict(self.sandbox), "sha256": self.sha256, "secret": self.secret,
                    "asked": list(self.asked)}  # fmt: skip
        return {**values, **{key: value for key, value in optional.items() if value}, "checks": leaves}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Report:
        """Read a report that :meth:`to_dict` made.

        Raises
        ------
        WrongUsage
            It is not a report of this schema.
        """
        if not isinstance(values, Mapping) or values.get("schema") != SCHEMA:
            raise WrongUsage(f"That is not a report of the schema {SCHEMA}.", "Give a file that mlops-lab grade wrote.")
        try:
            leaves = [CheckResult(**{name: _frozen(leaf[name]) for name in LEAF}) for leaf in values["checks"]]
        except (KeyError, TypeError) as error:
            raise WrongUsage(f"The report is damaged: {error}.", "Grade the submission again.") from error
        return cls(
            str(values.get("submission", "")),
            tuple(leaves),
            sandbox=values.get("sandbox", {}),
            sha256=str(values.get("sha256", "")),
            secret=str(values.get("secret", "")),
            versions=values.get("versions", {}),
            started=str(values.get("started", "")),
            seconds=float(values.get("seconds", 0)),
            warnings=tuple(values.get("warnings", ())),
            asked=tuple(values.get("asked", ())),
        )

    def save(self, path: str | Path) -> Path:
        """Write the report as JSON; a path that ends in ``.html`` becomes a page."""
        path = Path(path)
        path.write_text(self.text(path.suffix), encoding="utf-8")
        return path

    def text(self, suffix: str) -> str:
        """Return the content of a file with a report: a page for ``".html"``, else JSON."""
        page = suffix == ".html"
        return (self.page() if page else json.dumps(self.to_dict(), indent=1, ensure_ascii=False)) + "\n"

    def page(self) -> str:
        """Return a page of HTML that needs no server, no script and nothing from elsewhere."""
        return PAGE.format(title=escape(self.submission), body=self._repr_html_())

    def __str__(self) -> str:
        lines = [f"{self.submission}: {amount(self.score)} of {amount(self.max_score)} points"]
        if self.unjudged:
            lines.append(f"{amount(self.unjudged)} points could not be judged; a person has to look.")
        lines += [str(result) for result in self.results]
        lines += [f"warning: {text}" for text in self.warnings]
        return "\n".join([*lines, *self._sandbox_lines()])

    def _sandbox_lines(self) -> list[str]:
        if not self.sandbox:
            return []
        open_ = "; ".join(self.sandbox.get("leaves_open", ())) or "nothing that is known"
        return [f"sandbox: {self.sandbox['name']}; it does not stop: {open_}"]

    def _repr_html_(self) -> str:
        rows = [(r.id, f"{amount(r.points)} of {amount(r.max_points)}", show.Html(badge(r.state)), r.title)
                for r in self.results]  # fmt: skip
        head = f"{amount(self.score)} of {amount(self.max_score)} points"
        notes = "".join(f"<div>{show.state('warning')} {escape(text)}</div>" for text in self.warnings)
        table = show.table(rows, ("exercise", "points", "state", "title"))
        cards = "".join(result._repr_html_() + _evidence(result) for result in self.results)
        foot = "".join(f"<p>{escape(line)}</p>" for line in self._sandbox_lines())
        return show.card(f"{self.submission}: {head}", notes, table) + cards + foot


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _evidence(result: CheckResult) -> str:
    blocks = [
        f"<details><summary>{escape(leaf.id)}: evidence</summary>{show.text(chr(10).join(leaf.evidence))}</details>"
        for leaf in result.leaves()
        if leaf.evidence and not leaf.passed
    ]
    return "".join(blocks)


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>{title}</title>
<style>:root {{ color-scheme: light dark }} body {{ font: 14px system-ui, sans-serif; margin: 24px; max-width: 900px }}
@media (prefers-color-scheme: dark) {{ :root {{ --jp-content-font-color1: #e0e0e0; --jp-content-font-color2: #b0b0b0;
--jp-border-color2: #555; --jp-success-color1: #81c784; --jp-warn-color1: #ffb74d; --jp-error-color1: #ef9a9a }}
body {{ background: #1e1e1e; color: #e0e0e0 }} a {{ color: #90caf9 }} }}
table {{ margin: 4px 0 }} pre, code {{ overflow-wrap: anywhere }}</style></head>
<body>
{body}
</body></html>"""
