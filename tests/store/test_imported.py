from pathlib import Path

import numpy as np
import pytest

from mlops_lab import data, monitor, store
from mlops_lab.errors import UnsafeFile, WrongUsage
from mlops_lab.image import InputSpec

MODEL = Path(__file__).parents[2] / "models" / "digits" / "1" / "model.onnx"


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


def imported(digits, model=MODEL, examples=None):
    examples = digits.test.images[:4] if examples is None else examples
    return store.from_onnx(
        model, input=digits.input, labels=digits.classes, examples=examples, metrics={"test_accuracy": 0.97}
    )


@pytest.mark.parametrize("model", [MODEL, str(MODEL), MODEL.read_bytes()], ids=["path", "text", "bytes"])
def test_a_model_of_any_framework_is_published_and_served(digits, tmp_path, model):
    models = store.ModelStore(tmp_path)
    version = models.publish(imported(digits, model), "elsewhere", description="From another framework")
    assert (version.manifest.framework, version.manifest.engine) == ("onnx", "onnx")
    shipped = store.ModelStore("models").load("digits", 1)
    here = models.load("elsewhere", 1)
    np.testing.assert_array_equal(here.probabilities(digits.test.images), shipped.probabilities(digits.test.images))


def test_what_it_does_on_held_out_data_is_kept_for_the_monitor(digits, tmp_path):
    models = store.ModelStore(tmp_path)
    about = {"input": digits.input, "labels": digits.classes, "examples": digits.test.images[:4]}
    models.publish(store.from_onnx(MODEL, held_out=digits.test, **about), "elsewhere")
    assert monitor.load_reference(models, "elsewhere").summary.count == len(digits.test)


def test_its_weights_are_counted(digits, tmp_path):
    manifest = store.ModelStore(tmp_path).publish(imported(digits), "elsewhere").manifest
    shipped = store.ModelStore("models").get("digits", 1).manifest
    assert manifest.number_of_parameters == shipped.number_of_parameters


def test_there_must_be_examples(digits):
    with pytest.raises(WrongUsage, match="no examples"):
        imported(digits, examples=digits.test.images[:0])


def test_what_is_not_onnx_is_refused(digits):
    with pytest.raises(UnsafeFile):
        imported(digits, model=b"not a model")


def test_another_kind_of_model_file_is_refused(digits):
    with pytest.raises(WrongUsage, match="not ONNX"):
        imported(digits, model=MODEL.parents[2] / "clothes" / "1" / "model.keras")


def test_a_model_that_takes_no_images(tmp_path, digits):
    """The same graph with its bare input: 64 numbers, already scaled."""
    bare = InputSpec(shape=(64,))
    examples = np.zeros((2, 64), np.float32)
    model = store.from_onnx(MODEL, input=bare, labels=digits.classes, examples=examples)
    version = store.ModelStore(tmp_path).publish(model, "bare")
    assert version.manifest.input.size is None


def linear(shape, classes=3, *, last="Softmax"):
    """Return a graph over a fixed or free batch: flatten, multiply, and one more operator."""
    onnx = pytest.importorskip("onnx")
    weights = np.random.default_rng(0).normal(size=(int(np.prod(shape[1:])), classes)).astype(np.float32)
    nodes = [
        onnx.helper.make_node("Flatten", ["x"], ["flat"]),
        onnx.helper.make_node("MatMul", ["flat", "w"], ["m"]),
        onnx.helper.make_node(last, ["m"], ["y"]),
    ]
    value = onnx.helper.make_tensor_value_info
    float32 = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        nodes, "g", [value("x", float32, shape)], [value("y", float32, [shape[0], classes])],
        [onnx.numpy_helper.from_array(weights, "w")],
    )  # fmt: skip
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)])
    model.ir_version = 8
    return model.SerializeToString(), weights


@pytest.mark.parametrize(
    ("shape", "said", "labels", "last", "words"),
    [
        (["n", 4], (5,), "abc", "Softmax", "does not take its 2 examples of shape (5,)"),
        (["n", 4], (4,), "ab", "Softmax", "answers (2, 3) to 2 examples; there are 2 labels"),
    ],
)
def test_a_model_that_could_not_answer_is_not_published(tmp_path, shape, said, labels, last, words):
    models = store.ModelStore(tmp_path)
    examples = np.full((2, *said), 9, np.float32)
    model = store.from_onnx(linear(shape, last=last)[0], input=InputSpec(said), labels=labels, examples=examples)
    with pytest.raises(WrongUsage) as caught:
        models.publish(model, "mine")
    assert words in str(caught.value)
    assert models.names() == []


def test_colours_come_first_where_pytorch_wants_them(tmp_path):
    graph, weights = linear(["n", 3, 2, 4])
    images = np.random.default_rng(1).integers(0, 256, (5, 2, 4, 3), np.uint8)
    spec = InputSpec(shape=(3, 2, 4), size=(2, 4), mode="rgb")
    models = store.ModelStore(tmp_path)
    models.publish(store.from_onnx(graph, input=spec, labels="abc", examples=images), "torch")
    scores = (images.transpose(0, 3, 1, 2).reshape(5, -1) / 255) @ weights
    np.testing.assert_array_equal(models.load("torch").probabilities(images).argmax(axis=1), scores.argmax(axis=1))


def test_a_bare_model_is_told_what_is_missing(tmp_path):
    with pytest.raises(WrongUsage, match=r"A object alone cannot be published.*labels"):
        store.ModelStore(tmp_path).publish(object(), "mine")
