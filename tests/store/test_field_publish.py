"""Models of unusual shape that people reported, published and asked about one image and about three."""

from pathlib import Path

import numpy as np
import pytest

from mlops_lab import store
from mlops_lab.image import InputSpec
from mlops_lab.serve import create_app

FIELD = Path(__file__).parents[1] / "data" / "field"
IMAGES = np.random.default_rng(1).integers(0, 255, (3, 8, 8)).astype(np.uint8)


@pytest.mark.parametrize(
    ("name", "shape"), [("batch-of-one.onnx", (1, 8, 8)), ("local-function.onnx", (1, 8, 8)), ("zipmap.onnx", (64,))]
)
def test_an_onnx_model_answers_several_images_as_it_answers_each(name, shape, tmp_path):
    spec = InputSpec(shape=shape, size=(8, 8))
    models = store.ModelStore(tmp_path / "models")
    run = store.from_onnx(FIELD / name, input=spec, labels="0123456789", examples=IMAGES[:1], trust=True)
    models.publish(run, "tried")
    client = create_app(models).test_client()
    together = client.post("/models/tried/v1", json={"images": IMAGES.tolist()})
    alone = [client.post("/models/tried/v1", json={"image": image.tolist()}).json for image in IMAGES]
    assert together.status_code == 200, together.json
    rows = np.array([item["probabilities"] for item in together.json["predictions"]])
    assert rows.shape == (3, 10) and np.allclose(rows.sum(axis=1), 1, atol=1e-4)
    assert np.allclose(rows, [item["predictions"][0]["probabilities"] for item in alone], atol=1e-6)
    assert len({tuple(row.round(3)) for row in rows}) == 3
