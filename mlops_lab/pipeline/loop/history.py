"""The history of the loop: one run, and all runs, drawn for a terminal and as SVG."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from mlops_lab import show
from mlops_lab.errors import WrongUsage, nearest
from mlops_lab.files import write_atomically
from mlops_lab.pipeline.loop.config import LoopConfig, read_config
from mlops_lab.pipeline.outcome import MARKS, STATES, StageOutcome, version_label

STEPS = (
    *("data", "train", "validate", "package", "stage", "integration", "acceptance", "load"),
    *("canary", "promote", "roll back", "monitor", "drift", "collect"),
)
# Of each state: whether all is well, and how it is shown.
RESULTS = {
    "released": (True, "ok"),
    "nothing to do": (True, "ok"),
    "waiting for labels": (True, "warning"),
    "broken source": (False, "error"),
    "refused": (False, "error"),
    "rolled back": (False, "error"),
    "stuck": (False, "error"),
    "stopped": (True, "info"),
    "running": (False, "info"),
}


class LoopEnded(Exception):
    """The loop has nothing more to do, or a step failed: the state, why, and the measurements behind that."""

    def __init__(self, state: str, reason: str = "", evidence: Mapping[str, Any] | None = None) -> None:
        super().__init__(state)
        self.state, self.reason, self.evidence = state, reason, evidence or {}


@dataclass(frozen=True)
class LoopRun:
    """One run of the loop.

    Parameters
    ----------
    name
        The model.
    started
        When.
    state
        ``"released"``, ``"nothing to do"``, ``"waiting for labels"``, ``"broken source"``, ``"refused"``, ``"rolled
        back"``, ``"stuck"``, ``"stopped"`` (after the step that was asked for) or ``"running"``.
    reason
        Why.
    production
        The version that is in production now.
    outcomes
        The outcome of each step, in order; a step of a second round is listed again.

    Examples
    --------
    >>> LoopRun("clothes", "2026-11-30T12:00:00Z", "nothing to do", "it is as on the reference", 2).passed
    True
    """

    name: str
    started: str
    state: str = "running"
    reason: str = ""
    production: int | None = None
    outcomes: tuple[StageOutcome, ...] = field(default=(), repr=False)

    @property
    def passed(self) -> bool:
        """Whether all is well."""
        return RESULTS[self.state][0]

    @property
    def summary(self) -> str:
        """One line: the state, production and the reason."""
        text = f"{self.name}: {self.state}; production is {version_label(self.production)}"
        return f"{text}. {self.reason}" if self.reason else text

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {"passed": self.passed, "summary": self.summary, **asdict(self)}

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> LoopRun:
        """Read what :meth:`to_dict` wrote."""
        values = {key: entry[key] for key in cls.__dataclass_fields__}
        return replace(cls(**values), outcomes=tuple(map(StageOutcome.from_dict, entry["outcomes"])))

    def states(self) -> dict[str, str]:
        """Return the state of each step that was reached; of two rounds the later one's."""
        return {one.name: one.state for one in self.outcomes}

    def __str__(self) -> str:
        return "\n".join([*map(str, self.outcomes), self.summary])

    def _repr_html_(self) -> str:
        rows = [
            (show.Html(show.state(STATES[one.state], one.state)), one.name, f"{one.seconds:.1f} s", one.message)
            for one in self.outcomes
        ]
        state = show.state(RESULTS[self.state][1], self.state)
        table = show.table(rows, ("state", "step", "time", "message"))
        return show.card(f"The loop of {self.name}, {self.started}", state, html.escape(self.summary), table)


@dataclass(frozen=True)
class LoopHistory:
    """The runs of a loop, oldest first.

    Parameters
    ----------
    name
        The model.
    runs
        The runs.
    """

    name: str
    runs: tuple[LoopRun, ...] = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {"name": self.name, "runs": [one.to_dict() for one in self.runs]}

    def __str__(self) -> str:
        height = max(map(len, STEPS))
        letters = ([step.rjust(height)[row] for step in STEPS] for row in range(height))
        heads = [f"{'':20}{' '.join(row)}" for row in letters]
        return "\n".join(
            [f"The loop of {self.name}: ✓ ran, = as before, ✗ failed", *heads, *map(self._line, self.runs)]
        )

    def _line(self, run: LoopRun) -> str:
        states = run.states()
        marks = " ".join(MARKS[states[step]] if step in states else "·" for step in STEPS)
        return f"{run.started[:19]} {marks}  {version_label(run.production)} {run.state}"

    def draw(self) -> str:
        """Return the history as SVG: a row for each run, a column for each step."""
        return _drawing(self)

    def _repr_html_(self) -> str:
        return show.card(f"The loop of {self.name}", self.draw())

    def page(self) -> str:
        """Return one HTML file for light and dark, with every run in detail."""
        runs = "".join(
            f"<details{' open' if run is self.runs[-1] else ''}><summary>{html.escape(run.started)}: "
            f"{html.escape(run.state)}</summary>{run._repr_html_()}</details>"
            for run in reversed(self.runs)
        )
        body = self._repr_html_() + runs
        return PAGE.format(title=html.escape(f"The loop of {self.name}"), body=body)


PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
body {{ font-family: system-ui, sans-serif; margin: 16px; background: Canvas; color: CanvasText }}
@media (prefers-color-scheme: dark) {{ :root {{
  --jp-content-font-color2: #b0b0b0; --jp-border-color2: #5f6368; --jp-brand-color1: #64b5f6;
  --jp-success-color1: #81c784; --jp-warn-color1: #ffb74d; --jp-error-color1: #ef9a9a }} }}
</style>
</head>
<body>{body}</body>
</html>
"""
TEXT = "var(--jp-content-font-color1, currentColor)"
LEFT, TOP, CELL, ROW, SHOWN = 132, 84, 26, 24, 60


def _drawing(history: LoopHistory) -> str:
    runs = history.runs[-SHOWN:]
    right = LEFT + CELL * len(STEPS)
    parts = [_head(LEFT + CELL * place + 17, step) for place, step in enumerate(STEPS)]
    for row, run in enumerate(runs):
        y, states = TOP + ROW * row + 12, run.states()
        parts.append(f'<text x="0" y="{y + 4}" style="fill: {show.MUTED}">{run.started[:16].replace("T", " ")}</text>')
        parts.append(f'<line x1="{LEFT}" x2="{right}" y1="{y}" y2="{y}" style="stroke: {show.LINE}"/>')
        for place, step in enumerate(STEPS):
            if step in states:
                parts.append(_mark(LEFT + CELL * place + 13, y, states[step]))
        colour = show.STATES[RESULTS[run.state][1]][1]
        words = f"{version_label(run.production)} {run.state}"
        parts.append(
            f'<text x="{right + 10}" y="{y + 4}" style="fill: {colour}; font-weight: 600">{html.escape(words)}</text>'
        )
    width, height = right + 170, TOP + ROW * max(1, len(runs)) + 28
    legend = "● ran   ○ as before   ✗ failed"
    parts.append(f'<text x="{LEFT}" y="{height - 8}" style="fill: {show.MUTED}">{legend}</text>')
    words = html.escape("; ".join(f"{run.started}: {run.state}" for run in runs[-10:]), quote=True)
    style = f"max-width: 100%; height: auto; {show.FONT}; color: {show.TEXT}"
    box = f'viewBox="0 0 {width} {height}" width="{width}"'
    return f'<svg role="img" aria-label="History of the loop. {words}" {box} style="{style}">{"".join(parts)}</svg>'


def _head(x: float, step: str) -> str:
    return f'<text transform="translate({x} {TOP - 10}) rotate(-52)" style="fill: {TEXT}">{step}</text>'


def _mark(x: float, y: float, state: str) -> str:
    """Return a step: filled where it ran, hollow where it is as before, a cross where it failed."""
    colour = show.STATES[STATES[state]][1]
    if state == "failed":
        return f'<path d="M{x - 5} {y - 5}l10 10m0 -10l-10 10" style="stroke: {colour}; stroke-width: 3; fill: none"/>'
    fill = colour if state == "passed" else "var(--jp-layout-color1, Canvas)"
    return f'<circle cx="{x}" cy="{y}" r="6" style="fill: {fill}; stroke: {colour}; stroke-width: 1.5"/>'


def write_run(path: Path, run: LoopRun) -> None:
    """Write the current state of a run, in place of what was written for it before."""
    text = json.dumps(run.to_dict(), indent=1, ensure_ascii=False)
    write_atomically(path, text.encode() + b"\n")


def next_run(work: Path) -> Path:
    """Return the file of a run that begins now; runs are numbered."""
    taken = [int(path.stem) for path in (work / "runs").glob("*.json") if path.stem.isdecimal()]
    return work / "runs" / f"{max(taken, default=0) + 1:06d}.json"


def read_history(config: LoopConfig | str | Path) -> LoopHistory:
    """Return the runs of a loop; one that was killed is returned in its last state.

    Parameters
    ----------
    config
        The settings, or the path of ``pipeline.toml``.
    """
    settings = config if isinstance(config, LoopConfig) else read_config(config)
    return LoopHistory(settings.name, read_runs(settings.work))


def read_runs(work: Path) -> tuple[LoopRun, ...]:
    """Return the runs in a folder, oldest first."""
    runs = []
    for path in sorted((work / "runs").glob("*.json")):
        with suppress(OSError, ValueError, LookupError, TypeError):
            runs.append(LoopRun.from_dict(json.loads(path.read_text(encoding="utf-8"))))
    return tuple(runs)


def require_step(name: str) -> None:
    """Raise where no step is called so, with the nearest name."""
    if name not in STEPS:
        raise WrongUsage(f"There is no step {name!r}.", nearest(name, STEPS))
