"""The loop is killed with SIGKILL in every step, and goes on to the same result."""

import json
import multiprocessing
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import worlds

from mlops_lab import data
from mlops_lab.pipeline import read_history
from mlops_lab.serve import stop_all
from mlops_lab.store import ModelStore

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
FIRST = ["data", "train", "validate", "package", "stage", "integration", "acceptance", "load", "promote"]
SECOND = ["monitor", "drift", "collect", *FIRST[1:-1], "canary", "promote"]
# Where a step is killed in its midst: the function that is replaced by death, and how often it may be called before.
MIDST = {
    "a model is half written": ("mlops_lab.store.publish.verify", 0),
    "half of the evidence is there": ("mlops_lab.validate.card.render_report", 0),
    "a copy has no name yet": ("mlops_lab.pipeline.loop.candidate.sync_tree", 0),
    "the canary takes its share": ("mlops_lab.pipeline.loop.canary.judge", 3),
    "the alias has been moved": ("mlops_lab.pipeline.stages.verify", 0),
}


@pytest.fixture(scope="module")
def processes():
    """Processes that begin with the imports done, so that dying twenty times takes seconds."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["worlds", "sklearn.neural_network", "skl2onnx", "mlops_lab.pipeline.loop.running"])
    return context


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def die_before_the_record(folder, step):
    """Run the loop, and die when all that a step does is done and nothing is noted."""
    from mlops_lab.pipeline.loop.cache import StepCache

    keep = StepCache.keep
    StepCache.keep = lambda self, name, key, result: die() if name == step else keep(self, name, key, result)
    worlds.play(folder)


def die_in(folder, name, calls):
    """Run the loop, and die when a function is called for the time after so many."""
    import importlib

    module, _, function = name.rpartition(".")
    home = importlib.import_module(module)
    real, seen = getattr(home, function), []

    def deadly(*arguments, **options):
        seen.append(1)
        return die() if len(seen) > calls else real(*arguments, **options)

    setattr(home, function, deadly)
    worlds.play(folder)


def killed(processes, target, *arguments):
    child = processes.Process(target=target, args=arguments)
    child.start()
    child.join(120)
    assert child.exitcode == -signal.SIGKILL, f"{arguments}: it ended with {child.exitcode}"


def result(folder):
    """Return what must not depend on kills: the versions, what they answer, their data and what was decided."""
    store = ModelStore(folder / "models")
    images = data.load("digits").test.images[:50]
    kept = {number: store.get("digits", number).manifest for number in store.versions("digits")}
    answers = {number: store.load("digits", number).probabilities(images).round(6).tolist() for number in kept}
    facts = {number: (one.metrics, one.data, one.training) for number, one in kept.items()}
    moves = [
        (entry["event"], entry.get("version"), entry.get("before"))
        for entry in store.history("digits")
        if entry["event"] in ("published", "promoted", "rolled back")
    ]
    left = sorted(path.name for path in (folder / "models" / "digits").iterdir() if path.name.isdecimal())
    traffic = json.loads((folder / "models" / "digits" / "traffic.json").read_text())
    return {
        "aliases": store.aliases("digits"),
        "answers": answers,
        "facts": facts,
        "moves": moves,
        "left": left,
        "traffic": traffic,
    }


@pytest.fixture(scope="module")
def undisturbed(_shifted, tmp_path_factory):
    """What comes of a loop that nobody kills."""
    folder = Path(shutil.copytree(_shifted, tmp_path_factory.mktemp("undisturbed") / "here"))
    run = worlds.play(folder)
    assert run.state == "released", str(run)
    stop_all()
    return result(folder)


@pytest.mark.slow
def test_killed_in_every_step_one_after_the_other(processes, undisturbed, tmp_path):
    (tmp_path / "pipeline.toml").write_text(worlds.SETTINGS)
    for step in FIRST:
        killed(processes, die_before_the_record, tmp_path, step)
    assert worlds.play(tmp_path).state == "nothing to do"
    split = worlds.masked()
    worlds.answer(tmp_path, split, labels=split.labels)
    for step in SECOND:
        killed(processes, die_before_the_record, tmp_path, step)
    run = worlds.play(tmp_path)
    stop_all()
    assert run.state == "released", str(run)
    assert result(tmp_path) == undisturbed
    runs = read_history(tmp_path / "pipeline.toml").runs
    assert [one.state for one in runs].count("running") == len(FIRST) + len(SECOND)


@pytest.mark.slow
@pytest.mark.parametrize("place", MIDST)
def test_killed_in_the_midst_of_a_step(processes, undisturbed, shifted, place):
    killed(processes, die_in, shifted, *MIDST[place])
    store = ModelStore(shifted / "models")
    if place != "the alias has been moved":
        assert store.aliases("digits") == {"production": 1}
    assert store.load("digits", store.aliases("digits")["production"])  # production could be served all the time
    run = worlds.play(shifted)
    assert run.state == "released", str(run)
    assert result(shifted) == undisturbed


def test_a_record_that_is_damaged_is_made_again_under_a_number_of_its_own(released):
    record = next((released / "work" / "steps").glob("train-*/record.json"))
    record.write_bytes(record.read_bytes()[:40])
    run = worlds.play(released)
    assert run.production == 2 and run.states()["train"] == "passed", str(run)
    store, images = ModelStore(released / "models"), data.load("digits").test.images[:20]
    first, second = (store.load("digits", number).probabilities(images) for number in (1, 2))
    assert np.allclose(first, second)
