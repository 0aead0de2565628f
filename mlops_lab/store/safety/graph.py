"""Follow the shapes through a model's configuration, so that its size is known before anything is built.

A ``units`` of a billion costs gigabytes before Keras reads the first weight. Here every layer's weights are computed
from its configuration and the shape that reaches it; the module ``weights`` compares them with the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

from mlops_lab.store.safety.report import AuditRefusal
from mlops_lab.store.safety.shapes import layer_shapes
from mlops_lab.store.safety.spatial import Shape

MAX_PARAMETERS = 50_000_000
MAX_ELEMENTS = 50_000_000  # of one activation, for one example


@dataclass(frozen=True)
class LayerWeights:
    """The weights that one layer must have; ``None`` where its class is not followed."""

    path: str
    """The group of the weights file that holds them: ``layers/dense_1``."""
    name: str
    """The layer's own name."""
    weights: tuple[Shape, ...] | None


def follow(config: dict[str, Any]) -> list[LayerWeights]:
    """Return what each layer of a model must hold, or refuse a model that is too large."""
    try:
        built, _ = _model(config["config"], "layers", None)
    except AuditRefusal:
        raise
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError, ZeroDivisionError) as error:
        raise AuditRefusal(
            "config_shape", f"The shapes of the model make no sense ({type(error).__name__}: {error})."
        ) from None
    total = sum(prod(size or 1 for size in shape) for item in built for shape in item.weights or ())
    if total > MAX_PARAMETERS:
        raise AuditRefusal(
            "config_giant", f"The model would have {total:,} parameters; the limit is {MAX_PARAMETERS:,}."
        )
    return built


def _model(config: dict[str, Any], path: str, shape: Any) -> tuple[list[LayerWeights], Any]:
    layers = config["layers"]
    if any(layer.get("inbound_nodes") is not None for layer in layers):
        return _functional(layers, config, path, shape)
    return _sequential(layers, path, shape)


def _sequential(layers: list[dict[str, Any]], path: str, shape: Any) -> tuple[list[LayerWeights], Any]:
    built: list[LayerWeights] = []
    for layer, place in _placed(layers, path, skip_inputs=True):
        inputs = shape if shape is not None else _claimed(layer)
        found, shape = _layer(layer, place, inputs)
        built += found
    return built, shape


def _functional(
    layers: list[dict[str, Any]], config: dict[str, Any], path: str, given: Any
) -> tuple[list[LayerWeights], Any]:
    places = {_name(layer): place for layer, place in _placed(layers, path, skip_inputs=False)}
    built: list[LayerWeights] = []
    outputs: dict[str, Any] = {}
    for layer in _ordered(layers):
        name = _name(layer)
        found, outputs[name] = _layer(layer, places[name], _inputs(layer, outputs, given))
        built += found
    return built, _result(config.get("output_layers"), outputs)


def _name(layer: dict[str, Any]) -> str:
    """Return the name that a graph's nodes use; operations before Keras 3.12 have none in their configuration."""
    name = layer["name"] if layer.get("name") is not None else layer["config"]["name"]
    if not isinstance(name, str):
        raise TypeError(f"a layer's name is a {type(name).__name__}")
    return name


def _ordered(layers: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the layers so that each comes after those whose answers it takes."""
    missing = {_name(layer): set(_parents(layer)) for layer in layers}
    children: dict[str, list[str]] = {}
    for name, parents in missing.items():
        for parent in parents:
            children.setdefault(parent, []).append(name)
    by_name = {_name(layer): layer for layer in layers}
    ready = [name for name, parents in missing.items() if not parents]
    for name in ready:  # grows while it is walked
        yield by_name.pop(name)
        for child in children.get(name, ()):
            missing[child].discard(name)
            if not missing[child]:
                ready.append(child)
    if by_name:
        raise AuditRefusal(
            "graph_cycle", "Layers wait for one another in a circle, or for a layer that is not there.", min(by_name)
        )


def _result(wanted: Any, outputs: dict[str, Any]) -> Any:
    if isinstance(wanted, list) and wanted and isinstance(wanted[0], str):
        return outputs.get(wanted[0])
    if isinstance(wanted, list) and len(wanted) == 1 and isinstance(wanted[0], list):
        return outputs.get(wanted[0][0])
    return None


def _layer(layer: dict[str, Any], place: str, inputs: Any) -> tuple[list[LayerWeights], Any]:
    kind, config = layer["class_name"], layer["config"]
    if kind in ("Sequential", "Functional", "Model"):
        return _model(config, f"{place}/layers", inputs)
    weights, output = layer_shapes(kind, config, inputs)
    if not all(_is_shape(shape) for shape in weights or ()):
        raise AuditRefusal("config_shape", f"The weights would have the shapes {weights}.", config.get("name", ""))
    if kind == "InputLayer" and output is None:
        raise AuditRefusal("config_shape", "An input layer has no shape.", config.get("name", ""))
    if isinstance(output, tuple) and prod(size or 1 for size in output) > MAX_ELEMENTS:
        raise AuditRefusal(
            "config_giant", "A layer would answer with more values than fit in memory.", config.get("name", "")
        )
    return [LayerWeights(place, str(config.get("name", "")), weights)], output


def _is_shape(shape: Shape) -> bool:
    return all(size is None or (type(size) is int and size >= 0) for size in shape)


def _placed(layers: list[dict[str, Any]], path: str, *, skip_inputs: bool) -> Iterator[tuple[dict[str, Any], str]]:
    """Give every layer the place Keras's writer gives it: its class name, numbered when it comes again."""
    used: dict[str, int] = {}
    for layer in layers:
        kind = layer["class_name"]
        if kind == "InputLayer" and skip_inputs:
            yield layer, f"{path}/"
            continue
        if str(layer.get("module", "")).startswith("keras.src.ops."):
            yield layer, f"{path}/"
            continue
        key = snake_case(kind)
        count = used.get(key, -1) + 1
        used[key] = count
        yield layer, f"{path}/{key}_{count}" if count else f"{path}/{key}"


def snake_case(name: str) -> str:
    """Return a class name as Keras writes it in the weights file.

    >>> snake_case("AveragePooling2D")
    'average_pooling2d'
    """
    spaced = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", spaced).lower()


def _claimed(layer: dict[str, Any]) -> Any:
    config, build = layer["config"], layer.get("build_config")
    first = config.get("batch_shape") or config.get("batch_input_shape")
    if first is None and isinstance(build, dict):
        first = build.get("input_shape")
    return _as_shape(first)


def _as_shape(value: Any) -> Any:
    if not isinstance(value, list):
        return None
    if all(size is None or (type(size) is int and size >= 0) for size in value):
        return tuple(value)
    if all(isinstance(item, list) for item in value):
        return [_as_shape(item) for item in value]
    raise ValueError(f"{value} is not a shape")


def _tensors(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the tensors that a node takes, in order: dictionaries in Keras 3, nested lists in Keras 2."""
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            yield value["config"]
        else:
            for child in value.values():
                yield from _tensors(child)
    elif isinstance(value, list):
        if len(value) in (3, 4) and isinstance(value[0], str) and type(value[1]) is int and type(value[2]) is int:
            yield {"keras_history": value[:3], "shape": None}
        else:
            for child in value:
                yield from _tensors(child)


def _first_call(layer: dict[str, Any]) -> list[dict[str, Any]]:
    nodes = layer.get("inbound_nodes") or []
    first = nodes[0] if nodes else []
    return list(_tensors(first.get("args") if isinstance(first, dict) else first))


def _parents(layer: dict[str, Any]) -> list[str]:
    """Return the layers that the first call needs; calling a shared layer again needs nothing before its first call."""
    nodes = layer.get("inbound_nodes") or []
    return [tensor["keras_history"][0] for tensor in _tensors(nodes[0] if nodes else [])]


def _inputs(layer: dict[str, Any], outputs: dict[str, Any], given: Any) -> Any:
    calls = _first_call(layer)
    if not calls:
        return _claimed(layer) or given
    shapes = [outputs[call["keras_history"][0]] or _as_shape(call.get("shape")) for call in calls]
    return shapes[0] if len(shapes) == 1 else shapes
