"""Models of unusual shape that people reported, published and asked about one image and about three."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from mlops_lab import store
from mlops_lab.errors import WrongUsage
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


def imported(name, **options):
    spec = options.pop("input", InputSpec(shape=(1, 8, 8), size=(8, 8)))
    return store.from_onnx(FIELD / name, input=spec, labels="0123456789", examples=IMAGES, trust=True, **options)


def test_labels_that_fit_two_outputs_are_refused_naming_both(tmp_path):
    models = store.ModelStore(tmp_path / "models")
    with pytest.raises(WrongUsage, match=r"several outputs: emb, p\..*output='p'"):
        models.publish(imported("embedding-before-probabilities.onnx"), "tried")
    version = models.publish(imported("embedding-before-probabilities.onnx", output="p"), "tried")
    rows = models.load("tried").probabilities(IMAGES)
    assert [one.name for one in version.manifest.signature.outputs] == ["p"]
    assert np.allclose(rows.sum(axis=1), 1, atol=1e-4)
    with pytest.raises(WrongUsage, match="It has: emb, p"):
        imported("embedding-before-probabilities.onnx", output="probabilities")


def test_a_model_of_whole_numbers_is_never_given_fractions(tmp_path):
    models = store.ModelStore(tmp_path / "models")
    with pytest.raises(WrongUsage, match=r"takes uint8; it was described as float32 scaled to 0–1.*high=255"):
        models.publish(imported("uint8-input.onnx"), "tried")
    pixels = InputSpec(shape=(1, 8, 8), size=(8, 8), dtype="uint8", high=255)
    models.publish(imported("uint8-input.onnx", input=pixels), "tried")
    session = onnxruntime.InferenceSession(FIELD / "uint8-input.onnx")
    expected = session.run(None, {"x": IMAGES[:, np.newaxis]})[0]
    assert np.allclose(models.load("tried").probabilities(IMAGES), expected, atol=1e-5)
    assert not np.allclose(expected, 0.1)


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ["augment.keras", "normalization-adapted.keras", "mixed-float16.keras"])
def test_a_keras_model_with_layers_of_its_own_preprocessing_answers_as_keras_does(name, tmp_path):
    model = store.load_keras(FIELD / name, trust=True)
    examples = np.random.default_rng(0).integers(0, 255, (16, *model.input_shape[1:])).astype(np.float32)
    models = store.ModelStore(tmp_path / "models")
    version = models.publish(model, "tried", examples=examples)
    expected = np.asarray(model(examples, training=False)).astype(np.float32)
    for engine in [engine for engine in ("keras", "onnx") if f"model.{engine}" in version.manifest.files]:
        found = models.load("tried", engine=engine)
        first = found.signature.inputs[0]
        pixels = examples.reshape(16, *first.image_shape) if first.size else examples
        assert np.allclose(found.outputs(pixels)[found.signature.outputs[0].name], expected, atol=2e-2)


@pytest.mark.tensorflow
def test_a_name_that_tensorflow_does_not_take_is_told_with_a_good_one(tmp_path):
    with pytest.raises(WrongUsage, match=r"is named '.* .*', .*model\.name = '[\w.-]+'"):
        store.ModelStore(tmp_path / "models").publish(
            FIELD / "model-name-with-space.keras", "tried", examples=IMAGES / 255
        )
