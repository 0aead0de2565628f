"""train-1 and train-2: build LeNet-5, and give it a loss that fits its labels. Read of the model's description."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from mlops_lab.grade.calls import Answer
from mlops_lab.grade.cases import Case
from mlops_lab.grade.exercises import Exercise, Hint
from mlops_lab.grade.keras_models import config_of, data_of, layers_of, weights_of
from mlops_lab.grade.rubric.images import MATERIAL, garments
from mlops_lab.grade.rubric.shared import RAISES
from mlops_lab.grade.wire import KerasFile

SHARED = {
    **RAISES,
    "no-model": Hint("Something else than a Keras model came back.", "Return the model itself."),
    "unbuilt": Hint("The network has no numbers yet.", "It does not know how large its images are: say so first."),
}
network = Exercise("train-1", "Build it", names=("lenet5",), section="Notebook 2, section 1", hints=SHARED)
Layer = tuple[str, dict[str, Any]]
KINDS = ("Conv2D", "AveragePooling2D", "Conv2D", "AveragePooling2D", "Flatten", "Dense", "Dense", "Dense")
COUNT = 44_426
SIZES: tuple[dict[str, Any], ...] = (
    {"filters": 6, "kernel_size": [5, 5]}, {"pool_size": [2, 2]}, {"filters": 16, "kernel_size": [5, 5]},
    {"pool_size": [2, 2]}, {}, {"units": 120}, {"units": 84}, {"units": 10},
)  # fmt: skip
SECONDS = 60.0  # Keras is imported by the first call


def _model(answer: Answer) -> tuple[bytes, dict[str, Any]]:
    """Return the file of a student's network, and its description."""
    data = data_of(answer.lenet5())
    return data, config_of(data)


def _folded(config: dict[str, Any]) -> list[Layer]:
    """Return the layers without inputs; an activation that is a layer of its own belongs to the one before."""
    found: list[Layer] = []
    for kind, settings in layers_of(config):
        if kind in ("Activation", "Softmax", "ReLU") and found:
            word = settings.get("activation") if kind == "Activation" else kind.lower()
            found[-1] = (found[-1][0], {**found[-1][1], "activation": word})
        elif kind != "InputLayer":
            found.append((kind, settings))
    return found


@network.check("count", "44,426 numbers", points=1, timeout=SECONDS, needs="tensorflow", hints={
    "padded": Hint("{received:,} parameters.", "That is LeNet-5 with `padding='same'` in the first convolution. This "
                   "course's does not pad: 28 → 24."),
    "both-padded": Hint("{received:,} parameters.", "That is LeNet-5 with `padding='same'` in both convolutions. This "
                        "course's does not pad: 28 → 24."),
    "other": Hint("{received:,} parameters.", "summary() shows them for each layer: 156, 2,416, 30,840, 10,164, 850."),
})  # fmt: skip
def count(answer: Answer, case: Case) -> None:
    data, _ = _model(answer)
    found = sum(int(np.size(one)) for one in weights_of(data).values())
    key = {61_706: "padded", 107_786: "both-padded"}.get(found, "other")
    case.expect(found == COUNT, "The network has another number of parameters.", hint=key, expected=COUNT,
                received=found)  # fmt: skip


@network.check("layers", "The layers are those of the text, in order", points=2, timeout=SECONDS, needs="tensorflow",
               hints={
    "max": Hint("The right count, and the wrong layer: {received}.",
                "Pooling has no parameters, so the count cannot tell. The text says average."),
    "order": Hint("The layers are {received}.", "Two pairs of convolution and pooling, then three dense ones."),
    "size": Hint("Layer {number} has {received}.", "The text gives each number."),
    "padded": Hint("Layer {number} pads.", "This course's does not pad: 28 → 24."),
})  # fmt: skip
def layers(answer: Answer, case: Case) -> None:
    found = [one for one in _folded(_model(answer)[1]) if one[0] not in ("Dropout", "Rescaling")]
    kinds = tuple(kind for kind, _ in found)
    case.expect(kinds == KINDS, "The layers are others.", hint="max" if "MaxPooling2D" in kinds else "order",
                expected=", ".join(KINDS), received=", ".join(kinds))  # fmt: skip
    for number, ((_, settings), wanted) in enumerate(zip(found, SIZES, strict=True), 1):
        said = {name: _listed(settings.get(name)) for name in wanted}
        case.expect(said == wanted, f"Layer {number} has another size.", hint="size", number=number, expected=wanted,
                    received=said)  # fmt: skip
        case.expect(settings.get("padding", "valid") == "valid", f"Layer {number} pads.", hint="padded", number=number)


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


@network.check("outputs", "Ten probabilities come out, and relu stands between", points=2, timeout=SECONDS,
               needs="tensorflow", hints={
    "no-softmax": Hint("The activation of the last layer is {received}.",
                       "Ten outputs that sum to anything are not probabilities."),
    "twice": Hint("softmax, and `from_logits=True` in the loss.",
                  "softmax twice: the loss flattens out near 1.5, and the model learns slowly."),
    "no-relu": Hint("{n} layers have no activation.", "Without one, two layers are as good as one."),
})  # fmt: skip
def outputs(answer: Answer, case: Case) -> None:
    config = _model(answer)[1]
    found = _folded(config)
    case.expect(found and _word(found[-1]) == "softmax", "The outputs are no probabilities.", hint="no-softmax",
                expected="softmax", received=_word(found[-1]) if found else "no layer")  # fmt: skip
    loss = _loss(config)
    case.expect(not loss[1], "The loss takes the outputs for logits.", hint="twice", expected="from_logits=False")
    plain = [one for one in found[:-1] if one[0] in ("Conv2D", "Dense") and _word(one) == "linear"]
    case.expect(not plain, "Some layers have no activation.", hint="no-relu", n=len(plain), expected="relu",
                received="linear", share=0.5)  # fmt: skip


def _word(layer: Layer) -> str:
    """Return the activation of a layer."""
    value = layer[1].get("activation") or "linear"
    return str(value.get("config", {}).get("name", "")) if isinstance(value, dict) else str(value)


def _loss(config: dict[str, Any]) -> tuple[str, bool]:
    """Return the loss that a model is compiled with, in lower case without underscores, and whether it takes logits."""
    value = (config.get("compile_config") or {}).get("loss")
    settings: dict[str, Any] = {}
    if isinstance(value, dict):
        settings = value.get("config") if isinstance(value.get("config"), dict) else {}  # type: ignore[assignment]
        value = value.get("config") if value.get("class_name") == "function" else value.get("class_name")
    return str(value or "").replace("_", "").lower(), settings.get("from_logits") is True


loss = Exercise("train-2", "Loss and labels that fit", names=("compile_for", "one_hot"),
                section="Notebook 2, section 2", hints=SHARED)  # fmt: skip


@loss.check("one-hot", "One-hot rows have ten places, always", points=2, held_out=1, covers="other absent classes",
            hints={
    "width": Hint("{received} columns where the last class is not in the batch.",
                  "The width belongs to the task, not to the batch."),
    "transposed": Hint("The shape is {received}.", "A row for each label."),
})  # fmt: skip
def one_hot(answer: Answer, case: Case) -> None:
    labels = case.rng.integers(0, 10, 64)
    for batch in (labels, labels[labels < int(case.rng.integers(4, 9))], np.zeros(3, np.int64)):
        said = np.asarray(answer.one_hot(batch))
        key = "width" if said.ndim == 2 and said.shape[1] < 10 else "transposed"
        case.expect(said.shape == (len(batch), 10), "The shape is another.", hint=key, expected=(len(batch), 10),
                    received=said.shape[1] if key == "width" else said.shape)  # fmt: skip
        case.expect(np.array_equal(said, np.eye(10)[batch]), "The rows are others.", expected="one 1 in each row",
                    received=said[:1].tolist())  # fmt: skip


@cache
def _untrained() -> KerasFile:
    """Return a small network that was never compiled, as a file."""
    return KerasFile((MATERIAL / "small.keras").read_bytes())


FORMS = {"numbers": "sparse_categorical_crossentropy", "rows": "categorical_crossentropy"}
KERAS_NAMES = {name.replace("_", ""): name for name in (*FORMS.values(), "mean_squared_error")}


@loss.check("loss", "The loss fits both forms of labels", points=3, timeout=SECONDS, needs="tensorflow", hints={
    "not-compiled": Hint("The model has no loss.", "compile() sets it, on the very model that was passed."),
    "swapped": Hint("{loss} for labels of the shape {shape}.",
                    "One wants ten numbers for each image; its sparse sister wants one."),
    "mean-square": Hint("Mean squared error.", "It does train, slowly. Which question does each loss ask?"),
    "logits": Hint("`from_logits=True`, and the network ends with softmax.", "softmax twice: it learns slowly."),
    "no-optimizer": Hint("The model has no optimizer.", "compile() takes both."),
})  # fmt: skip
def fits(answer: Answer, case: Case) -> None:
    _, numbers = garments(case.rng, 64, held_out=False)
    labels = numbers.astype(np.int64)
    for form, batch in (("numbers", labels), ("rows", np.eye(10, dtype=np.float32)[labels])):
        config = config_of(data_of(answer.compile_for(_untrained(), batch)))
        found, logits = _loss(config)
        case.expect(found, "The model has no loss.", hint="not-compiled")
        name = KERAS_NAMES.get(found, found)
        key = "mean-square" if name in ("mean_squared_error", "mse") else "swapped" if name in FORMS.values() else ""
        if name not in (*FORMS.values(), "mean_squared_error", "mse"):
            case.not_gradable(f"The loss {name} is none that this check knows.")
        case.expect(name == FORMS[form], f"The loss does not fit labels of the shape {batch.shape}.", hint=key,
                    loss=name, shape=batch.shape, expected=FORMS[form], received=name)  # fmt: skip
        case.expect(not logits, "The loss takes the outputs for logits.", hint="logits", share=0.5)
        optimizer = (config.get("compile_config") or {}).get("optimizer")
        case.expect(optimizer, "There is no optimizer.", hint="no-optimizer")
