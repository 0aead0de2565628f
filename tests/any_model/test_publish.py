"""What publish infers, says and refuses, beside what every kind answers."""

import dataclasses
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from kinds import KINDS, NAMES, ROWS, graph, iris

from mlops_lab import tensors
from mlops_lab.answers import from_outputs
from mlops_lab.errors import DamagedArtifact, LabError, UnsafeFile, WrongUsage
from mlops_lab.inputs import InputSpec
from mlops_lab.signature import OutputSpec, Signature
from mlops_lab.store import ModelStore
from mlops_lab.store.intake.scoring import metrics_of


@pytest.fixture
def store(tmp_path):
    return ModelStore(tmp_path / "models")


def test_labels_in_another_order_are_refused_naming_both(store):
    made = KINDS["sklearn_pipeline"]()
    with pytest.raises(WrongUsage) as caught:
        store.publish(made.model, "iris", examples=made.examples, labels=NAMES[::-1])
    assert "setosa, versicolor, virginica" in str(caught.value)
    assert "virginica, versicolor, setosa" in str(caught.value)
    assert store.names() == []


def test_classes_get_other_names(store):
    made = KINDS["sklearn_pipeline"]()
    version = store.publish(made.model, "iris", examples=made.examples, labels=["rosso", "vert", "bleu"])
    assert version.manifest.labels == ("rosso", "vert", "bleu")


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("sklearn_pipeline", {"labels": ["a", "b"]}, "there are 2 labels"),
        ("sklearn_pipeline", {"labels": ["a", "a", "b"]}, "not different"),
        ("linear_regression", {"labels": ["a", "b"]}, "has no classes"),
        ("onnx_several_inputs", {"examples": {"a": ROWS[:, :1]}}, "takes the inputs a, b"),
        ("onnx_several_inputs", {"examples": {"a": ROWS[:, :1], "b": ROWS[:2, 1:2]}}, "2, 5"),
        ("sklearn_pipeline", {"examples": []}, "no examples"),
        ("sklearn_pipeline", {"examples": [[1.0], [1.0, 2.0]]}, "differ in shape"),
        ("sklearn_pipeline", {"examples": [[None, object()]]}, "objects of Python"),
        ("sklearn_pipeline", {"examples": ROWS[:, :2]}, "does not take its 5 examples"),
        ("sklearn_pipeline", {"examples": None}, "not known"),
        ("onnx_several_outputs", {"labels": {"nothing": "abc"}}, "the outputs are kind, total"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(store, tmp_path, name, options, words):
    made = KINDS[name]()
    source = made.model
    if isinstance(source, bytes):
        source = tmp_path / "model.onnx"
        source.write_bytes(made.model)
    with pytest.raises(WrongUsage) as caught:
        store.publish(source, "mine", **{"examples": made.examples, "trust": True, **options})
    assert words in str(caught.value)
    assert store.names() == []


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda inputs: inputs, "lambda"),
        (object(), "cannot be published"),
        (int, "cannot be published"),
    ],
)
def test_what_is_no_model(store, function, words):
    with pytest.raises(WrongUsage, match=words):
        store.publish(function, "mine", examples=ROWS)


def one_row(inputs):
    return [[0.5, 0.5]]


def not_a_number(inputs):
    return np.full((len(inputs), 2), np.nan)


@pytest.mark.parametrize(("function", "words"), [(one_row, "to 5 examples"), (not_a_number, "NaN")])
def test_a_function_that_answers_wrongly(store, function, words):
    with pytest.raises(LabError, match=words):
        store.publish(function, "mine", examples=ROWS, labels=["a", "b"])


def test_data_give_a_test_accuracy(store, digits):
    from sklearn.linear_model import LogisticRegression

    from mlops_lab.image import to_input

    model = LogisticRegression(max_iter=300).fit(to_input(digits.train.images, digits.input), digits.train.labels)
    version = store.publish(model, "digits", data=digits)
    assert version.manifest.input.size == (8, 8) and version.manifest.labels == digits.classes
    assert version.manifest.metrics["test_accuracy"] > 0.9
    assert store.load("digits").predict(digits.test.images[:3])[0].label in digits.classes


@pytest.mark.parametrize("name", ["linear_regression", "isolation_forest", "several_labels"])
def test_each_task_has_its_metric(store, name):
    made = KINDS[name]()
    truth = next(iter(made.answers.values()))
    truth = {"isolation_forest": truth < 0, "several_labels": truth > 0.5}.get(name, truth)
    found = store.publish(made.model, "mine", data=(made.examples, truth), **made.options).manifest.metrics
    assert found.get("test_r2", found.get("test_accuracy")) > 0.99


@pytest.mark.parametrize(
    "answers, role, labels",
    [
        (np.eye(3)[[[[0, 2], [1, 1]]]], "probabilities", "abc"),
        (np.moveaxis(np.eye(3)[[[[0, 2], [1, 1]]]], -1, 1), "probabilities", "abc"),
        ([[[0, 2], [1, 1]]], "mask", "abc"),
        ([[[[0], [2]], [[1], [1]]]], "mask", "abc"),
        ([[[0.25, 0.75], [1.0, 0.5]]], "probabilities", "ab"),
    ],
)
def test_a_mask_is_measured_as_it_is_answered(answers, role, labels):
    array = np.asarray(answers)
    first = array.ndim == 4 and array.shape[1] == 3
    spec = OutputSpec("y", "segmentation", array.shape[1:], role=role, labels=tuple(labels), classes_first=first)
    truth = np.array([[[0, 2], [1, 1]]] if "c" in labels else [[[0, 1], [1, 0]]])
    found = metrics_of(array, truth, spec)
    assert found == {"test_accuracy": 1.0, "test_iou": 1.0}


def test_a_label_is_measured_as_it_is_answered():
    spec = OutputSpec("y", "multilabel", (3,), labels=("a", "b", "c"))
    answers = np.array([[0.25, 0.5, 0.75]])
    (found,) = from_outputs({"y": answers}, Signature((InputSpec((2,)),), (spec,)))
    truth = np.array([[name in found.found for name in spec.labels]])
    assert metrics_of(answers, truth, spec) == {"test_accuracy": 1.0}


def test_reversed_labels_are_caught_by_the_data(store):
    examples, truth, _ = iris()
    from sklearn.naive_bayes import GaussianNB

    model = GaussianNB().fit(examples, truth)
    with pytest.raises(WrongUsage, match="another order"):
        store.publish(model, "iris", data=(examples, np.array(NAMES)[truth]), labels=NAMES[::-1])
    version = store.publish(model, "iris", data=(examples, np.array(NAMES)[truth]), labels=NAMES)
    assert version.manifest.metrics["test_accuracy"] > 0.9


def test_a_table_of_pandas_has_columns(store):
    pandas = pytest.importorskip("pandas")
    from sklearn.linear_model import LinearRegression

    table = pandas.DataFrame({"age": [1, 2, 3, 4], "size": [2, 1, 4, 3]})
    version = store.publish(LinearRegression().fit(table, [1, 2, 3, 4]), "table", examples=table)
    (spec,) = version.manifest.signature.inputs
    assert (spec.columns, spec.dtype, spec.shape) == (("age", "size"), "float64", (2,))


def test_images_that_are_scaled_in_a_way_of_their_own(store, tmp_path):
    """Mean and deviation of each channel, as PyTorch's models want them, channels first."""
    weights = np.random.default_rng(0).normal(size=(48, 2)).astype(np.float32)
    nodes = [("Flatten", ["x"], ["f"], {}), ("MatMul", ["f", "w"], ["m"], {}), ("Softmax", ["m"], ["y"], {})]
    model = graph(nodes, [("x", "FLOAT", ["n", 3, 4, 4])], [("y", "FLOAT", ["n", 2])], [("w", weights)])
    (tmp_path / "model.onnx").write_bytes(model)
    mean, deviation = (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)
    spec = InputSpec((3, 4, 4), (4, 4), "x", mode="rgb", mean=mean, deviation=deviation)
    images = np.random.default_rng(1).integers(0, 256, (5, 4, 4, 3), np.uint8)
    store.publish(tmp_path / "model.onnx", "torch", examples=images, input=spec, labels=["a", "b"], trust=True)
    predictor = store.load("torch")
    scaled = ((images / 255 - mean) / deviation).transpose(0, 3, 1, 2).reshape(5, -1)
    assert predictor.input.mean == mean
    expected = np.exp(scaled @ weights) / np.exp(scaled @ weights).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(predictor.probabilities(images), expected, atol=1e-5)


def test_a_converter_that_fails_is_a_note_and_no_error(store, monkeypatch):
    import skl2onnx

    def broken(*_, **__):
        raise KeyError("a raw error")

    monkeypatch.setattr(skl2onnx, "to_onnx", broken)
    made = KINDS["sklearn_pipeline"]()
    version = store.publish(made.model, "iris", examples=made.examples)
    assert version.manifest.engine == "sklearn"
    assert any("no ONNX form" in note for note in version.manifest.notes)
    assert "no ONNX form" in (version.path / "README.md").read_text()
    assert store.load("iris").signature.task == "classification"


def test_where_nothing_can_be_saved_safely_the_error_says_why(store, monkeypatch):
    import skl2onnx

    monkeypatch.setattr(skl2onnx, "to_onnx", lambda *_, **__: 1 / 0)
    made = KINDS["random_forest"]()
    with pytest.raises(DamagedArtifact, match=r"no ONNX form.*ZeroDivisionError.*follows unchecked"):
        store.publish(made.model, "forest", examples=made.examples)
    assert store.names() == []


def test_code_is_loaded_only_where_its_digest_is_trusted(store):
    made = KINDS["an_object"]()
    version = store.publish(made.model, "mine", examples=made.examples, labels="abc")
    assert (version.path / "requirements.txt").read_text().startswith("numpy==")
    ask = (
        "import sys; from mlops_lab.store import ModelStore\n"
        "from mlops_lab import tensors; import numpy as np\n"
        "found = ModelStore(sys.argv[1], trusted=sys.argv[2:]).load('mine')\n"
        "print(tensors.run(found, {'input': np.ones((1, 4), 'float32')})['output'].tolist())\n"
    )
    base = [sys.executable, "-c", ask, str(store.root)]
    refused = subprocess.run(base, capture_output=True, text=True)
    assert refused.returncode != 0 and "it is not trusted" in refused.stderr and version.digest in refused.stderr
    done = subprocess.run([*base, version.digest], capture_output=True, text=True, check=True)
    assert np.allclose(json.loads(done.stdout), made.model.predict(np.ones((1, 4))))
    told = {**os.environ, "MLOPS_LAB_TRUST": f"{'0' * 64},{version.digest.upper()}"}
    assert subprocess.run(base, env=told, capture_output=True, text=True, check=True).stdout == done.stdout
    (version.path / "model.py").write_text("raise SystemExit('it ran')")
    changed = subprocess.run([*base, version.digest], capture_output=True, text=True)
    assert "not the file that was published" in changed.stderr


def test_a_file_of_code(store, tmp_path):
    (tmp_path / "model.py").write_text(
        "from pathlib import Path\n"
        "import numpy as np\n\n"
        "class Model:\n"
        "    def __init__(self):\n"
        "        self.factor = float((Path(__file__).parent / 'files/factor.txt').read_text())\n"
        "    def predict(self, inputs):\n"
        "        return self.factor * inputs.sum(axis=1)\n"
    )
    (tmp_path / "files").mkdir()
    (tmp_path / "files/factor.txt").write_text("3")
    (tmp_path / "files/__pycache__").mkdir()
    (tmp_path / "files/__pycache__/helper.cpython-311.pyc").write_bytes(b"what Python makes of a module there")
    version = store.publish(tmp_path / "model.py", "mine", examples=ROWS)
    assert [name for name in version.manifest.files if name.startswith("files/")] == ["files/factor.txt"]
    answers = tensors.run(store.load("mine"), {"input": ROWS})
    np.testing.assert_allclose(answers["output"], 3 * ROWS.sum(axis=1), rtol=1e-5)


def test_a_hostile_onnx_file_is_refused(store, tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"no model")
    with pytest.raises(UnsafeFile):
        store.publish(tmp_path / "model.onnx", "mine", examples=ROWS)


def test_a_version_that_does_not_load_is_never_published(store, monkeypatch):
    """Everything is loaded from what was written, and asked, before the rename."""
    from mlops_lab.store import verification

    def broken(name, files):
        raise RuntimeError("cannot be read")

    monkeypatch.setattr(verification.engines, "load", broken)
    made = KINDS["sklearn_pipeline"]()
    with pytest.raises(DamagedArtifact, match="cannot be read"):
        store.publish(made.model, "iris", examples=made.examples)
    assert store.names() == []


@pytest.mark.parametrize("kind", ["forest", "support vectors"])
def test_the_run_of_any_classifier_is_published(store, digits, kind):
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.svm import SVC

    from mlops_lab import train

    # The second has no predict_proba.
    run = train.fit_sklearn(digits, RandomForestClassifier(10, random_state=0) if kind == "forest" else SVC())
    version = store.publish(run, "mine")
    assert version.manifest.engine == "onnx" and version.manifest.metrics["test_accuracy"] > 0.8
    assert dataclasses.replace(version.manifest.input, name="image") == digits.input


def test_the_command_publishes_a_file(tmp_path):
    from click.testing import CliRunner

    from mlops_lab.cli import commands

    made = KINDS["onnx_logits"]()
    (tmp_path / "model.onnx").write_bytes(made.model)
    truth = made.answers["y"].argmax(axis=1)
    np.savez(tmp_path / "test.npz", x=made.examples, y=truth)
    where = ["--models", str(tmp_path / "models")]
    line = ["models", "publish", str(tmp_path / "model.onnx"), "--name", "mine", "--labels", "a, b,c", "--trust"]
    done = CliRunner().invoke(commands, [*line, "--data", str(tmp_path / "test.npz"), *where])
    assert done.exit_code == 0, done.output
    assert "published mine v1" in done.output and "the softmax is applied" in done.output and "curl" in done.output
    manifest = ModelStore(tmp_path / "models").get("mine").manifest
    assert manifest.labels == ("a", "b", "c") and manifest.metrics == {"test_accuracy": 1.0}
    np.save(tmp_path / "x.npy", made.examples)
    done = CliRunner().invoke(commands, [*line, "--examples", str(tmp_path / "x.npy"), *where])
    assert done.exit_code == 0 and "mine v2" in done.output


def test_the_card_of_a_version_without_a_description_bears_its_name_alone(store):
    made = KINDS["sklearn_pipeline"]()
    card = store.publish(made.model, "iris", examples=made.examples)._repr_html_()
    assert ">iris v1<" in card
