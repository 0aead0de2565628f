"""Clients that were written for other servers, unchanged, against `mlops-lab serve` as a process.

Each is installed in an environment of its own and runs its script in `clients/`, which prints what came back.
"""

import json
import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
from venvs import ROOT, python_with

from mlops_lab import data
from mlops_lab.store import ModelStore

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

CLIENTS = {
    "tfserving": ["tensorflow-serving-api==2.21.0"],
    "triton": ["tritonclient[http,grpc]==2.73.0"],
    "kserve": ["kserve==0.21.0"],
    "mlserver": ["mlserver==1.7.1"],
}


@pytest.fixture(scope="module")
def server():
    """Serve the shipped models over HTTP and gRPC; yield both addresses."""
    command = [sys.executable, "-m", "mlops_lab", "serve", "--models", "models", "--port", "0", "--grpc-port", "0"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    lines = [process.stdout.readline() for _ in range(2)]
    url = re.fullmatch(r"serving (http://127\.0\.0\.1:\d+)\n", lines[0])[1]
    address = re.fullmatch(r"serving grpc (127\.0\.0\.1:\d+)\n", lines[1])[1]
    yield url, address
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    process.stdout.close()


@pytest.fixture(scope="module")
def tensors():
    images = data.load("fashion-mnist").test.images[:20]
    return images.reshape(20, 28, 28, 1) * np.float32(1 / 255)


@pytest.fixture(scope="module")
def expected(tensors):
    return ModelStore(ROOT / "models").load("clothes", 1).infer(tensors)


@pytest.fixture(scope="module")
def ask(server, tensors, tmp_path_factory):
    path = tmp_path_factory.mktemp("tensors") / "tensors.npy"
    np.save(path, tensors)

    def run(name):
        python = python_with(name, *CLIENTS[name], beside_ours=name == "tfserving")
        command = [python, ROOT / "tests" / "serve" / "clients" / f"ask_{name}.py", *server, path]
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.splitlines()[-1])

    return run


def same(answers, expected):
    """Hold every answer against the model's own; the last bits depend on the size of the batch."""
    for answer in answers:
        np.testing.assert_allclose(answer, expected, rtol=1e-4, atol=1e-7)


def test_tensorflow_servings_own_stubs(ask, expected):
    labels = ModelStore(ROOT / "models").get("clothes", 1).manifest.labels
    found = ask("tfserving")
    same([found["predict"], found["predict by label"], found["predict by REST"]], expected)
    assert found["version"] == 1 and found["same bytes"] and found["unknown model"] == "NOT_FOUND"
    same([[[score for _, score in row] for row in found["classify"]]], expected)
    assert all(tuple(label for label, _ in row) == labels for row in found["classify"])
    assert found["state"] == found["state by REST"] == 30
    assert found["signatures"] == found["signatures by REST"]
    assert found["signatures"]["serving_default"]["outputs"]["output_0"]["dtype"] == "DT_FLOAT"


def test_the_signature_is_that_of_the_saved_model_in_the_same_folder(ask):
    """What a client reads here, it would read from TensorFlow Serving over the very same folder."""
    code = (
        "import sys, json; from google.protobuf import json_format\n"
        "from tensorflow.core.protobuf import saved_model_pb2\n"
        "model = saved_model_pb2.SavedModel.FromString(open('models/clothes/1/saved_model.pb', 'rb').read())\n"
        "known = model.meta_graphs[0].signature_def\n"
        "print(json.dumps({name: json_format.MessageToDict(known[name]) for name in known}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    real, ours = json.loads(done.stdout.splitlines()[-1]), ask("tfserving")["signatures"]
    assert set(real) - {"__saved_model_init_op"} == set(ours)
    for name, signature in ours.items():
        assert signature["methodName"] == real[name]["methodName"]
        for side in ("inputs", "outputs"):
            assert signature[side].keys() == real[name][side].keys()
            for key, info in signature[side].items():
                assert {k: info[k] for k in ("dtype", "tensorShape")} == {
                    k: real[name][side][key][k] for k in ("dtype", "tensorShape")
                }


def test_tritons_clients(ask, expected):
    found = ask("triton")
    assert found["http ready"] == found["grpc ready"] == [True, True, True] and not found["http not ready"]
    assert found["http server"]["name"] == found["grpc server"]["name"] == "mlops_lab"
    assert found["http model"]["inputs"] == [{"name": "image", "datatype": "FP32", "shape": [-1, 28, 28, 1]}]
    assert found["grpc model"]["inputs"] == [{"name": "image", "datatype": "FP32", "shape": ["-1", "28", "28", "1"]}]
    assert {"name": "clothes", "version": "1", "state": "READY", "reason": ""} in found["http index"]
    forms = [f"http {there} {back}" for there in (True, False) for back in (True, False)]
    same([found[form] for form in [*forms, "http gzip", "http deflate", "grpc"]], expected)
    best = [[int(word.split(":")[1]) for word in row] for row in found["http classes"]]
    assert best == np.argsort(-expected, axis=1)[:, :2].tolist()
    assert found["grpc classes"] == found["http classes"]
    status, message = found["http unknown"]
    assert status == "404" and "no model 'nope'" in message
    assert found["grpc unknown"] == "StatusCode.NOT_FOUND"


def test_tritons_clients_and_every_task(tmp_path):
    """Several inputs and outputs, text, whole numbers and free sides, as another's client sends and reads them."""
    from task_models import BY_NAME, CASES, MODELS

    from mlops_lab import serve
    from mlops_lab.serve import create_app
    from mlops_lab.serve.codecs.tensors import datatype_of
    from mlops_lab.serve.grpc_server.server import serve_grpc

    sent = {
        name: {spec.name: (datatype_of(spec), CASES[name][0][spec.name]) for spec in BY_NAME[name].signature.inputs}
        for name in CASES
    }
    path = tmp_path / "cases.json"
    path.write_text(json.dumps(sent), encoding="utf-8")
    python = python_with("triton", *CLIENTS["triton"])
    app = create_app(MODELS)
    over_grpc = serve_grpc(app.extensions["mlops_lab"])
    with serve.start(app, name="every task") as server:
        script = ROOT / "tests" / "serve" / "clients" / "ask_triton_tasks.py"
        command = [python, script, server.url, f"127.0.0.1:{over_grpc.port}", path]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    over_grpc.stop().wait()
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found == {name: [CASES[name][2]] * 3 for name in CASES}


def test_kserves_clients(ask, expected):
    found = ask("kserve")
    assert found["rest ready"] == found["grpc ready"] == [True, True, True] and not found["rest not ready"]
    same([found[form] for form in ("rest True", "rest False", "rest v1", "grpc True", "grpc False")], expected)


def test_mlservers_clients(ask, expected):
    found = ask("mlserver")
    same([found[f"{way} {dtype}"] for way in ("rest", "grpc") for dtype in ("float32", "float64")], expected)
    same([found["command"]], expected)
    assert found["metadata"] == ["keras_v3", [-1, 28, 28, 1], "output_0"] and found["ready"]


def test_the_descriptions_are_what_the_compiler_makes_of_their_sources():
    python = python_with("protoc", "grpcio-tools==1.85.1")
    done = subprocess.run([python, "tools/protos.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
