import json

import pytest

from mlops_lab.errors import WrongUsage
from mlops_lab.serve import Limits
from mlops_lab.serve.command import Settings, build


@pytest.mark.parametrize(
    "changed, text",
    [
        ({"bach": 2}, "Did you mean 'batch'"),
        ({"batch": 0}, "from 1"),
        ({"batch": 1.5}, "a whole number"),
        ({"queue": -1}, "from 0"),
        ({"request_seconds": 0}, "above 0"),
        ({"request_seconds": float("nan")}, "above 0"),
        ({"body_bytes": float("inf")}, "a whole number"),
    ],
)
def test_a_limit_that_is_none_is_refused(changed, text):
    with pytest.raises(WrongUsage, match=text):
        Limits.of(changed)


def test_limits_keep_their_types():
    found = Limits.of({"batch": 512.0, "queue": 0, "request_seconds": 2})
    assert (found.batch, found.queue, found.request_seconds) == (512, 0, 2.0)
    assert type(found.batch) is int and type(found.request_seconds) is float and found.threads == Limits.threads


def test_the_options_of_serve_reach_the_application(models):
    settings = Settings(str(models.root), limits={"batch": 2.0}, batch_size=16)
    settings = Settings(**json.loads(json.dumps(vars(settings))))  # as a worker gets them
    app, state = build(settings, print)
    assert (state.service.limits.batch, state.service.limits.in_flight) == (2, 16)
    refused = app.test_client().post("/models/digits", json={"images": [[[0] * 8] * 8] * 3})
    assert refused.status_code == 413 and "batch=2" in refused.json["error"]
