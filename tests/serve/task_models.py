"""Models of every task, made of a line or two each, whose answers a test can work out by hand."""

import numpy as np

from mlops_lab.image import InputSpec
from mlops_lab.predict import Predictor
from mlops_lab.signature import OutputSpec, Signature

HOUSE = InputSpec((2,), name="house", columns=("rooms", "area"))
TEXT = InputSpec((), name="text", dtype="str")
PHOTO = InputSpec((4, 4, 3), size=(4, 4), mode="rgb", name="photo")
BYTES = InputSpec((4, 4), size=(4, 4), name="scan", dtype="uint8", high=255.0)


class Named:
    """An engine of a function that takes and returns arrays by name."""

    def __init__(self, function):
        self._function = function

    def run(self, inputs):
        return {name: np.asarray(array) for name, array in self._function(**inputs).items()}

    def predict(self, inputs):
        raise AssertionError("a model with named outputs is asked by name")


def model(name, inputs, outputs, function, **more):
    inputs = inputs if isinstance(inputs, tuple) else (inputs,)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    labels = outputs[0].labels
    return Predictor(name, 1, inputs[0], labels, Named(function), signature=Signature(inputs, outputs, **more))


def price(house):
    """One room and one square metre cost 10 and 0.5."""
    return house @ np.array([10, 0.5], np.float32)


def length(text):
    return np.array([len(item) for item in text], np.float32)


def halves(photo):
    """The probability of three classes for each pixel: red, green or blue, whichever is strongest."""
    return photo / np.maximum(photo.sum(axis=-1, keepdims=True), 1e-6)


VALUE = OutputSpec("price", "regression", (1,), role="value")
SCORE = OutputSpec("score", "anomaly", (1,), role="score")
MODELS = [
    model("price", HOUSE, VALUE, lambda house: {"price": price(house)[:, None]}),
    model("two", HOUSE, OutputSpec("both", "regression", (2,), role="value"), lambda house: {"both": house * 2}),
    model(
        *("spam", TEXT, OutputSpec("p", "binary", (1,), labels=("ham", "spam"))),
        lambda text: {"p": np.array([[0.75 if "win" in item else 0.25] for item in text], np.float32)},
    ),
    model(
        *("topics", TEXT, OutputSpec("p", "multilabel", (2,), labels=("short", "polite"))),
        lambda text: {"p": np.array([[len(item) < 9, "please" in item] for item in text], np.float32) * 0.875},
    ),
    model(
        *("logits", HOUSE, OutputSpec("z", "classification", (2,), "float32", "logits", ("no", "yes"), "softmax")),
        lambda house: {"z": house},
    ),
    model(
        "embed",
        TEXT,
        OutputSpec("e", "embedding", (3,), role="vector"),
        lambda text: {"e": length(text)[:, None] + [0, 0.5, 1]},
    ),
    model(
        *("paint", PHOTO, OutputSpec("m", "segmentation", (4, 4, 3), labels=("red", "green", "blue"))),
        lambda photo: {"m": halves(photo)},
    ),
    model("odd", HOUSE, SCORE, lambda house: {"score": (3 - house[:, :1]).astype(np.float64)}),
    model(
        *("sum", BYTES, OutputSpec("sum", "other", (), "int64", "tensor")),
        lambda scan: {"sum": scan.astype(np.int64).sum(axis=(1, 2))},
    ),
    model(
        "several",
        (InputSpec((2,), name="house"), InputSpec((None,), name="years", dtype="int32"), TEXT),
        (
            VALUE,
            OutputSpec("old", "binary", (), labels=("new", "old")),
            OutputSpec("note", "other", (), "str", "tensor"),
        ),
        lambda house, years, text: {
            "price": price(house)[:, None],
            "old": (years.mean(axis=1) > 50).astype(np.float32),
            "note": np.array([item.upper() for item in text], object),
        },
    ),
    model(
        "fixed",
        HOUSE,
        VALUE,
        lambda house: {"price": np.full((2, 1), len(house), np.float32) + house[:, :1]},
        max_batch=2,
    ),
]

PIXELS = np.zeros((1, 4, 4, 3), np.float32)
PIXELS[:, :2, :, 0] = PIXELS[:, 2:, :, 2] = 1
MASK = [[0] * 4] * 2 + [[2] * 4] * 2
# Each model's inputs as tensors, the answers of the course's routes, and its outputs as the tensor protocols give them.
CASES = {
    "price": ({"house": [[3.0, 100.0], [1.0, 2.0]]}, [{"value": 80.0}, {"value": 11.0}], {"price": [[80.0], [11.0]]}),
    "two": ({"house": [[1.0, 2.0]]}, [{"value": [2.0, 4.0]}], {"both": [[2.0, 4.0]]}),
    "spam": (
        {"text": ["win now", "hello"]},
        [
            {"label": "spam", "class": 1, "confidence": 0.75, "probabilities": [0.25, 0.75]},
            {"label": "ham", "class": 0, "confidence": 0.75, "probabilities": [0.75, 0.25]},
        ],
        {"p": [[0.75], [0.25]]},
    ),
    "topics": (
        {"text": ["please", "a long text"]},
        [{"labels": ["short", "polite"], "probabilities": [0.875, 0.875]}, {"labels": [], "probabilities": [0.0, 0.0]}],
        {"p": [[0.875, 0.875], [0.0, 0.0]]},
    ),
    "logits": (
        {"house": [[1.0, 1.0]]},
        [{"label": "no", "class": 0, "confidence": 0.5, "probabilities": [0.5, 0.5]}],
        {"z": [[0.5, 0.5]]},
    ),
    "embed": ({"text": ["abc"]}, [{"vector": [3.0, 3.5, 4.0]}], {"e": [[3.0, 3.5, 4.0]]}),
    "paint": ({"photo": PIXELS.tolist()}, [{"mask": MASK}], {"m": PIXELS.tolist()}),
    "odd": (
        {"house": [[5.0, 1.0], [2.0, 1.0]]},
        [{"score": -2.0, "outlier": True}, {"score": 1.0, "outlier": False}],
        {"score": [[-2.0], [1.0]]},
    ),
    "sum": ({"scan": [[[250] * 4] * 4]}, [{"tensor": 4000}], {"sum": [4000]}),
    "several": (
        {"house": [[3.0, 100.0]], "years": [[60, 70]], "text": ["a"]},
        [
            {
                "outputs": {
                    "price": {"value": 80.0},
                    "old": {"label": "old", "class": 1, "confidence": 1.0, "probabilities": [0.0, 1.0]},
                    "note": {"tensor": "A"},
                }
            }
        ],
        {"price": [[80.0]], "old": [1.0], "note": ["A"]},
    ),
    "fixed": (
        {"house": [[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]},
        [{"value": 3.0}, {"value": 4.0}, {"value": 5.0}],
        {"price": [[3.0], [4.0], [5.0]]},
    ),
}
BY_NAME = {one.name: one for one in MODELS}


def arrays(name):
    """Return the inputs of a model's case in its own types."""
    kinds = {spec.name: object if spec.dtype == "str" else spec.dtype for spec in BY_NAME[name].signature.inputs}
    return {key: np.array(value, kinds[key]) for key, value in CASES[name][0].items()}
