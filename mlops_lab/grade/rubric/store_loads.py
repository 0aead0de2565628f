"""store-3: would a file load? Against what was measured: LeNet-5, saved by one Keras and loaded by another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlops_lab.grade.calls import Answer
from mlops_lab.grade.cases import Case
from mlops_lab.grade.exercises import Exercise, Hint
from mlops_lab.grade.rubric.shared import RAISES

exercise = Exercise("store-3", "Would it load?", names=("would_load",), section="Notebook 3, section 3", hints=RAISES)
# Who wrote a .keras file of LeNet-5, who runs, and whether it loaded.
VISIBLE = (
    ("3.12.4", "3.15.1", True), ("3.9.2", "3.13.2", True), ("3.13.2", "3.12.4", False), ("3.15.1", "3.0.5", False),
    ("3.15.1", "3.14.1", False), ("3.10.0", "3.9.2", True), ("2.15", "3.15.1", False), ("3.5.0", "3.5.0", True),
)  # fmt: skip
HELD_OUT = (
    ("3.12.4", "3.4.1", True), ("3.14.1", "3.13.2", True), ("3.14.1", "3.9.2", False), ("3.0.5", "3.15.1", True),
    ("3.15.1", "3.13.2", False), ("3.8.0", "2.15", False), ("2.15", "2.15", True), ("3.13.2", "3.15.1", True),
)  # fmt: skip


def _verdict(said: Any, case: Case) -> tuple[bool, str]:
    """Return a verdict and its reason, as a tuple or a dict says them."""
    if isinstance(said, dict):
        said = (said.get("verdict"), said.get("reason"))
    whole = isinstance(said, tuple | list) and len(said) == 2 and isinstance(said[0], bool)
    case.expect(whole, "would_load gives no verdict with its reason.", hint="form", expected="a bool and a reason",
                received=said)  # fmt: skip
    return said[0], str(said[1] or "")


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


MISTAKES: dict[str, Callable[[str, str], bool]] = {
    "text": lambda wrote, runs: wrote <= runs,
    "any-difference": lambda wrote, runs: wrote == runs,
    "major-only": lambda wrote, runs: wrote[0] == runs[0],
    "newer-only": lambda wrote, runs: _number(wrote) <= _number(runs),
}


@exercise.check("verdict", "The verdict is what was measured", points=3, held_out=8, covers="other pairs of versions",
                hints={
    "form": Hint("{received} came back.", "Two things: whether it loads, and why."),
    "text": Hint(
        "{wrote} and {runs}: you said {said}. `'3.9.2' > '3.13.2'` is true for text.",
        "Versions are tuples of numbers.",
    ),
    "any-difference": Hint("{wrote} wrote it, {runs} reads it: that works.",
                           "You would refuse nine files of ten for nothing."),
    "major-only": Hint("{wrote} wrote it, and {runs} does not read it.",
                       "It wrote a key that the other does not know. Newer files in older programs are the other "
                       "half."),
    "newer-only": Hint("{wrote} wrote it, and you said {said} for {runs}.",
                       "Not every new version writes something new, and Keras 2 reads nothing of Keras 3, nor the "
                       "other way round."),
})  # fmt: skip
def verdict(answer: Answer, case: Case) -> None:
    pairs = HELD_OUT if case.held_out else VISIBLE
    said = [_verdict(answer.would_load(wrote, runs), case)[0] for wrote, runs, _ in pairs]
    wrong = [place for place, (_, _, right) in enumerate(pairs) if said[place] != right]
    if not wrong:
        return
    wrote, runs, right = pairs[wrong[0]]
    known = (name for name, mistake in MISTAKES.items() if said == [mistake(wrote, runs) for wrote, runs, _ in pairs])
    case.fail(f"{len(wrong)} of {len(pairs)} verdicts are others than measured.", hint=next(known, ""), wrote=wrote,
              runs=runs, said=said[wrong[0]], share=max(0.0, 1 - len(wrong) / 3),
              expected=f"{wrote} in {runs}: {right}", received=f"{said[wrong[0]]}")  # fmt: skip


@exercise.check("reason", "Each refusal has a reason", points=1, hints={
    "none": Hint("{wrote} in {runs} was refused without a word.", "Whoever is refused asks why, and what to do."),
    "form": Hint("{received} came back.", "Two things: whether it loads, and why."),
})  # fmt: skip
def reason(answer: Answer, case: Case) -> None:
    for wrote, runs, right in VISIBLE:
        loads, why = _verdict(answer.would_load(wrote, runs), case)
        case.expect(loads or right or len(why) > 5, "A refusal has no reason.", hint="none", wrote=wrote, runs=runs,
                    received=why, expected="a sentence")  # fmt: skip
