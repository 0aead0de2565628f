"""Kinds of model that people bring, each made in a moment, with what its own framework answers.

A kind is a function that returns a :class:`Kind`; ``KINDS`` holds them by name. What is made with Keras, XGBoost or
LightGBM bears a mark, so that the fast tests leave it out.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pytest

from mlops_lab.signature import Signature
from mlops_lab.store import ModelStore


@dataclass(frozen=True)
class Kind:
    """A model with its examples, and what it answers to them: the outputs of the signature, activations applied."""

    model: Any
    examples: Any
    answers: dict[str, np.ndarray]
    task: str
    options: dict[str, Any] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    tolerance: float = 1e-5


# Where there is a wheel without 300 MB for GPUs.
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="xgboost-cpu has wheels for Linux")
KINDS: dict[str, Callable[[], Kind]] = {}
PARAMETERS: list[Any] = []


def kind(*marks):
    """Register a kind under the name of its function."""

    def register(make):
        made = KINDS[make.__name__] = cache(make)
        PARAMETERS.append(pytest.param(made, id=make.__name__, marks=marks))
        return made

    return register


@cache
def iris():
    from sklearn.datasets import load_iris

    found = load_iris()
    return found.data[::3], found.target[::3], found.target_names


def published(made, folder, name):
    """Publish a kind, and return it loaded anew with the inputs for its examples."""
    source = made.model
    if isinstance(source, bytes):
        source = folder / "model.onnx"
        source.write_bytes(made.model)
    version = ModelStore(folder / "models").publish(source, name, examples=made.examples, trust=True, **made.options)
    return version, ModelStore(folder / "models").load(name)


def tensors_of(made, signature: Signature) -> dict[str, np.ndarray]:
    """Return the examples as the tensors that a client sends."""
    examples = made.examples if isinstance(made.examples, dict) else {signature.inputs[0].name: made.examples}
    return {
        spec.name: np.array(examples[spec.name], object if spec.dtype == "str" else spec.dtype)
        for spec in signature.inputs
    }


NAMES = ("setosa", "versicolor", "virginica")
NUMBERS = ("0", "1", "2")


def classifier(estimator, truth=None, classes=NUMBERS, **options) -> Kind:
    """Fit a classifier on irises; without ``predict_proba`` its scores become probabilities by a softmax."""
    examples, numbers, _ = iris()
    estimator.fit(examples, numbers if truth is None else truth)
    if hasattr(estimator, "predict_proba"):
        answers = {"probabilities": estimator.predict_proba(examples)}
    else:
        answers = {"scores": softmax(estimator.decision_function(examples))}
    return Kind(estimator, examples, answers, "classification", options, options.get("labels", classes))


def regressor(estimator) -> Kind:
    """Fit a regressor of the length of a petal."""
    examples = iris()[0]
    estimator.fit(examples[:, :3], examples[:, 3])
    return Kind(estimator, examples[:, :3], {"value": estimator.predict(examples[:, :3])}, "regression", tolerance=1e-4)


def detector(estimator) -> Kind:
    """Fit a detector of outliers."""
    examples = iris()[0]
    estimator.fit(examples)
    return Kind(estimator, examples, {"scores": estimator.decision_function(examples)}, "anomaly", tolerance=1e-4)


def softmax(scores):
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@kind()
def sklearn_pipeline():
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    truth = np.array(NAMES)[iris()[1]]
    return classifier(make_pipeline(StandardScaler(), LogisticRegression()), truth, NAMES)


@kind()
def decision_tree():
    from sklearn.tree import DecisionTreeClassifier

    return classifier(DecisionTreeClassifier(max_depth=2, random_state=0))


@kind()
def random_forest():
    from sklearn.ensemble import RandomForestClassifier

    return classifier(RandomForestClassifier(8, random_state=0), labels=NAMES)


@kind()
def gradient_boosting():
    from sklearn.ensemble import GradientBoostingClassifier

    return classifier(GradientBoostingClassifier(n_estimators=4, random_state=0))


@kind()
def histogram_boosting():
    from sklearn.ensemble import HistGradientBoostingClassifier

    return classifier(HistGradientBoostingClassifier(max_iter=4, min_samples_leaf=5))


@kind()
def support_vectors():
    from sklearn.svm import SVC

    return classifier(SVC())


@kind()
def linear_support_vectors():
    from sklearn.svm import LinearSVC

    return classifier(LinearSVC())


@kind()
def naive_bayes():
    from sklearn.naive_bayes import GaussianNB

    return classifier(GaussianNB())


@kind()
def neighbours():
    from sklearn.neighbors import KNeighborsClassifier

    return classifier(KNeighborsClassifier(1))


@kind()
def linear_regression():
    from sklearn.linear_model import LinearRegression

    return regressor(LinearRegression())


@kind()
def forest_regression():
    from sklearn.ensemble import RandomForestRegressor

    return regressor(RandomForestRegressor(5, random_state=0))


@kind()
def histogram_regression():
    from sklearn.ensemble import HistGradientBoostingRegressor

    return regressor(HistGradientBoostingRegressor(max_iter=5, min_samples_leaf=5))


@kind()
def support_vector_regression():
    from sklearn.svm import SVR

    return regressor(SVR())


@kind()
def isolation_forest():
    from sklearn.ensemble import IsolationForest

    return detector(IsolationForest(n_estimators=6, random_state=0))


@kind()
def one_class():
    from sklearn.svm import OneClassSVM

    return detector(OneClassSVM())


@kind()
def several_targets():
    from sklearn.linear_model import LogisticRegression
    from sklearn.multioutput import MultiOutputClassifier

    examples, truth, _ = iris()
    estimator = MultiOutputClassifier(LogisticRegression()).fit(examples, np.c_[truth == 0, truth == 2].astype(int))
    first, second = estimator.predict_proba(examples)
    return Kind(estimator, examples, {"probabilities_0": first, "probabilities_1": second}, "other")


@kind()
def several_labels():
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    examples, truth, _ = iris()
    estimator = OneVsRestClassifier(LogisticRegression()).fit(examples, np.c_[truth == 0, truth < 2].astype(int))
    answers = {"probabilities": estimator.predict_proba(examples)}
    return Kind(estimator, examples, answers, "multilabel", {"labels": ["setosa", "small"]}, ("setosa", "small"))


@kind()
def components():
    from sklearn.decomposition import PCA

    estimator = PCA(2).fit(iris()[0])
    return Kind(estimator, iris()[0], {"vector": estimator.transform(iris()[0])}, "embedding", tolerance=1e-4)


@kind()
def text():
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    texts = ["a good film", "very good", "a bad film", "very bad", "nothing of it"]
    estimator = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts[:4], ["good", "good", "bad", "bad"])
    answers = {"probabilities": estimator.predict_proba(texts)}
    return Kind(estimator, texts, answers, "classification", {}, ("bad", "good"))


def graph(nodes, inputs, outputs, constants=()) -> bytes:
    """Return an ONNX model; inputs and outputs are ``(name, type, shape)``."""
    from onnx import TensorProto, helper, numpy_helper

    def values(items):
        return [helper.make_tensor_value_info(name, getattr(TensorProto, type), shape) for name, type, shape in items]

    arrays = [numpy_helper.from_array(array, name) for name, array in constants]
    steps = [helper.make_node(*node[:3], **node[3]) for node in nodes]
    made = helper.make_graph(steps, "g", values(inputs), values(outputs), arrays)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    return model.SerializeToString()


WEIGHTS = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
ROWS = np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32)


@kind()
def onnx_logits():
    model = graph(
        [("MatMul", ["x", "w"], ["y"], {})], [("x", "FLOAT", ["n", 4])], [("y", "FLOAT", ["n", 3])], [("w", WEIGHTS)]
    )
    return Kind(model, ROWS, {"y": softmax(ROWS @ WEIGHTS)}, "classification", {"labels": "abc"}, tuple("abc"))


@kind()
def onnx_fixed_batch():
    nodes = [("MatMul", ["x", "w"], ["m"], {}), ("Softmax", ["m"], ["y"], {})]
    model = graph(nodes, [("x", "FLOAT", [2, 4])], [("y", "FLOAT", [2, 3])], [("w", WEIGHTS)])
    return Kind(model, ROWS, {"y": softmax(ROWS @ WEIGHTS)}, "classification", {"labels": "abc"}, tuple("abc"))


@kind()
def onnx_several_outputs():
    nodes = [
        ("MatMul", ["x", "w"], ["m"], {}),
        ("Softmax", ["m"], ["kind"], {}),
        ("ReduceSum", ["x", "axes"], ["total"], {"keepdims": 1}),
    ]
    outputs = [("kind", "FLOAT", ["n", 3]), ("total", "FLOAT", ["n", 1])]
    model = graph(nodes, [("x", "FLOAT", ["n", 4])], outputs, [("w", WEIGHTS), ("axes", np.array([1]))])
    answers = {"kind": softmax(ROWS @ WEIGHTS), "total": ROWS.sum(axis=1, keepdims=True)}
    return Kind(model, ROWS, answers, "other", {"labels": {"kind": "abc"}}, tuple("abc"))


@kind()
def onnx_several_inputs():
    nodes = [("Mul", ["a", "b"], ["y"], {})]
    inputs = [("a", "FLOAT", ["n", 1]), ("b", "FLOAT", ["n", 1])]
    model = graph(nodes, inputs, [("y", "FLOAT", ["n", 1])])
    examples = {"a": ROWS[:, :1], "b": ROWS[:, 1:2]}
    return Kind(model, examples, {"y": ROWS[:, :1] * ROWS[:, 1:2]}, "regression", {"task": "regression"})


@kind()
def onnx_pixels():
    """Pixels as they are, in uint8, as models for small devices take them."""
    nodes = [
        ("Cast", ["x"], ["f"], {"to": 1}),
        ("Flatten", ["f"], ["r"], {}),
        ("MatMul", ["r", "w"], ["m"], {}),
        ("Softmax", ["m"], ["y"], {}),
    ]
    weights = (np.random.default_rng(2).normal(size=(48, 2)) / 1000).astype(np.float32)
    model = graph(nodes, [("x", "UINT8", ["n", 4, 4, 3])], [("y", "FLOAT", ["n", 2])], [("w", weights)])
    images = np.random.default_rng(3).integers(0, 256, (6, 4, 4, 3), np.uint8)
    answers = {"y": softmax(images.reshape(6, -1).astype(np.float32) @ weights)}
    return Kind(model, images, answers, "classification", {"labels": ["day", "night"]}, ("day", "night"))


@kind()
def onnx_whole_numbers():
    """Words as numbers, as many as there are."""
    nodes = [("Gather", ["table", "x"], ["g"], {"axis": 0}), ("ReduceMean", ["g"], ["y"], {"axes": [1], "keepdims": 0})]
    table = np.random.default_rng(4).normal(size=(10, 3)).astype(np.float32)
    model = graph(nodes, [("x", "INT64", ["n", "words"])], [("y", "FLOAT", ["n", 3])], [("table", table)])
    words = np.random.default_rng(5).integers(0, 10, (4, 6))
    return Kind(model, words, {"y": table[words].mean(axis=1)}, "embedding", tolerance=1e-4)


@kind()
def onnx_double():
    model = graph(
        [("MatMul", ["x", "w"], ["y"], {})],
        [("x", "DOUBLE", ["n", 4])],
        [("y", "DOUBLE", ["n", 1])],
        [("w", WEIGHTS[:, :1].astype(np.float64))],
    )
    rows = ROWS.astype(np.float64)
    return Kind(model, rows, {"y": rows @ WEIGHTS[:, :1].astype(np.float64)}, "regression", {"task": "regression"})


@kind()
def onnx_half():
    model = graph(
        [("MatMul", ["x", "w"], ["m"], {}), ("Softmax", ["m"], ["y"], {})],
        [("x", "FLOAT16", ["n", 4])],
        [("y", "FLOAT16", ["n", 3])],
        [("w", WEIGHTS.astype(np.float16))],
    )
    rows = ROWS.astype(np.float16)
    return Kind(model, rows, {"y": softmax(rows @ WEIGHTS)}, "classification", {}, NUMBERS, tolerance=2e-2)


@kind()
def onnx_segmentation():
    weights = np.random.default_rng(6).normal(size=(3, 2)).astype(np.float32)
    nodes = [("MatMul", ["x", "w"], ["m"], {}), ("Softmax", ["m"], ["mask"], {"axis": -1})]
    model = graph(nodes, [("x", "FLOAT", ["n", 8, 8, 3])], [("mask", "FLOAT", ["n", 8, 8, 2])], [("w", weights)])
    images = (np.random.default_rng(7).integers(0, 256, (3, 8, 8, 3)) / 255).astype(np.float32)
    scores = images @ weights
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    answers = {"mask": powers / powers.sum(axis=-1, keepdims=True)}
    return Kind(model, images, answers, "segmentation", {"labels": ["ground", "thing"]}, ("ground", "thing"))


def colour_images():
    """Return images with their colours first, as PyTorch has them, that scale to 0–1."""
    return (np.random.default_rng(7).integers(0, 256, (3, 3, 8, 12)) / 255).astype(np.float32)


def segmented(last, type, answers, sides=("height", "width")):
    """Return a segmentation by a convolution of one pixel, colours and classes first, with some last operators."""
    weights = np.random.default_rng(6).normal(size=(4, 3, 1, 1)).astype(np.float32)
    nodes = [("Conv", ["x", "w"], ["m" if last else "mask"], {}), *last]
    outputs = [("mask", type, ["n", 1 if type == "INT64" else 4, *sides])]
    model = graph(nodes, [("x", "FLOAT", ["n", 3, *sides])], outputs, [("w", weights)])
    scores = np.einsum("nchw,kc->nkhw", colour_images(), weights[:, :, 0, 0])
    labels = ("sky", "road", "tree", "car")
    return Kind(model, colour_images(), {"mask": answers(scores)}, "segmentation", {"labels": labels}, labels)


@kind()
def onnx_segmentation_classes_first():
    """Logits, as networks such as U-Net end in PyTorch."""
    return segmented([], "FLOAT", softmax)


@kind()
def onnx_segmentation_classes_first_softmax():
    """Of images of one size, so that it takes PNG and JPEG."""
    return segmented([("Softmax", ["m"], ["mask"], {"axis": 1})], "FLOAT", softmax, (8, 12))


@kind()
def onnx_segmentation_mask_first():
    """The class of each pixel, with an axis of one channel."""
    steps = [("ArgMax", ["m"], ["mask"], {"axis": 1, "keepdims": 1})]
    return segmented(steps, "INT64", lambda scores: scores.argmax(axis=1)[:, np.newaxis])


@kind()
def onnx_zipmap():
    from skl2onnx import to_onnx
    from sklearn.linear_model import LogisticRegression

    examples, truth, _ = iris()
    estimator = LogisticRegression(max_iter=500).fit(examples, np.array(NAMES)[truth])
    model = to_onnx(estimator, examples[:1].astype(np.float32)).SerializeToString()
    rows = examples.astype(np.float32)
    return Kind(model, rows, {"output_probability": estimator.predict_proba(rows)}, "classification", {}, NAMES)


def double(inputs):
    return {"twice": 2 * np.asarray(inputs), "sum": np.asarray(inputs).sum(axis=1)}


@kind()
def function():
    return Kind(double, ROWS, {"twice": 2 * ROWS, "sum": ROWS.sum(axis=1)}, "other")


class Centroids:
    """A model with a state: the nearest of its centres."""

    def __init__(self, centres):
        self.centres = np.asarray(centres)

    def predict(self, inputs):
        distances = np.linalg.norm(inputs[:, np.newaxis] - self.centres, axis=2)
        return np.exp(-distances) / np.exp(-distances).sum(axis=1, keepdims=True)


@kind()
def an_object():
    model = Centroids(WEIGHTS.T)
    return Kind(model, ROWS, {"output": model.predict(ROWS)}, "classification", {"labels": "abc"}, tuple("abc"))


def keras_kind(model, examples, task, answers=None, **options) -> Kind:
    """Return a Keras model with what it answers itself."""
    given = examples if isinstance(examples, dict) else np.asarray(examples)
    found = model.predict(given, verbose=0) if answers is None else answers
    named = found if isinstance(found, dict) else {"output_0": found}
    labels = tuple(options.get("labels", ()))
    return Kind(model, examples, {name: np.asarray(array) for name, array in named.items()}, task, options, labels)


def layers():
    from mlops_lab.engines.quiet import import_keras

    keras = import_keras()
    keras.utils.set_random_seed(0)
    return keras, keras.layers


@kind(pytest.mark.tensorflow)
def keras_sequential():
    keras, make = layers()
    model = keras.Sequential([keras.Input((4,)), make.Dense(3, activation="softmax")])
    return keras_kind(model, ROWS, "classification", labels=NAMES)


@kind(pytest.mark.tensorflow)
def keras_logits():
    keras, make = layers()
    model = keras.Sequential([keras.Input((4,)), make.Dense(3)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return keras_kind(model, ROWS, "classification", softmax(model.predict(ROWS, verbose=0)), labels=NAMES)


@kind(pytest.mark.tensorflow)
def keras_one_unit():
    """One sigmoid unit over colour images."""
    keras, make = layers()
    model = keras.Sequential([keras.Input((8, 8, 3)), make.Flatten(), make.Dense(1, activation="sigmoid")])
    images = (np.random.default_rng(8).integers(0, 256, (5, 8, 8, 3)) / 255).astype(np.float32)
    return keras_kind(model, images, "binary", labels=("red", "blue"))


@kind(pytest.mark.tensorflow)
def keras_preprocessing():
    """Layers that flip and scale inside, in mixed precision."""
    keras, make = layers()
    policy = keras.dtype_policies.DTypePolicy("mixed_float16")
    steps = [make.RandomFlip(), make.Rescaling(1 / 255), make.Flatten()]
    model = keras.Sequential([keras.Input((8, 8, 3)), *steps, make.Dense(3, activation="softmax", dtype=policy)])
    images = np.random.default_rng(9).integers(0, 256, (5, 8, 8, 3)).astype(np.float32)
    made = keras_kind(model, images, "classification", labels=NAMES)
    return Kind(model, images, made.answers, made.task, made.options, NAMES, tolerance=2e-2)


@kind(pytest.mark.tensorflow)
def keras_two_and_two():
    """Two inputs and two outputs."""
    keras, make = layers()
    first, second = keras.Input((3,), name="first"), keras.Input((2,), name="second")
    both = make.Concatenate()([first, second])
    outputs = {"price": make.Dense(1)(both), "kind": make.Dense(2, activation="softmax")(both)}
    model = keras.Model({"first": first, "second": second}, outputs)
    examples = {"first": ROWS[:, :3], "second": ROWS[:, 2:]}
    return keras_kind(model, examples, "other", model.predict(examples, verbose=0), labels={"kind": ["a", "b"]})


@kind(pytest.mark.tensorflow)
def keras_regression():
    keras, make = layers()
    model = keras.Sequential([keras.Input((4,)), make.Dense(1)])
    model.compile("adam", "mse")
    return keras_kind(model, ROWS, "regression")


@kind(pytest.mark.tensorflow)
def keras_subclassed():
    """A class of one's own, which Keras can export but not load without its code."""
    keras, make = layers()

    class Mine(keras.Model):
        def __init__(self):
            super().__init__()
            self.last = make.Dense(3, activation="softmax")

        def call(self, inputs):
            return self.last(inputs)

    model = Mine()
    return keras_kind(model, ROWS, "classification", labels=NAMES)


@kind(pytest.mark.tensorflow)
def keras_words_of_any_number():
    keras, make = layers()
    steps = [make.Embedding(10, 4), make.GlobalAveragePooling1D(), make.Dense(3, activation="softmax")]
    model = keras.Sequential([keras.Input((None,), dtype="int32"), *steps])
    words = np.random.default_rng(5).integers(0, 10, (4, 6)).astype(np.int32)
    return keras_kind(model, words, "classification", labels=NAMES)


@kind(pytest.mark.slow, ON_LINUX)
def xgboost_classifier():
    import xgboost

    return classifier(xgboost.XGBClassifier(n_estimators=3))


@kind(pytest.mark.slow, ON_LINUX)
def xgboost_booster():
    import xgboost

    examples, truth, _ = iris()
    booster = xgboost.XGBClassifier(n_estimators=3).fit(examples, truth > 1).get_booster()
    second = booster.predict(xgboost.DMatrix(examples))
    answers = {"probabilities": np.stack([1 - second, second], axis=1)}
    return Kind(booster, examples, answers, "classification", {"labels": ["no", "yes"]}, ("no", "yes"))


@kind(pytest.mark.slow, ON_LINUX)
def xgboost_regressor():
    import xgboost

    return regressor(xgboost.XGBRegressor(n_estimators=3))


@kind(pytest.mark.slow)
def lightgbm_classifier():
    import lightgbm

    estimator = lightgbm.LGBMClassifier(n_estimators=3, min_child_samples=5, verbose=-1)
    return classifier(estimator, np.array(NAMES)[iris()[1]], NAMES)


@kind(pytest.mark.slow)
def lightgbm_booster():
    import lightgbm

    examples = iris()[0]
    data = lightgbm.Dataset(examples[:, :3], examples[:, 3])
    booster = lightgbm.train({"objective": "regression", "verbose": -1, "min_data_in_leaf": 5}, data, 3)
    return Kind(booster, examples[:, :3], {"value": booster.predict(examples[:, :3])}, "regression", tolerance=1e-4)
