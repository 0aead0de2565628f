"""One version in production at a glance: in a notebook, as one HTML file, and on the live page of a server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from mlops_lab import show
from mlops_lab.errors import LabError, WrongUsage
from mlops_lab.monitor import timeline
from mlops_lab.monitor.log import PredictionLog, opened
from mlops_lab.monitor.reference import Reference, find_reference, load_reference
from mlops_lab.monitor.status import LogStatus
from mlops_lab.monitor.timeline import Hour
from mlops_lab.monitor.verdict import FEWEST, Verdict, compare, compare_each
from mlops_lab.store import ModelStore
from mlops_lab.summary.summary import HOUR, Summary, merge

# Hours that are drawn; the verdict is about all that were asked for.
DRAWN = 48


@dataclass(frozen=True)
class Report:
    """The report on one version, made from a log.

    Parameters
    ----------
    verdict
        About all of its predictions.
    hours
        The last of its hours.
    shares, usual
        How often each class was said, and how often on the reference.
    log
        How the log itself is doing.
    """

    verdict: Verdict
    hours: tuple[Hour, ...] = field(repr=False)
    shares: dict[str, float] = field(repr=False)
    usual: dict[str, float] = field(repr=False)
    log: LogStatus | None = field(repr=False, default=None)

    def to_dict(self) -> dict[str, Any]:
        """Return the verdict's values, the hours and the classes."""
        hours = [{"hour": one.clock, **vars(one)} for one in self.hours]
        log = self.log.to_dict() if self.log is not None else None
        return {**self.verdict.to_dict(), "hours": hours, "classes": self.shares, "usual": self.usual, "log": log}

    def __str__(self) -> str:
        lines = [f"  {one.clock}  {one.predictions:>8,}  {_state(one)}" for one in self.hours]
        return "\n".join([str(self.verdict), "by hour (UTC):", *lines])

    def _repr_html_(self) -> str:
        return f"{self.verdict._repr_html_()}{self._by_hour()}{self._classes()}"

    def _by_hour(self) -> str:
        drawn = timeline.draw(self.hours, self.verdict.expected)
        rows = [
            (
                one.clock,
                f"{one.predictions:,}",
                "–" if one.accuracy is None else f"{one.accuracy:.3f}",
                _state_html(one),
            )
            for one in reversed(self.hours)
        ]
        table = show.table(rows, ("hour (UTC)", "predictions", "accuracy", "state"))
        words = "Each point is an hour on its interval, a cross where it hurts; dashed: the accuracy on the reference."
        note = f'<div style="color: {show.MUTED}">{words}</div>'
        details = f'<details><summary style="cursor: pointer">The hours as a table</summary>{table}</details>'
        return show.card("Accuracy by hour", drawn, note, details)

    def _classes(self) -> str:
        words = [f"{100 * share:.1f}% ({100 * self.usual[name]:.1f}%)" for name, share in self.shares.items()]
        highest = max([1e-9, *self.shares.values()])
        values = [share / highest for share in self.shares.values()]
        bars = show.bars(list(self.shares), values, strongest=int(np.argmax(values)), words=words)
        return show.card("What it says (and what it said on the reference)", bars)


def _state(one: Hour) -> str:
    if one.accuracy is None:
        return "too few to say"
    word = "harmful" if one.harmful else "changed" if one.changed else "as before"
    return f"{one.accuracy:.3f}  {word}"


def _state_html(one: Hour) -> show.Html:
    if one.accuracy is None:
        return show.Html(show.state("info", "too few to say"))
    kind, word = ("error", "harmful") if one.harmful else ("warning", "changed") if one.changed else ("ok", "as before")
    return show.Html(show.state(kind, word))


def report(
    log: PredictionLog | str | Path,
    models: ModelStore | str | Path,
    model: str | None = None,
    version: int | None = None,
    *,
    since: float = 0.0,
    make: bool = True,
) -> Report:
    """Return what a log says about one version, from its hourly summaries.

    Parameters
    ----------
    log
        An open log, its file or its address.
    models
        The store, for the version's reference.
    model, version
        Whose; by default the model that the log knows, and its newest version there.
    since
        Seconds since 1970.
    make
        Make the reference where none is stored, which takes some ten seconds.

    Raises
    ------
    WrongUsage
        The log knows several models, and none was named; or there are no predictions.
    NotFound
        There is no reference, and none may be made.

    Examples
    --------
    >>> report("predictions.db", "models").verdict.harmful  # doctest: +SKIP
    False
    """
    store = models if isinstance(models, ModelStore) else ModelStore(models)
    with opened(log) as found:
        name, number = choose(found, model, version)
        reference = (find_reference if make else load_reference)(store, name, number)
        hours = found.summaries(reference.scale, name, number, since=since)
        status = found.status if found is log else None  # one that was opened to be read has written nothing
    verdict = compare(reference, hours)
    whole = merge(*(summary for _, summary in hours))
    return Report(verdict, _draw_hours(reference, hours[-DRAWN:]), _shares(whole), _shares(reference.summary), status)


def compare_log(
    log: PredictionLog | str | Path,
    models: ModelStore | str | Path,
    model: str | None = None,
    version: int | None = None,
    *,
    last: int = 1000,
) -> Verdict:
    """Compare the newest predictions in a log with the reference of their version.

    Parameters
    ----------
    log, models, model, version
        As for :func:`report`.
    last
        How many predictions.

    Raises
    ------
    WrongUsage
        The log knows several models, and none was named; or there are no predictions.
    """
    store = models if isinstance(models, ModelStore) else ModelStore(models)
    with opened(log) as found:
        name, number = choose(found, model, version)
        return compare(find_reference(store, name, number), found.read(name, number, last=last))


def choose(log: PredictionLog, model: str | None, version: int | None) -> tuple[str, int]:
    """Return which version is meant."""
    known = log.models()
    names = sorted({one.model for one in known})
    if not names:
        raise WrongUsage("The prediction log is empty.", "Let the server answer something first.")
    if model is None and len(names) > 1:
        raise WrongUsage(f"The log has predictions of {len(names)} models: {', '.join(names)}.", "Name one: --model.")
    chosen = log.read(model or names[0], version, last=1)
    return chosen.model, chosen.version


def _draw_hours(reference: Reference, hours: Sequence[tuple[int, Summary]]) -> tuple[Hour, ...]:
    enough = [(hour, summary) for hour, summary in hours if summary.count >= FEWEST]
    verdicts = compare_each(reference, [summary for _, summary in enough])
    said = {hour: verdict for (hour, _), verdict in zip(enough, verdicts, strict=True)}
    return tuple(_hour(hour, summary.count, said.get(hour)) for hour, summary in hours)


def _hour(hour: int, count: int, verdict: Verdict | None) -> Hour:
    if verdict is None:
        return Hour(float(HOUR * hour), count, None, None, None, False, False)
    accuracy, low, high = (round(value, 4) for value in verdict.estimate.range)
    return Hour(float(HOUR * hour), count, accuracy, low, high, verdict.changed, verdict.harmful)


def _shares(summary: Summary) -> dict[str, float]:
    shares = (summary.classes / max(1, summary.count)).round(4).tolist()
    return dict(zip(summary.scale.labels, shares, strict=True))


def page(found: Report) -> str:
    """Return a report as one HTML file that needs nothing else, for light and dark."""
    title = f"{found.verdict.model} v{found.verdict.version}: monitor"
    body = f"{found._repr_html_()}{_log_card(found.log)}"
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><main><h1>{escape(title)}</h1>{body}</main></body></html>"
    )


def draw_problem(error: LabError) -> str:
    """Return what stands in the place of a report, and what to do."""
    return show.card("What is missing", escape(error.message), f"→ {escape(error.hint)}" if error.hint else "")


def _log_card(log: LogStatus | None) -> str:
    return log._repr_html_() if log is not None else ""


# JupyterLab's names, so that the same cards are drawn here as in a notebook.
_STYLE = """
:root { color-scheme: light dark; --back: #ffffff; --jp-content-font-color1: #212121;
  --jp-content-font-color2: #5f6368; --jp-border-color2: #c4c7c5; --jp-brand-color1: #1565c0;
  --jp-success-color1: #1b6e20; --jp-warn-color1: #8a5300; --jp-error-color1: #b3261e }
@media (prefers-color-scheme: dark) { :root { --back: #121212; --jp-content-font-color1: #e6e6e6;
  --jp-content-font-color2: #b0b3b8; --jp-border-color2: #4a4d50; --jp-brand-color1: #90caf9;
  --jp-success-color1: #81c784; --jp-warn-color1: #ffcc80; --jp-error-color1: #ff8a80 } }
body { margin: 0; background: var(--back); color: var(--jp-content-font-color1);
  font-family: system-ui, sans-serif; font-size: 14px }
main { max-width: 760px; margin: 0 auto; padding: 16px; overflow-x: auto }
h1 { font-size: 20px; margin: 0 0 12px }
pre { font-family: inherit }
summary:focus-visible { outline: 2px solid var(--jp-brand-color1); outline-offset: 2px }
"""
