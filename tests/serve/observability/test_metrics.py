import time

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from mlops_lab.engines.python import PythonEngine
from mlops_lab.image import InputSpec, encode_png
from mlops_lab.predict import Predictor
from mlops_lab.serve import Limits, Registry, create_app
from mlops_lab.serve.core.admission import AdmissionController
from mlops_lab.serve.core.timing import STAGES, RequestContext
from mlops_lab.serve.observability.metrics import BUCKETS, Histogram, Metrics

PNG = encode_png(np.full((28, 28), 200, np.uint8))


@pytest.fixture
def client(bright):
    return create_app([bright]).test_client()


def samples(client):
    """Return every number of /metrics by its name and its labels' values."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    families = text_string_to_metric_families(answer.text)
    return {(s.name, *sorted(s.labels.values())): s.value for family in families for s in family.samples}


def classify(client, path="/models/bright/v1", **options):
    return client.post(path, data=PNG, content_type="image/png", **options)


def test_requests_are_counted_by_template_method_and_status(client):
    for _ in range(3):
        classify(client)
    classify(client, "/models/bright/v9")
    client.get("/models")
    found = samples(client)
    route = "/models/<name>/<version>"
    assert found["mlops_lab_requests_total", *sorted(["200", "POST", route])] == 3
    assert found["mlops_lab_requests_total", *sorted(["404", "POST", route])] == 1
    assert found["mlops_lab_requests_total", *sorted(["200", "GET", "/models"])] == 1


def test_nothing_a_client_sends_becomes_a_label(client):
    for path in ("/nothing/gibberish-é", "/models/wicked-name", "/models/bright/v77", "/models/x%00y/v1"):
        client.get(path)
        classify(client, path)
    client.open("/models", method="WICKED")
    text = client.get("/metrics").text
    for word in ("wicked", "WICKED", "v77", "gibberish", "x\x00y"):
        assert word not in text
    assert 'route="(none)"' in text
    assert 'method="other"' in text


@pytest.mark.parametrize("stage", ["queue", "decode", "infer", "encode"])
def test_every_stage_of_a_prediction_is_timed(client, stage):
    classify(client)
    classify(client)
    found = samples(client)
    key = sorted(["bright", stage, "v1"])
    assert found["mlops_lab_stage_seconds_count", *key] == 2
    assert found["mlops_lab_stage_seconds_sum", *key] > 0


def test_the_time_is_told_to_the_stage_that_took_it():
    def slow(inputs):
        time.sleep(0.03)
        return np.ones((len(inputs), 1), np.float32)

    model = Predictor("slow", 1, InputSpec((28, 28, 1), size=(28, 28)), ("a",), PythonEngine(slow))
    client = create_app([model]).test_client()
    answer = classify(client, "/models/slow/v1")
    found = samples(client)
    spent = {s: found["mlops_lab_stage_seconds_sum", *sorted(["slow", s, "v1"])] for s in STAGES}
    assert spent["infer"] >= 0.03 > spent["decode"] + spent["queue"]
    timing = dict(part.split(";dur=") for part in answer.headers["Server-Timing"].split(", "))
    assert list(timing) == list(STAGES)
    assert float(timing["infer"]) >= 30


def test_predictions_are_counted_by_class(client):
    dark = encode_png(np.zeros((28, 28), np.uint8))
    classify(client)
    client.post("/models/bright/v1", data={"image": [(file, "p.png") for file in map(_file, (dark, PNG, PNG))]})
    found = samples(client)
    assert found["mlops_lab_predictions_total", *sorted(["bright", "v1", "bright"])] == 3
    assert found["mlops_lab_predictions_total", *sorted(["bright", "v1", "dark"])] == 1


def test_the_classes_of_a_version_are_told_in_their_order(bright):
    app = create_app([bright])
    metrics = app.extensions["mlops_lab"].metrics
    assert metrics.classes() == {}
    classify(app.test_client())
    assert [(version, list(seen.items())) for version, seen in metrics.classes().items()] == [
        ("bright v1", [("dark", 0), ("bright", 1)])
    ]


def _file(data):
    import io

    return io.BytesIO(data)


def test_a_refused_image_is_no_prediction(client):
    assert client.post("/models/bright/v1", data=b"no", content_type="image/png").status_code == 400
    assert not [key for key in samples(client) if key[0] == "mlops_lab_predictions_total"]


def test_classes_beyond_the_hundredth_are_counted_together():
    labels = tuple(f"c{i}" for i in range(150))
    engine = PythonEngine(lambda inputs: np.eye(150, dtype=np.float32)[inputs[:, 0].astype(int)])
    client = create_app([Predictor("many", 1, InputSpec((1,)), labels, engine)]).test_client()
    for place in (0, 99, 100, 149):
        client.post("/models/many", json={"image": [place]})
    counted = {key: value for key, value in samples(client).items() if key[0] == "mlops_lab_predictions_total"}
    assert sorted((*key[1:], value) for key, value in counted.items()) == [
        ("(other)", "many", "v1", 2),
        ("c0", "many", "v1", 1),
        ("c99", "many", "v1", 1),
    ]


def test_two_servers_share_no_count(bright):
    one, other = (create_app([bright]).test_client() for _ in range(2))
    classify(one)
    assert [key for key in samples(one) if key[0] == "mlops_lab_predictions_total"]
    assert not [key for key in samples(other) if key[0] == "mlops_lab_predictions_total"]


def test_what_is_said_about_a_version_goes_with_it(bright):
    registry = Registry.of([bright])
    client = create_app(registry).test_client()
    classify(client)
    assert ("mlops_lab_version_ready", "bright", "v1") in samples(client)
    registry.entries = {}
    assert not [key for key in samples(client) if "bright" in key]


def test_a_version_that_failed_is_shown_as_not_ready(models):
    store_path = models.root / "digits" / "1" / "model.onnx"
    store_path.write_bytes(b"damaged")
    client = create_app(models).test_client()
    assert samples(client)["mlops_lab_version_ready", "digits", "v1"] == 0


def test_openmetrics_is_spoken_to_who_asks_for_it(client):
    answer = client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    assert answer.text.rstrip().endswith("# EOF")


def test_a_histogram_cumulates():
    histogram = Histogram()
    for seconds in (0.0001, 0.002, 99):
        histogram.observe(seconds)
    found = dict(histogram.cumulated())
    assert (found["0.0001"], found["0.001"], found["0.0025"], found["10.0"], found["+Inf"]) == (1, 1, 2, 2, 3)
    assert len(found) == len(BUCKETS) + 1


def test_the_links_of_a_chain_are_timed_apart(bright):
    finder = Predictor("finder", 1, bright.input, bright.labels, bright.engine)
    metrics = Metrics(Registry.of([bright, finder]), AdmissionController(Limits()))
    context = RequestContext.begin()
    for predictor, stages in ((finder, ("decode", "infer")), (bright, ("infer",))):
        link = context.link()
        link.predictor = predictor
        for stage in stages:
            link.record_stage(stage)
    metrics.count("/chains/<name>", "POST", 200, context)
    text = metrics.text()[0].decode()
    assert 'mlops_lab_stage_seconds_count{model="finder",stage="infer",version="v1"} 1.0' in text
    assert 'mlops_lab_stage_seconds_count{model="bright",stage="infer",version="v1"} 1.0' in text
    assert 'mlops_lab_stage_seconds_count{model="bright",stage="decode",version="v1"} 0.0' in text
