"""Two answers on the shipped model: what has changed, and whether it hurts."""

import json

import numpy as np
import pytest

from mlops_lab.data import Split
from mlops_lab.errors import WrongUsage
from mlops_lab.monitor import Reference, compare, disturb, observe, summarise
from mlops_lab.monitor.drift import _compare_classes, examine
from mlops_lab.monitor.harm import labels_needed
from mlops_lab.summary.scale import Scale
from mlops_lab.summary.summary import Summary, empty


@pytest.fixture
def window(clothes, halves):
    def of(kind="noise", strength=0.0, n=400, seed=0, labelled=False):
        chosen = np.random.default_rng(seed).choice(len(halves[1]), n, replace=False)
        split = disturb(Split(halves[1].images[chosen], halves[1].labels[chosen]), kind, strength, seed=seed)
        return observe(clothes, split.images, split.labels if labelled else None, start=1e9)

    return of


def test_quiet_windows_are_quiet(reference, window):
    verdicts = [compare(reference, window(seed=seed, n=200)) for seed in range(60)]
    assert sum(one.changed for one in verdicts) <= 6  # 5% of 60 is 3; more than 6 has a chance of 0.03
    assert sum(one.harmful for one in verdicts) <= 3
    assert all(one.estimate.trust for one in verdicts if not one.changed)


@pytest.mark.parametrize("kind", ["noise", "masks", "moved", "broken camera", "far away", "new clothes", "blur"])
def test_harm_is_found_without_labels(reference, window, kind):
    verdict = compare(reference, window(kind, 0.8))
    assert verdict.changed and verdict.harmful and not verdict.passed
    assert verdict.estimate.low <= window(kind, 0.8, labelled=True).accuracy <= verdict.estimate.high


@pytest.mark.parametrize(("kind", "strength"), [("seasons", 0.6), ("dark", 0.15), ("coarse", 0.2)])
def test_a_change_that_does_not_hurt_is_listed_and_rings_no_alarm(reference, window, kind, strength):
    verdict = compare(reference, window(kind, strength, n=500))
    assert verdict.changed and not verdict.harmful
    assert verdict.changes and all(one.changed for one in verdict.changes)


@pytest.mark.parametrize("kind", ["masks", "moved"])
def test_confidence_that_contradicts_the_inputs_is_not_trusted(reference, window, kind):
    estimate = compare(reference, window(kind, 0.7)).estimate
    assert not estimate.trust and "contradict" in estimate.reason


def test_what_changed_is_named(reference, window):
    names = [one.statistic for one in compare(reference, window("dark", 0.5)).changes]
    assert "brightness" in names[:5]
    names = [one.statistic for one in compare(reference, window("seasons", 1.0)).changes]
    assert "class" in names[:4]


def test_since_when_is_told(reference, window):
    quiet, dark = window(n=500), window("dark", 0.6, n=500, seed=1)
    for one, hours in ((quiet, 0), (dark, 5)):
        one.times[:] = 1e9 // 3600 * 3600 + 3600 * hours + np.arange(len(one))
    whole = type(quiet)(
        quiet.model, 1, quiet.labels, quiet.statistics,
        *(np.concatenate([getattr(quiet, name), getattr(dark, name)])
          for name in ("times", "probabilities", "inputs", "truth", "seconds")),
    )  # fmt: skip
    found = {one.statistic: one.since for one in compare(reference, whole).changes}
    assert found["brightness"] == 1e9 // 3600 * 3600 + 5 * 3600


def test_labels_decide_where_there_are_enough(reference, window):
    verdict = compare(reference, window("masks", 0.6, labelled=True, n=300))
    assert verdict.harmful and verdict.estimate.source == "labels" and verdict.estimate.trust
    harmless = window("dark", 0.9)
    harmless.truth[:200] = harmless.classes[:200]  # whatever it looks like, people say that it is right
    verdict = compare(reference, harmless)
    assert verdict.changed and not verdict.harmful and verdict.estimate.accuracy == 1.0


def judged(scale, correct, labelled):
    """Return the summary of predictions that were judged, and of which nothing else is known."""
    sums = empty(scale).sums.copy()
    sums[:3] = labelled, labelled, correct
    return Summary(scale, sums)


@pytest.mark.parametrize(("known", "asked"), [(50, 200), (200, 50), (200, 1000), (3000, 200)])
def test_labels_ring_on_chance_as_seldom_as_is_said(reference, known, asked):
    random, draws = np.random.default_rng(0), 300
    right, said = random.binomial(known, 0.9, draws), random.binomial(asked, 0.9, draws)
    alarms = sum(
        compare(Reference("m", 1, judged(reference.scale, a, known)), judged(reference.scale, b, asked)).harmful
        for a, b in zip(right, said, strict=True)
    )
    assert alarms / draws <= 0.05


def test_a_reference_that_was_always_right_is_no_certainty(reference):
    flawless = Reference("m", 1, judged(reference.scale, 50, 50))
    assert not compare(flawless, judged(reference.scale, 49, 50)).harmful
    assert compare(flawless, judged(reference.scale, 40, 50)).harmful


def test_a_reference_without_truths_is_refused(reference):
    unjudged = Reference("m", 1, judged(reference.scale, 0, 0))
    with pytest.raises(WrongUsage, match="no prediction whose truth is known"):
        compare(unjudged, judged(reference.scale, 49, 50))


def test_how_many_labels_to_ask_for(reference, window):
    assert labels_needed(0.9) == 139 and labels_needed(0.5) == 385
    asked = compare(reference, window(n=200)).labels_needed
    assert 100 < asked < 180
    assert compare(reference, window(n=200, labelled=True)).labels_needed == 0


def test_the_json_has_what_was_promised(reference, window):
    values = json.loads(json.dumps(compare(reference, window("noise", 0.5)).to_dict()))
    assert values["changed"] is True and isinstance(values["harmful"], bool)
    assert set(values["estimate"]) >= {"accuracy", "interval", "trust"}
    assert len(values["estimate"]["interval"]) == 2
    assert isinstance(values["labels_needed"], int) and values["evidence"][0]["changed"] is True


def test_a_summary_gives_the_same_verdict(reference, window):
    seen = window("blur", 0.5)
    assert (
        compare(reference, summarise(seen, reference.scale)).to_dict()["estimate"]
        == (compare(reference, seen).to_dict()["estimate"])
    )


def test_holm_is_stricter_than_no_correction(reference, window):
    differences = examine(summarise(window("noise", 0.1), reference.scale), reference.summary)
    assert len(differences) == 24
    assert all(one.changed == (one.p_value < 0.05) for one in differences)


def test_rare_classes_beside_a_small_reference_ring_as_seldom_as_is_said():
    labels = tuple(map(str, range(42)))
    scale = Scale(labels, (), np.zeros((43, 19)), *[np.zeros(0)] * 2, *[np.zeros((42, 0))] * 2, np.zeros((2, 1)))
    random, shares = np.random.default_rng(0), [0.576, 0.384, *[0.001] * 40]

    def drawn(count):
        sums = empty(scale).sums.copy()
        sums[0], sums[3:45] = count, random.multinomial(count, shares)
        return Summary(scale, sums)

    rings = sum(_compare_classes(drawn(10_000), drawn(200))[0] < 0.05 for _ in range(400))
    assert rings / 400 <= 0.08  # 5% of 400 is 20; more than 32 has a chance of 0.004


def test_nothing_cannot_be_compared(reference, window):
    with pytest.raises(WrongUsage, match="no predictions"):
        compare(reference, window().take(slice(0, 0)))
