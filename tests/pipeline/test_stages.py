"""Single stages, with an environment that only answers; `test_running.py` runs them together."""

from types import SimpleNamespace

import pytest

from mlops_lab import serve
from mlops_lab.errors import LabError
from mlops_lab.pipeline import ReleasePlan, stages
from mlops_lab.pipeline.stages import ReleaseContext, StageFailed


@pytest.fixture
def context(two):
    environment = SimpleNamespace(
        production=lambda: "http://127.0.0.1:1",
        build=lambda version: f"built {version}",
        start_staging=lambda: "http://127.0.0.1:1",
        last_log_lines=lambda: "out of memory",
        admit=lambda version: "admitted",
        switch=lambda version: "switched",
    )
    plan = ReleasePlan(two.root, "digits", 2, ready_seconds=0.1, switch_seconds=0.1)
    return ReleaseContext(plan, two, two.get("digits", 2), two.get("digits", 1), environment)


def test_a_production_without_a_version_passes(context):
    context.before = None
    assert stages.production(context).message == "http://127.0.0.1:1 has no version in production yet"


def test_a_production_that_does_not_answer_fails(context):
    with pytest.raises(LabError, match="No server answers"):
        stages.production(context)


def test_staging_fails_with_its_log(context):
    with pytest.raises(StageFailed, match="out of memory") as caught:
        stages.staging(context)
    assert caught.value.evidence == {"url": "http://127.0.0.1:1", "log": "out of memory"}


def test_promote_moves_the_alias_only_after_production_has_admitted_the_version(context):
    def refuse(version):
        raise LabError("not loaded")

    context.environment.admit, admit = refuse, context.environment.admit
    with pytest.raises(LabError, match="not loaded"):
        stages.promote(context)
    assert not context.touched and context.store.aliases("digits") == {"production": 1}
    context.environment.admit = admit
    assert stages.promote(context).message == "admitted; production moved from v1 to v2; switched"
    assert context.touched and context.store.aliases("digits") == {"production": 2}


def test_verify_and_roll_back_check_what_production_answers(context):
    with serve.start(context.store, name="production") as server:
        context.environment.production = lambda: server.url
        with pytest.raises(LabError, match="is v1, not v2"):
            stages.verify(context)
        assert "is v1; " in stages.roll_back(context).message


def test_a_roll_back_without_a_previous_version_removes_the_alias(context):
    context.store.promote("digits", 2, "production")
    context.before = None
    assert stages.roll_back(context).message == "production is removed again: there was none before"
    assert context.store.aliases("digits") == {}


def test_the_stages_have_a_purpose_to_show():
    assert all(
        stage.__doc__.endswith(".") and "\n" not in stage.__doc__ for stage in (*stages.STAGES, stages.roll_back)
    )
