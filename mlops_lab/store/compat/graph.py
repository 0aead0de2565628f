"""Translate the graph of a functional model between the notations of Keras 2 and Keras 3.

Keras 2 lists the inputs of a call as ``[name, call, output, {other arguments}]``; Keras 3 writes the call itself,
``{"args": [...], "kwargs": {...}}``, in which each input is a ``__keras_tensor__`` that names the same three.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mlops_lab.errors import IncompatibleFile
from mlops_lab.store.compat import keys
from mlops_lab.store.compat.keys import KerasTarget

MODULES = {2: "keras.src.engine.functional", 3: "keras.src.models.functional"}


def translate(model: dict[str, Any], source: int, target: KerasTarget) -> Iterator[str]:
    """Rewrite the graph of a functional model in place, and yield a phrase for each kind of change.

    Raises
    ------
    IncompatibleFile
        A call cannot be written the other way.
    """
    config = model["config"]
    if source != target.major:
        model["module"] = MODULES[target.major]
        yield f"Functional: the module is {MODULES[target.major]}"
        # A model inside the model counts its own building as call 0 in Keras 2, and not in Keras 3.
        first = {layer["name"]: int(layer["class_name"] in ("Sequential", "Functional")) for layer in config["layers"]}
        if any(first.get(end[0]) for end in config["output_layers"] if isinstance(end, list)):
            raise _cannot("an output that comes straight from a model inside the model")
        for layer in config["layers"]:
            nodes = layer.get("inbound_nodes", [])
            write = _to_3 if target.major == 3 else _to_2
            layer["inbound_nodes"] = [write(node, layer, first) for node in nodes]
        yield "Functional: calls are written another way"
    for key in ("input_layers", "output_layers"):
        ends = config.get(key)
        if not isinstance(ends, list) or not ends:
            continue
        flat = isinstance(ends[0], str)
        if flat and not keys.reads("ends.flat", target.row):
            config[key] = [ends]
            yield f"Functional: a list around '{key}'"
        elif source == 2 and not flat and len(ends) == 1 and keys.reads("ends.flat", target.row):
            config[key] = ends[0]  # else the newest Keras answers with a list of one array
            yield f"Functional: no list around '{key}'"


First = dict[str, int]


def _to_3(node: Any, layer: dict[str, Any], first: First) -> dict[str, Any]:
    if isinstance(node, dict):
        raise _cannot(f"the call of layer '{layer['name']}' with named inputs")
    inputs = [_tensor(entry, first) for entry in node]
    extra = dict(node[0][3]) if node and len(node[0]) > 3 else {}
    kwargs = {key: _tensor(value, first) if _is_tensor(value, first) else value for key, value in extra.items()}
    return {"args": [inputs[0] if len(inputs) == 1 else inputs], "kwargs": kwargs}


def _is_tensor(value: Any, first: First) -> bool:
    return isinstance(value, list) and len(value) == 3 and isinstance(value[0], str) and value[0] in first


def _tensor(entry: list[Any], first: First) -> dict[str, Any]:
    """Return an input as Keras 3 writes it; the shape is a formality, Keras takes it from the layer named."""
    if entry[0] not in first:
        raise _cannot("a call with a constant as its input")
    history = [entry[0], entry[1] - first[entry[0]], entry[2]]
    return {
        "class_name": "__keras_tensor__",
        "config": {"shape": [None], "dtype": "float32", "keras_history": history},
    }


def _to_2(node: dict[str, Any], layer: dict[str, Any], first: First) -> list[Any]:
    args, kwargs = list(node.get("args", [])), dict(node.get("kwargs", {}))
    if len(args) != 1:
        raise _cannot(f"the call of layer '{layer['name']}' with {len(args)} positional arguments")
    said = [key for key, value in kwargs.items() if not _is_nothing(value)]
    if said:
        raise _cannot(f"the argument '{said[0]}' in the call of layer '{layer['name']}'")
    inputs = args[0] if isinstance(args[0], list) else [args[0]]
    return [[*_history(entry, layer, first), {}] for entry in inputs]


def _is_nothing(value: Any) -> bool:
    """Return whether an argument says what Keras 2 does anyway, such as a mask that is not there."""
    return value is None or value is False or (isinstance(value, list) and all(map(_is_nothing, value)))


def _history(value: Any, layer: dict[str, Any], first: First) -> list[Any]:
    if not isinstance(value, dict) or value.get("class_name") != "__keras_tensor__":
        raise _cannot(f"the call of layer '{layer['name']}' with something that is not an input")
    name, call, output = value["config"]["keras_history"]
    return [name, call + first[name], output]


def _cannot(what: str) -> IncompatibleFile:
    return IncompatibleFile(f"The graph holds {what}, which cannot be said otherwise.", "Build the model there anew.")
