"""The arguments of a check beside the answer: random numbers, a folder, and the ways to report what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from mlops_lab.errors import LabError

if TYPE_CHECKING:
    import numpy as np

VISIBLE = b"visible"  # the secret of the cases in the notebook: none


class Verdict(LabError):
    """A check's verdict other than passed."""

    code = "verdict"
    state = "failed"

    def __init__(
        self, message: str, *, hint: str = "", expected: object = "", received: object = "", share: float = 0.0,
        figures: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.key, self.expected, self.received, self.share = hint, expected, received, share
        self.figures = figures or {}


class Failed(Verdict):
    """The answer is wrong; ``share`` of the points, 0 to 1, is given all the same."""


class NotGradable(Verdict):
    """The answer cannot be judged; a person has to look."""

    state = "not_gradable"


class Skipped(Verdict):
    """The check cannot be run here."""

    state = "skipped"


class CheckTimeout(BaseException):
    """The time of a check is over. Not an Exception, so that an answer's own ``except Exception`` does not catch it."""


class Case:
    """The context of one call of a check.

    Parameters
    ----------
    id
        The check's.
    secret
        What held-out cases are drawn from; without it the cases are the visible ones, the same for everybody.
    submission
        The folder that is graded, where one is.

    Examples
    --------
    >>> case = Case("data-3.range")
    >>> case.held_out, int(case.rng.integers(100)) == int(Case("data-3.range").rng.integers(100))
    (False, True)
    >>> case.expect(1 + 1 == 3, "The sum is wrong.", expected=3, received=2)
    Traceback (most recent call last):
    mlops_lab.grade.cases.Failed: The sum is wrong.
    """

    def __init__(self, id: str, secret: bytes | None = None, submission: Path | None = None) -> None:
        self.id, self.held_out, self.submission = id, secret is not None, submission
        self.secret = VISIBLE if secret is None else secret
        self.evidence: list[str] = []
        self.warnings: list[str] = []
        self._scratch: Path | None = None
        self._after = ExitStack()

    @cached_property
    def seed(self) -> int:
        """A whole number that follows from the secret and the check's id."""
        import hashlib

        return int.from_bytes(hashlib.sha256(self.secret + b"\0" + self.id.encode()).digest()[:8])

    @cached_property
    def rng(self) -> np.random.Generator:
        """Random numbers: the same for everybody in visible cases, drawn from the secret in held-out ones."""
        import numpy as np

        return np.random.default_rng(self.seed)

    @property
    def scratch(self) -> Path:
        """An empty folder that is removed after the check."""
        if self._scratch is None:
            from mlops_lab.grade import folders

            self._scratch = folders.new()
        return self._scratch

    def expect(
        self, met: object, message: str, *, hint: str = "", expected: object = "", received: object = "",
        share: float = 0.0, **figures: Any,
    ) -> None:  # fmt: skip
        """Fail the check unless something is as it should be.

        Parameters
        ----------
        met
            What should be true.
        message
            What was seen, if it is not.
        hint
            The key of the hint for this mistake.
        expected, received
            Both sides, for the card.
        share
            The share of the points that is given all the same, 0 to 1.
        **figures
            Numbers for the braces of the hint, in which ``expected`` and ``received`` may stand too.
        """
        if not bool(met):
            self.fail(message, hint=hint, expected=expected, received=received, share=share, **figures)

    def fail(
        self, message: str, *, hint: str = "", expected: object = "", received: object = "", share: float = 0.0,
        **figures: Any,
    ) -> NoReturn:  # fmt: skip
        """Fail the check. Parameters as for :meth:`expect`."""
        raise Failed(message, hint=hint, expected=expected, received=received, share=share, figures=figures)

    def skip(self, reason: str) -> NoReturn:
        """Say that the check cannot be run here, and why."""
        raise Skipped(reason)

    def not_gradable(self, reason: str, *, hint: str = "") -> NoReturn:
        """Say that the answer cannot be judged, and why."""
        raise NotGradable(reason, hint=hint)

    def warn(self, text: str) -> None:
        """Note what costs no points and should be known."""
        self.warnings.append(text)

    def note(self, *lines: str) -> None:
        """Keep evidence: a line that repeats what was done, such as a curl command, and what came of it."""
        self.evidence.extend(lines)

    def choose(self, items: Sequence[Any], count: int) -> list[Any]:
        """Return some of the items, drawn without repetition."""
        return [items[int(place)] for place in self.rng.permutation(len(items))[:count]]

    def afterwards(self, function: Callable[[], object]) -> None:
        """Call a function when the check has ended, however it ends: there its time limit interrupts nothing."""
        self._after.callback(function)

    def close(self) -> None:
        """Do what was left for afterwards, the last first, and remove the scratch folder."""
        self._after.close()
        if self._scratch is not None:
            from mlops_lab.grade import folders

            folders.remove(self._scratch)
            self._scratch = None
