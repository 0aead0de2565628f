"""Where a version is staged and served. The stages know no more of it than this."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from mlops_lab.errors import LabError, ServerError
from mlops_lab.store.version import ModelVersion


class Environment(Protocol):
    """A place with a staging server, and with a production that must never stop answering."""

    def production(self) -> str:
        """Return the address of production; it is made to answer with the version that is in it."""

    def build(self, version: ModelVersion) -> str:
        """Make what will run, out of the version; return what was made."""

    def start_staging(self) -> str:
        """Run it where nobody but the pipeline sees it; return the address once something answers there."""

    def last_words(self) -> str:
        """Return the last that the staging server said, to explain why it is not ready."""

    def admit(self, version: ModelVersion) -> str:
        """Make sure that production can answer with the version, before anybody is sent there."""

    def switch(self, version: ModelVersion | None) -> str:
        """Let production answer with the version that the alias points at now; ``None`` where it points nowhere."""

    def close(self, *, good: bool) -> None:
        """End what the release needed: staging, and of two productions the one that lost."""


def wait_until(question: Callable[[], object], seconds: float, pause: float = 0.1) -> None:
    """Ask until nothing is raised, and then no longer.

    Raises
    ------
    ServerError
        The time is over; the message holds the last reason.

    Examples
    --------
    >>> wait_until(lambda: None, 1)
    """
    end = time.monotonic() + seconds
    while True:
        try:
            question()
            return
        except LabError as error:
            if time.monotonic() > end:
                message = f"Not within {seconds:g} s: {error.message}"
                raise ServerError(message, error.hint) from error
        time.sleep(pause)
