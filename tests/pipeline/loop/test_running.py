"""The loop knows when to train again, when to wait, and when not to; and it does nothing twice."""

import json
import os
import shutil

import numpy as np
import pytest
import worlds

from mlops_lab import monitor
from mlops_lab.data import Split
from mlops_lab.errors import StoreError, WrongUsage
from mlops_lab.pipeline import read_config, read_history, run_loop, stages
from mlops_lab.pipeline.loop import production
from mlops_lab.pipeline.loop.engine import Loop
from mlops_lab.pipeline.loop.history import LoopEnded
from mlops_lab.pipeline.loop.versions import Candidate
from mlops_lab.pipeline.reporter import SilentReporter
from mlops_lab.pipeline.stages import StageFailed
from mlops_lab.store import ModelStore

FIRST = ["data", "train", "validate", "package", "stage", "integration", "acceptance", "load", "promote"]
AGAIN = ["monitor", "drift", "collect", "train", "validate", "package", "stage", "integration", "acceptance", "load"]


def names(run, state="passed"):
    return [one.name for one in run.outcomes if one.state == state]


def store_of(folder):
    return ModelStore(folder / "models")


def accuracy(folder, version, split):
    return monitor.observe(store_of(folder).load("digits", version), split.images, split.labels).accuracy


def test_a_second_run_has_nothing_to_do(released):
    before = sorted(path.name for path in (released / "models" / "digits").iterdir())
    run = worlds.play(released)
    assert (run.state, run.production, names(run), names(run, "cached")) == ("nothing to do", 1, [], FIRST)
    assert sorted(path.name for path in (released / "models" / "digits").iterdir()) == before


def test_a_shift_with_labels_is_learned_and_the_old_is_not_forgotten(shifted):
    run = worlds.play(shifted)
    assert run.state == "released", str(run)
    assert names(run) == [*AGAIN, "canary", "promote"]
    store = store_of(shifted)
    assert store.aliases("digits") == {"production": 2}
    new, old = worlds.masked(300, seed=9), worlds.customers(300, seed=9)
    assert accuracy(shifted, 2, new) > accuracy(shifted, 1, new) + 0.05
    assert accuracy(shifted, 2, old) > accuracy(shifted, 1, old) - 0.03
    gates = json.loads((shifted / "models/digits/2/evidence/gates.json").read_text())["gates"]
    assert {gate["name"] for gate in gates if gate["section"] == "retraining"} == {"old data", "new data"}
    assert [entry["event"] for entry in store.history("digits")][-4:] == [
        "published",
        "split",
        "ended the split",
        "promoted",
    ]
    # The next look sees too few answers of the new version, and leaves everything as it is.
    again = worlds.play(shifted)
    assert (again.state, again.production) == ("nothing to do", 2)
    assert [one.state for one in read_history(shifted / "pipeline.toml").runs] == [
        "nothing to do",
        "released",
        "nothing to do",
    ]


def test_a_shift_without_labels_waits_for_them(released):
    split = worlds.masked()
    worlds.answer(released, split, labels=split.labels[:100])
    run = worlds.play(released)
    assert (run.state, run.passed) == ("waiting for labels", True), str(run)
    assert "200 more judged predictions" in run.reason
    assert store_of(released).versions("digits") == [1]


def test_labels_of_better_days_teach_nothing_new(released):
    """400 were judged while all was well, and 100 since customers send something else."""
    before, now = worlds.customers(), worlds.masked()
    worlds.answer(released, before, labels=before.labels)
    assert worlds.play(released).state == "nothing to do"
    worlds.answer(released, now, labels=now.labels[:100], time=1_800_100_000.0)
    run = worlds.play(released)
    assert run.state == "waiting for labels" and "200 more judged" in run.reason, str(run)
    # What people judge of the same predictions counts from the first look that saw harm, also when others have come.
    more = worlds.masked(seed=6)
    worlds.answer(released, more, labels=more.labels[:220], time=1_800_200_000.0)
    assert worlds.play(released).state == "released"


def test_a_quiet_day(released):
    split = worlds.customers()
    worlds.answer(released, split, labels=split.labels)
    run = worlds.play(released)
    assert run.state == "nothing to do" and names(run) == ["monitor", "drift"], str(run)


@pytest.mark.parametrize(
    ("breaks", "said"),
    [
        (lambda images: np.zeros_like(images), "black since 08:00 UTC"),
        (lambda images: np.full_like(images, 255), "white"),
        (lambda images: np.repeat(images[:1], len(images), axis=0), "one and the same"),
        (lambda images: np.where(np.arange(len(images))[:, None, None] % 3, images, 0).astype(np.uint8), "black"),
    ],
)
def test_a_broken_camera_is_reported_and_never_trained_on(released, breaks, said):
    split = worlds.customers()
    worlds.answer(released, Split(breaks(split.images), split.labels), labels=split.labels)
    run = worlds.play(released)
    assert (run.state, run.passed, run.production) == ("broken source", False, 1), str(run)
    assert said in run.reason
    assert store_of(released).versions("digits") == [1]


def test_the_models_own_answers_are_no_labels(released):
    split = worlds.masked()
    said = worlds.answer(released, split)
    worlds.answer(released, split, labels=said, time=1_800_100_000.0)
    run = worlds.play(released)
    assert run.state == "refused" and "what the model itself answered" in run.reason, str(run)
    assert store_of(released).versions("digits") == [1]


def test_new_data_alone_are_refused(shifted):
    """The data of the version in production are gone, and it was not trained on a data set that is shipped."""
    for path in (shifted / "work" / "data").iterdir():
        path.unlink()
    manifest = shifted / "models" / "digits" / "1" / "manifest.json"
    text = manifest.read_text()
    entry = json.loads(text)
    entry["data"]["name"] = "our own"
    manifest.write_text(json.dumps(entry))
    run = worlds.play(shifted)
    assert run.state == "refused" and "forgets the old" in run.reason, str(run)
    assert store_of(shifted).versions("digits") == [1]


@pytest.mark.parametrize(
    ("line", "said"),
    [('data = ["new"]', "forgets"), ('labelled_by = "answers"', "its own answers"), ("share = 0.9", "is refused")],
)
def test_settings_that_are_refused(tmp_path, line, said):
    (tmp_path / "pipeline.toml").write_text(worlds.SETTINGS.replace("[retrain]", f"[retrain]\n{line}"))
    with pytest.raises(WrongUsage, match=said):
        run_loop(tmp_path / "pipeline.toml")


def test_a_retrained_version_that_is_no_better_is_refused_by_the_gates(shifted):
    settings = shifted / "pipeline.toml"
    settings.write_text(settings.read_text().replace("images = 200", "images = 200\nmin_new_gain = 0.9"))
    # The first version was held against other thresholds, so it is held against these.
    run = worlds.play(shifted)
    assert run.state == "refused" and "it must win more than 0.9" in run.reason, str(run)
    store = store_of(shifted)
    assert store.aliases("digits") == {"production": 1} and store.versions("digits") == [1]


def test_a_version_that_does_not_know_what_production_has_learned_is_refused(shifted):
    """Another seed in the settings trains on the first data again, which know nothing of the shift."""
    assert worlds.play(shifted).state == "released"
    settings = shifted / "pipeline.toml"
    settings.write_text(settings.read_text().replace('"sklearn"', '"sklearn"\nseed = 1'))
    run = worlds.play(shifted)
    assert (run.state, run.production) == ("refused", 2), str(run)
    assert "retraining new data" in run.reason


def verify_then(monkeypatch, error):
    """Let the check of production end with an error, once production has followed the alias."""

    def failing(context):
        verify(context)
        raise error

    monkeypatch.setattr(stages, "verify", failing)


verify = stages.verify
NONSENSE = StageFailed("It answers nonsense.", {})


def test_what_fails_in_production_is_rolled_back_to_what_was_there(shifted, monkeypatch):
    verify_then(monkeypatch, NONSENSE)
    run = worlds.play(shifted)
    assert (run.state, run.production) == ("rolled back", 1), str(run)
    assert "It answers nonsense. Rolled back: " in run.reason and run.outcomes[-1].evidence["passed"]
    store = store_of(shifted)
    shutil.copytree(store.root / "digits" / "1", store.root / "digits" / "3")
    manifest = store.root / "digits" / "3" / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "version": 3}))
    store.promote("digits", 3, why="by hand, in the meantime", force=True)
    config = read_config(shifted / "pipeline.toml")
    with Loop(config, SilentReporter(), None, worlds.InThread, "") as loop, pytest.raises(LoopEnded) as ended:
        production.promote(loop, Candidate(2, store.get("digits", 2).digest, "", 1))
    assert ended.value.state == "rolled back" and store.aliases("digits") == {"production": 3}


def test_what_cannot_be_rolled_back_is_stuck_until_the_next_run(shifted, monkeypatch):
    """The alias is where a kill would have left it, too."""
    verify_then(monkeypatch, NONSENSE)
    with monkeypatch.context() as broken:
        broken.setattr(stages, "roll_back", stages.verify)
        run = worlds.play(shifted)
    assert (run.state, run.passed, run.production) == ("stuck", False, 2), str(run)
    run = worlds.play(shifted)
    assert (run.state, run.production) == ("rolled back", 1), str(run)


def test_an_interrupt_leaves_production_as_it_was(shifted, monkeypatch):
    with monkeypatch.context() as broken, pytest.raises(KeyboardInterrupt):
        verify_then(broken, KeyboardInterrupt())
        worlds.play(shifted)
    assert store_of(shifted).aliases("digits") == {"production": 1}
    assert worlds.play(shifted).state == "released"


def test_a_damaged_reference_is_made_again(released, monkeypatch):
    known = monitor.load_reference(store_of(released), "digits", 1)
    (released / "models" / "digits" / "1" / "evidence" / "reference.npz").write_bytes(b"no file of arrays")
    monkeypatch.setattr(monitor, "store_reference", lambda models, name, number, split: known)
    worlds.answer(released, worlds.customers())
    run = worlds.play(released)
    assert run.state == "nothing to do" and names(run) == ["monitor", "drift"], str(run)


def test_one_loop_at_a_time(released):
    config = read_config(released / "pipeline.toml")
    with Loop(config, SilentReporter(), None, worlds.InThread, ""), pytest.raises(StoreError, match="Another loop"):
        worlds.play(released)


def test_until(tmp_path):
    (tmp_path / "pipeline.toml").write_text(worlds.SETTINGS)
    run = worlds.play(tmp_path, until="train")
    assert (run.state, names(run), run.production) == ("stopped", ["data", "train"], None)
    with pytest.raises(WrongUsage, match="no step"):
        worlds.play(tmp_path, until="tran")
    # The number is kept for it, and is not a version that a server would see.
    assert "1" in os.listdir(tmp_path / "models" / "digits") and store_of(tmp_path).versions("digits") == []
