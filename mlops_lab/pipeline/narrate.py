"""Say what a release does while it does it: on a terminal with a sign of life, elsewhere as plain lines."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from rich.console import Console
from rich.text import Text

from mlops_lab.pipeline.outcome import Outcome

COLOURS = {"passed": "green", "failed": "red"}


class Narrator(Protocol):
    """Who is told of the stages."""

    def during(self, name: str, purpose: str) -> AbstractContextManager[object]:
        """Be told that a stage begins; the value is left when it ends."""

    def after(self, outcome: Outcome) -> None:
        """Be told what a stage came to."""


class Silence:
    """Says nothing."""

    def during(self, name: str, purpose: str) -> AbstractContextManager[object]:
        """See :class:`Narrator`."""
        return nullcontext()

    def after(self, outcome: Outcome) -> None:
        """See :class:`Narrator`."""


class Log:
    """Prints a line for each stage; on a terminal the stage that runs is shown too, elsewhere announced.

    Parameters
    ----------
    console
        Where to; by default plain lines on standard output, as a notebook shows them.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(force_jupyter=False, force_terminal=False)

    def during(self, name: str, purpose: str) -> AbstractContextManager[object]:
        """See :class:`Narrator`."""
        if self._console.is_terminal:
            return self._console.status(f"{name}: {purpose}")
        self._console.print(f"… {name:12} {purpose}", highlight=False, markup=False, soft_wrap=True)
        return nullcontext()

    def after(self, outcome: Outcome) -> None:
        """See :class:`Narrator`."""
        mark, rest = str(outcome)[0], str(outcome)[1:]
        line = Text.assemble((mark, f"bold {COLOURS[outcome.state]}"), rest)
        self._console.print(line, highlight=False, soft_wrap=True)
