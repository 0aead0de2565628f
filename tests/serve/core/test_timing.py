import pytest

from mlops_lab.serve.core.timing import RequestContext


def test_the_stages_add_up_to_the_time_so_far():
    context = RequestContext.begin()
    for stage in ("decode", "infer", "decode"):
        context.record_stage(stage)
    assert list(context.stages) == ["decode", "infer"]
    assert abs(sum(context.stages.values()) - (context.last - context.started)) < 1e-9


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "é", "a\n"])
def test_a_missing_or_malformed_id_is_replaced(given):
    context = RequestContext.begin(given)
    assert context.request_id != given
    assert len(context.request_id) == 20


def test_ids_that_are_made_together_sort_together(monkeypatch):
    made = []
    for second in (1000, 1001, 2000):
        monkeypatch.setattr("time.time", lambda second=second: second + 0.5)
        made += [RequestContext.begin().request_id for _ in range(50)]
    assert len(set(made)) == 150 and [name[:8] for name in sorted(made)] == [name[:8] for name in made]


def test_a_good_id_is_kept():
    assert RequestContext.begin("req-1.a_B").request_id == "req-1.a_B"


def test_loading_a_version_does_not_count():
    context = RequestContext.begin()
    context.started -= 100
    context.record_stage("queue")
    context.restart()
    assert context.elapsed() < 50
    assert not context.stages


def test_the_links_of_a_chain_are_added_up(bright):
    context = RequestContext.begin("an-id")
    for seconds in (0.001, 0.002):
        link = context.link()
        link.predictor = bright
        link.stages["infer"] = seconds
    assert [link.request_id for link in context.links] == ["an-id"] * 2
    assert context.server_timing() == "infer;dur=3.00"


def test_a_request_that_no_model_answered_has_no_timing():
    context = RequestContext.begin()
    context.record_stage("queue")
    context.finish()
    assert context.server_timing() == ""
    assert list(context.stages) == ["queue"]
