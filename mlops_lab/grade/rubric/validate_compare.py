"""validate-2: whether a second version is better, or only luckier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.grade.calls import Answer
from mlops_lab.grade.cases import Case
from mlops_lab.grade.exercises import Exercise, Hint
from mlops_lab.grade.rubric.returned import SHAPE, array, fields, number
from mlops_lab.grade.rubric.shared import RAISES

PARTS = {"difference": ("diff",), "interval": ("ci", "confidenceinterval"), "verdict": ("decision", "result")}
SURE = 1.96
PAIRS, MOST = 200, 0.08

compare = Exercise("validate-2", "Is version 2 better?", names=("compare",), section="Notebook 5, section 2", hints={
    **SHAPE, **RAISES,
    "word": Hint("{got!r} is no verdict.", "Say better, worse, or no difference."),
    "coin": Hint("{first:.4f} and {second:.4f}: you promoted a coin.",
                 "A difference is there whenever you look; ask how large it would be by chance."),
    "overlap": Hint("The intervals of the two overlap, and the difference is sure all the same.",
                    "Both saw the same images, so what counts is where they differ: {lost} lost, {won} won."),
    "independent": Hint("Your interval is {times:.1f} times as wide as it should be: both models saw the same images.",
                        "Draw images, and take both answers to each; do not draw the two results separately."),
    "sign": Hint("Your difference is {got:+.4f}: first less second.", "Is version 2 better? Second less first."),
})  # fmt: skip


@dataclass(frozen=True)
class Pair:
    """Two models' answers to the same images.

    Parameters
    ----------
    labels, first, second
        ``(n,)``: the truth, and what each said.
    won, lost
        How many images only the second, and only the first, had right.
    """

    labels: NDArray[np.int64]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    won: int
    lost: int

    @property
    def accuracies(self) -> tuple[float, float]:
        """The share of right answers of each."""
        return float((self.first == self.labels).mean()), float((self.second == self.labels).mean())

    @property
    def difference(self) -> float:
        """Second less first."""
        return float((self.won - self.lost) / len(self.labels))

    @property
    def width(self) -> float:
        """How wide the 95% interval of the difference is, of pairs."""
        n = len(self.labels)
        return float(2 * SURE * np.sqrt(((self.won + self.lost) / n - self.difference**2) / n))

    @property
    def unpaired_width(self) -> float:
        """How wide it would be if each had seen images of its own."""
        a, b = self.accuracies
        return float(2 * SURE * np.sqrt((a * (1 - a) + b * (1 - b)) / len(self.labels)))


def make_pair(rng: np.random.Generator, n: int, accuracy: float, won: int, lost: int) -> Pair:
    """Return a pair in which the first has an accuracy, and both differ on so many images."""
    labels = rng.integers(0, 10, n)
    place = rng.permutation(n)
    wrong_first = place[: round((1 - accuracy) * n)]
    right_first = place[len(wrong_first) :]
    first, second = labels.copy(), labels.copy()
    first[wrong_first] = second[wrong_first] = (labels[wrong_first] + 1) % 10
    second[wrong_first[:won]] = labels[wrong_first[:won]]
    second[right_first[:lost]] = (labels[right_first[:lost]] + 3) % 10
    return Pair(labels, first, second, won, lost)


def _asked(answer: Answer, case: Case, pair: Pair) -> tuple[float, Any, str]:
    value = answer.compare(pair.labels, pair.first, pair.second)
    if isinstance(value, tuple | list) and len(value) == 4:  # difference, low, high, verdict
        value = (value[0], value[1:3], value[3])
    parts = fields(case, value, PARTS)
    interval = array(case, parts["interval"], "The interval", (2,))
    return number(case, parts["difference"], "The difference"), interval, _word(case, parts["verdict"])


def _word(case: Case, verdict: Any) -> str:
    """Return the verdict as one of three words."""
    text = str(verdict).lower()
    if verdict is None or any(word in text for word in ("no", "same", "equal", "tie", "unsure", "unclear")):
        return "no difference"
    found = next((word for word in ("better", "worse") if word in text), "")
    case.expect(found, "The verdict cannot be read.", hint="word", got=verdict,
                expected="better, worse, or no difference", received=verdict)  # fmt: skip
    return found


def _overlapping(pair: Pair) -> str:
    """Return the verdict of whoever asks whether two separate intervals overlap."""
    a, b = pair.accuracies
    half = [SURE * np.sqrt(one * (1 - one) / len(pair.labels)) for one in (a, b)]
    if abs(a - b) <= sum(half):
        return "no difference"
    return "better" if b > a else "worse"


@compare.check("difference", "The difference: the second's accuracy less the first's", points=1, held_out=1,
               covers="other answers")  # fmt: skip
def difference(answer: Answer, case: Case) -> None:
    pair = make_pair(case.rng, 1000, 0.88, *((31, 84) if case.held_out else (90, 30)))
    got = _asked(answer, case, pair)[0]
    key = "sign" if abs(got + pair.difference) < 1e-9 else ""
    case.expect(abs(got - pair.difference) < 1e-9, "The difference is another.", hint=key, got=got,
                expected=pair.difference, received=got)  # fmt: skip


@compare.check("interval", "The interval of the difference, by drawing images", points=2, held_out=2,
               covers="other answers", after="difference", timeout=30)  # fmt: skip
def interval(answer: Answer, case: Case) -> None:
    for won, lost in ((40, 28), (33, 47)):
        pair = make_pair(case.rng, 1000, 0.88, won, lost)
        low, high = _asked(answer, case, pair)[1]
        width, times = high - low, (high - low) / pair.width
        key = "independent" if abs(width / pair.unpaired_width - 1) < 0.2 and times > 1.4 else ""
        case.expect(0.8 < times < 1.25, "The interval has another width.", hint=key, times=times,
                    expected=f"about {pair.width:.4f} wide", received=f"{low:.4f} to {high:.4f}")  # fmt: skip
        case.expect(low < pair.difference < high, "The difference does not lie in its interval.",
                    expected=pair.difference, received=f"{low:.4f} to {high:.4f}")  # fmt: skip


@compare.check("three", "Clearly better, clearly worse, the same weights, better by luck", points=2, held_out=5,
               covers="other pairs", after="difference", timeout=30)  # fmt: skip
def verdicts(answer: Answer, case: Case) -> None:
    worlds = [
        (make_pair(case.rng, 1000, 0.80, 120, 20), "better"),
        (make_pair(case.rng, 1000, 0.90, 0, 0), "no difference"),
        (make_pair(case.rng, 1000, 0.90, 46, 41), "no difference"),
        (make_pair(case.rng, 1000, 0.90, 22, 4), "better"),  # separate intervals overlap
        (make_pair(case.rng, 1000, 0.90, 15, 110), "worse"),
    ]
    for pair, right in worlds:
        got = _asked(answer, case, pair)[2]
        first, second = pair.accuracies
        lucky = right == "no difference" and got == ("better" if pair.won > pair.lost else "worse")
        key = "coin" if lucky else "overlap" if got == _overlapping(pair) != right else ""
        case.expect(got == right, f"{first:.4f} and {second:.4f} were called {got}.", hint=key, first=first,
                    second=second, won=pair.won, lost=pair.lost, expected=right, received=got)  # fmt: skip


@compare.check("luck", "Of 200 pairs that differ by chance alone, at most 8% are called different", points=2,
               held_out=PAIRS, covers="other pairs that are alike", after="difference", timeout=90,
               needs="scipy")  # fmt: skip
def luck(answer: Answer, case: Case) -> None:
    different, n, apart = 0, 300, 60
    last = (0.0, 0.0)
    for won in _by_chance(apart, case.rng):
        pair = make_pair(case.rng, n, 0.75, won, apart - won)
        if _asked(answer, case, pair)[2] != "no difference":
            different, last = different + 1, pair.accuracies
    case.note(f"{different} of {PAIRS} pairs were called different")
    key = "coin" if different > 0.3 * PAIRS else ""
    case.expect(different <= MOST * PAIRS, f"{different} of {PAIRS} equal pairs were called different.", hint=key,
                first=last[0], second=last[1], expected=f"at most {MOST * PAIRS:.0f}", received=different)  # fmt: skip


def _by_chance(apart: int, rng: np.random.Generator) -> list[int]:
    """Return how many of the images on which two equal models differ each pair's second has right.

    They are the quantiles of a binomial distribution and no draws of it, so that nobody's grade hangs on this chance.
    """
    from scipy.stats import binom

    won = binom.ppf((np.arange(PAIRS) + 0.5) / PAIRS, apart, 0.5).astype(int)
    return [int(one) for one in rng.permutation(won)]
