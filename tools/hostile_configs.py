"""Hostile configurations inside a well-made archive."""

from __future__ import annotations

import base64
import json
import marshal
from pathlib import Path
from typing import Any

from hostile_base import Case, config_bytes, keras, layer, lenet_layers, model

NESTED = 500


def cases(canary: Path) -> list[Case]:
    """Return the configurations; ``canary`` is the file that code in them would touch."""
    return [
        *(Case(f"config_{n}.keras", code, keras(config=text)) for n, (text, code) in _texts().items()),
        *(Case(f"config_{n}.keras", code, keras(config=config_bytes(c))) for n, (c, code) in _objects(canary).items()),
        *(Case(f"config_{n}.keras", code, keras(config=_swap(old, new))) for n, (old, new, code) in _swaps().items()),
    ]


def _swap(old: str, new: str) -> bytes:
    text = config_bytes().decode()
    assert old in text, old
    return text.replace(old, new, 1).encode()


def _texts() -> dict[str, tuple[bytes, str]]:
    good = config_bytes()
    ballast = b'{"class_name": "ReLU", "config": {}, "module": "keras.layers"}'
    return {
        "bom": (b"\xef\xbb\xbf" + good, "json_encoding"),
        "utf16": (good.decode().encode("utf-16"), "json_encoding"),
        "utf16_no_bom": (good.decode().encode("utf-16-be"), "json_encoding"),
        "invalid_utf8": (good.replace(b'"lenet"', b'"len\xff\xfet"'), "json_encoding"),
        "not_json": (b"config = 1", "json_syntax"),
        "empty": (b"", "json_syntax"),
        "trailing_json": (good + b"{}", "json_syntax"),
        "depth_100000": (b"[" * 100_000 + b"]" * 100_000, "json_depth"),
        "depth_in_object": (
            good[:-1] + b', "build_config": ' + b'{"a":' * 300 + b"1" + b"}" * 300 + b"}",
            "json_depth",
        ),
        "size_9mb": (good + b" " * 9_000_000, "zip_member_size"),
        "layers_100000": (good.replace(b'"layers": [', b'"layers": [' + (ballast + b",") * 100_000, 1), "json_tokens"),
        "layers_6000": (good.replace(b'"layers": [', b'"layers": [' + (ballast + b",") * 6_000, 1), "config_layers"),
        "numpy_10000000": (
            good.replace(b'"name": "flatten"', b'"value": [' + b"0," * 4_000_000 + b"0]"),
            "json_tokens",
        ),
        "duplicate_key": (good.replace(b'"units": 10,', b'"units": 10, "units": 11,'), "json_duplicate_key"),
        "duplicate_layers": (good.replace(b'"layers": [', b'"layers": [], "layers": [', 1), "json_duplicate_key"),
        "not_an_object": (b"[1, 2]", "unknown_class"),
        "string": (b'"Sequential"', "unknown_class"),
    }


def _swaps() -> dict[str, tuple[str, str, str]]:
    units, name, activation = '"units": 10', '"name": "dense_2"', '"activation": "softmax"'
    return {
        "units_1e9": (units, '"units": 1000000000', "config_giant"),
        "units_500000_only_in_config": (units, '"units": 500000', "weights_shape"),
        "units_5000000": (units, '"units": 5000000', "config_giant"),
        "units_minus_1": (units, '"units": -1', "config_number"),
        "units_0": (units, '"units": 0', "config_number"),
        "units_nan": (units, '"units": NaN', "json_not_finite"),
        "units_1e309": (units, '"units": 1e309', "json_not_finite"),
        "units_1e300": (units, '"units": 1e300', "config_number"),
        "units_string": (units, '"units": "10"', "config_number"),
        "units_true": (units, '"units": true', "config_number"),
        "units_list": (units, '"units": [10, 0]', "config_number"),
        "units_5000_digits": (units, '"units": ' + "9" * 5_000, "json_number"),
        "units_2_to_70": (units, f'"units": {2**70}', "json_number"),
        "infinity": (units, '"units": 10, "rate": Infinity', "json_not_finite"),
        "minus_infinity": (units, '"units": 10, "rate": -Infinity', "json_not_finite"),
        "filters_1e9": ('"filters": 6', '"filters": 1000000000', "config_giant"),
        "kernel_1e6": ('"kernel_size": [5, 5]', '"kernel_size": [1000000, 1000000]', "config_giant"),
        "strides_0": ('"strides": [2, 2]', '"strides": [0, 2]', "config_number"),
        "input_1e7": ("[null, 28, 28, 1]", "[null, 9000000, 9000000, 1]", "config_giant"),
        "input_50000": ("[null, 28, 28, 1]", "[null, 9000, 9000, 1]", "config_giant"),
        "input_negative": ("[null, 28, 28, 1]", "[null, -28, 28, 1]", "config_shape"),
        "input_words": ("[null, 28, 28, 1]", '["x", 28, 28, 1]', "config_shape"),
        "name_parent": (name, '"name": "../x"', "layer_name"),
        "name_absolute": (name, '"name": "/x"', "layer_name"),
        "name_nul": (name, '"name": "a\\u0000b"', "layer_name"),
        "name_10kb": (name, f'"name": "{"x" * 10_240}"', "layer_name"),
        "name_surrogate": (name, '"name": "\\ud800"', "layer_name"),
        "name_number": (name, '"name": 7', "layer_name"),
        "name_duplicate": (name, '"name": "dense_1"', "layer_name_duplicate"),
        "activation_unknown": (activation, '"activation": "os.system"', "unknown_activation"),
        "class_number": ('"class_name": "Flatten"', '"class_name": 5', "config_structure"),
        "config_list": ('"config": {"name": "flatten"}', '"config": ["flatten"]', "config_structure"),
        "strange_key": ('"class_name": "Flatten"', '"class_name": "Flatten", "spec_name": "x"', "config_structure"),
        "unknown_class": ('"class_name": "Flatten"', '"class_name": "Evil"', "unknown_class"),
        "no_module": ('"module": "keras.layers", "class_name": "Flatten"', '"class_name": "Evil"', "unknown_class"),
        "module_os": (
            '"module": "keras.layers", "class_name": "Flatten"',
            '"module": "os", "class_name": "Flatten"',
            "foreign_class",
        ),
        "module_list": (
            '"module": "keras.layers", "class_name": "Flatten"',
            '"module": ["os"], "class_name": "x"',
            "foreign_class",
        ),
        "module_lookalike": ('"module": "keras.layers"', '"module": "keras_layers"', "foreign_class"),
        "get_file": (
            '"module": "keras.layers", "class_name": "Flatten"',
            '"module": "keras.utils", "class_name": "get_file"',
            "unknown_class",
        ),
        "registered_mismatch": ('"registered_name": null', '"registered_name": "evil>Dense"', "registered_name"),
        "registered_other": ('"registered_name": null', '"registered_name": "Lambda"', "registered_name"),
        "custom_package": ('"class_name": "Flatten"', '"class_name": "my_pkg>Flatten"', "registered_name"),
        "layers_object": ('"layers": [', '"layers": {}, "x": [', "config_structure"),
        "layers_numbers": ('"layers": [', '"layers": [1], "x": [', "config_structure"),
    }


def _added(kind: str, **config: Any) -> dict[str, Any]:
    return model([*lenet_layers(), layer(kind, "extra", **config)])


def _function(module: str, name: str) -> dict[str, Any]:
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


def _with_activation(value: Any) -> dict[str, Any]:
    layers = lenet_layers()
    layers[-1]["config"]["activation"] = value
    return model(layers)


def _lambda(canary: Path) -> dict[str, Any]:
    code = compile(f"lambda x: [open({str(canary)!r}, 'w').close(), x][1]", "<hostile>", "eval").co_consts[0]
    return {"class_name": "__lambda__", "config": {"value": base64.b64encode(marshal.dumps(code)).decode()}}


def _nested(depth: int) -> dict[str, Any]:
    text = json.dumps(model(lenet_layers()))
    head, tail = '{"module": "keras", "class_name": "Sequential", "config": {"name": "m", "layers": [', "]}}"
    return _Raw(head * depth + text + tail * depth)


class _Raw(dict):  # type: ignore[type-arg]
    """JSON that is too deep for ``json.dumps``."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text


def _objects(canary: Path) -> dict[str, tuple[dict[str, Any], str]]:
    array = {"class_name": "__numpy__", "config": {"value": [0.0] * 20_000, "dtype": "float32"}}
    references = {
        "os_system": _function("os", "system"),
        "builtins_eval": _function("builtins", "eval"),
        "keras_utils": _function("keras.utils", "get_file"),
        "keras_ops": _function("keras.ops", "relu"),
        "keras_datasets": _function("keras.datasets.mnist", "load_data"),
        "keras_plot_model": _function("keras.utils", "plot_model"),
        "keras_config": _function("keras.config", "enable_unsafe_deserialization"),
        "keras_floatx": _function("keras.config", "set_floatx"),
        "keras_load_model": _function("keras.saving", "load_model"),
        "keras_vgg16": _function("keras.applications.vgg16", "VGG16"),
        "keras_clone_model": _function("keras.models", "clone_model"),
        "keras_distribution": _function("keras.distribution", "initialize"),
        "keras_random_seed": _function("keras.utils", "set_random_seed"),
        "subprocess": _function("subprocess", "Popen"),
        "list_config": {"module": "builtins", "class_name": "function", "config": ["eval"], "registered_name": "x"},
    }
    export = {"module": "keras.export", "class_name": "ExportArchive", "config": {}, "registered_name": None}
    spec = {"class_name": "__typespec__", "module": "os", "spec_name": "system", "config": [], "registered_name": "x"}
    return {
        "lambda_marshal": (_added("Lambda", function=_lambda(canary)), "lambda_layer"),
        "lambda_keras_function": (_added("Lambda", function=_function("keras.ops", "relu")), "lambda_layer"),
        "lambda_in_activation": (_with_activation(_lambda(canary)), "python_lambda"),
        "lambda_in_wrapper": (_added("TimeDistributed", layer=layer("Lambda", "inner", function="x")), "lambda_layer"),
        "lambda_in_compile": ({**model(lenet_layers()), "compile_config": {"loss": _lambda(canary)}}, "python_lambda"),
        "lambda_as_model": ({**model([]), "class_name": "Lambda"}, "lambda_layer"),
        "tfsm_layer": (_added("TFSMLayer", filepath="/tmp/evil", call_endpoint="serve"), "tfsm_layer"),
        "torch_module": (_added("TorchModuleWrapper", module="gASV"), "torch_module"),
        "jax_layer": (_added("JaxLayer", call_fn="x"), "foreign_layer"),
        "flax_layer": (_added("FlaxLayer", module="x"), "foreign_layer"),
        "string_lookup": (_added("StringLookup", vocabulary="/etc/passwd"), "lookup_layer"),
        "integer_lookup": (_added("IntegerLookup", vocabulary="http://169.254.169.254/"), "lookup_layer"),
        "text_vectorization": (_added("TextVectorization", vocabulary="/etc/passwd"), "lookup_layer"),
        "tf_op_lambda": (_added("TFOpLambda", function="io.write_file"), "function_reference"),
        **{f"function_{name}": (_with_activation(value), "function_reference") for name, value in references.items()},
        "export_archive": (_with_activation(export), "unknown_class"),
        "typespec": (_with_activation(spec), "type_spec"),
        "numpy_20000": (_added("Rescaling", scale=array), "config_value"),
        "tensor_20000": (_added("Rescaling", scale={**array, "class_name": "__tensor__"}), "config_value"),
        "bytes_20000": (
            _added("Rescaling", scale={"class_name": "__bytes__", "config": {"value": "x" * 20_000}}),
            "config_value",
        ),
        "list_20000": (_added("Normalization", mean=[0.0] * 20_000), "config_value"),
        "subclassed_model": ({**model([]), "class_name": "MyModel", "module": "my_code"}, "unknown_class"),
        "shared_self": (
            _added("Bidirectional", layer={**layer("LSTM", "l", units=4), "shared_object_id": 7})
            | {"shared_object_id": 7},
            "shared_object",
        ),
        "shared_two_classes": (_shared_two(), "shared_object"),
        "shared_word": (_with_activation({**layer("ReLU", "r"), "shared_object_id": "7"}), "shared_object"),
        "graph_cycle": (_graph(["b", 0, 0], ["a", 0, 0]), "graph_cycle"),
        "graph_missing_layer": (_graph(["nowhere", 0, 0], ["a", 0, 0]), "graph_cycle"),
        "no_input": (model(lenet_layers()[1:6]), "weights_extra"),
        "nested_40": (_nested(40), "json_depth"),
        "nested_500": (_nested(NESTED), "json_depth"),
        "repeat_vector_1e7": (_added("RepeatVector", n=9_999_999), "config_giant"),
        "upsampling": (_upsampling(), "config_giant"),
        "embedding_50m": (_added("Embedding", input_dim=9_000_000, output_dim=100), "config_giant"),
    }


def _shared_two() -> dict[str, Any]:
    layers = lenet_layers()
    layers[2]["shared_object_id"] = layers[5]["shared_object_id"] = 7
    return model(layers)


def _graph(first: list[Any], second: list[Any]) -> dict[str, Any]:
    def node(name: str, parent: list[Any]) -> dict[str, Any]:
        tensor = {
            "class_name": "__keras_tensor__",
            "config": {"shape": [None, 4], "dtype": "float32", "keras_history": parent},
        }
        return {**layer("Dense", name, units=4), "name": name, "inbound_nodes": [{"args": [tensor], "kwargs": {}}]}

    return {
        "module": "keras.src.models.functional",
        "class_name": "Functional",
        "config": {
            "name": "g",
            "layers": [node("a", first), node("b", second)],
            "input_layers": [],
            "output_layers": ["b", 0, 0],
        },
        "registered_name": "Functional",
    }


def _upsampling() -> dict[str, Any]:
    layers = lenet_layers()
    layers.insert(1, layer("UpSampling2D", "up", size=[100_000, 100_000]))
    return model(layers)
