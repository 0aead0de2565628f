"""Write small models of many layer kinds with every Keras version, and record which version reads them.

Run ``python tools/keras_fixtures.py make`` for the files and ``… observe`` for ``observed.json`` beside them. Both take
minutes: each version starts TensorFlow once. ``… read VERSION FILE=EXPECTED.npy…`` prints what one version answers;
``… fork VERSION PATH`` writes one more model.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent.parent / "tests" / "data" / "keras-kinds"


def sink(keras: Any) -> Any:
    """Return a functional model: separable convolutions, normalisation, attention, a recurrent layer."""
    k = keras.layers
    image = keras.Input((6, 6, 2), name="image")
    x = k.SeparableConv2D(4, 3, name="separable")(image)
    x = k.BatchNormalization(name="batch_norm")(x)
    x = k.LeakyReLU(name="leaky")(x)
    x = k.DepthwiseConv2D(3, name="depthwise")(x)
    x = k.LayerNormalization(name="layer_norm")(x)
    x = k.Reshape((4, 4), name="sequence")(x)
    y = k.MultiHeadAttention(2, 2, name="attention")(x, x)
    x = k.Add(name="residual")([x, y])
    x = k.LSTM(3, name="lstm")(x)
    model = keras.Model(image, k.Dense(2, activation="softmax", name="out")(x), name="sink")
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def emb(keras: Any) -> Any:
    """Return a sequential model without an Input: embedding, recurrent layer."""
    k = keras.layers
    model = keras.Sequential([k.Embedding(10, 3), k.GRU(3), k.Dense(1, activation="sigmoid")], name="emb")
    model.build((None, None))
    return model


def tower(keras: Any) -> Any:
    """Return a sequential model: convolutions, normalisation, augmentation, and non-default settings."""
    k, init = keras.layers, keras.initializers
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            k.Rescaling(1 / 255),
            k.RandomFlip("horizontal"),
            k.ZeroPadding2D(1),
            k.Conv2D(4, 3, kernel_initializer=init.HeNormal(), kernel_regularizer=keras.regularizers.L2(1e-3)),
            k.GroupNormalization(2),
            k.PReLU(shared_axes=[1, 2]),
            k.Conv2DTranspose(2, 2, strides=2, kernel_initializer=init.RandomNormal(stddev=0.1)),
            k.MaxPooling2D(2),
            k.SpatialDropout2D(0.1),
            k.Conv2D(2, 1, bias_initializer=init.Constant(0.1), kernel_constraint=keras.constraints.MaxNorm(2)),
            k.ELU(alpha=0.5),
            k.UpSampling2D(2),
            k.GlobalAveragePooling2D(),
            k.Dense(3, kernel_initializer=init.VarianceScaling(2.0)),
            k.Softmax(),
        ],
        name="tower",
    )
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    model.compile(keras.optimizers.AdamW(1e-3, clipnorm=1.0), loss, metrics=[keras.metrics.TopKCategoricalAccuracy(2)])
    return model


def recur(keras: Any) -> Any:
    """Return a functional model of two inputs with wrappers, a nested model, masking and simple attention."""
    k = keras.layers
    left, right = keras.Input((4, 3), name="left"), keras.Input((4, 3), name="right")
    inner = keras.Sequential([keras.Input((4, 3)), k.Conv1D(3, 2, padding="same"), k.ReLU()], name="inner")
    shared = k.TimeDistributed(k.Dense(3, use_bias=False), name="shared")
    x = k.Bidirectional(k.LSTM(2, return_sequences=True), name="both_ways")(left)
    y = k.SimpleRNN(4, return_sequences=True, name="simple")(inner(right))
    z = k.Attention(name="dot")([x, y])
    x = k.Concatenate(name="join")([z, shared(left), shared(right)])
    x = k.Flatten(name="flat")(k.SeparableConv1D(2, 2, name="separable")(x))
    x = k.Concatenate(name="join_again")([x, k.GRU(2, name="masked")(k.Masking(name="mask")(right))])
    return keras.Model([left, right], k.Dense(2, name="out")(k.Dropout(0.5, name="drop")(x)), name="recur")


def fork(keras: Any) -> Any:
    """Return a functional model that Keras 2 can say too: two inputs, a shared layer, a model inside the model."""
    k = keras.layers
    left, right = keras.Input((4, 3), name="left"), keras.Input((4, 3), name="right")
    inner = keras.Sequential([keras.Input((4, 3)), k.Conv1D(3, 2, padding="same"), k.LeakyReLU()], name="inner")
    shared = k.Dense(3, name="shared")
    x = k.Add(name="sum")([inner(shared(left)), shared(right)])
    both_ways = k.Bidirectional(k.GRU(2, return_sequences=True), name="both_ways")(right)
    x = k.BatchNormalization(name="norm")(k.Concatenate(name="join")([x, both_ways]))
    return keras.Model([left, right], k.Dense(2, name="out")(k.Flatten(name="flat")(x)), name="fork")


MODELS = {"sink": sink, "emb": emb, "tower": tower, "recur": recur}


def inputs(kind: str) -> Any:
    """Return the same few examples for a kind of model under every version."""
    import numpy as np

    draw = np.random.RandomState(0)
    if kind == "lenet":
        return draw.rand(4, 28, 28, 1).astype("float32")
    if kind == "emb":
        return draw.randint(0, 10, (4, 5)).astype("float32")
    if kind in ("recur", "fork"):
        return [draw.rand(4, 4, 3).astype("float32"), draw.rand(4, 4, 3).astype("float32")]
    return draw.rand(4, *((6, 6, 2) if kind == "sink" else (8, 8, 3))).astype("float32")


def _quiet_keras() -> Any:
    import warnings

    warnings.filterwarnings("ignore")
    import keras

    return keras


def _write(name: str) -> None:
    """Write the models with the Keras that runs this; child of ``make``."""
    import numpy as np

    keras = _quiet_keras()
    for kind, build in MODELS.items():
        keras.utils.set_random_seed(0)
        model = build(keras)
        np.save(FOLDER / "files" / f"{name}_{kind}.npy", model.predict(inputs(kind), verbose=0))
        model.save(FOLDER / "files" / f"{name}_{kind}.keras")
        if kind in ("sink", "emb"):
            _write_h5(model, FOLDER / "files" / f"{name}_{kind}.h5")


def _write_h5(model: Any, path: Path) -> None:
    try:
        model.save(path)
    except ValueError:  # Keras before 3.3 gives two weights one name, which the old format cannot hold
        path.unlink()


def _write_fork(path: Path) -> None:
    import numpy as np

    keras = _quiet_keras()
    model = fork(keras)
    model.save(path)
    np.save(path.with_suffix(".npy"), model.predict(inputs("fork"), verbose=0))


def _answer(path: Path, expected: Path, compile_too: bool) -> str:
    """Return what the running Keras says to a file: ``ok``, or the tail of its error."""
    import numpy as np

    keras = _quiet_keras()
    kind = expected.stem.rsplit("_", 1)[-1]
    try:
        model = keras.models.load_model(path, compile=compile_too)
        found = model.predict(inputs(kind), verbose=0)
    except BaseException as error:
        return f"{type(error).__name__}: {str(error).strip()[-400:]}"
    difference = float(np.abs(found - np.load(expected)).max())
    return "ok" if difference <= 1e-6 else f"different: {difference:.1e}"


def _read(arguments: list[str]) -> None:
    """Print a JSON object of answers for ``FILE=EXPECTED.npy`` pairs; child of ``read``."""
    out = os.dup(1)
    os.dup2(2, 1)  # Keras prints progress and advice; the answer must be alone on standard output
    compile_too = "--no-compile" not in arguments
    pairs = [item.split("=", 1) for item in arguments if "=" in item]
    answers = {path: _answer(Path(path), Path(expected), compile_too) for path, expected in pairs}
    os.write(out, json.dumps(answers).encode())


def _tail(answer: str) -> str:
    """Return the last line of an error, where Keras gives the reason."""
    return (answer.splitlines() or [""])[-1][-200:]


def main(arguments: list[str]) -> None:
    """Run a command: ``make``, ``observe``, ``read VERSION FILE=EXPECTED.npy…`` or ``fork VERSION PATH``."""
    command, rest = arguments[0], arguments[1:]
    if command == "write-here":
        return _write(rest[0])
    if command == "read-here":
        return _read(rest)
    if command == "fork-here":
        return _write_fork(Path(rest[0]))
    import keras_versions as versions

    here = Path(__file__).resolve()
    if command == "make":
        (FOLDER / "files").mkdir(parents=True, exist_ok=True)
        for version in rest or versions.VERSIONS:
            versions.run(version, here, "write-here", version)
    elif command == "observe":
        files = [p for p in sorted((FOLDER / "files").iterdir()) if p.suffix != ".npy"]
        pairs = [f"{path}={path.with_suffix('.npy')}" for path in files]
        observed = {}
        for version in versions.VERSIONS:
            answers = json.loads(versions.run(version, here, "read-here", *pairs))
            observed[version] = {Path(path).name: _tail(answer) for path, answer in answers.items()}
            print(version, sum(answer == "ok" for answer in answers.values()), "of", len(answers))
        (FOLDER / "observed.json").write_text(json.dumps(observed, indent=1) + "\n")
    elif command == "fork":
        versions.run(rest[0], here, "fork-here", rest[1])
    elif command == "read":
        print(versions.run(rest[0], here, "read-here", *rest[1:]))


if __name__ == "__main__":
    main(sys.argv[1:])
