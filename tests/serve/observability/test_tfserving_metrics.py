import re

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from mlops_lab.serve import create_app
from mlops_lab.serve.observability.tfserving_metrics import PATH

ROWS = {"instances": np.zeros((2, 28, 28, 1)).tolist()}
COUNT, LATENCY = ":tensorflow:serving:request_count", ":tensorflow:serving:request_latency"


@pytest.fixture
def app(bright):
    return create_app(bright)


def samples(app):
    answer = app.test_client().get(PATH)
    assert answer.content_type == "text/plain"
    assert list(text_string_to_metric_families(answer.text))  # Prometheus' own reader takes it
    lines = re.findall(r"^(\S+)\{(.*)\} (\S+)$", answer.text, re.MULTILINE)
    return {(name, *sorted(re.findall(r'="(.*?)"', labels))): float(value) for name, labels, value in lines}


def test_requests_are_counted_by_model_and_status(app):
    client = app.test_client()
    for body in (ROWS, ROWS, {}):
        client.post("/v1/models/bright:predict", json=body)
    client.post("/v1/models/bright/versions/9:predict", json=ROWS)
    client.post("/v1/models/nobody:predict", json=ROWS)
    client.get("/v1/models/bright")
    client.post("/models/bright", json={})
    client.get("/v1/bright")
    found = samples(app)
    counts = {key[1:]: value for key, value in found.items() if key[0] == COUNT}
    assert counts == {
        ("OK", "bright"): 3, ("INVALID_ARGUMENT", "bright"): 1, ("NOT_FOUND", "bright"): 1, ("", "NOT_FOUND"): 1
    }  # fmt: skip
    assert found[f"{LATENCY}_count", "REST", "bright", "predict"] == 2
    assert found[f"{LATENCY}_count", "", "REST", "bright"] == 1


def test_times_are_in_microseconds_and_in_their_buckets(app):
    app.test_client().post("/v1/models/bright:predict", json=ROWS)
    lines = app.test_client().get(PATH).text.splitlines()
    bounds = [line.split('le="')[1].split('"')[0] for line in lines if line.startswith(f"{LATENCY}_bucket")]
    assert bounds[:4] == ["10.0", "18.0", "32.400000000000006", "58.32000000000001"]
    assert bounds[-1] == "+Inf"
    assert len(bounds) == 34
    labels = '{API="predict",entrypoint="REST",model_name="bright"}'
    total = next(float(line.split()[1]) for line in lines if line.startswith(f"{LATENCY}_sum{labels}"))
    assert 50 < total < 10_000_000
    below = [float(line.split()[1]) for line in lines if line.startswith(f"{LATENCY}_bucket")]
    for bound, number in zip(map(float, bounds), below, strict=True):
        if not np.isclose(bound, total, rtol=0.01):
            assert number == (bound > total)


def test_calls_over_grpc_are_counted_too(app):
    grpc = pytest.importorskip("grpc")
    from mlops_lab.serve.grpc_server.protos import tensorflow_serving_pb2
    from mlops_lab.serve.grpc_server.server import serve_grpc

    server = serve_grpc(app.extensions["mlops_lab"])
    request = tensorflow_serving_pb2.ClassificationRequest(model_spec={"name": "bright"})
    example = request.input.example_list.examples.add()
    example.features.feature["image"].float_list.value.extend([0.0] * 784)
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        classify = channel.unary_unary("/tensorflow.serving.PredictionService/Classify")
        classify(request.SerializeToString(), timeout=20)
        with pytest.raises(grpc.RpcError):
            classify(b"\n\x08\n\x06bright", timeout=20)
    server.stop().wait()
    found = samples(app)
    assert found[f"{LATENCY}_count", "Classify", "GRPC", "bright"] == 1
    assert (found[COUNT, "OK", "bright"], found[COUNT, "INVALID_ARGUMENT", "bright"]) == (1, 1)


def test_a_wrong_path_is_refused_and_the_key_is_asked_for(bright):
    client = create_app(bright, api_keys=["k"]).test_client()
    assert client.get(PATH).status_code == 401
    assert client.get(PATH, headers={"X-API-Key": "k"}).status_code == 200
