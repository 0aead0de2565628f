"""The dashboard of a class: one page of HTML that needs no server and no script."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape
from statistics import median
from urllib.parse import quote

from mlops_lab import show
from mlops_lab.grade.exercises import Exercise
from mlops_lab.grade.report import PAGE, Report
from mlops_lab.grade.results import STATES, CheckResult, amount, badge, clip

SHOWN = 12


def class_page(reports: Sequence[Report], names: Sequence[str], exercises: Sequence[Exercise]) -> str:
    """Return the dashboard.

    Parameters
    ----------
    reports
        One for each submission.
    names
        The file names of their reports, without the ending.
    exercises
        The columns.
    """
    tried = [one for one in exercises if any(one.id in report.by_exercise() for report in reports)]
    body = [
        f"<h1>{len(reports)} submissions</h1>",
        f"<p>{escape(_figures(reports))}</p>",
        show.card("To be looked at by a person", _to_look_at(reports, names)),
        show.card("What was missed most often", _missed(reports)),
        _grid(reports, names, tried),
        f"<p>{_legend()}</p>",
    ]
    return PAGE.format(title="Grades of the class", body="\n".join(body)).replace("max-width: 900px", "max-width: none")


def _figures(reports: Sequence[Report]) -> str:
    shares = [report.score / report.max_score if report.max_score else 0.0 for report in reports]
    passed = sum(report.passed for report in reports)
    return (
        f"{passed} of {len(reports)} passed. Median {100 * median(shares):.0f}% of what was attempted, "
        f"lowest {100 * min(shares):.0f}%, highest {100 * max(shares):.0f}%. "
        f"{sum(report.seconds for report in reports):.0f} s of grading."
    )


def _to_look_at(reports: Sequence[Report], names: Sequence[str]) -> str:
    rows = []
    for report, name in zip(reports, names, strict=True):
        unclear = [leaf for leaf in report.checks if leaf.state in ("error", "not_gradable", "flaky")]
        rows += [(_link(report, name), leaf.id, show.Html(badge(leaf.state)), leaf.summary) for leaf in unclear[:3]]
    return show.table(rows, ("submission", "check", "state", "why")) if rows else "Nothing."


def _missed(reports: Sequence[Report]) -> str:
    lost: Counter[tuple[str, str]] = Counter()
    hints: dict[tuple[str, str], Counter[str]] = {}
    for leaf in (leaf for report in reports for leaf in report.checks):
        if leaf.state in ("failed", "partial", "timeout"):
            key = (leaf.id, leaf.title)
            lost[key] += 1
            hints.setdefault(key, Counter())[leaf.hint or leaf.message] += 1
    rows = [(count, id, title, hints[id, title].most_common(1)[0][0]) for (id, title), count in lost.most_common(SHOWN)]
    return show.table(rows, ("times", "check", "title", "most frequent hint")) if rows else "Nothing."


def _grid(reports: Sequence[Report], names: Sequence[str], exercises: Sequence[Exercise]) -> str:
    rows = []
    for report, name in zip(reports, names, strict=True):
        found = report.by_exercise()
        cells = [_cell(found.get(one.id)) for one in exercises]
        rows.append((_link(report, name), f"{amount(report.score)} / {amount(report.max_score)}", *cells))
    return show.table(rows, ("submission", "points", *(one.id for one in exercises)))


def _cell(result: CheckResult | None) -> str:
    if result is None:
        return "–"
    icon, colour = show.STATES[STATES[result.state][0]]
    word = "" if result.state in ("passed", "partial", "failed") else f" {result.state.replace('_', ' ')}"
    return show.Html(
        f'<span style="white-space: nowrap" title="{escape(result.state)}: {escape(result.summary, quote=True)}">'
        f'<span style="color: {colour}; font-weight: 600">{icon}</span> '
        f"{amount(result.points)}/{amount(result.max_points)}{escape(word)}</span>"
    )


def _link(report: Report, name: str) -> show.Html:
    href, whole = escape(quote(name + ".html"), quote=True), escape(report.submission, quote=True)
    return show.Html(f'<a href="{href}" title="{whole}">{escape(clip(report.submission, 60))}</a>')


def _legend() -> str:
    kinds = {
        "ok": "full",
        "warning": "part of the points, or a person has to look",
        "error": "none",
        "info": "not tried",
    }
    return " · ".join(f"{show.state(kind, word)}" for kind, word in kinds.items())
