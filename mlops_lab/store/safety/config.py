"""Judge the configuration that Keras would turn into objects: every class it names must be on the allow-list."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from typing import Any

from mlops_lab.filetype import printable
from mlops_lab.store.safety import allowed
from mlops_lab.store.safety.report import AuditFinding, AuditRefusal, finding

MAX_BYTES = 8 * 2**20
MAX_LAYERS = 5_000
MAX_VALUES = 10_000
MAX_NUMBER = 10_000_000
MAX_FINDINGS = 20
CODE_TYPE = 0x63  # of a code object in the format of marshal
MAX_NAME = 128  # some models of keras.applications need more than 64
JOINERS = "\u200c\u200d"  # they are not printable by themselves, and words of some scripts cannot be written without
OBJECT_KEYS = {
    "module", "class_name", "config", "registered_name", "build_config", "compile_config", "shared_object_id", "name",
    "inbound_nodes",
}  # fmt: skip
KNOWN_BAD = {
    "Lambda": ("lambda_layer", "A Lambda layer holds Python code that runs when the model is loaded or used."),
    "TFSMLayer": ("tfsm_layer", "A TFSMLayer loads another model, with operations of its own, from a path."),
    "TorchModuleWrapper": ("torch_module", "A TorchModuleWrapper holds a pickled PyTorch module."),
    "JaxLayer": ("foreign_layer", "A JaxLayer holds a pickled function."),
    "FlaxLayer": ("foreign_layer", "A FlaxLayer holds a pickled module."),
    "StringLookup": ("lookup_layer", "A lookup layer can name a file to read as its vocabulary."),
    "IntegerLookup": ("lookup_layer", "A lookup layer can name a file to read as its vocabulary."),
    "TextVectorization": ("lookup_layer", "A TextVectorization layer can name a file and a function."),
    "TFOpLambda": ("function_reference", "A TFOpLambda layer calls any TensorFlow function that it names."),
    "SlicingOpLambda": ("function_reference", "A SlicingOpLambda layer calls any TensorFlow function that it names."),
    "__lambda__": ("python_lambda", "A Python lambda is stored as code, which loading would run."),
    "__typespec__": ("type_spec", "A type specification can name any class."),
}
FUNCTION_MODULES = ["builtins", "keras.losses", "keras.metrics", "keras.activations"]
PLAIN = {"__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__"}
FREE_NUMBERS = {  # numbers that size nothing
    "seed", "shared_object_id", "salt", "max_value", "epsilon", "iterations", "boundaries", "bin_boundaries", "scale",
    "offset", "threshold", "mask_value", "value", "mean", "variance", "low", "high", "minval", "maxval", "factor",
    "decay_steps", "first_decay_steps", "warmup_steps", "value_range", "delta",
}  # fmt: skip
# What a file may name there, Keras looks up when it loads, or leaves out with compile=False: a name is no code.
TRAINING = "compile_config"
POSITIVE = {
    "units", "filters", "input_dim", "output_dim", "num_heads", "key_dim", "value_dim", "head_dim", "num_query_heads",
    "num_key_value_heads", "depth_multiplier", "num_bins", "num_tokens", "n", "input_length",
    "rank", "kernel_size", "strides", "pool_size", "dilation_rate",
}  # fmt: skip
MODEL_CLASSES = {"Sequential", "Functional"}


def judge(config: Any, *, legacy: bool = False) -> list[AuditFinding]:
    """Return what is wrong with a configuration; ``legacy`` ones, from .h5 files, name no modules."""
    name = config.get("class_name") if isinstance(config, dict) else type(config).__name__
    if (
        not isinstance(config, dict)
        or not isinstance(name, str)
        or name not in MODEL_CLASSES | {"Model"} | KNOWN_BAD.keys()
    ):
        return [
            finding("unknown_class", f"The model is a {printable(str(name))}, not a Sequential or Functional model.")
        ]
    found: list[AuditFinding] = []
    for item in _walk(config, legacy):
        found.append(item)
        if len(found) >= MAX_FINDINGS:
            break
    return found


def _walk(config: dict[str, Any], legacy: bool) -> Iterator[AuditFinding]:
    shared: dict[int, tuple[object, object]] = {}
    waiting: list[tuple[Any, str, frozenset[int], str]] = [(config, "config.json", frozenset(), "")]
    while waiting:
        value, where, outer, key = waiting.pop()
        training = key == TRAINING
        try:
            if isinstance(value, dict):
                where, outer = _object(value, where, outer, shared, legacy, training)
            elif not training:
                _list(value, where, key)
        except AuditRefusal as refused:
            yield refused.finding
            continue
        items = value.items() if isinstance(value, dict) else enumerate(value)
        waiting += [
            (child, f"{where}/{name}", outer, TRAINING if training else str(name) if isinstance(value, dict) else key)
            for name, child in items
            if isinstance(child, dict | list)
        ][::-1]


def _object(
    value: dict[str, Any],
    where: str,
    outer: frozenset[int],
    shared: dict[int, tuple[object, object]],
    legacy: bool,
    training: bool,
) -> tuple[str, frozenset[int]]:
    _code(value, where)
    if "class_name" not in value:
        _numbers(value, where, training)
        return where, outer
    name = value["class_name"]
    if not isinstance(name, str):
        raise AuditRefusal("config_structure", "An object's class_name is not a word.", where)
    where = _place(value, where)
    _known_bad(name, where)
    if training and _named_only(value):
        return where, outer
    if name == "function":
        _function(value, where)
    elif name in PLAIN:
        _plain(value, where)
    else:
        _class(value, name, where, legacy)
        _names(value, name, where, training)
    return where, _shared(value, where, outer, shared)


def _place(value: dict[str, Any], where: str) -> str:
    config = value.get("config")
    name = config.get("name") if isinstance(config, dict) else None
    return f"{value['class_name']} {printable(name)!r}" if isinstance(name, str) else f"{where} ({value['class_name']})"


def _known_bad(name: str, where: str) -> None:
    bare = name.rpartition(">")[2]
    if bare in KNOWN_BAD:
        code, message = KNOWN_BAD[bare]
        raise AuditRefusal(code, message, where)


def _code(value: dict[str, Any], where: str) -> None:
    """Refuse compiled Python, wherever it stands: Keras writes a lambda as base64 of its byte code."""
    for key, item in value.items():
        for text in item if isinstance(item, list) else [item]:
            if isinstance(text, str) and len(text) > 40 and _is_bytecode(text):
                message = f"Compiled Python code stands under {printable(key, 40)!r}, as Keras stores a lambda."
                raise AuditRefusal("python_lambda", message, where)


def _is_bytecode(text: str) -> bool:
    """Return whether a text is base64 of a code object: its type, then counts of arguments that are small."""
    try:
        head = base64.b64decode("".join(text[:64].split())[:32], validate=True)
    except ValueError:
        return False
    counts = struct.unpack_from("<3i", head, 1) if len(head) >= 13 else (-1,)
    return head[0] & 0x7F == CODE_TYPE and all(0 <= count < 256 for count in counts)


def _bare_objects(value: dict[str, Any], config: dict[str, Any], where: str) -> None:
    """Refuse an argument of a layer that is an object without a class: no layer of Keras writes one."""
    if not str(value.get("module")).startswith("keras.layers"):
        return
    for key, item in config.items():
        if isinstance(item, dict) and item and "class_name" not in item:
            _code({key: next(iter(item.values()))}, where)
            message = f"The argument {printable(key, 40)!r} is an object that names no class."
            raise AuditRefusal("config_structure", message, where)


def _named_only(value: dict[str, Any]) -> bool:
    """Return whether an object among the settings of compile is nothing but the name of its author's own code."""
    module, registered, config = value.get("module"), value.get("registered_name"), value.get("config")
    if value["class_name"] == "function":
        return module in (None, "builtins") and is_ordinary(config) and registered in (None, "function", config)
    return module is None and is_ordinary(value["class_name"]) and value["class_name"] not in PLAIN


def _function(value: dict[str, Any], where: str) -> None:
    name, module = value.get("config"), value.get("module")
    good = module is None or module in FUNCTION_MODULES
    known = isinstance(name, str) and name in allowed.names("keras", "functions")
    if not good or not known or value.get("registered_name") not in (None, "function", name):
        message = f"The configuration names the function {printable(str(module))}.{printable(str(name))}."
        raise AuditRefusal("function_reference", message, where)


def _plain(value: dict[str, Any], where: str) -> None:
    config = value.get("config")
    if value["class_name"] in ("__tensor__", "__numpy__", "__bytes__") and _leaves(config) > MAX_VALUES:
        raise AuditRefusal(
            "config_value", f"The configuration holds an array of more than {MAX_VALUES:,} values.", where
        )


def _leaves(value: Any) -> int:
    count, waiting = 0, [value]
    while waiting and count <= MAX_VALUES:
        item = waiting.pop()
        if isinstance(item, dict | list):
            waiting += item.values() if isinstance(item, dict) else item
        else:
            count += len(item) if isinstance(item, str) else 1
    return count


def _class(value: dict[str, Any], name: str, where: str, legacy: bool) -> None:
    if not isinstance(value.get("config"), dict) or not value.keys() <= OBJECT_KEYS:
        raise AuditRefusal("config_structure", "An object of the configuration is not built as Keras builds it.", where)
    registered, module = value.get("registered_name"), value.get("module")
    bare = name.removeprefix("Custom>") if legacy else name
    if registered not in (None, bare) or ">" in bare:
        message = f"The configuration asks for the custom class {printable(str(registered or name))!r}."
        raise AuditRefusal("registered_name", message, where)
    if module is None:
        good = bare in allowed.keras_names() or (legacy and bare == "Model")
    else:
        good = isinstance(module, str) and (module, name) in allowed.keras_classes()
    if not good:
        inside = module is None or str(module).partition(".")[0] == "keras"
        message = f"The class {printable(str(module))}.{printable(name)} is not on the list of allowed classes."
        raise AuditRefusal("unknown_class" if inside else "foreign_class", message, where)


def _names(value: dict[str, Any], kind: str, where: str, training: bool) -> None:
    config = value["config"]
    for name in {id(n): n for n in (config.get("name"), value.get("name")) if n is not None}.values():
        if not is_ordinary(name):
            raise AuditRefusal("layer_name", f"The name {printable(str(name), 60)!r} is not an ordinary name.", where)
    layers = config.get("layers")
    if kind in MODEL_CLASSES | {"Model"} and layers is not None:
        _layers(layers, where)
    for key in ("activation", "recurrent_activation"):
        word = config.get(key)
        if isinstance(word, str) and word not in allowed.names("keras", "activations"):
            raise AuditRefusal(
                "unknown_activation", f"The activation {printable(word)!r} is not one of Keras's.", where
            )
    _bare_objects(value, config, where)
    _numbers(config, where, training)


def is_ordinary(name: object) -> bool:
    """Return whether a name is harmless, in whatever script: printable, not endless, and no path that climbs.

    >>> is_ordinary("выход 1"), is_ordinary("../x")
    (True, False)
    """
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME:
        return False
    printable_name = all(character.isprintable() or character in JOINERS for character in name)
    return printable_name and ".." not in name and not name.startswith(("/", "\\"))


def _layers(layers: Any, where: str) -> None:
    if not isinstance(layers, list) or not all(isinstance(item, dict) for item in layers):
        raise AuditRefusal("config_structure", "The model's layers are not a list of objects.", where)
    if len(layers) > MAX_LAYERS:
        raise AuditRefusal(
            "config_layers", f"The model has {len(layers):,} layers; the limit is {MAX_LAYERS:,}.", where
        )
    names = [c["name"] for c in (item.get("config") for item in layers) if isinstance(c, dict) and "name" in c]
    twice = {str(name) for name in names if names.count(name) > 1} if len(names) != len(set(map(str, names))) else ()
    if twice:
        raise AuditRefusal("layer_name_duplicate", f"Two layers have the name {printable(sorted(twice)[0])!r}.", where)


def _numbers(config: dict[str, Any], where: str, training: bool) -> None:
    for key, value in config.items():
        values = value if isinstance(value, list) else [value]
        if key in POSITIVE and value is not None and not all(type(v) is int and v > 0 for v in values):
            raise AuditRefusal(
                "config_number", f"{key}={printable(repr(value), 40)} is not a positive whole number.", where
            )
        if key in FREE_NUMBERS or training:
            continue
        if any(isinstance(v, int) and abs(v) > MAX_NUMBER for v in values):
            raise AuditRefusal("config_giant", f"{printable(key)} holds a number beyond {MAX_NUMBER:,}.", where)


def _list(value: list[Any], where: str, key: str) -> None:
    if len(value) > MAX_VALUES:
        raise AuditRefusal("config_value", f"The configuration holds a list of {len(value):,} values.", where)
    if key not in FREE_NUMBERS and any(isinstance(item, int) and abs(item) > MAX_NUMBER for item in value):
        raise AuditRefusal("config_giant", f"A list holds a number beyond {MAX_NUMBER:,}.", where)


def _shared(
    value: dict[str, Any], where: str, outer: frozenset[int], shared: dict[int, tuple[object, object]]
) -> frozenset[int]:
    if "shared_object_id" not in value:
        return outer
    number = value["shared_object_id"]
    if type(number) is not int or number in outer:
        raise AuditRefusal("shared_object", "A shared object contains itself.", where)
    kind = (value.get("module"), value["class_name"])
    if shared.setdefault(number, kind) != kind:
        raise AuditRefusal("shared_object", "Two objects of different classes claim to be the same object.", where)
    return outer | {number}
