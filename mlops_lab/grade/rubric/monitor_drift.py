"""monitor-2 and monitor-3: measure a difference, and ring so that people still listen."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.grade.calls import Answer
from mlops_lab.grade.cases import Case
from mlops_lab.grade.exercises import Exercise, Hint
from mlops_lab.grade.rubric.monitor_worlds import changed, draw, eight, known_eight, places
from mlops_lab.grade.rubric.returned import single
from mlops_lab.grade.rubric.shared import RAISES

measure = Exercise("monitor-2", "Measure the difference", names=("psi", "ks"), section="Notebook 7, section 2",
                   hints=RAISES)  # fmt: skip
Sample = NDArray[np.float64]
BINS = 10
CLOSE = 0.03  # shares of a bin differ by how quantiles are interpolated
FLOORS = (1e-3, 1e-4, 1e-5, 1e-6, 1e-10)  # what people put into an empty bin


def binned(reference: Sample, current: Sample, edges_of: Sample, *, floor: float = 0.0, closed: bool = False) -> float:
    """Return the population stability index on the deciles of a sample, whose outer bins have no end, or have one."""
    edges = np.quantile(edges_of, np.linspace(0, 1, BINS + 1))
    if not closed:
        edges[0], edges[-1] = -np.inf, np.inf
    shares = [np.maximum(np.histogram(one, edges)[0] / len(one), floor) for one in (reference, current)]
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())


def _mistake(said: float, reference: Sample, current: Sample) -> str:
    """Return the key of the mistake that gives this figure, if it is a known one."""
    both = np.concatenate([reference, current])
    wrong = {
        "current-bins": [binned(reference, current, edges, floor=f) for edges in (current, both) for f in FLOORS],
        "outside": [binned(reference, current, reference, floor=f, closed=True) for f in FLOORS],
    }
    near = (key for key, values in wrong.items() if any(math.isclose(said, v, rel_tol=0.02) for v in values))
    return next(near, "")


def distance(first: Sample, second: Sample) -> float:
    """Return the largest distance between two empirical distribution functions."""
    both = np.concatenate([first, second])
    sides = [np.searchsorted(np.sort(one), both, side="right") / len(one) for one in (first, second)]
    return float(np.abs(sides[0] - sides[1]).max())


def _number(case: Case, value: Any, name: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        case.fail(f"{name} gives no number.", hint="number", expected="a number", received=value)


def _samples(rng: np.random.Generator) -> list[tuple[Sample, Sample]]:
    """Return pairs of samples: moved, wider with the same mean, and partly outside of the reference."""
    size = int(rng.integers(900, 1500))
    first = rng.normal(0, 1, 2000)
    return [
        (first, rng.normal(rng.uniform(0.3, 0.6), 1, size)),
        (first, rng.choice([-1.0, 1.0], size) * rng.uniform(0.6, 0.9) + rng.normal(0, 0.7, size)),
        (rng.uniform(0, 1, 2000), rng.uniform(-0.3, 1.3, size)),
    ]


MEASURES = {
    "number": Hint("{received} came back.", "One number for two samples."),
    "current-bins": Hint(
        "The bins move with the current sample: {said:.2f} for {right:.2f}.",
        "Your zero point moves with the data, so that the same change gives another figure on another day.",
        "Take the quantiles of the reference alone.",
    ),
    "outside": Hint("{said:.2f} for {right:.2f}: what lies outside of the reference was not counted.",
                    "The first and the last bin have no end."),
    "infinite": Hint("{received}: a bin that nobody fell into.", "Give it a floor, and say which."),
    "means": Hint("{first:.3f} for {right:.3f}: it compares means.",
                  "Half of the images lighter, half darker: the same mean, another world."),
    "not-zero": Hint("A sample and itself differ by {received}.", "Nothing has changed."),
    "one-sided": Hint("ks(a, b) is {first:.3f} and ks(b, a) {second:.3f}.", "A distance has no direction: its largest"
                      " amount, whichever curve lies above."),
}  # fmt: skip


@measure.check("psi", "PSI on the deciles of the reference", points=2, held_out=3, covers="other samples",
               hints=MEASURES)  # fmt: skip
def psi(answer: Answer, case: Case) -> None:
    for reference, current in _samples(case.rng):
        said, right = _number(case, answer.psi(reference, current, 10), "psi"), binned(reference, current, reference)
        key = _mistake(said, reference, current)
        case.expect(math.isclose(said, right, abs_tol=CLOSE, rel_tol=CLOSE), "PSI is another.", hint=key, right=right,
                    said=said, expected=round(right, 4), received=said)  # fmt: skip


@measure.check("empty", "An empty bin is a large difference, and not an infinite one", points=1, held_out=1,
               covers="other samples", hints=MEASURES)  # fmt: skip
def empty(answer: Answer, case: Case) -> None:
    reference = case.rng.normal(0, 1, 1000)
    low = np.sort(case.rng.uniform(-0.5, 3, 600))
    done = answer.psi.call(reference, low, 10)
    divided = done.kind in ("ZeroDivisionError", "FloatingPointError", "RuntimeWarning", "ValueError")
    said = math.inf if divided else _number(case, done.value, "psi")
    case.expect(math.isfinite(said), "PSI is not finite where a bin is empty.", hint="infinite", expected="finite",
                received=done.error or said)  # fmt: skip
    case.expect(said > 0.5, "PSI is small, though bins are empty.", hint="infinite", expected="above 0.5",
                received=said)  # fmt: skip


@measure.check("zero", "Nothing lies between a sample and itself", points=1, held_out=1, covers="other samples",
               hints=MEASURES)  # fmt: skip
def zero(answer: Answer, case: Case) -> None:
    sample = case.rng.normal(0, 1, 500)
    for name, said in (("psi", answer.psi(sample, sample, 10)), ("ks", answer.ks(sample, sample))):
        value = _number(case, said, name)
        case.expect(abs(value) < 1e-9, f"{name} is not 0.", hint="not-zero", expected=0, received=value)


@measure.check("ks", "The KS statistic, to 1e-12", points=2, held_out=3, covers="other samples, with ties",
               hints=MEASURES)  # fmt: skip
def ks(answer: Answer, case: Case) -> None:
    pairs = _samples(case.rng)
    pairs += [(np.round(first * 4), np.round(second * 4)) for first, second in pairs]  # with ties
    for first, second in pairs:
        said, right = _number(case, answer.ks(first, second), "ks"), distance(first, second)
        back = _number(case, answer.ks(second, first), "ks")
        apart = abs(float(first.mean() - second.mean()))
        key = "one-sided" if not math.isclose(said, back, abs_tol=1e-12) else ""
        key = "means" if math.isclose(said, apart, abs_tol=0.01) else key
        case.expect(math.isclose(said, right, abs_tol=1e-12), "The statistic is another.", hint=key, right=right,
                    first=said, second=back, expected=right, received=said)  # fmt: skip
        case.expect(math.isclose(said, back, abs_tol=1e-12), "ks is not symmetric.", hint="one-sided", first=said,
                    second=back, expected=said, received=back)  # fmt: skip


ring = Exercise("monitor-3", "How often does it cry wolf?", names=("alarm",), section="Notebook 7, section 3",
                hints=RAISES)  # fmt: skip
KINDS = ("noise", "dark", "bright", "contrast", "blur", "rotated", "moved", "far away", "inverted", "masks", "coarse",
         "broken camera", "new clothes")  # fmt: skip
QUIET, ALLOWED, FOUND = 200, 0.08, 0.70
RINGS = {
    "many-tests": Hint(
        "It rang for {rate:.0%} of the windows in which nothing had changed.",
        "Eight tests are eight chances to be unlucky: at 0.05 each, one window in three rings.",
        "Divide by the number of tests, or sort the p-values as Holm did.",
    ),
    "size": Hint("Quiet with 200 images; with {count} it rang for {rate:.0%} of windows without a change.",
                 "A fixed threshold knows nothing of the window's size.", "A p-value does."),
    "deaf": Hint("It found {rate:.0%} of {total} changes.", "No false alarm, and nothing heard. What does each cost?"),
}  # fmt: skip


def _rings(answer: Answer, case: Case, reference: Sample, window: Sample) -> bool:
    return bool(single(case, answer.alarm(reference, window), "What alarm returned"))


def _quiet_share(answer: Answer, case: Case, count: int) -> float:
    reference = known_eight(places(case.rng, 2000, reference=True))
    windows = QUIET if case.held_out else QUIET // 2
    rung = sum(_rings(answer, case, reference, known_eight(places(case.rng, count))) for _ in range(windows))
    return rung / windows


@ring.check("quiet", "It rings for at most 8 of 100 windows in which nothing changed", points=2, held_out=QUIET,
            covers="other windows", timeout=90, hints=RINGS)  # fmt: skip
def quiet(answer: Answer, case: Case) -> None:
    share = _quiet_share(answer, case, 200)
    case.expect(share <= ALLOWED, "It rings too often.", hint="many-tests", rate=share, expected=f"at most {ALLOWED}",
                received=round(share, 3))  # fmt: skip


@ring.check("small", "Nor for small windows", points=1, held_out=QUIET, covers="other windows of 50", timeout=90,
            after="quiet", hints=RINGS)  # fmt: skip
def small(answer: Answer, case: Case) -> None:
    share = _quiet_share(answer, case, 50)
    case.expect(share <= ALLOWED, "It rings too often for small windows.", hint="size", rate=share, count=50,
                expected=f"at most {ALLOWED}", received=round(share, 3))  # fmt: skip


@ring.check("found", "It finds 70 of 100 changes: 13 kinds, 3 strengths", points=2, held_out=39,
            covers="other images", timeout=90, hints=RINGS)  # fmt: skip
def found(answer: Answer, case: Case) -> None:
    reference = known_eight(places(case.rng, 2000, reference=True))
    cells = [(kind, strength) for kind in KINDS for strength in (0.3, 0.6, 0.9)]
    rung = 0
    for kind, strength in cells:
        window = eight(changed(draw(case.rng, 200), kind, strength, case.rng))
        rung += _rings(answer, case, reference, window)
    share = rung / len(cells)
    case.expect(share >= FOUND, "It misses too much.", hint="deaf", rate=share, total=len(cells),
                expected=f"at least {FOUND}", received=round(share, 3))  # fmt: skip
