"""validate-3: any metric for any group, and a hold-out that shows every group."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.grade.calls import Answer
from mlops_lab.grade.cases import Case
from mlops_lab.grade.exercises import Exercise, Hint
from mlops_lab.grade.rubric.returned import SHAPE, fields, number, table
from mlops_lab.grade.rubric.shared import RAISES

PARTS = {"groups": ("bygroup", "group", "values"), "difference": ("maxdifference", "largestdifference"),
         "ratio": ("minratio", "lowestratio")}  # fmt: skip
ONE = {"value": ("metric",), "count": ("n", "size"), "interval": ("ci",)}
EXACT = 1e-12
MOST = 0.1  # the difference of recall that the gate lets through
Array = NDArray[Any]

groups = Exercise("validate-3", "For everybody?", names=("by_group", "holdout"), section="Notebook 5, section 3",
                  hints={
    **SHAPE, **RAISES,
    "average": Hint("{overall:.2f} overall hides {low:.2f} and {high:.2f}.", "Who is in each?"),
    "rounded": Hint("Your figures are rounded.", "Round when you print, not when you compute."),
    "small": Hint("One person more or less moves the group of {count} by {step:.0f} points.",
                  "Show it, do not judge by it."),
    "left-out": Hint("The difference stayed {right:.2f}: other columns know it too.",
                     "Nobody told the model the school, and its answers differ by school all the same."),
})  # fmt: skip


def accuracy(labels: Array, predicted: Array) -> float:
    """Return the share of right answers."""
    return float(np.mean(np.asarray(labels) == np.asarray(predicted)))


def recall(labels: Array, predicted: Array) -> float:
    """Return the share of the 1s that were found."""
    true = np.asarray(labels) == 1
    return float(np.mean(np.asarray(predicted)[true])) if true.any() else 0.0


@dataclass(frozen=True)
class GroupFigures:
    """What ``by_group`` returned, read."""

    values: dict[str, float]
    counts: dict[str, int]
    intervals: dict[str, tuple[float, float]]
    difference: float
    ratio: float


def _asked(
    answer: Answer, case: Case, metric: Callable[[Array, Array], float], labels: Array, said: Array, by: Array
) -> GroupFigures:
    figures = fields(case, answer.by_group(metric, labels, said, by), PARTS)
    found, names = figures["groups"], sorted(set(by.tolist()))
    case.expect(isinstance(found, Mapping), "The groups are no dict.", hint="shape", what="A dict of the groups",
                keys=", ".join(PARTS), expected="a dict by group", received=found)  # fmt: skip
    found = {str(name): value for name, value in found.items()}
    missing = next((name for name in names if str(name) not in found), None)
    case.expect(missing is None, f"The group {missing} is not shown.", hint="shape", what=f"The group {missing}",
                keys=", ".join(PARTS), expected=names, received=list(found))  # fmt: skip
    each = {name: fields(case, found[str(name)], ONE) for name in names}
    return GroupFigures(
        {name: number(case, one["value"], f"The value of {name}") for name, one in each.items()},
        {name: int(number(case, one["count"], f"The count of {name}")) for name, one in each.items()},
        {name: _pair(case, one["interval"], name) for name, one in each.items()},
        number(case, figures["difference"], "The difference"),
        number(case, figures["ratio"], "The ratio"),
    )


def _pair(case: Case, value: Any, name: str) -> tuple[float, float]:
    right = isinstance(value, tuple | list | np.ndarray) and len(value) == 2
    case.expect(right, f"The interval of {name} is no pair.", hint="shape", what=f"An interval of {name}",
                keys=", ".join(ONE), expected="two numbers", received=value)  # fmt: skip
    return float(value[0]), float(value[1])


def people(rng: np.random.Generator, *, small: int = 0) -> tuple[Array, Array, Array]:
    """Return labels, answers and groups: three groups that are served differently well, and perhaps a tiny one."""
    sizes, right = {"north": 220, "south": 160, "west": 120}, {"north": 0.92, "south": 0.86, "west": 0.78}
    by = np.array([name for name, size in sizes.items() for _ in range(size)] + ["islands"] * small)
    labels = rng.integers(0, 2, len(by))
    chance = np.array([right.get(name, 1.0) for name in by])
    said = np.where(rng.random(len(by)) < chance, labels, 1 - labels)
    if small:
        said[-1] = 1 - labels[-1]
    order = rng.permutation(len(by))
    return labels[order], said[order], by[order]


def _right(metric: Callable[[Array, Array], float], labels: Array, said: Array, by: Array) -> dict[str, float]:
    return {name: metric(labels[by == name], said[by == name]) for name in sorted(set(by.tolist()))}


def _expect_values(case: Case, figures: GroupFigures, right: dict[str, float], overall: float) -> None:
    off = {name: abs(figures.values[name] - value) for name, value in right.items()}
    worst = max(off, key=off.__getitem__)
    same = all(abs(one - overall) < 1e-9 for one in figures.values.values())
    key = "average" if same else "rounded" if 0 < off[worst] < 6e-3 else ""
    case.expect(off[worst] <= EXACT, f"The value of {worst} is another.", hint=key, overall=overall,
                low=min(right.values()), high=max(right.values()), expected=right[worst],
                received=figures.values[worst])  # fmt: skip


@groups.check("values", "The value of each group to 1e-12, for any metric", points=2, held_out=2, covers="other people",
              timeout=60)  # fmt: skip
def values(answer: Answer, case: Case) -> None:
    for metric in (accuracy, recall):
        labels, said, by = people(case.rng)
        right = _right(metric, labels, said, by)
        figures = _asked(answer, case, metric, labels, said, by)
        _expect_values(case, figures, right, metric(labels, said))
        spread = max(right.values()) - min(right.values())
        case.expect(abs(figures.difference - spread) <= EXACT, "The largest difference is another.", expected=spread,
                    received=figures.difference)  # fmt: skip
        ratio = min(right.values()) / max(right.values())
        case.expect(abs(figures.ratio - ratio) <= EXACT, "The lowest ratio is another.", expected=ratio,
                    received=figures.ratio)  # fmt: skip


@groups.check("intervals", "How many are in each group, and an interval that knows it", points=1, after="values",
              timeout=60, hints={
    "same-width": Hint("Every group has an interval of the same width.", "The fewer people, the wider."),
})  # fmt: skip
def intervals(answer: Answer, case: Case) -> None:
    labels, said, by = people(case.rng)
    figures = _asked(answer, case, accuracy, labels, said, by)
    for name, value in figures.values.items():
        count = int((by == name).sum())
        case.expect(figures.counts[name] == count, f"The count of {name} is another.", expected=count,
                    received=figures.counts[name])  # fmt: skip
        low, high = figures.intervals[name]
        case.expect(low <= value <= high, f"The value of {name} is not in its interval.", expected=value,
                    received=f"{low:.4f} to {high:.4f}")  # fmt: skip
        times = (high - low) / (3.92 * np.sqrt(value * (1 - value) / count))
        widths = {round(b - a, 6) for a, b in figures.intervals.values()}
        case.expect(0.6 < times < 1.6, f"The interval of {name} has another width.",
                    hint="same-width" if len(widths) == 1 else "",
                    expected=f"about {(high - low) / times:.3f} wide", received=f"{high - low:.3f}")  # fmt: skip


@groups.check("small", "A group of three is shown and not compared", points=1, after="values", held_out=1,
              covers="a group of four", timeout=60)  # fmt: skip
def too_small(answer: Answer, case: Case) -> None:
    count = 4 if case.held_out else 3
    labels, said, by = people(case.rng, small=count)
    figures = _asked(answer, case, accuracy, labels, said, by)
    right = _right(accuracy, labels, said, by)
    ranked = [value for name, value in right.items() if name != "islands"]
    spread, whole = max(ranked) - min(ranked), max(right.values()) - min(right.values())
    key = "small" if abs(figures.difference - whole) < 1e-9 else ""
    case.expect(abs(figures.difference - spread) <= EXACT, f"The difference is judged by a group of {count}.", hint=key,
                count=count, step=100 / count, expected=spread, received=figures.difference)  # fmt: skip
    ratio = min(ranked) / max(ranked)
    case.expect(abs(figures.ratio - ratio) <= EXACT, f"The ratio is judged by a group of {count}.", hint="small",
                count=count, step=100 / count, expected=ratio, received=figures.ratio)  # fmt: skip


@cache
def admissions() -> tuple[Array, Array, Array, Array]:
    """Return labels, schools, and two decisions on invented people: of a model that never sees the school, and fairer.

    The fairer ones come from a threshold of each school, found on the half that the model learned from.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from mlops_lab.data import load_admissions

    learned, judged = load_admissions().halves()
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(learned.features, learned.labels)
    before, score = (model.predict_proba(part.features)[:, 1] for part in (learned, judged))
    fairer = np.zeros(len(judged), np.int64)
    for school in np.unique(judged.groups):
        able = before[(learned.groups == school) & (learned.labels == 1)]
        threshold = np.quantile(able, 0.3)  # seven of ten who would succeed are found, in either school
        mine = judged.groups == school
        fairer[mine] = score[mine] >= threshold
    return judged.labels, judged.groups, (score >= 0.5).astype(np.int64), fairer


@groups.check("admissions", "The gate of 0.1 stops the unfair model, and lets the mitigated one through", points=1,
              after="values", timeout=90, needs="sklearn")  # fmt: skip
def gate(answer: Answer, case: Case) -> None:
    labels, schools, unfair, fairer = admissions()
    chosen = np.sort(np.random.default_rng(4).permutation(len(labels))[:1500])
    labels, schools, unfair, fairer = labels[chosen], schools[chosen], unfair[chosen], fairer[chosen]
    right = _right(recall, labels, unfair, schools)
    spread = max(right.values()) - min(right.values())
    figures = _asked(answer, case, recall, labels, unfair, schools)
    case.note(f"recall by school: {', '.join(f'{name} {value:.3f}' for name, value in figures.values.items())}")
    case.expect(figures.difference > MOST, f"The gate lets a difference of {spread:.2f} through.", hint="left-out",
                right=spread, expected=f"{spread:.4f}", received=figures.difference)  # fmt: skip
    after = _asked(answer, case, recall, labels, fairer, schools).difference
    case.expect(after <= MOST, "The gate stops the mitigated model.", expected=f"at most {MOST}", received=after)


@groups.check("holdout", "A hold-out with as many of each group, drawn by the seed", points=2, held_out=1,
              covers="other groups", hints={
    "unequal": Hint("{name} has {got} of {wanted}.", "Drawn from everybody, a small group is hardly seen."),
    "first": Hint("Another seed drew the same rows.", "The first rows of a file are seldom like the others."),
    "global": Hint("After your function everybody's random numbers start anew.", "Use a generator of your own."),
    "twice": Hint("{count} rows were drawn twice.", "A hold-out shows each example once."),
})  # fmt: skip
def representative(answer: Answer, case: Case) -> None:
    names, wanted = (("a", "b", "c"), 25) if case.held_out else (("day", "evening"), 40)
    by = np.repeat(names, [400, 160, 60][: len(names)])
    call = answer.holdout.call(by, wanted, 1)
    case.expect(not call.error, f"holdout raised {call.error}", hint="raises", received=call.error)
    case.expect(not call.random_changed, "The global random state was changed.", hint="global")
    drawn = table(case, call.value, "holdout")
    usable = drawn.ndim == 1 and drawn.dtype.kind in "iu" and len(drawn) and 0 <= drawn.min() <= drawn.max() < len(by)
    case.expect(usable, "holdout returned no row numbers.", hint="shape", what="A list of row numbers", keys="as asked",
                expected="whole numbers", received=call.value)  # fmt: skip
    twice = len(drawn) - len(set(drawn.tolist()))
    case.expect(not twice, "Rows were drawn twice.", hint="twice", count=twice)
    for name in names:
        got = int((by[drawn] == name).sum())
        case.expect(got == wanted, f"{name} has {got} rows.", hint="unequal", name=name, got=got, wanted=wanted,
                    expected=wanted, received=got)  # fmt: skip
    again, other = (set(table(case, answer.holdout(by, wanted, seed), "holdout").ravel().tolist()) for seed in (1, 2))
    case.expect(again == set(drawn.tolist()), "The same seed drew other rows.")
    case.expect(other != set(drawn.tolist()), "Another seed drew the same rows.", hint="first")
