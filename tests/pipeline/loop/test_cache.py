"""A step is found by all that it depends on, and a step that did not end is not found at all."""

import pytest

from mlops_lab.pipeline.loop.cache import StepCache, StepResult, digest, intend


@pytest.fixture
def cache(tmp_path):
    return StepCache(tmp_path / "steps")


def test_found_by_its_inputs_only(cache):
    inputs = {"epochs": 3, "data": "abc"}
    key = cache.key("train", inputs)
    assert cache.find("train", key) is None
    folder = cache.begin("train", key)
    assert cache.find("train", key) is None
    cache.keep("train", key, StepResult("v1", {"number": 1}, {"seconds": 2.0}))
    assert cache.find("train", cache.key("train", dict(reversed(inputs.items())))) == StepResult(
        "v1", {"number": 1}, {"seconds": 2.0}
    )
    assert folder.name.startswith("train-")
    others = [
        cache.key("train", {**inputs, "epochs": 4}),
        cache.key("train", {**inputs, "seed": 0}),
        cache.key("validate", inputs),
    ]
    assert len({key, *others}) == 4 and not any(cache.find("train", other) for other in others)


def test_another_attempt_begins_with_nothing_but_its_intent(cache):
    folder = cache.begin("promote", "k")
    (folder / "half").mkdir()
    (folder / "half" / "model").write_text("x")
    assert intend(folder, lambda: {"before": 1}) == {"before": 1}
    assert cache.begin("promote", "k") == folder
    assert [path.name for path in folder.iterdir()] == ["intent.json"]
    assert intend(folder, lambda: {"before": 2}) == {"before": 1}  # what was in production before the first attempt


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"key": "other", "message": "", "outputs": {}, "evidence": {}}']
)
def test_a_damaged_record_is_none(cache, content):
    cache.begin("train", "k")
    cache.keep("train", "k", StepResult("v1"))
    (cache.folder("train", "k") / "record.json").write_bytes(content)
    assert cache.find("train", "k") is None


def test_the_order_of_keys_says_nothing():
    assert digest({"a": [1, 2], "b": None}) == digest({"b": None, "a": [1, 2]}) != digest({"a": [2, 1], "b": None})
