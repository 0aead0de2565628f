"""A model from PyTorch, exported to ONNX, serves like any other."""

import subprocess

import numpy as np
import pytest
from venvs import python_with

from mlops_lab import engines
from mlops_lab.image import InputSpec
from mlops_lab.predict import Predictor
from mlops_lab.serve import create_app

EXPORT = """
import sys
import numpy, torch

torch.manual_seed(0)
model = torch.nn.Sequential(
    torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(4), torch.nn.Flatten(),
    torch.nn.Linear(64, 3), torch.nn.Softmax(dim=1),
).eval()
example = torch.rand(2, 1, 28, 28)
dynamic = {"input": {0: torch.export.Dim("batch")}}
torch.onnx.export(model, (example,), sys.argv[1], input_names=["image"], output_names=["probabilities"],
                  dynamic_shapes=dynamic, external_data=False, dynamo=True, verbose=False)
inputs = numpy.random.default_rng(0).random((5, 1, 28, 28), numpy.float32)
numpy.savez(sys.argv[2], inputs=inputs, outputs=model(torch.from_numpy(inputs)).detach().numpy())
"""


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_an_export_from_pytorch_serves(tmp_path):
    python = python_with("torch", "torch==2.13.0", "onnx", "onnxscript", "numpy")
    model, known = tmp_path / "model.onnx", tmp_path / "known.npz"
    done = subprocess.run([python, "-c", EXPORT, model, known], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    arrays = np.load(known)
    engine = engines.load("onnx", {"model.onnx": model.read_bytes()})
    info = {"framework": "pytorch"}
    predictor = Predictor("torch", 1, InputSpec(shape=(1, 28, 28), size=(28, 28)), ("a", "b", "c"), engine, info)
    np.testing.assert_allclose(predictor.infer(arrays["inputs"]), arrays["outputs"], atol=1e-6)

    client = create_app([predictor]).test_client()
    answer = client.post("/v1/models/torch:predict", json={"instances": arrays["inputs"].tolist()}).json
    np.testing.assert_allclose(answer["predictions"], arrays["outputs"], atol=1e-6)
    images = np.rint(arrays["inputs"][:, 0] * 255).astype(np.uint8)
    answer = client.post("/models/torch/v1", json={"images": images.tolist()}).json["predictions"]
    assert [item["class"] for item in answer] == arrays["outputs"].argmax(axis=1).tolist()
    assert client.get("/v2/models/torch").json["platform"] == "onnx_onnxv1"
