"""The state of a prediction log, for people and for Prometheus."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mlops_lab import show

# What may become of a prediction.
OUTCOMES = ("written", "repeated", "dropped", "failed", "late")


@dataclass(frozen=True)
class LogStatus:
    """The state of a prediction log, for ``/metrics`` and ``/readyz``.

    ``dropped`` predictions came while the queue was full, ``failed`` ones could not be written; ``late`` ones
    were answered before they were on the disk, where the log is durable; ``repeated`` ones were there already, under
    the same request id.
    """

    target: str
    written: int
    repeated: int
    dropped: int
    failed: int
    late: int
    queued: int
    error: str = ""

    @property
    def passed(self) -> bool:
        """Whether the last attempt to write succeeded and nothing was lost."""
        return not (self.error or self.dropped or self.failed)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {"passed": self.passed, **asdict(self)}

    def _repr_html_(self) -> str:
        word = "writing" if self.passed else "failing" if self.error else "has lost predictions"
        numbers = [(name, f"{getattr(self, name):,}") for name in OUTCOMES]
        error = [("last error", self.error)] if self.error else []
        state = show.state("ok" if self.passed else "error", word)
        return show.card(f"Prediction log {self.target}", state, show.table([*numbers, *error]))


def shown(target: str | Path) -> str:
    """Return a target without the password that an address may hold."""
    text = str(target)
    head, at, tail = text.rpartition("@")
    return f"postgresql://…@{tail}" if at and "://" in head else text
