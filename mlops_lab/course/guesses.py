"""*Predict, then run*: the answer to a question is shown after a guess was typed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mlops_lab import show


@dataclass(frozen=True)
class Revealed:
    """A guess beside the answer, or the request to guess first.

    Attributes
    ----------
    guess
        What was typed; ``...`` or ``None`` where nothing was.
    answer
        What is the case; ``None`` until there is a guess.
    why
        One sentence about it.
    """

    guess: Any
    answer: Any = None
    why: str = ""

    @property
    def asked(self) -> bool:
        """Whether a guess was typed."""
        return self.guess is not ... and self.guess is not None

    def __repr__(self) -> str:
        if not self.asked:
            return "Type your guess in the cell above, run it, then run this one."
        why = f" {self.why}" if self.why else ""
        answer = _plain(self.answer).removesuffix(".")  # a message is a sentence already
        return f"You guessed {_plain(self.guess)}; it is {answer}.{why}"

    def _repr_html_(self) -> str:
        if not self.asked:
            return show.card("Predict, then run", show.state("info", "no guess yet"), show.table([[repr(self)]]))
        rows = [["your guess", _plain(self.guess)], ["the answer", _plain(self.answer)]]
        return show.card("Predict, then run", show.table(rows), show.table([[self.why]]) if self.why else "")


def reveal(guess: Any, answer: Any | Callable[[], Any], why: str = "") -> Revealed:
    """Show an answer beside a guess; without a guess, ask for one.

    Parameters
    ----------
    guess
        What the student typed; ``...`` stands for nothing yet.
    answer
        The answer, or a function that finds it, which is called only where there is a guess.
    why
        One sentence about the answer.

    Examples
    --------
    >>> reveal(0.3, lambda: 0.502, "Half of all pixels are black.")
    You guessed 0.3; it is 0.502. Half of all pixels are black.
    >>> reveal(..., 0.502)
    Type your guess in the cell above, run it, then run this one.
    """
    if not Revealed(guess).asked:
        return Revealed(guess)
    return Revealed(guess, answer() if callable(answer) else answer, why)


def _plain(value: Any) -> str:
    return f"{float(value):.4g}" if isinstance(value, float) or hasattr(value, "dtype") else show.plain(value)
