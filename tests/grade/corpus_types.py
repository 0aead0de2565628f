"""What a corpus is made of: right answers, and wrong ones with what must become of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Wrong:
    """A wrong answer, the check that must lose points, and the key of the hint that must be given."""

    answer: Any
    check: str
    hint: str


@dataclass(frozen=True)
class Answers:
    """Answers to one exercise."""

    right: list[Any]
    wrong: list[Wrong] = field(default_factory=list)
