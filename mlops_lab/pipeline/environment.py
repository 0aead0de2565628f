"""The interface of an environment, which stages and serves a version. The stages know nothing else of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from mlops_lab.errors import LabError, ServerError
from mlops_lab.store.version import ModelVersion


class Environment(Protocol):
    """An environment with a staging server, and a production that must never stop answering."""

    def production(self) -> str:
        """Return the address of production, which serves the version that the alias points at."""

    def build(self, version: ModelVersion) -> str:
        """Build from the version what will run, and return a description of it."""

    def start_staging(self) -> str:
        """Start a staging server that only the pipeline uses, and return its address once it answers."""

    def last_log_lines(self) -> str:
        """Return the last log lines of the staging server, to explain why it is not ready."""

    def admit(self, version: ModelVersion) -> str:
        """Check that production can serve the version before the alias moves."""

    def switch(self, version: ModelVersion | None) -> str:
        """Serve the version that the alias points at now; ``None`` where the alias was removed."""

    def close(self, *, passed: bool) -> None:
        """Remove the resources of the release: staging, and the servers that are no longer needed."""


def wait_until(check: Callable[[], object], seconds: float, pause: float = 0.1) -> None:
    """Repeat a check until it raises nothing.

    Raises
    ------
    ServerError
        The check still raised when the time was over; the message holds the last reason.

    Examples
    --------
    >>> wait_until(lambda: None, 1)
    """
    end = time.monotonic() + seconds
    while True:
        try:
            check()
            return
        except LabError as error:
            if time.monotonic() > end:
                message = f"Not within {seconds:g} s: {error.message}"
                raise ServerError(message, error.hint) from error
        time.sleep(pause)
