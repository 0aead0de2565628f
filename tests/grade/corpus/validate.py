"""The corpus of validate-1 to validate-6: reference answers, and the mistakes that are often made."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from corpus.validate_sources import (
    ask,
    by_group,
    compare,
    direction,
    draws,
    highest_rate,
    holdout,
    invariance,
    minimum_functionality,
    open_loop,
    scores,
    test_server,
    verdict_of,
)
from corpus_types import Answers, Wrong

from mlops_lab.image import encode_png

# The same answers in the sandbox.
SUBMISSION = {"answers.py": (Path(__file__).parent / "validate_sources.py").read_text(encoding="utf-8")}


def scores_by_name(labels, predicted):
    names = ("Accuracy", "precision", "recall", "F1", "confusion_matrix", "half-width")
    values = scores(labels, predicted)
    return dict(zip(names, [values[0], *(list(one) for one in values[1:4]), *values[4:]], strict=True))


def scores_of_the_classes_seen(labels, predicted):
    values = list(scores(labels, predicted))
    seen = np.unique(predicted)
    values[4] = values[4][np.ix_(seen, seen)]
    return tuple(values)


def compare_in_a_row(labels, first, second):
    difference, (low, high) = draws(labels, first, second)
    return difference, low, high, {"better": "second is better", "worse": "worse"}.get(verdict_of(low, high))


def compare_larger(labels, first, second):
    difference, interval = draws(labels, first, second)
    return difference, interval, "better" if difference > 0 else "worse" if difference < 0 else "no difference"


def compare_independently(labels, first, second):
    difference, (low, high) = draws(labels, first, second, paired=False)
    return difference, (low, high), verdict_of(low, high)


def compare_overlap(labels, first, second):
    difference, interval = draws(labels, first, second)
    a, b = np.mean(first == labels), np.mean(second == labels)
    apart = abs(difference) > sum(1.96 * np.sqrt(p * (1 - p) / len(labels)) for p in (a, b))
    return difference, interval, verdict_of(difference, difference) if apart else "no difference"


def compare_backwards(labels, first, second):
    return compare(labels, second, first)


def by_group_in_a_row(metric, labels, predicted, groups):
    told = by_group(metric, labels, predicted, groups)
    parts = {name: (one["value"], one["count"], list(one["interval"])) for name, one in told["groups"].items()}
    return parts, told["difference"], told["ratio"]


def only_the_average(metric, labels, predicted, groups):
    told = by_group(metric, labels, predicted, groups)
    for one in told["groups"].values():
        one["value"] = metric(labels, predicted)
    return {**told, "difference": 0.0, "ratio": 1.0}


def attribute_left_out(metric, labels, predicted, groups):
    told = by_group(metric, labels, predicted, groups)
    return {**told, "difference": 0.0, "ratio": 1.0} if "evening" in groups else told


def holdout_of_everybody(groups, per_group, seed):
    return np.random.default_rng(seed).permutation(len(groups))[: per_group * len(np.unique(groups))]


def holdout_of_the_first(groups, per_group, seed):
    return np.concatenate([np.flatnonzero(groups == name)[:per_group] for name in np.unique(groups)])


def holdout_by_a_global_seed(groups, per_group, seed):
    np.random.seed(seed)
    drawn = [np.random.permutation(np.flatnonzero(groups == name))[:per_group] for name in np.unique(groups)]
    return np.concatenate(drawn)


BEHAVIOUR = (invariance, minimum_functionality, direction)


def says_true(test):
    """Return a test that answers instead of asserting."""

    def answer(predict, images, labels):
        try:
            test(predict, images, labels)
        except AssertionError:
            return False
        return True

    return answer


def equal_probabilities(predict, images, labels):
    assert np.allclose(predict(images), predict(np.roll(images, 1, axis=2)), atol=1e-3)


def strict_invariance(predict, images, labels):
    assert (predict(np.roll(images, 3, axis=2)).argmax(axis=1) == predict(images).argmax(axis=1)).all()


def one_clear_image(predict, images, labels):
    trousers = images[labels == 1][:1]
    assert predict(trousers).argmax() == 1


def invariant_to_labels(predict, images, labels):
    assert (predict(images).argmax(axis=1) == labels).mean() > 0.7


def nothing(predict, images, labels):
    return None


def asks_for_our_own_keys(url):
    test_server(url, images=5)
    assert "predictions" in json.loads(ask(f"{url}/models/clothes/v1", encode_png(np.zeros((28, 28), np.uint8)))[2])


def closed_loop(send, rate, seconds):
    """Send the next request after the last answer."""
    waits, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        begun = time.perf_counter()
        send()
        waits.append(time.perf_counter() - begun)
        time.sleep(max(0.0, 1 / rate - waits[-1]))
    return waits


def from_when_a_worker_is_free(send, rate, seconds):
    """Measure from when one of a few workers takes a request, not from when it was due."""
    waits = []

    def one(due):
        begun = time.perf_counter()
        send()
        waits.append(time.perf_counter() - begun)

    start = time.perf_counter() + 0.02
    with ThreadPoolExecutor(3) as pool:
        for number in range(round(rate * seconds)):
            due = start + number / rate
            time.sleep(max(0.0, due - time.perf_counter()))
            pool.submit(one, due)
    return waits


def all_at_once(send, rate, seconds):
    with ThreadPoolExecutor(round(rate * seconds)) as pool:
        return list(pool.map(lambda number: send() and 1.0, range(round(rate * seconds))))


def mean_wait(send, rate, seconds):
    return float(np.mean(open_loop(send, rate, seconds)))


def without_search(send, limit, seconds):
    return 5.0


CORPUS = {
    "validate-1": Answers(
        right=[scores, SUBMISSION, scores_by_name],
        wrong=[
            Wrong(lambda labels, said: scores(labels, said, exchanged=True), "validate-1.classes", "swapped"),
            Wrong(lambda labels, said: scores(labels, said, mean="f1"), "validate-1.accuracy", "mean"),
            Wrong(lambda labels, said: scores(labels, said, mean="recall"), "validate-1.accuracy", "mean"),
            Wrong(lambda labels, said: scores(labels, said, zero=False), "validate-1.zero", "nan"),
            Wrong(lambda labels, said: scores(said, labels), "validate-1.confusion", "transposed"),
            Wrong(scores_of_the_classes_seen, "validate-1.confusion", "missing-class"),
            Wrong(lambda labels, said: (*scores(labels, said)[:5], 0.006), "validate-1.interval", "count"),
            Wrong(lambda labels, said: scores(labels, said)[0], "validate-1.accuracy", "shape"),
        ],
    ),
    "validate-2": Answers(
        right=[compare, SUBMISSION, compare_in_a_row],
        wrong=[
            Wrong(compare_larger, "validate-2.three", "coin"),
            Wrong(compare_larger, "validate-2.luck", "coin"),
            Wrong(compare_independently, "validate-2.interval", "independent"),
            Wrong(compare_overlap, "validate-2.three", "overlap"),
            Wrong(compare_backwards, "validate-2.difference", "sign"),
        ],
    ),
    "validate-3": Answers(
        right=[(by_group, holdout), SUBMISSION, (by_group_in_a_row, holdout)],
        wrong=[
            Wrong((only_the_average, holdout), "validate-3.values", "average"),
            Wrong((partial(by_group, least=1), holdout), "validate-3.small", "small"),
            Wrong((attribute_left_out, holdout), "validate-3.admissions", "left-out"),
            Wrong((partial(by_group, digits=3), holdout), "validate-3.values", "rounded"),
            Wrong((by_group, holdout_of_everybody), "validate-3.holdout", "unequal"),
            Wrong((by_group, holdout_of_the_first), "validate-3.holdout", "first"),
            Wrong((by_group, holdout_by_a_global_seed), "validate-3.holdout", "global"),
        ],
    ),
    "validate-4": Answers(
        right=[BEHAVIOUR, SUBMISSION, tuple(says_true(test) for test in BEHAVIOUR)],
        wrong=[
            Wrong((equal_probabilities, minimum_functionality, direction), "validate-4.good", "equal"),
            Wrong((strict_invariance, minimum_functionality, direction), "validate-4.good", "accused"),
            Wrong((nothing, one_clear_image, nothing), "validate-4.caught", "bags"),
            Wrong((invariant_to_labels, minimum_functionality, nothing), "validate-4.caught", "brittle"),
            Wrong((invariance, nothing, nothing), "validate-4.caught", "bags"),
        ],
    ),
    "validate-5": Answers(
        right=[test_server, SUBMISSION],
        wrong=[
            Wrong(asks_for_our_own_keys, "validate-5.good", "reference"),
            Wrong(partial(test_server, least=1.0), "validate-5.good", "accused"),
            Wrong(partial(test_server, images=1), "validate-5.caught", "tenth"),
            Wrong(partial(test_server, least=0.8 - 1e-9), "validate-5.caught", "undivided"),
        ],
    ),
    "validate-6": Answers(
        right=[(open_loop, highest_rate), SUBMISSION],
        wrong=[
            Wrong((closed_loop, without_search), "validate-6.stall", "closed"),
            Wrong((from_when_a_worker_is_free, without_search), "validate-6.stall", "clock"),
            Wrong((all_at_once, without_search), "validate-6.stall", "faster"),
            Wrong((mean_wait, without_search), "validate-6.stall", "mean-only"),
            Wrong((open_loop, partial(highest_rate, figure=np.mean)), "validate-6.rate", "mean"),
            Wrong((open_loop, without_search), "validate-6.rate", "low"),
        ],
    ),
}
