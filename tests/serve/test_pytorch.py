"""Models from PyTorch, exported to ONNX, are published in one line and served like any other."""

import subprocess

import numpy as np
import pytest
from venvs import python_with

from mlops_lab.serve import Client, create_app, start
from mlops_lab.store import ModelStore

EXPORT = """
import sys
import numpy, torch
from torch import nn

torch.manual_seed(0)
models = {
    "classes": nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(64, 3), nn.Softmax(dim=1)
    ),
    "logits": nn.Sequential(nn.Flatten(), nn.Linear(784, 3)),
    "masks": nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 4, 1)),
}
levels = numpy.random.default_rng(0).integers(0, 256, (5, 1, 28, 28))
images = (levels / 255).astype(numpy.float32)
known = {}
for name, model in models.items():
    dynamic = {"input": {0: torch.export.Dim("batch")}}
    torch.onnx.export(model.eval(), (torch.rand(2, 1, 28, 28),), f"{sys.argv[1]}/{name}.onnx", input_names=["image"],
                      output_names=["answer"], dynamic_shapes=dynamic, external_data=False, dynamo=True, verbose=False)
    answer = model(torch.from_numpy(images))
    known[name] = (answer if name == "classes" else answer.softmax(dim=1)).detach().numpy()
numpy.savez(f"{sys.argv[1]}/known.npz", levels=levels, images=images, **known)
"""
LABELS = {"classes": "abc", "logits": "abc", "masks": ["sky", "road", "tree", "car"]}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The folder of what PyTorch's own exporter wrote, and what PyTorch answers."""
    folder = tmp_path_factory.mktemp("torch")
    python = python_with("torch", "torch==2.13.0", "onnx", "onnxscript", "numpy")
    done = subprocess.run([python, "-c", EXPORT, folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder, np.load(folder / "known.npz")


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", LABELS)
def test_an_export_from_pytorch_is_published_and_serves(exported, tmp_path, name):
    folder, known = exported
    models = ModelStore(tmp_path)
    version = models.publish(folder / f"{name}.onnx", name, examples=known["images"], labels=LABELS[name])
    spec = version.manifest.signature.outputs[0]
    assert spec.classes_first == (name == "masks") and spec.activation == ("none" if name == "classes" else "softmax")
    client = create_app(models).test_client()

    instances = known["images"].tolist()
    answer = client.post(f"/v1/models/{name}:predict", json={"instances": instances}).json
    np.testing.assert_allclose(answer["predictions"], known[name], atol=1e-5)
    entry = {"name": "image", "shape": known["images"].shape, "datatype": "FP32", "data": known["images"].tolist()}
    (tensor,) = client.post(f"/v2/models/{name}/infer", json={"inputs": [entry]}).json["outputs"]
    np.testing.assert_allclose(np.reshape(tensor["data"], known[name].shape), known[name], atol=1e-5)
    assert client.get(f"/v2/models/{name}").json["platform"] == "onnx_onnxv1"

    with start(models, name="torch") as server:
        found = Client(server.url).predict(name, "v1", known["levels"][:, 0].astype(np.uint8))
    best = known[name].argmax(axis=1)
    if name == "masks":
        assert all((one.mask == mask).all() for one, mask in zip(found, best, strict=True))
    else:
        assert [one.class_index for one in found] == best.tolist()
