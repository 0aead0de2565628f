"""Compare the description of a Keras model with what a version of Keras accepts, and name what it would refuse.

Reading is what Keras does when it loads: every object in the description names its class and the keys of its
constructor. The table (``keys``) says which of them a version takes. Beside the keys there are a few facts of
structure, each a function below with the reason in its docstring.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from mlops_lab.store.compat import keys
from mlops_lab.store.compat.formats import ModelFile
from mlops_lab.store.compat.keys import Target

KINDS = {
    "keras.layers": "layers", "keras.initializers": "initializers", "keras.regularizers": "regularizers",
    "keras.constraints": "constraints", "keras.losses": "losses", "keras.metrics": "metrics",
    "keras.optimizers": "optimizers", "keras.optimizers.schedules": "schedules",
}  # fmt: skip
MODELS = ("Sequential", "Functional", "Model")
POLICIES = ("DTypePolicy", "FloatDTypePolicy", "Policy")
LISTED = {"layers": "layers", "optimizer_config": "optimizers", "loss": "losses", "metrics": "metrics"}
MAX_DEPTH = 64


@dataclass(frozen=True)
class Objection:
    """One thing in a file that a version of Keras refuses."""

    where: str
    """The layer it stands in, or ``the optimizer``, ``the model``."""
    class_name: str
    key: str
    value: Any
    message: str
    """The reason as a sentence."""


@dataclass(frozen=True)
class Item:
    """One object in the description: what it is, where, and the dictionary itself."""

    kind: str
    """``layers``, ``initializers``, … ``model``, ``policy``; empty for what is not Keras's own."""
    name: str
    where: str
    node: dict[str, Any] = field(repr=False)

    @property
    def identity(self) -> str:
        """Return the name that the table uses."""
        if self.kind == "ops":
            return f"{str(self.node['module']).removeprefix('keras.src.')}.{self.name}"
        return f"{self.kind}.{self.name}"

    @property
    def config(self) -> dict[str, Any]:
        """Return the arguments; a function has none."""
        inner = self.node.get("config")
        return inner if isinstance(inner, dict) else {}


def items(node: Any, where: str = "the model", hint: str = "", depth: int = 0) -> Iterator[Item]:
    """Yield every object of a description, outer before inner.

    ``hint`` is the kind that the place implies: old ``.h5`` descriptions name the class without its module.
    """
    if depth > MAX_DEPTH:
        raise ValueError(f"objects are nested deeper than {MAX_DEPTH}")
    if isinstance(node, list):
        for child in node:
            yield from items(child, where, hint, depth + 1)
    if not isinstance(node, dict):
        return
    if isinstance(node.get("class_name"), str) and "config" in node:
        item = _item(node, where, hint)
        yield item
        where = item.where
    for key, child in node.items():
        inside = "the optimizer" if key in ("optimizer", "optimizer_config") else where
        yield from items(child, inside, _hint(key, hint), depth + 1)


def _hint(key: str, outer: str) -> str:
    if key in ("layer", "layers", "cell", "cells", "forward_layer", "backward_layer", "backward_layer_config"):
        return "layers"
    if key in ("config", "compile_config"):
        return outer
    return {"optimizer": "optimizers", **LISTED}.get(key, "")


def _item(node: dict[str, Any], where: str, hint: str) -> Item:
    name, module, inner = node["class_name"], node.get("module"), node.get("config")
    kind = KINDS.get(str(module), "")
    if str(module).startswith("keras.src.ops."):
        return Item("ops", name, f"operation '{str(node.get('name'))[:64]}'", node)
    if name in MODELS and (module is None or str(module).split(".")[0] == "keras"):
        kind = "model"
    elif name in POLICIES and module in ("keras", "keras.dtype_policies", "keras.mixed_precision"):
        kind = "policy"
    elif "module" not in node and not (hint == "optimizers" and ">" in name):
        kind = hint  # Keras 2.15 writes "Custom>Adam" there, and every reader then goes by the optimizer's own name
    if kind == "layers" and isinstance(inner, dict) and isinstance(inner.get("name"), str):
        where = f"layer '{inner['name'][:64]}'"
    return Item(kind, name, where, node)


def objections(file: ModelFile, target: Target) -> list[Objection]:
    """Return everything in a ``.keras`` or ``.h5`` description that the target refuses, in the order of the file."""
    old = file.format == "h5"
    found: list[Objection] = []
    for item in [*items(file.config, hint="model" if old else ""), *items(file.training)]:
        found += _class(item, target, old)
        found += _keys(item, target, old)
        found += _functions(item, target)
        found += _ends(item, target)
        found += _lost_calls(item)
    return found


def _class(item: Item, target: Target, old: bool) -> list[Objection]:
    """Object to a class that the target has not, cannot find, or cannot read back."""
    module, registered = item.node.get("module"), item.node.get("registered_name")
    own = (
        ">" in str(registered)
        or (item.kind == "layers" and ">" in item.name)
        or (module is not None and str(module).split(".")[0] not in ("keras", "builtins"))
    )
    if own or ("module" in item.node and module is None):
        return [
            _object(item, "", f"{item.name} is not part of Keras: the code that defines it must be imported first.")
        ]
    if (
        item.kind == "model"
        and item.name == "Functional"
        and not old
        and not keys.reads(f"module.{module}", target.row)
    ):
        return [_object(item, "module", f"{target.keras_name} has no module {module}, where the file puts Functional.")]
    if item.identity in keys.forgets(target.row):
        return [
            _object(item, "", f"{target.keras_name} cannot read back the weights of any {item.name}, its own included.")
        ]
    if item.identity == "layers.Lambda" and '"__lambda__"' in json.dumps(item.config):
        return [_object(item, "function", "Keras refuses a Lambda with Python code inside, for safety.")]
    if item.kind in ("", "model", "policy") or keys.entry(item.identity, target.row):
        return []
    if item.kind == "ops" and target.era == 3 and not keys.spans(item.identity):
        return []  # the table does not know it either way
    return [_object(item, "class_name", f"{target.keras_name} has no {item.name}.")]


def _keys(item: Item, target: Target, old: bool) -> list[Objection]:
    """Object to each key, and each value of a key, that the class does not take there."""
    known = keys.entry(item.identity, target.row)
    if known is None:
        return []
    config = _as_h5_reader(item, target.era) if old else item.config
    found = []
    for key, value in config.items():
        if key not in known.keys:
            message = (
                f"{target.keras_name} does not take the key '{key}' of {item.name}; the file says {_shown(value)}."
            )
            found.append(_object(item, key, message))
        elif not known.takes_value(key, value):
            message = f"{target.keras_name} does not take {_shown(value)} for the key '{key}' of {item.name}."
            found.append(_object(item, key, message))
    return found


def _as_h5_reader(item: Item, era: int) -> dict[str, Any]:
    """Return the arguments as Keras 3 sees them in an ``.h5`` file: it translates one key of Keras 2 itself."""
    config = dict(item.config)
    if era == 3 and item.kind == "layers" and "module" not in item.node:
        shape = config.pop("batch_input_shape", None)
        if shape is not None:
            config["batch_shape" if item.name == "InputLayer" else "input_shape"] = shape
    return config


def _functions(item: Item, target: Target) -> list[Objection]:
    """Object to an activation, known by name, that the target has not."""
    found = []
    for key, value in item.config.items():
        if isinstance(value, dict) and value.get("class_name") == "function" and value.get("module") == "builtins":
            value = value.get("config")
        if not (isinstance(value, str) and key.endswith("activation") and item.kind == "layers"):
            continue
        if not keys.has_function("activations", value, target.row):
            known = keys.is_known_function("activations", value)
            message = f"{target.keras_name} has no activation '{value[:64]}'" + (
                "." if known else "; it may be your own."
            )
            found.append(_object(item, key, message))
    return found


def _ends(item: Item, target: Target) -> list[Objection]:
    """Object to one input or output written without a list around it, as Keras does since 3.11."""
    if item.name != "Functional" or keys.reads("ends.flat", target.row):
        return []
    return [
        _object(item, key, f"{target.keras_name} expects a list of lists for '{key}'; the file says {_shown(ends)}.")
        for key in ("input_layers", "output_layers")
        if isinstance(ends := item.config.get(key), list) and ends and isinstance(ends[0], str)
    ]


def _lost_calls(item: Item) -> list[Objection]:
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
                Objection(f"layer '{name}'", "Functional", "inbound_nodes", None, f"layer '{name}': {message}")
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


def _object(item: Item, key: str, message: str) -> Objection:
    return Objection(item.where, item.name, key, item.config.get(key), f"{item.where}: {message}")


def _shown(value: Any) -> str:
    if isinstance(value, dict) and isinstance(value.get("class_name"), str):
        return f"an object of the class {value['class_name'][:64]}"
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
