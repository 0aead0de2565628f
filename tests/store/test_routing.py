import json

import pytest

from mlops_lab.errors import StoreError, UnknownModel, UnknownVersion, WrongUsage
from mlops_lab.store.routing import TrafficSettings, read_shares, read_traffic, shadow_traffic, split_traffic


@pytest.fixture
def two(models, publish_up_to):
    publish_up_to(2).promote("digits", 1)
    return models


def test_without_a_file_there_are_no_settings(models):
    assert read_traffic(models.root / "digits") is None


def test_a_split_is_written_and_noted(two):
    settings = split_traffic(two, "digits", {"v1": 90, "latest": 10}, why="try v2")
    assert settings == TrafficSettings(((1, 90), (2, 10)), production=1) == read_traffic(two.root / "digits")
    assert json.loads((two.root / "digits" / "traffic.json").read_text())["canary"] == {"v1": 90, "v2": 10}
    last = two.history("digits")[-1]
    assert (last["event"], last["traffic"]["canary"], last["why"]) == ("split", {"v1": 90, "v2": 10}, "try v2")


def test_the_shadow_and_the_split_leave_each_other_alone(two):
    shadow_traffic(two, "digits", "v2")
    split_traffic(two, "digits", {1: 1, 2: 1})
    assert read_traffic(two.root / "digits") == TrafficSettings(((1, 1), (2, 1)), production=1, shadow=2)
    split_traffic(two, "digits", {})
    assert read_traffic(two.root / "digits") == TrafficSettings(shadow=2)
    shadow_traffic(two, "digits", None)
    assert read_traffic(two.root / "digits") is None
    events = [entry["event"] for entry in two.history("digits")[-4:]]
    assert events == ["shadowed", "split", "ended the split", "ended the shadow"]


@pytest.mark.parametrize(
    ("weights", "error"),
    [
        ({"v9": 1}, UnknownVersion),
        ({"v1": 0}, WrongUsage),
        ({"v1": -1, "v2": 2}, WrongUsage),
        ({"v1": 0.5, "v2": 0.5}, WrongUsage),
        ({"v1": 50, "production": 50}, WrongUsage),
    ],
)
def test_shares_that_make_no_sense_change_nothing(two, weights, error):
    with pytest.raises(error):
        split_traffic(two, "digits", weights)
    assert not (two.root / "digits" / "traffic.json").exists()


def test_a_split_needs_a_version_in_production(models):
    with pytest.raises(WrongUsage, match="in production"):
        split_traffic(models, "digits", {"v1": 1})


def test_the_shadow_of_an_unknown_model_is_refused(models):
    with pytest.raises(UnknownModel):
        shadow_traffic(models, "letters", None)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "3",
        '{"canary": 3}',
        '{"canary": {"v1": "all"}}',
        '{"canary": {"v1": true}}',
        '{"canary": {"v1": 0}}',
        '{"canary": {"one": 1}}',
        '{"canary": {"v0": 1}}',
        '{"shadow": 2}',
        '{"shadow": "latest"}',
        '{"production": "v1"}',
        '{"shadwo": "v2"}',
        "[" * 9999,
    ],
    ids=range(14),
)
def test_a_damaged_file_is_told_and_can_be_replaced(two, text):
    (two.root / "digits" / "traffic.json").write_text(text)
    with pytest.raises(StoreError, match=r"traffic\.json cannot be used"):
        read_traffic(two.root / "digits")
    assert shadow_traffic(two, "digits", 2) == TrafficSettings(shadow=2) == read_traffic(two.root / "digits")


@pytest.mark.parametrize("words", [["v1"], ["v1=x"], ["=3"], ["v1=-1"], ["v1=1", "v1=2"], ["v1=99999999"]])
def test_words_that_are_no_shares(words):
    with pytest.raises(WrongUsage):
        read_shares(words)


def test_words_that_are_shares():
    assert read_shares(["v1=90", "latest=10"]) == {"v1": 90, "latest": 10}
