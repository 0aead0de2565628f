"""A canary that is worse, slower or never judged goes back; and no client notices."""

import threading
import time
from collections import Counter

import numpy as np
import pytest
import worlds

from mlops_lab import data, serve, train
from mlops_lab.data import Split
from mlops_lab.errors import GateFailed, LabError
from mlops_lab.monitor import PredictionLog
from mlops_lab.pipeline import run_canary
from mlops_lab.pipeline.loop.canary import CanaryResult, ClientAnswer, VersionResults, from_log, judge, replay
from mlops_lab.pipeline.loop.config import CanarySettings
from mlops_lab.predict import PredictionEvent
from mlops_lab.store.routing import read_traffic

SETTINGS = CanarySettings(share=30, judged=40, seconds=60)


@pytest.fixture
def bad(two, digits):
    """v3 has learned to take a 5 for a 6, a 7 for an 8, and the other way round."""
    labels = np.array([0, 1, 2, 3, 4, 6, 5, 8, 7, 9])[digits.train.labels]
    wrong = data.Dataset(
        "digits", digits.classes, Split(digits.train.images, labels), digits.test, digits.input, task=digits.task
    )
    two.publish(train.fit_sklearn(wrong), "digits")
    return two


class Clients:
    """Clients that ask the default address all the while, and count what they get."""

    def __init__(self, url, images, count=3):
        self.seen, self._ended = Counter(), threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(url, images), daemon=True) for _ in range(count)]

    def _ask(self, url, images):
        client = serve.Client(url)
        while not self._ended.is_set():
            for image in images:
                try:
                    self.seen[client.classify("digits", "production", image).response["version"]] += 1
                except LabError as error:
                    self.seen[f"failed: {error}"] += 1

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error):
        self._ended.set()
        for thread in self._threads:
            thread.join()


@pytest.mark.parametrize(("version", "passed"), [(3, False), (2, True)])
def test_under_load_a_bad_version_goes_back_and_a_good_one_does_not(bad, digits, version, passed):
    server = serve.start(bad, name="production")
    with Clients(server.url, digits.test.images[:20]) as clients:
        traffic = replay(server.url, "digits", digits.test)
        deadline = time.monotonic() + 30

        def shared():
            while not serve.Client(server.url).models() or f"v{version}" not in clients.seen:
                assert time.monotonic() < deadline, clients.seen
                time.sleep(0.02)

        found = run_canary(bad, "digits", version, traffic, SETTINGS, shared)
        asked = clients.seen.total()
        while clients.seen.total() < asked + 50:
            time.sleep(0.01)
    assert (found.passed, found.failed) == (passed, 0), str(found)
    assert ("it is worse" in found.reason) is not passed
    assert set(clients.seen) == {"v1", f"v{version}"} and clients.seen["v1"] > clients.seen[f"v{version}"]
    assert bad.aliases("digits") == {"production": 1}
    assert read_traffic(bad.root / "digits") is None
    assert bad.history("digits")[-1]["why"] == f"canary of v{version}: {found.reason}"


def test_in_the_loop_a_bad_version_goes_back(shifted):
    """The gates let it through, since customers send something else than what was held out."""
    run = worlds.play(shifted, traffic=lambda: [ClientAnswer(2, False, 1.0), *[ClientAnswer(1, True, 1.0)] * 4])
    assert (run.state, run.passed, run.production) == ("rolled back", False, 1), str(run)
    assert run.states()["roll back"] == "passed" and "it is worse" in run.reason
    assert read_traffic(shifted / "models" / "digits") is None
    # It is not tried again every hour.
    again = worlds.play(shifted, traffic=lambda: pytest.fail("it was tried again"))
    assert (again.state, again.states()["canary"]) == ("rolled back", "cached")


def test_a_canary_that_nobody_judges_goes_back(two):
    found = run_canary(two, "digits", 2, lambda: [ClientAnswer(2)], CanarySettings(seconds=0.05))
    assert not found.passed and "0 of 60 answers were judged within 0.05 s" in found.reason


def test_the_share_ends_whatever_happens(two):
    def broken():
        assert read_traffic(two.root / "digits").to_dict()["canary"] == {"v1": 90, "v2": 10}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_canary(two, "digits", 2, broken)
    assert read_traffic(two.root / "digits") is None


def test_there_must_be_another_version_in_production(two):
    with pytest.raises(GateFailed, match="production is the version itself"):
        run_canary(two, "digits", 1, lambda: [])


def test_users_and_people_who_judge_are_found_in_the_log(two, digits, tmp_path):
    images, labels = digits.test.images[:30], digits.test.labels[:30]
    traffic = from_log(tmp_path / "log.db", "digits", (1, 2), pause=0)
    assert traffic() == []
    with PredictionLog(tmp_path / "log.db") as log:
        for version, start, count in ((1, 0, 20), (2, 20, 10)):
            predictor, part = two.load("digits", version), slice(start, start + count)
            event = PredictionEvent(
                str(version), time.time(), predictor, images[part], predictor.probabilities(images[part]), 0.002
            )
            log.append(event)
        assert traffic() == []  # nobody has judged them
        for version, place, label in ((1, 0, labels[0]), (1, 1, (labels[1] + 1) % 10), (2, 0, labels[20])):
            log.feedback(str(version), str(label), place=place)
        assert [(one.version, one.right) for one in traffic()] == [(1, True), (1, False), (2, True)]
        log.feedback("2", str(labels[21]), place=1)
        assert traffic() == [ClientAnswer(2, True, 2.0)] and traffic() == []


@pytest.mark.parametrize(
    ("canary", "production", "said"),
    [
        (VersionResults(40, 40, 39, 2.0), VersionResults(100, 100, 97, 2.0), "not worse"),
        (VersionResults(40, 40, 20, 2.0), VersionResults(100, 100, 97, 2.0), "it is worse"),
        (
            VersionResults(15, 15, 2, 2.0),
            VersionResults(100, 100, 97, 2.0),
            "it is worse",
        ),  # it need not wait for the fortieth
        (VersionResults(40, 0, 0, 900.0), VersionResults(100, 0, 0, 20.0), "it is slower"),
        (VersionResults(39, 39, 39, 2.0), VersionResults(100, 100, 97, 2.0), None),
        (VersionResults(40, 40, 40, 2.0), VersionResults(5, 5, 5, 2.0), None),  # nothing to hold it against
    ],
)
def test_how_a_canary_is_judged(canary, production, said):
    found = judge(CanaryResult(False, "", canary, production, 0), SETTINGS)
    assert (found is None) if said is None else (said in found.reason and found.passed is (said == "not worse"))
    assert found is None or found.to_dict()["canary"]["answered"] == canary.answered
