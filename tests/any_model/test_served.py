"""Every kind answers in three protocols, over REST and gRPC, and to the client, as its own framework does."""

import subprocess
import sys

import grpc
import numpy as np
import pytest
from kinds import KINDS, PARAMETERS, published, tensors_of

from mlops_lab import serve
from mlops_lab.answers import masks_of
from mlops_lab.serve import Limits, create_app
from mlops_lab.serve.codecs.tensors import NAMES as DATATYPES
from mlops_lab.serve.codecs.tensors import pack
from mlops_lab.serve.grpc_server.protos import inference_pb2
from mlops_lab.serve.grpc_server.server import serve_grpc
from mlops_lab.store import ModelStore
from mlops_lab.tensors import class_rows


def close(made, found, expected):
    wanted = np.asarray(expected)
    np.testing.assert_allclose(
        np.asarray(found, float).reshape(wanted.shape), wanted, atol=max(made.tolerance, 1e-6), rtol=made.tolerance
    )


def entry(name, array):
    kind = "BYTES" if array.dtype == object else DATATYPES[array.dtype.name]
    data = array.astype(float) if array.dtype == np.float16 else array
    return {"name": name, "shape": list(array.shape), "datatype": kind, "data": data.ravel().tolist()}


def over_grpc(app, given):
    """Return what the Open Inference Protocol answers over gRPC, as raw bytes."""
    request = inference_pb2.ModelInferRequest(model_name="mine")
    for name, array in given.items():
        text = array.dtype == object
        request.inputs.add(name=name, datatype="BYTES" if text else DATATYPES[array.dtype.name], shape=array.shape)
        raw = pack(item.encode() for item in array.ravel()) if text else array.tobytes()
        request.raw_input_contents.append(raw)
    server = serve_grpc(app.extensions["mlops_lab"])
    try:
        with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            infer = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
            answer = inference_pb2.ModelInferResponse.FromString(infer(request.SerializeToString(), timeout=20))
    finally:
        server.stop().wait()
    kinds = {datatype: dtype for dtype, datatype in DATATYPES.items()}
    return {
        one.name: np.frombuffer(data, kinds[one.datatype])
        for one, data in zip(answer.outputs, answer.raw_output_contents, strict=True)
        if one.datatype != "BYTES"
    }


@pytest.mark.parametrize("make", PARAMETERS)
def test_a_kind_is_served_in_three_protocols(make, tmp_path, no_servers):
    made = make()
    _, predictor = published(made, tmp_path, "mine")
    signature = predictor.signature
    given = tensors_of(made, signature)
    app = create_app([predictor], limits=Limits())
    client = app.test_client()

    lists = {name: array.tolist() for name, array in given.items()}
    answer = client.post("/v1/models/mine:predict", json={"inputs": lists})
    assert answer.status_code == 200, answer.text
    outputs = answer.json["outputs"]
    named = outputs if len(signature.outputs) > 1 else {signature.outputs[0].name: outputs}
    for name, expected in made.answers.items():
        close(made, named[name], expected)

    answer = client.post("/v2/models/mine/infer", json={"inputs": [entry(*item) for item in given.items()]})
    assert answer.status_code == 200, answer.text
    for one in answer.json["outputs"]:
        if one["name"] in made.answers:
            close(made, one["data"], np.ravel(made.answers[one["name"]]))

    for name, found in over_grpc(app, given).items():
        if name in made.answers:
            close(made, found, made.answers[name])

    image = len(signature.inputs) == 1 and signature.inputs[0].size is not None
    examples = _pixels(made, signature.inputs[0]) if image else next(iter(lists.values()))
    body = {"images": examples.tolist()} if image else {"inputs": lists if len(lists) > 1 else examples}
    answer = client.post("/models/mine", json=body)
    assert answer.status_code == 200, answer.text
    check_predictions(made, signature, answer.json["predictions"])

    with serve.start(app, name="mine") as running:
        found = serve.Client(running.url).predict("mine", "v1", examples if len(lists) == 1 else lists)
    check_predictions(made, signature, [one.to_dict() for one in found])


def _pixels(made, spec):
    """Return the images 0–255 of which the model's input is made."""
    images = (np.asarray(made.examples, float) - spec.low) * 255 / (spec.high - spec.low)
    return np.rint(np.moveaxis(images, 1, -1) if spec.channels_first else images).astype(np.uint8)


def check_predictions(made, signature, predictions):
    """Compare the answers by task with what the framework answers."""
    for spec in signature.outputs:
        own = [one["outputs"][spec.name] if len(signature.outputs) > 1 else one for one in predictions]
        expected = np.asarray(made.answers[spec.name])
        if spec.task in ("classification", "binary"):
            rows = class_rows(expected.reshape(len(own), -1), spec)
            close(made, [one["probabilities"] for one in own], rows)
            for one, row in zip(own, rows, strict=True):
                assert row[one["class"]] >= row.max() - made.tolerance
                assert one["label"] == spec.labels[one["class"]]
        elif spec.task == "regression":
            close(made, [one["value"] for one in own], expected)
        elif spec.task == "embedding":
            close(made, [one["vector"] for one in own], expected)
        elif spec.task == "anomaly":
            close(made, [one["score"] for one in own], expected)
            sure = np.abs(expected) > made.tolerance
            assert (np.array([one["outlier"] for one in own]) == (expected < 0))[sure].all()
        elif spec.task == "segmentation":
            assert [one["mask"] for one in own] == masks_of(expected, spec).tolist()


def test_the_command_serves_code_that_it_is_told_to_trust(tmp_path):
    made = KINDS["an_object"]()
    version = ModelStore(tmp_path).publish(made.model, "mine", examples=made.examples, labels="abc")
    command = [sys.executable, "-m", "mlops_lab", "serve", "--models", str(tmp_path), "--port", "0"]
    told = ["--workers", "2", "--trust", version.digest]
    with subprocess.Popen([*command, *told], stdout=subprocess.PIPE, text=True) as process:
        try:
            url = process.stdout.readline().split()[1]
            found = serve.Client(url).predict("mine", "v1", made.examples)
        finally:
            process.terminate()
    expected = made.model.predict(made.examples)
    np.testing.assert_allclose([one.probabilities for one in found], expected, atol=1e-6)


def test_the_command_names_code_that_nobody_trusts(tmp_path):
    made = KINDS["an_object"]()
    version = ModelStore(tmp_path).publish(made.model, "mine", examples=made.examples, labels="abc")
    command = [sys.executable, "-m", "mlops_lab", "serve", "--models", str(tmp_path), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        line = process.stderr.readline()
        process.terminate()
    assert "mine v1 does not serve" in line and f"--trust {version.digest}" in line
