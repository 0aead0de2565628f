"""The corpus of train-1 to train-5."""

from __future__ import annotations

from corpus_types import Answers, Wrong, edited, solution

CURVES = solution("train-3")
SEARCH = solution("train-5")
NETWORK = solution("train-1", "import keras\nfrom keras import layers\n")
COMPILE = solution("train-2", "import numpy as np\n")
REPEAT = solution("train-4", "import keras\nimport numpy as np\nfrom keras import layers\n")

BEST = '    losses = history["val_loss"]\n    return losses.index(min(losses)) + 1\n'

SEED = "keras.utils.set_random_seed(seed)"

CORPUS = {
    "train-1": Answers(
        right=[NETWORK, edited(NETWORK, ('layers.Dense(10, activation="softmax")', 'layers.Dense(10), layers.Softmax()'))],
        wrong=[
            Wrong(edited(NETWORK, ('layers.Conv2D(6, 5,', 'layers.Conv2D(6, 5, padding="same",')), "train-1.count", "padded"),
            Wrong(edited(NETWORK, ("AveragePooling2D", "MaxPooling2D")), "train-1.layers", "max"),
            Wrong(edited(NETWORK, ('layers.Dense(10, activation="softmax")', "layers.Dense(10)")), "train-1.outputs", "no-softmax"),
            Wrong(edited(NETWORK, ("return keras", "model = keras"))
                  + "    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))\n    return model\n",
                  "train-1.outputs", "twice"),
            Wrong(edited(NETWORK, ('layers.Dense(84, activation="relu")', "layers.Dense(84)")), "train-1.outputs", "no-relu"),
            Wrong(edited(NETWORK, ("        keras.Input((28, 28, 1)),\n", "")), "train-1.count", "unbuilt"),
            Wrong("def lenet5():\n    return 'LeNet-5'\n", "train-1.count", "no-model"),
        ],
    ),
    "train-2": Answers(
        right=[COMPILE, edited(COMPILE, ("    return model\n", ""))],
        wrong=[
            Wrong(edited(COMPILE, ('"sparse_categorical_crossentropy" if labels.ndim == 1 else "categorical_crossentropy"', '"categorical_crossentropy"')),
                  "train-2.loss", "swapped"),
            Wrong(edited(COMPILE, ("np.eye(10)", "np.eye(labels.max() + 1)")), "train-2.one-hot", "width"),
            Wrong(edited(COMPILE, ('"sparse_categorical_crossentropy" if labels.ndim == 1 else "categorical_crossentropy"', '"mse"')), "train-2.loss", "mean-square"),
            Wrong(edited(COMPILE, ("    model.compile", "    dict")), "train-2.loss", "not-compiled"),
        ],
    ),
    "train-4": Answers(
        right=[REPEAT],
        wrong=[
            Wrong(edited(REPEAT, (SEED, "np.random.seed(seed)")), "train-4.repeats", "differs"),
            Wrong(edited(REPEAT, ("hashlib.sha256(b\"\".join(one.tobytes() for one in weights))", "hashlib.sha256(str(weights).encode())")),
                  "train-4.digest", "text"),
            Wrong(edited(REPEAT, ("one.tobytes()", "np.round(one, 3).tobytes()")), "train-4.digest", "rounded"),
            Wrong(edited(REPEAT, (SEED, "keras.utils.set_random_seed(1)")), "train-4.repeats", "ignored"),
        ],
    ),
    "train-3": Answers(
        right=[CURVES, edited(CURVES, (BEST, '    best = max(history["val_accuracy"])\n    return 1 + history["val_accuracy"].index(best)\n'))],
        wrong=[
            Wrong(edited(CURVES, (BEST, '    return history["accuracy"].index(max(history["accuracy"])) + 1\n')), "train-3.best", "training"),
            Wrong(edited(CURVES, (BEST, "    return len(history['loss'])\n")), "train-3.best", "last"),
            Wrong(edited(CURVES, ("min(losses)) + 1", "min(losses))")), "train-3.best", "from-zero"),
            Wrong(edited(CURVES, ("range(5)", "range(1)")), "train-3.overfits", "once"),
            Wrong(edited(CURVES, ("return start + 1", "return start")), "train-3.overfits", "from-zero"),
            Wrong(edited(CURVES, ("return start + 1", "return start + 2")), "train-3.overfits", "first-worse"),
            Wrong(edited(CURVES, ("return None", "return 60")), "train-3.overfits", "never"),
        ],
    ),
    "train-5": Answers(
        right=[SEARCH, edited(SEARCH, ('return configs[best], score(models[best], "test")',
                                       'return {"best": configs[best], "accuracy": score(models[best], "test")}'))],
        wrong=[
            Wrong(edited(SEARCH, ('"validation"', '"test"')), "train-5.winner", "test"),
            Wrong(edited(SEARCH, ('"validation"', '"train"')), "train-5.winner", "train"),
            Wrong(edited(SEARCH, ('score(models[best], "test")', "figures[best]")), "train-5.figure", "validation"),
            Wrong(edited(SEARCH, ("in configs]", "in configs[:5]]")), "train-5.all", "not-all"),
            Wrong(edited(SEARCH, ('    figures = [', '    [score(model, "test") for model in models]\n    figures = [')), "train-5.clean", "many"),
            Wrong(edited(SEARCH, ('score(models[best], "test")', "figures[best]")), "train-5.clean", "never"),
        ],
    ),
}  # fmt: skip
