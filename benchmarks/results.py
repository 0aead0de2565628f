"""One line of the benchmark: a figure, and what is asked of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Effort:
    """How long to measure: five pairs of four seconds, or the quick form that only shows that everything runs."""

    pairs: int = 5
    seconds: int = 4
    versions: tuple[int, ...] = (1, 10, 100, 500)
    test_images: int = 10_000
    connections: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64)


QUICK = Effort(pairs=2, seconds=1, versions=(1, 10), test_images=1000, connections=(1, 16))


@dataclass(frozen=True)
class Result:
    """A figure that was measured, the bar that is set for it, and everything that it was made of."""

    measure: str
    value: float
    sense: Literal["at least", "at most", ""] = ""
    bar: float | None = None
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def is_met(self) -> bool:
        """Whether the bar is reached; a figure without one always is."""
        if self.bar is None:
            return True
        return self.value >= self.bar if self.sense == "at least" else self.value <= self.bar

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {**asdict(self), "is_met": self.is_met}

    def __str__(self) -> str:
        asked = (
            f"{self.sense} {self.bar:g}: {'reached' if self.is_met else 'NOT REACHED'}" if self.bar is not None else ""
        )
        return f"  {self.measure:72} {self.value:9.3g}   {asked}"
