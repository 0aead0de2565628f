"""A good version is released; a bad one leaves production as it was, whatever is bad about it, and nobody notices."""

import json
import shutil
import threading
import time
from dataclasses import replace

import pytest

from mlops_lab import pipeline, serve
from mlops_lab.engines.python import PythonEngine
from mlops_lab.errors import StoreError, UnknownVersion, WrongUsage
from mlops_lab.pipeline import ReleasePlan, stages
from mlops_lab.store import ModelStore
from mlops_lab.train import fit_sklearn

BEFORE_PROMOTION = ["production", "build", "staging", "integration", "acceptance", "gates", "load", "promote"]


def names(release):
    return [outcome.name for outcome in release.outcomes]


def assert_untouched(release, store, production, last):
    """Production is what it was, nobody's request failed, and the history says why."""
    time.sleep(0.05)
    assert release.state == "refused"
    assert names(release) == BEFORE_PROMOTION[: BEFORE_PROMOTION.index(last) + 1]
    assert [one.passed for one in release.outcomes] == [True] * (len(release.outcomes) - 1) + [False]
    assert store.aliases("digits") == {"production": 1}
    assert set(production.asking.found) == {"v1"}
    assert store.history("digits")[-1]["state"] == "refused"
    assert release.reason in store.history("digits")[-1]["why"]


def test_a_good_version_is_released(two, plan, staged, production):
    release = pipeline.release(plan, environment=staged(plan))
    assert release.passed, str(release)
    assert names(release) == [*BEFORE_PROMOTION, "verify"]
    assert two.aliases("digits") == {"production": 2}
    production.asking.wait_for(lambda word: word == "v2")
    assert set(production.asking.found) == {"v1", "v2"}
    assert [entry["event"] for entry in two.history("digits")[-2:]] == ["promoted", "pipeline"]


def test_what_was_seen_is_kept_beside_the_version(two, plan, staged):
    release = pipeline.release(plan, environment=staged(plan))
    assert len(list((two.root / "digits" / "2" / "evidence").glob("release-*.json"))) == 1
    kept = pipeline.last(two, "digits")
    assert kept == release
    seen = {outcome.name: outcome.evidence for outcome in kept.outcomes}
    assert seen["integration"]["passed"] and seen["acceptance"]["checks"]
    assert seen["load"]["statuses"]["200"] > 0
    assert two.load("digits", 2)  # what the manifest lists is as it was


def test_nothing_is_left_running(plan, staged, production):
    pipeline.release(plan, environment=staged(plan))
    assert [server.name for server in serve.servers()] == ["production"]


def test_a_damaged_file(two, plan, staged, production):
    (two.root / "digits" / "2" / "model.onnx").write_bytes(b"not a model")
    release = pipeline.release(plan, environment=staged(plan))
    assert_untouched(release, two, production, "build")
    assert "not the file that was published" in release.reason


def test_golden_answers_that_the_model_does_not_give(two, plan, staged, production, forge_golden):
    forge_golden(lambda arrays: arrays["outputs.0"].fill(0.1), version=2)
    assert_untouched(pipeline.release(plan, environment=staged(plan)), two, production, "build")


def test_staging_that_never_gets_ready(two, plan, staged, production):
    plan = replace(plan, ready_seconds=0.3)
    release = pipeline.release(plan, environment=staged(plan, lambda models: serve.create_app(serve.Registry())))
    assert_untouched(release, two, production, "staging")
    assert "There is no model to answer with" in release.reason
    assert "its last log lines" in release.reason


def test_staging_that_answers_otherwise_than_the_manifest(two, plan, staged, production):
    def app_of(models):
        right = ModelStore(models).load("digits", 2)
        return serve.create_app([replace(right, engine=PythonEngine(lambda x: right.engine.predict(x / 2)))])

    release = pipeline.release(plan, environment=staged(plan, app_of))
    assert_untouched(release, two, production, "integration")
    assert "golden examples" in release.reason


def test_another_accuracy_than_was_promised(two, plan, staged, production, edit):
    edit(metrics={"test_accuracy": 0.999})
    release = pipeline.release(plan, environment=staged(plan))
    assert_untouched(release, two, production, "acceptance")
    assert "promises 0.9990" in release.reason


def test_an_honest_version_that_is_worse_than_the_one_in_production(two, plan, staged, production, digits):
    two.publish(fit_sklearn(digits.limited(60)), "digits")
    plan = replace(plan, version=3)
    edited = two.get("digits", 3).manifest
    # It says itself what it reaches on the whole test split, so that only the comparison can refuse it.
    accuracy = sum(
        one.class_index == label
        for one, label in zip(two.load("digits", 3).predict(digits.test.images), digits.test.labels, strict=True)
    ) / len(digits.test)
    whole = two.get("digits", 1).manifest.data
    path = two.root / "digits" / "3" / "manifest.json"
    path.write_text(replace(edited, metrics={"test_accuracy": accuracy}, data=whole).to_json())
    release = pipeline.release(plan, environment=staged(plan))
    assert_untouched(release, two, production, "acceptance")
    assert "worse by more than 0.005" in release.reason


def test_a_version_that_fails_a_gate_is_refused_with_its_evidence_and_card(two, plan, staged, production):
    (two.root / "digits" / "gates.toml").write_text("[quality]\nmin_class_recall = 0.999\n")
    release = pipeline.release(plan, environment=staged(plan))
    assert_untouched(release, two, production, "gates")
    assert "class recall: The lowest recall is" in release.reason
    folder = two.root / "digits" / "2"
    assert json.loads((folder / "evidence" / "gates.json").read_text(encoding="utf-8"))["passed"] is False
    assert "is refused: 1 of" in (folder / "README.md").read_text(encoding="utf-8")


def slow(models):
    app = serve.create_app(models)

    def late(environ, start_response):
        if environ["REQUEST_METHOD"] == "POST":
            time.sleep(0.05)
        return app(environ, start_response)

    return late


@pytest.mark.parametrize(("settings", "last"), [("expected", "acceptance"), ("load", "load")])
def test_a_slow_version(two, plan, staged, production, settings, last):
    plan = replace(plan, **{settings: replace(getattr(plan, settings), milliseconds=40)})
    release = pipeline.release(plan, environment=staged(plan, slow))
    assert_untouched(release, two, production, last)


def test_a_version_that_fails_under_load(two, plan, staged, production):
    def one_at_a_time(models):
        app = serve.create_app(models, limits=serve.Limits(in_flight=1, queue=0))
        registry = app.extensions["mlops_lab"].registry
        engine = registry.get("digits", "v2").engine
        registry.entries["digits"].seconds[2] = 0.02  # as if it had been measured so, and not on the event loop
        predict = engine.predict
        engine.predict = lambda inputs: (time.sleep(0.02), predict(inputs))[1]
        return app

    plan = replace(plan, load=replace(plan.load, clients=4))
    release = pipeline.release(plan, environment=staged(plan, one_at_a_time))
    assert_untouched(release, two, production, "load")
    assert "503" in release.reason


def test_production_that_cannot_load_the_version(two, plan, staged, production, tmp_path):
    shutil.copytree(two.root, tmp_path / "elsewhere", ignore=shutil.ignore_patterns("2"))
    elsewhere = serve.start(tmp_path / "elsewhere", name="elsewhere")  # it has v1, and will never have v2
    plan = replace(plan, url=elsewhere.url, switch_seconds=0.3)
    release = pipeline.release(plan, environment=staged(plan))
    assert_untouched(release, two, production, "promote")
    assert "no version 'v2'" in release.reason


def test_production_that_does_not_answer(two, plan, staged, production):
    plan = replace(plan, url="http://127.0.0.1:1", ready_seconds=0.2)
    release = pipeline.release(plan, environment=staged(plan))
    assert_untouched(release, two, production, "production")
    assert "No server answers" in release.reason


def test_the_client_that_asks_all_the_while_notices_a_failure(two, production):
    production.stop()
    production.asking.wait_for(lambda word: word.startswith("failed: "))


def deaf(store):
    """A server that has both versions, and will never hear that an alias has moved."""
    # Nobody keeps a registry in step with its store but who made it.
    return serve.start(serve.create_app(serve.Registry.of(store)).wsgi_app, name="production")


def test_production_that_does_not_switch_is_rolled_back(two, plan, staged, client_of):
    production = deaf(two)
    plan = replace(plan, url=production.url, switch_seconds=0.3)
    from_here = len(two.history("digits"))
    with client_of(production.url) as asking:
        release = pipeline.release(plan, environment=staged(plan))
    assert set(asking.found) == {"v1"}
    assert release.state == "rolled back", str(release)
    assert names(release) == [*BEFORE_PROMOTION, "verify", "roll back"]
    assert "is v1, not v2" in release.reason
    assert release.outcomes[-1].passed and "is v1" in release.outcomes[-1].message
    assert two.aliases("digits") == {"production": 1}
    events = [(entry["event"], entry.get("version")) for entry in two.history("digits")[from_here:]]
    assert events == [("promoted", 2), ("rolled back", 1), ("pipeline", 2)]


@pytest.mark.parametrize("error", [RuntimeError("a fault of ours"), KeyboardInterrupt()])
def test_verify_that_fails_after_the_promotion(two, plan, staged, production, monkeypatch, error):
    def verify(context):
        deadline = time.monotonic() + 5
        while "v2" not in production.asking.found and time.monotonic() < deadline:
            time.sleep(0.01)
        raise error

    monkeypatch.setattr(pipeline.running, "STAGES", (*stages.STAGES[:-1], verify))
    if isinstance(error, KeyboardInterrupt):
        with pytest.raises(KeyboardInterrupt):
            pipeline.release(plan, environment=staged(plan))
    else:
        pipeline.release(plan, environment=staged(plan))
    release = pipeline.last(two, "digits")
    assert release.state == "rolled back", str(release)
    assert ("RuntimeError: a fault of ours" if isinstance(error, RuntimeError) else "interrupted") in release.reason
    assert two.aliases("digits") == {"production": 1}
    assert set(production.asking.found) == {"v1", "v2"}  # each answered by one or the other, and none failed
    assert serve.Client(production).info("digits", "production")["version"] == "v1"


def test_where_nothing_was_in_production_the_alias_goes_again(two, plan, staged, monkeypatch):
    (two.root / "digits" / "aliases.json").unlink()

    def verify(context):
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(pipeline.running, "STAGES", (*stages.STAGES[:-1], verify))
    plan = replace(plan, url=deaf(two).url)
    release = pipeline.release(plan, environment=staged(plan))
    assert (release.state, release.before, release.production) == ("rolled back", None, None)
    assert two.aliases("digits") == {}


def test_a_production_that_dies_is_said_aloud(two, plan, staged):
    production = deaf(two)
    plan = replace(plan, url=production.url, switch_seconds=0.3)

    def dying(context):
        seen = stages.promote(context)
        production.stop()
        return seen

    dying.__name__ = "promote"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline.running, "STAGES", (*stages.STAGES[:-2], dying, stages.verify))
        release = pipeline.release(plan, environment=staged(plan))
    assert release.state == "stuck"
    assert two.aliases("digits") == {"production": 1}
    assert "check production now" in release.summary


def test_an_alias_that_somebody_else_moved_meanwhile_is_left_alone(two, plan, staged, digits_run, monkeypatch):
    two.publish(digits_run, "digits")

    def verify(context):
        context.store.promote("digits", 3, why="somebody else")
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(pipeline.running, "STAGES", (*stages.STAGES[:-1], verify))
    plan = replace(plan, switch_seconds=0.2)
    pipeline.release(plan, environment=staged(plan))
    assert two.aliases("digits") == {"production": 3}


def test_one_release_at_a_time(two, plan, staged):
    holding, go_on = threading.Event(), threading.Event()

    def app_of(models):
        holding.set()
        go_on.wait(10)
        return serve.create_app(models)

    first = threading.Thread(target=pipeline.release, args=(plan,), kwargs={"environment": staged(plan, app_of)})
    first.start()
    try:
        assert holding.wait(10)
        assert pipeline.journal.is_running(two, "digits")
        with pytest.raises(StoreError, match="is running"):
            pipeline.release(plan, environment=staged(plan))
    finally:
        go_on.set()
        first.join()
    assert not pipeline.journal.is_running(two, "digits")
    assert pipeline.last(two, "digits").passed


def test_a_version_that_there_is_not(two):
    with pytest.raises(UnknownVersion):
        pipeline.release(ReleasePlan(two.root, "digits", 9))


def test_no_environment_is_made_where_the_version_in_production_is_damaged(two, monkeypatch):
    made = []
    monkeypatch.setitem(pipeline.running.ENVIRONMENTS, "local", made.append)
    (two.root / "digits" / "1" / "manifest.json").write_text("{")
    with pytest.raises(StoreError):
        pipeline.release(ReleasePlan(two.root, "digits", 2))
    assert made == []


def test_an_environment_that_there_is_not():
    with pytest.raises(WrongUsage, match="the moon"):
        ReleasePlan("models", "clothes", environment="the moon")


def test_a_production_that_asks_for_a_key(two, plan, staged):
    server = serve.start(serve.create_app(two, api_keys=["open sesame"]), name="production")
    plan = replace(plan, url=server.url)
    assert pipeline.release(replace(plan, ready_seconds=0.3), environment=staged(plan)).state == "refused"
    keyed = replace(plan, api_key="open sesame")
    release = pipeline.release(keyed, environment=staged(keyed))
    assert release.passed, str(release)
    assert "sesame" not in str(release.to_dict()) + repr(keyed) + str(keyed.to_dict())
