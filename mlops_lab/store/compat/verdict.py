"""Compare the description of a Keras model with what a version of Keras accepts, and name what it would refuse.

Reading is what Keras does when it loads: every object in the description names its class and the keys of its
constructor. The table (``keys``) says which of them a version takes. Beside the keys there are a few facts of
structure, each a function below with the reason in its docstring; ``policies`` judges the types of numbers, and
``training`` the settings of ``compile``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from mlops_lab.store.compat import keys, policies, training
from mlops_lab.store.compat.description import MODELS, Incompatibility, Item, items, refuse, shown
from mlops_lab.store.compat.formats import ModelFile
from mlops_lab.store.compat.keys import KerasTarget

NAMED = {
    "activation": "activations", "initializer": "initializers", "regularizer": "regularizers",
    "constraint": "constraints",
}  # fmt: skip
WORDS = {"add", "average", "concatenate", "dot", "maximum", "minimum", "multiply", "subtract"}
SHAPES = {"batch_shape", "batch_input_shape", "input_shape", "shape"}
MERGES = ("Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract", "Dot", "Concatenate")


def incompatibilities(file: ModelFile, target: KerasTarget) -> list[Incompatibility]:
    """Return everything in a ``.keras`` or ``.h5`` description that the target refuses, in the order of the file."""
    old = file.format == "h5"
    found = _root(file.config, target, old)
    for item in [*items(file.config, hint="model" if old else ""), *items(file.training, training=True)]:
        found += _class(item, target, old)
        found += _keys(item, target, old)
        found += _named(item, target)
        found += _function(item, target)
        found += policies.incompatibilities(item, target)
        found += _ends(item, target)
        found += _lost_calls(item)
        found += [*_operator(item), *_words(item, target)] if old else []
    return [*found, *training.incompatibilities(file, target)]


def _root(config: dict[str, Any], target: KerasTarget, old: bool) -> list[Incompatibility]:
    """Object to a description whose outermost object is neither a model of Keras nor somebody's own class."""
    name, module = config.get("class_name"), config.get("module")
    known = name in MODELS or ">" in str(config.get("registered_name")) or (module is None and not old)
    if known or (module is not None and str(module).partition(".")[0] != "keras"):
        return []
    item = Item("", str(name), "the model", config)
    return [refuse(item, "class_name", f"{target.keras_name} has no model class {str(name)[:64]!r}.")]


def _class(item: Item, target: KerasTarget, old: bool) -> list[Incompatibility]:
    """Object to a class that the target has not, cannot find, or cannot read back."""
    module, registered = item.node.get("module"), item.node.get("registered_name")
    own = (
        ">" in str(registered)
        or (item.kind == "layers" and ">" in item.name)
        or (module is not None and str(module).split(".")[0] not in ("keras", "builtins"))
    )
    if own or ("module" in item.node and module is None):
        return [refuse(item, "", f"{item.name} is not part of Keras: the code that defines it must be imported first.")]
    if (
        item.kind == "model"
        and item.name == "Functional"
        and not old
        and not keys.reads(f"module.{module}", target.row)
    ):
        return [refuse(item, "module", f"{target.keras_name} has no module {module}, where the file puts Functional.")]
    if item.identity in keys.dropped_keys(target.row):
        return [
            refuse(item, "", f"{target.keras_name} cannot read back the weights of any {item.name}, its own included.")
        ]
    if item.identity == "layers.Lambda" and '"__lambda__"' in json.dumps(item.config):
        return [refuse(item, "function", "Keras refuses a Lambda with Python code inside, for safety.")]
    if item.kind == "layers" and item.name == "Lambda" and isinstance(item.config.get("function"), list):
        return [refuse(item, "function", "Keras refuses a Lambda with Python code inside, for safety.")]
    if str(module) == "keras.optimizers.legacy" and target.major == 3:
        return [refuse(item, "module", f"{target.keras_name} has no legacy optimizers, such as this {item.name}.")]
    if item.kind == "model" and not isinstance(item.node.get("config"), dict):
        return [refuse(item, "config", "the description is a bare list of layers, as Keras wrote it before 2.1.")]
    if item.kind in ("", "model", "policy") or keys.entry(item.identity, target.row):
        return []
    if item.kind == "ops" and target.major == 3 and not keys.spans(item.identity):
        return []  # the table does not know it either way
    return [refuse(item, "class_name", f"{target.keras_name} has no {item.name}.")]


def _keys(item: Item, target: KerasTarget, old: bool) -> list[Incompatibility]:
    """Object to each key, and each value of a key, that the class does not take there."""
    known = keys.entry(item.identity, target.row)
    if known is None:
        return []
    config = _as_h5_reader(item, target.major) if old else item.config
    found = []
    for key, value in config.items():
        if key not in known.keys:
            message = f"{target.keras_name} does not take the key '{key}' of {item.name}; the file says {shown(value)}."
            found.append(refuse(item, key, message))
        elif not known.takes_value(key, value):
            message = f"{target.keras_name} does not take {shown(value)} for the key '{key}' of {item.name}."
            found.append(refuse(item, key, message))
    missing = known.needs - config.keys()
    if config.keys() & SHAPES:  # one shape stands for another
        missing -= SHAPES
    for key in sorted(missing) if not found else ():
        found.append(refuse(item, key, f"{target.keras_name} needs the key '{key}' of {item.name}; it is missing."))
    return found


def _as_h5_reader(item: Item, major: int) -> dict[str, Any]:
    """Return the arguments as Keras 3 sees them in an ``.h5`` file: it translates one key of Keras 2 itself."""
    config = dict(item.config)
    if major == 3 and item.kind == "layers" and "module" not in item.node:
        shape = config.pop("batch_input_shape", None)
        if shape is not None:
            config["batch_shape" if item.name == "InputLayer" else "input_shape"] = shape
    return config


def _named(item: Item, target: KerasTarget) -> list[Incompatibility]:
    """Object to an activation, initializer, regularizer or constraint that the target does not find by its name.

    What stands there instead of a name or an object is refused as well, such as the compiled code of a lambda.
    """
    found = []
    for key, value in item.config.items() if item.kind == "layers" else ():
        kind = next((kind for ending, kind in NAMED.items() if key == ending or key.endswith(f"_{ending}")), None)
        if kind is None or value is None or (isinstance(value, dict) and "class_name" in value):
            continue
        if not isinstance(value, str):
            message = f"Keras expects a name or an object under '{key}'; the file says {shown(value)}."
            found.append(refuse(item, key, message))
        elif not _finds(kind, value, target):
            ending = "." if keys.is_known_name(kind, value) else "; it may be your own."
            found.append(refuse(item, key, f"{target.keras_name} has no {kind[:-1]} '{value[:64]}'{ending}"))
    return found


def _finds(kind: str, name: str, target: KerasTarget) -> bool:
    if kind == "activations":
        return keys.has_function(kind, name, target.row)
    return keys.has_class(kind, name, target.row)


def _function(item: Item, target: KerasTarget) -> list[Incompatibility]:
    """Object to a function that the target does not find by its name. The file holds no more of it than the name."""
    if item.name == "__lambda__":
        return [refuse(item, "", "Keras refuses Python code inside a file, for safety.")]
    if item.name != "function":
        return []
    name, module = item.node.get("config"), item.node.get("module")
    kinds = ("activations", "losses", "metrics")
    if not isinstance(name, str) or any(keys.has_function(kind, name, target.row) for kind in kinds):
        return []
    if module is not None and str(module).partition(".")[0] == "keras":
        return [refuse(item, "", f"{target.keras_name} has no function {module}.{name[:64]}.")]
    known = any(keys.is_known_name(kind, name) for kind in kinds)
    message = f"{target.keras_name} has no function '{name[:64]}'"
    own = "; it may be your own. The file holds its name only, not its code."
    return [refuse(item, "", message + ("." if known else own))]


def _operator(item: Item) -> list[Incompatibility]:
    """Object to an operator in an ``.h5`` file: it bears the name of a layer, which is called in another way.

    ``x * 2.0`` is written as ``Multiply``, and Keras reads it as the layer that multiplies a list of tensors.
    """
    nodes = item.node.get("inbound_nodes")
    if item.kind != "layers" or item.name not in MERGES or not isinstance(nodes, list):
        return []
    calls = [node["args"] for node in nodes if isinstance(node, dict) and isinstance(node.get("args"), list)]
    if all(len(args) == 1 and isinstance(args[0], list) for args in calls):
        return []
    message = f"an operation on tensors is named like the layer {item.name}, and Keras reads it as that layer."
    return [refuse(item, "inbound_nodes", message)]


def _words(item: Item, target: KerasTarget) -> list[Incompatibility]:
    """Object to a word in an ``.h5`` file that Keras 3 takes for the function of that name, such as ``"dot"``."""
    if item.kind != "layers" or target.major == 2:
        return []
    taken = [key for key, value in item.config.items() if key != "name" and isinstance(value, str) and value in WORDS]
    message = "{} takes the word '{}' in an .h5 file for the function of that name."
    return [refuse(item, key, message.format(target.keras_name, item.config[key])) for key in taken]


def _ends(item: Item, target: KerasTarget) -> list[Incompatibility]:
    """Object to one input or output written without a list around it, as Keras does since 3.11."""
    if item.name != "Functional" or keys.reads("ends.flat", target.row):
        return []
    return [
        refuse(item, key, f"{target.keras_name} expects a list of lists for '{key}'; the file says {shown(ends)}.")
        for key in ("input_layers", "output_layers")
        if isinstance(ends := item.config.get(key), list) and ends and isinstance(ends[0], str)
    ]


def _lost_calls(item: Item) -> list[Incompatibility]:
    """Object to a graph in which a layer's second call got lost.

    Keras 3.2 wrote the number of the first call for every use of a shared layer, so such files load and answer
    differently. In a sound file each call that is listed is used by another layer or as an output.
    """
    if item.name != "Functional" or not isinstance(item.config.get("layers"), list):
        return []
    calls = {
        layer["name"]: len(layer["inbound_nodes"])
        for layer in item.config["layers"]
        if isinstance(layer, dict) and isinstance(layer.get("inbound_nodes"), list) and "name" in layer
    }
    used = set(_references(item.config))
    found = []
    for name, count in calls.items():
        lost = [call for call in range(1, count) if (name, call) not in used]
        if lost and count > 1:
            message = (
                f"the file loses call {lost[0] + 1} of {count} of this shared layer, as Keras 3.2 wrote them: "
                "it would load, and answer with other numbers."
            )
            found.append(
                Incompatibility(f"layer '{name}'", "Functional", "inbound_nodes", None, f"layer '{name}': {message}")
            )
    return found


def _references(node: Any) -> Iterator[tuple[str, int]]:
    """Yield which call of which layer the graph uses: lists such as ``["dense", 0, 0]``, wherever they stand."""
    if isinstance(node, dict):
        for child in node.values():
            yield from _references(child)
    elif isinstance(node, list):
        if len(node) >= 3 and isinstance(node[0], str) and isinstance(node[1], int) and isinstance(node[2], int):
            yield node[0], node[1]
        for child in node:
            yield from _references(child)
