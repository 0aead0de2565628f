"""Report the progress of a release: with a spinner on a terminal, as plain lines elsewhere."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from rich.console import Console
from rich.text import Text

from mlops_lab import show
from mlops_lab.pipeline.outcome import StageOutcome

COLOURS = {"passed": "green", "cached": "blue", "failed": "red"}


class Reporter(Protocol):
    """The interface that a release reports its progress to."""

    def stage_started(self, name: str, purpose: str) -> AbstractContextManager[object]:
        """Report that a stage begins, and return a context manager that is left when the stage ends."""

    def stage_finished(self, outcome: StageOutcome) -> None:
        """Report the outcome of a stage."""


class SilentReporter:
    """A reporter that prints nothing."""

    def stage_started(self, name: str, purpose: str) -> AbstractContextManager[object]:
        """Do nothing; see :class:`Reporter`."""
        return nullcontext()

    def stage_finished(self, outcome: StageOutcome) -> None:
        """Do nothing; see :class:`Reporter`."""


class ConsoleReporter:
    """A reporter that prints one line for each stage; a terminal also shows the stage that is running.

    Parameters
    ----------
    console
        The console to print to; by default plain lines on standard output, as a notebook shows them.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(force_jupyter=False, force_terminal=False)

    def stage_started(self, name: str, purpose: str) -> AbstractContextManager[object]:
        """Show the running stage on a terminal, and print a line elsewhere."""
        if self._console.is_terminal:
            return self._console.status(f"{name}: {purpose}")
        self._console.print(f"… {name:12} {purpose}", highlight=False, markup=False, soft_wrap=True)
        return nullcontext()

    def stage_finished(self, outcome: StageOutcome) -> None:
        """Print the outcome, with a coloured mark on a terminal."""
        mark, rest = str(outcome)[0], show.escape_controls(str(outcome)[1:])
        line = Text.assemble((mark, f"bold {COLOURS[outcome.state]}"), rest)
        self._console.print(line, highlight=False, soft_wrap=True)
