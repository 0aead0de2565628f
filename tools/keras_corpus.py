"""Write many model files with the installed Keras, and what the same Keras says when it loads each of them.

``python tools/keras_corpus.py FOLDER`` writes the files, and ``answers.json``: for each file whether it loads, and
whether it loads with ``compile=False``. ``tests/store/test_real_keras.py`` compares ``store.check`` with the answers.
"""

from __future__ import annotations

import copy
import json
import os
import shutil
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Edit = Callable[[dict[str, Any]], Any]


def _lines(keras: Any) -> Iterator[tuple[str, list[Any]]]:
    """Yield stacks of layers behind an image of 8×8 with two channels."""
    k = keras.layers
    dense = {
        "plain": {}, "softmax": {"activation": "softmax"}, "no_bias": {"use_bias": False},
        "l2": {"kernel_regularizer": "l2"}, "l1l2": {"bias_regularizer": keras.regularizers.L1L2(0.1, 0.2)},
        "activity": {"activity_regularizer": "l1"}, "he": {"kernel_initializer": "he_normal"},
        "constant": {"bias_initializer": keras.initializers.Constant(0.5)}, "norm": {"kernel_constraint": "max_norm"},
        "float16": {"dtype": "float16"}, "mixed": {"dtype": "mixed_float16"}, "bfloat16": {"dtype": "mixed_bfloat16"},
        "frozen": {"trainable": False}, "lora": {"lora_rank": 2}, "gelu": {"activation": keras.activations.gelu},
        "layer": {"activation": k.LeakyReLU()}, "lambda": {"activation": lambda x: x * 2}, "own": {"activation": own},
    }  # fmt: skip
    for name, arguments in dense.items():
        yield f"dense_{name}", [k.Flatten(), k.Dense(3, **arguments)]
    yield "convolutions", [k.Conv2D(4, 3, padding="same"), k.Conv2D(4, 3, groups=2), k.SeparableConv2D(3, 2)]
    yield "transposed", [k.DepthwiseConv2D(2), k.Conv2DTranspose(2, 2, strides=2), k.UpSampling2D()]
    yield "pools", [k.MaxPooling2D(), k.AveragePooling2D(2), k.GlobalAveragePooling2D(keepdims=True)]
    yield "norms", [k.BatchNormalization(), k.LayerNormalization(), k.GroupNormalization(2), k.UnitNormalization()]
    yield "rms", [k.RMSNormalization(), k.BatchNormalization(center=False, scale=False)]
    yield "noise", [k.Dropout(0.5, seed=1), k.GaussianNoise(0.1), k.SpatialDropout2D(0.1), k.AlphaDropout(0.1)]
    yield "activations", [k.ReLU(6.0), k.LeakyReLU(0.1), k.ELU(), k.PReLU(shared_axes=[1, 2]), k.Softmax()]
    yield "augment", [k.RandomFlip(), k.RandomRotation(0.1), k.RandomZoom(0.1), k.RandomContrast(0.1)]
    yield "sizes", [k.Rescaling(1 / 255), k.Resizing(4, 4), k.CenterCrop(2, 2), k.ZeroPadding2D(1), k.Cropping2D(1)]
    yield "shapes", [k.Reshape((16, 8)), k.Permute((2, 1)), k.Flatten(), k.RepeatVector(2)]
    yield "recurrent", [k.Reshape((16, 8)), k.LSTM(3, return_sequences=True), k.GRU(3)]
    yield "bidirectional", [k.Reshape((16, 8)), k.Bidirectional(k.SimpleRNN(3, return_sequences=True)), k.LSTM(2)]
    yield "cells", [k.Reshape((16, 8)), k.RNN([k.LSTMCell(2), k.GRUCell(2)])]
    yield "distributed", [k.TimeDistributed(k.Dense(2)), k.ConvLSTM1D(2, 2)]
    yield "spectral", [k.SpectralNormalization(k.Conv2D(2, 2)), k.ActivityRegularization(0.1)]
    yield "adapted", [k.Normalization(mean=[0.0, 1.0], variance=[1.0, 2.0]), k.Masking(), k.Identity()]
    yield "lambda_layer", [k.Lambda(lambda x: x + 1)]
    yield "own_layer", [own_layer(keras)()]
    yield "policy_map", [k.Dense(2, dtype="int8_from_float32")]
    yield "einsum", [k.EinsumDense("abcd,de->abce", output_shape=(None, None, 3), bias_axes="e")]


def own(x: Any) -> Any:
    """Return what a function of one's own returns."""
    return x


def own_layer(keras: Any) -> Any:
    """Return a class of layers that is not registered."""

    class Own(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return x

    return Own


def _graphs(keras: Any) -> Iterator[tuple[str, Any]]:
    """Yield models that are no plain stack."""
    k = keras.layers

    def graph(make: Callable[[Any], Any], shape: tuple[int, ...] = (4,), dtype: str | None = None) -> Any:
        inputs = keras.Input(shape, dtype=dtype)
        return keras.Model(inputs, make(inputs))

    shared = k.Dense(4)
    yield "times_number", graph(lambda x: k.Dense(2)(x * 2.0 + 1.0))
    yield "sum_of_two", graph(lambda x: k.Add()([k.Dense(2)(x), k.Dense(2)(x)]))
    yield "sum_by_operator", graph(lambda x: k.Dense(2)(x) + k.Dense(2)(x))
    yield "joined", graph(lambda x: k.Concatenate()([x, k.Dense(2)(x)]))
    yield "mean", graph(lambda x: keras.ops.mean(k.Dense(4)(x), axis=1))
    yield "sliced", graph(lambda x: k.Dense(2)(x[:, 1:]))
    yield "functions", graph(lambda x: keras.ops.relu(keras.ops.exp(x)) - 1.0)
    yield "twice", graph(lambda x: shared(shared(x)))
    yield "two_outputs", graph(lambda x: [k.Dense(2, name="a")(x), k.Dense(3, name="b")(x)])
    yield "named_outputs", graph(lambda x: {"a": k.Dense(2)(x), "b": k.Dense(3)(x)})
    yield "nested", graph(lambda x: keras.Sequential([keras.Input((4,)), k.Dense(2)])(x))
    yield "attention", graph(lambda x: k.MultiHeadAttention(2, 2)(x, x), (5, 4))
    yield "dot_attention", graph(lambda x: k.Attention(use_scale=True)([x, x]), (5, 4))
    yield "embedding", graph(lambda x: k.LSTM(2)(k.Embedding(9, 3, mask_zero=True)(x)), (5,), "int32")
    yield "hashing", graph(lambda x: k.Flatten()(k.Embedding(8, 2)(k.Hashing(8)(x))), (2,), "int32")
    yield "encoding", graph(lambda x: k.CategoryEncoding(5, output_mode="multi_hot")(x), (2,), "int32")
    yield "buckets", graph(lambda x: k.Discretization([0.0, 1.0])(x))
    yield "integer_lookup", graph(lambda x: k.IntegerLookup(vocabulary=[1, 2])(x), (1,), "int64")
    yield "merges", graph(lambda x: k.Maximum()([k.Multiply()([x, x]), k.Average()([x, x]), k.Subtract()([x, x])]))


def _compiled(keras: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield arguments of ``compile``."""
    rates = keras.optimizers.schedules
    for loss in ("mse", "MAE", "mean_squared_error", "binary_crossentropy", "kld", "hinge", "MeanSquaredError"):
        yield f"loss_{loss}", {"loss": loss}
    yield "loss_object", {"loss": keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.1)}
    yield "loss_function", {"loss": keras.losses.mean_squared_error}
    yield "loss_own", {"loss": own}
    yield "loss_list", {"loss": ["mse"]}
    for metric in ("accuracy", "mae", "mean_absolute_error", "AUC", "acc"):
        yield f"metric_{metric}", {"loss": "mean_squared_error", "metrics": [metric]}
    yield "metric_object", {"loss": "mean_squared_error", "metrics": [keras.metrics.AUC(num_thresholds=5)]}
    yield "metric_own", {"loss": "mean_squared_error", "metrics": [own]}
    yield "weighted", {"loss": "mean_squared_error", "weighted_metrics": ["accuracy"]}
    for name in ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Nadam", "Lion", "Ftrl"):
        yield f"optimizer_{name}", {"optimizer": name, "loss": "mean_squared_error"}
    for name, rate in {
        "exponential": rates.ExponentialDecay(0.1, 10**9, 0.9),
        "pieces": rates.PiecewiseConstantDecay([10**8, 10**9], [0.1, 0.01, 0.001]),
        "cosine": rates.CosineDecay(0.1, 50_000_000, warmup_steps=20_000_000, warmup_target=0.2),
    }.items():
        yield f"rate_{name}", {"optimizer": keras.optimizers.SGD(rate, momentum=0.9), "loss": "mean_squared_error"}
    clipped = keras.optimizers.Adam(clipnorm=1.0, use_ema=True, ema_overwrite_frequency=5, weight_decay=0.01)
    yield "optimizer_clipped", {"optimizer": clipped, "loss": "mean_squared_error"}
    yield "optimizer_scaled", {"optimizer": keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD()), "loss": "mse"}


def _edits() -> Iterator[tuple[str, Edit]]:
    """Yield changes of a description that no writer makes, or that another one made."""

    def dense(**change: Any) -> Edit:
        return lambda config: _last(config)["config"].update(change)

    def node(**change: Any) -> Edit:
        return lambda config: _last(config).update(change)

    yield "key_unknown", dense(colour="red")
    yield "key_missing", lambda config: _last(config)["config"].pop("units")
    yield "activation_unknown", dense(activation="own_activation")
    yield "activation_object", dense(activation={"value": ["4wEA", None, None]})
    yield "activation_number", dense(activation=3)
    yield "initializer_word", dense(kernel_initializer="glorot_uniform")
    yield "initializer_unknown", dense(kernel_initializer="own_initializer")
    yield "initializer_bare", dense(kernel_initializer={"seed": 1})
    yield "regularizer_unknown", dense(kernel_regularizer="own")
    yield "dtype_word", dense(dtype="float32")
    yield "dtype_unknown", dense(dtype="float31")
    yield "dtype_null", dense(dtype=None)
    yield "policy_old", dense(dtype={"class_name": "Policy", "config": {"name": "mixed_float16"}})
    yield "policy_of_tf", dense(dtype=_policy("keras.mixed_precision", "Policy", "mixed_float16"))
    yield "policy_unknown", dense(dtype=_policy("keras", "OwnPolicy", "float32"))
    yield "policy_misspelled", dense(dtype=_policy("keras", "DTypePolicy", "mixed_float17"))
    yield "class_unknown", node(class_name="Denser")
    yield "class_own", node(module=None, registered_name="own>Dense", class_name="Dense")
    yield "model_unknown", lambda config: config.update(class_name="Modelled")


def _policy(module: str, name: str, policy: str) -> dict[str, Any]:
    return {"module": module, "class_name": name, "config": {"name": policy}, "registered_name": None}


def _last(config: dict[str, Any]) -> dict[str, Any]:
    layer: dict[str, Any] = config["config"]["layers"][-1]
    return layer


def _models(keras: Any) -> Iterator[tuple[str, Any]]:
    for name, layers in _lines(keras):
        yield name, keras.Sequential([keras.Input((8, 8, 2)), *layers])
    yield from _graphs(keras)
    for name, arguments in _compiled(keras):
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        model.compile(**arguments)
        yield name, model


def write(folder: Path) -> None:
    """Write every file into a folder."""
    import keras

    for name, model in _models(keras):
        for suffix in (".keras", ".h5"):
            try:
                model.save(folder / f"{name}{suffix}")
            except Exception as error:  # not every model can be saved in every format
                print(name, suffix, type(error).__name__)
    base = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    base.compile("sgd", "mean_squared_error")
    base.save(folder / "base.keras")
    base.save(folder / "base.h5")
    for name, edit in _edits():
        _edit_keras(folder / "base.keras", folder / f"edited_{name}.keras", edit)
        _edit_h5(folder / "base.h5", folder / f"edited_{name}.h5", edit)
    _rename(folder)


def _rename(folder: Path) -> None:
    """Write the base model under names that are not its own, and unzipped."""
    for source in ("base.keras", "base.h5"):
        for suffix in (".keras", ".h5", ".hdf5", ".model"):
            shutil.copy(folder / source, folder / f"named_{source.replace('.', '_')}{suffix}")
    with zipfile.ZipFile(folder / "base.keras") as archive:
        archive.extractall(folder / "unzipped")


def _edit_keras(source: Path, out: Path, edit: Edit) -> None:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, _edited(content, edit) if name == "config.json" else content)


def _edit_h5(source: Path, out: Path, edit: Edit) -> None:
    import h5py

    shutil.copy(source, out)
    with h5py.File(out, "r+") as file:
        file.attrs["model_config"] = _edited(file.attrs["model_config"], edit)


def _edited(text: bytes | str, edit: Edit) -> str:
    config = copy.deepcopy(json.loads(text))
    edit(config)
    return json.dumps(config)


def answers(folder: Path) -> dict[str, list[bool]]:
    """Return for each file whether Keras loads it as it is, and with ``compile=False``."""
    paths = [path for path in sorted(folder.iterdir()) if path.name != "answers.json"]
    return {path.name: [_loads(path, compile=True), _loads(path, compile=False)] for path in paths}


def _loads(path: Path, *, compile: bool) -> bool:
    import keras

    try:
        keras.saving.load_model(path, compile=compile)
    except Exception:  # whatever Keras raises is the answer
        return False
    return True


if __name__ == "__main__":
    os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", "PYTHONWARNINGS": "ignore"}
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    write(target)
    (target / "answers.json").write_text(json.dumps(answers(target), indent=1))
