import io
import json
import shutil
import threading
from collections import Counter

import numpy as np
import pytest

from mlops_lab import serve
from mlops_lab.engines.python import PythonEngine
from mlops_lab.errors import LabError, WrongUsage
from mlops_lab.image import InputSpec
from mlops_lab.predict import Predictor, from_probabilities
from mlops_lab.serve import Limits, Registry
from mlops_lab.serve.core import traffic
from mlops_lab.serve.core.admission import AdmissionController
from mlops_lab.serve.core.inference import Batch, InferenceService
from mlops_lab.serve.core.timing import RequestContext
from mlops_lab.serve.core.traffic import TrafficRouter
from mlops_lab.store.routing import TrafficSettings, shadow_traffic, split_traffic

SPEC = InputSpec(shape=(4,), size=(2, 2))
IMAGE = np.zeros((1, 2, 2), np.uint8)


def constant(version, row=(0.9, 0.1), function=None, spec=SPEC):
    """A version that always gives one row, so that an answer tells who gave it."""
    rows = function or (lambda inputs: np.tile(np.array(row, np.float32), (len(inputs), 1)))
    return Predictor("m", version, spec, ("a", "b"), PythonEngine(rows), {"name": "m", "version": f"v{version}"})


def registry_of(*predictors, settings=None, production=1):
    registry = Registry.of(predictors)
    entry = registry.entries["m"]
    entry.aliases = {"production": production}
    entry.index()
    entry.traffic = settings
    return registry


def answers(routing, request_id, images):
    """Return the predictions of a service that routes a request that names no version."""
    limits = Limits()
    service = InferenceService(routing._registry, limits, AdmissionController(limits), routing)
    found = service.infer("m", "", lambda _: Batch(images), RequestContext.begin(request_id))
    return from_probabilities(found.rows, found.predictor.labels)


SPLIT = TrafficSettings(((1, 90), (2, 10)), production=1)
SHADOW = TrafficSettings(shadow=2)


def test_without_settings_the_registrys_own_predictor_answers():
    registry = registry_of(constant(1), constant(2))
    assert TrafficRouter(registry).route("m", "", "id").predictor is registry.get("m", "v1")


def test_weights_hold_and_the_same_id_meets_the_same_version():
    routing = TrafficRouter(registry_of(constant(1), constant(2), settings=SPLIT))
    first = {number: routing.route("m", "", f"request-{number}").predictor.version for number in range(4000)}
    assert {number: routing.route("m", "", f"request-{number}").predictor.version for number in range(4000)} == first
    assert 330 < Counter(first.values())[2] < 470


def test_a_larger_share_keeps_whom_it_had():
    routing = TrafficRouter(registry_of(constant(1), constant(2), settings=SPLIT))
    few = {number for number in range(1000) if routing.route("m", "", str(number)).predictor.version == 2}
    larger = TrafficSettings(((1, 50), (2, 50)), production=1)
    routing = TrafficRouter(registry_of(constant(1), constant(2), settings=larger))
    many = {number for number in range(1000) if routing.route("m", "", str(number)).predictor.version == 2}
    assert few < many


def test_whoever_names_a_version_gets_it():
    everything_to_2 = TrafficSettings(((2, 1),), production=1, shadow=2)
    registry = registry_of(constant(1), constant(2), settings=everything_to_2)
    registry.entries["m"].aliases["staging"] = 1
    registry.entries["m"].index()
    routing = TrafficRouter(registry)
    said = {
        word: routing.route("m", word, "id").predictor.version
        for word in ("", "production", "v1", "1", "staging", "latest")
    }
    assert said == {"": 2, "production": 2, "v1": 1, "1": 1, "staging": 1, "latest": 2}
    assert routing.route("m", "v1", "id").predictor is registry.get("m", "v1")


def test_promoting_ends_the_split():
    routing = TrafficRouter(registry_of(constant(1), constant(2), settings=TrafficSettings(((1, 1),), 1), production=2))
    assert routing.route("m", "", "id").predictor.version == 2
    assert "the canary is over" in routing.about("m")["state"]


def test_a_version_that_is_not_ready_gives_its_share_to_the_others():
    routing = TrafficRouter(registry_of(constant(1), settings=TrafficSettings(((1, 1), (2, 99)), 1)))
    assert {routing.route("m", "", str(number)).predictor.version for number in range(50)} == {1}
    assert "v2 is not ready" in routing.about("m")["state"]
    routing = TrafficRouter(registry_of(constant(1), settings=TrafficSettings(((2, 1),), 1)))
    assert routing.route("m", "", "id").predictor.version == 1


def test_what_each_version_answered_is_counted():
    routing = TrafficRouter(registry_of(constant(1), constant(2, (0.2, 0.8)), settings=SPLIT))
    for number in range(100):
        answers(routing, str(number), np.repeat(IMAGE, 2, axis=0))
    served = routing.about("m")["served"]
    assert served["v1"]["requests"] + served["v2"]["requests"] == 100
    assert served["v1"]["images"] == 2 * served["v1"]["requests"] == served["v1"]["labels"]["a"]
    assert (served["v1"]["mean_confidence"], served["v2"]["mean_confidence"]) == (0.9, 0.8)


def test_both_versions_answers_are_side_by_side():
    lines = []
    routing = TrafficRouter(registry_of(constant(1), constant(2, (0.4, 0.6)), settings=SHADOW), lines.append)
    answer = answers(routing, "my-id", IMAGE)
    assert answer[0].label == "a"
    assert routing.settle()
    (line,) = lines
    assert (line["model"], line["request_id"], line["agree"]) == ("m", "my-id", [False])
    assert line["served"]["version"] == "v1" and line["served"]["predictions"][0]["label"] == "a"
    assert line["shadow"]["version"] == "v2" and line["shadow"]["predictions"][0]["label"] == "b"
    assert line["largest_difference"] == 0.5
    shadowed = routing.about("m")["shadowed"]
    assert (shadowed["compared"], shadowed["agreed"], shadowed["agreement"]) == (1, 0, 0.0)
    assert shadowed["last"] == lines


def test_comparisons_go_to_a_file_line_by_line(tmp_path):
    log = tmp_path / "shadow.jsonl"
    routing = TrafficRouter(registry_of(constant(1), constant(2), settings=SHADOW), log)
    for number in range(5):
        answers(routing, str(number), IMAGE)
    assert routing.settle()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["request_id"] for line in lines] == list("01234")
    assert all(line["agree"] == [True] for line in lines)


def test_a_slow_shadow_holds_nobody_up_and_drops_are_counted(monkeypatch):
    monkeypatch.setattr(traffic, "MAX_QUEUED", 3)
    asked, go = threading.Event(), threading.Event()

    def slow(inputs):
        asked.set()
        assert go.wait(30)
        return np.tile(np.array([0.9, 0.1], np.float32), (len(inputs), 1))

    routing = TrafficRouter(registry_of(constant(1), constant(2, function=slow), settings=SHADOW))
    answers(routing, "first", IMAGE)
    assert asked.wait(30)  # the shadow is busy with the first; three may wait
    for number in range(10):
        assert answers(routing, str(number), IMAGE)[0].label == "a"
    assert routing.about("m")["shadowed"]["dropped"] == 7
    go.set()
    assert routing.settle()
    assert routing.about("m")["shadowed"]["compared"] == 4


def failing(inputs):
    raise RuntimeError("no such layer")


@pytest.mark.parametrize(
    ("shadow", "reason"),
    [
        (constant(2, function=failing), "RuntimeError: no such layer"),
        (constant(2, spec=InputSpec(shape=(9,), size=(3, 3))), "does not take what v1 takes"),
        (constant(2, row=(0.1, 0.2, 0.7)), "answered shape (1, 3)"),
    ],
)
def test_the_shadows_trouble_is_its_own(shadow, reason):
    routing = TrafficRouter(registry_of(constant(1), shadow, settings=SHADOW))
    assert answers(routing, "id", IMAGE)[0].label == "a"
    assert routing.settle()
    shadowed = routing.about("m")["shadowed"]
    assert (shadowed["failed"], shadowed["compared"]) == (1, 0)
    assert reason in shadowed["reason"]


def test_a_log_that_cannot_be_written_is_counted(tmp_path):
    folder = tmp_path / "removed"
    with pytest.raises(WrongUsage, match=r"shadow\.jsonl cannot be written"):
        TrafficRouter(registry_of(constant(1)), folder / "shadow.jsonl")
    folder.mkdir()
    routing = TrafficRouter(registry_of(constant(1), constant(2), settings=SHADOW), folder / "shadow.jsonl")
    shutil.rmtree(folder)
    answers(routing, "id", IMAGE)
    assert routing.settle()
    shadowed = routing.about("m")["shadowed"]
    assert (shadowed["compared"], shadowed["unlogged"], shadowed["failed"]) == (1, 1, 0)


def test_the_canary_is_not_its_own_shadow():
    both = TrafficSettings(((2, 1),), production=1, shadow=2)
    routing = TrafficRouter(registry_of(constant(1), constant(2), settings=both))
    answers(routing, "id", IMAGE)
    assert routing.settle() and routing.about("m")["shadowed"]["compared"] == 0


def test_changed_settings_begin_a_new_count():
    registry = registry_of(constant(1), constant(2), settings=SPLIT)
    routing = TrafficRouter(registry)
    answers(routing, "id", IMAGE)
    registry.entries["m"].traffic = SHADOW
    assert routing.about("m")["served"] == {}


# Over HTTP, from the settings on disk.


@pytest.fixture
def two(publish_up_to):
    models = publish_up_to(2)
    models.promote("digits", 1)
    return models


def npy(images):
    buffer = io.BytesIO()
    np.save(buffer, images)
    return {"data": buffer.getvalue(), "content_type": "application/x-npy"}


def ask(client, path, images, number):
    answer = client.post(path, headers={"X-Request-Id": str(number)}, **npy(images))
    assert answer.status_code == 200
    return answer.json["version"]


def test_a_split_applies_while_serving_and_ends(two, digits):
    app = serve.create_app(two)
    client, registry = app.test_client(), app.extensions["mlops_lab"].registry
    images = digits.test.images[:2]
    assert {ask(client, "/models/digits", images, number) for number in range(20)} == {"v1"}
    split_traffic(two, "digits", {"v1": 1, "v2": 1})
    assert registry.refresh() and not registry.refresh()
    said = [ask(client, "/models/digits", images, number) for number in range(40)]
    assert set(said) == {"v1", "v2"}
    assert said == [ask(client, "/models/digits/production", images, number) for number in range(40)]
    assert {ask(client, "/models/digits/v1", images, number) for number in range(40)} == {"v1"}
    told = client.get("/models/digits/traffic").json
    assert told["canary"] == {"v1": 1, "v2": 1} and told["default"] == "v1"
    assert sum(one["requests"] for one in told["served"].values()) == 80
    two.promote("digits", 2)
    registry.refresh()
    assert {ask(client, "/models/digits", images, number) for number in range(20)} == {"v2"}


def test_the_shadow_listens_over_http(two, digits):
    shadow_traffic(two, "digits", "v2")
    lines = []
    app = serve.create_app(two, on_shadow=lines.append)
    client = app.test_client()
    assert ask(client, "/models/digits", digits.test.images[:3], "abc") == "v1"
    assert ask(client, "/models/digits/v1", digits.test.images[:3], "def") == "v1"
    assert app.extensions["mlops_lab"].service.router.settle()
    assert [(line["request_id"], line["agree"]) for line in lines] == [("abc", [True] * 3)]
    assert client.get("/models/digits/traffic").json["shadowed"]["agreement"] == 1.0


def test_a_damaged_file_leaves_the_last_good_settings(two, digits):
    split_traffic(two, "digits", {"v2": 1})
    app = serve.create_app(two)
    client, registry = app.test_client(), app.extensions["mlops_lab"].registry
    (two.root / "digits" / "traffic.json").write_text('{"canary": {"v1":')
    registry.refresh()
    assert ask(client, "/models/digits", digits.test.images[:1], 1) == "v2"
    told = client.get("/models/digits/traffic").json
    assert told["canary"] == {"v2": 1} and "traffic.json cannot be used" in told["problem"]
    (two.root / "digits" / "traffic.json").unlink()
    registry.refresh()
    assert "problem" not in client.get("/models/digits/traffic").json
    assert ask(client, "/models/digits", digits.test.images[:1], 1) == "v1"


def test_a_chains_link_in_production_has_its_share_too(two, digits):
    split_traffic(two, "digits", {"v2": 1})
    client = serve.create_app(two, chains=serve.Chain(["digits/production", "join"], "one")).test_client()
    answer = client.post("/chains/one", **npy(digits.test.images[0]))
    assert answer.json["links"][0]["version"] == "v2"


def test_unknown_models_are_told(two):
    client = serve.create_app(two).test_client()
    assert client.get("/models/letters/traffic").json["code"] == "unknown_model"
    with pytest.raises(LabError):
        TrafficRouter(Registry()).route("m", "", "id")
