"""Walk the description of a Keras model: every object in it, with its kind, its place and its part of the file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

KINDS = {
    "keras.layers": "layers", "keras.initializers": "initializers", "keras.regularizers": "regularizers",
    "keras.constraints": "constraints", "keras.losses": "losses", "keras.metrics": "metrics",
    "keras.optimizers": "optimizers", "keras.optimizers.schedules": "schedules",
}  # fmt: skip
MODELS = ("Sequential", "Functional", "Model")
POLICIES = ("DTypePolicy", "FloatDTypePolicy", "Policy")
LISTED = {"layers": "layers", "optimizer_config": "optimizers", "loss": "losses", "metrics": "metrics"}
PLACES = {
    "optimizer": "the optimizer", "optimizer_config": "the optimizer", "loss": "the loss", "metrics": "the metrics",
    "weighted_metrics": "the metrics",
}  # fmt: skip
MAX_DEPTH = 64


class Judgement(NamedTuple):
    """The answer for one file and one environment."""

    loads: bool
    reasons: tuple[str, ...] = ()
    hint: str = ""
    without_compile: bool = False
    """Whether Keras loads it with ``compile=False``."""


@dataclass(frozen=True)
class Incompatibility:
    """One thing in a file that a version of Keras refuses."""

    where: str
    """The layer it stands in, or ``the optimizer``, ``the model``."""
    class_name: str
    key: str
    value: Any
    message: str
    """The reason as a sentence."""
    training: bool = False
    """Whether only the settings of ``compile`` are refused, which ``load_model(path, compile=False)`` leaves out."""


@dataclass(frozen=True)
class Item:
    """One object in the description: what it is, where, and the dictionary itself."""

    kind: str
    """``layers``, ``initializers``, … ``model``, ``policy``; empty for what is not Keras's own."""
    name: str
    where: str
    node: dict[str, Any] = field(repr=False)
    training: bool = False
    """Whether it belongs to the settings of ``compile``."""

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


def items(
    node: Any, where: str = "the model", hint: str = "", depth: int = 0, *, training: bool = False
) -> Iterator[Item]:
    """Yield every object of a description, outer before inner.

    ``hint`` is the kind that the place implies: old ``.h5`` descriptions name the class without its module.
    """
    if depth > MAX_DEPTH:
        raise ValueError(f"objects are nested deeper than {MAX_DEPTH}")
    if isinstance(node, list):
        for child in node:
            yield from items(child, where, hint, depth + 1, training=training)
    if not isinstance(node, dict):
        return
    if isinstance(node.get("class_name"), str) and "config" in node:
        item = _item(node, where, hint, training)
        yield item
        where = item.where
    for key, child in node.items():
        settings = training or key == "compile_config"
        inside = PLACES.get(key, where) if settings else where
        yield from items(child, inside, _hint(key, hint), depth + 1, training=settings)


def _hint(key: str, outer: str) -> str:
    if key in ("layer", "layers", "cell", "cells", "forward_layer", "backward_layer", "backward_layer_config"):
        return "layers"
    if key in ("config", "compile_config"):
        return outer
    return {"optimizer": "optimizers", **LISTED}.get(key, "")


def _item(node: dict[str, Any], where: str, hint: str, training: bool) -> Item:
    name, module, inner = node["class_name"], node.get("module"), node.get("config")
    kind = KINDS.get(str(module), "")
    if str(module).startswith("keras.src.ops."):
        return Item("ops", name, f"operation '{str(node.get('name'))[:64]}'", node, training)
    if name in MODELS and (module is None or str(module).split(".")[0] == "keras"):
        kind = "model"
    elif name in POLICIES and module in ("keras", "keras.dtype_policies", "keras.mixed_precision"):
        kind = "policy"
    elif "module" not in node and not (hint == "optimizers" and ">" in name):
        kind = hint  # Keras 2.15 writes "Custom>Adam" there, and every reader then goes by the optimizer's own name
    if kind == "layers" and isinstance(inner, dict) and isinstance(inner.get("name"), str):
        where = f"layer '{inner['name'][:64]}'"
    return Item(kind, name, where, node, training)


def refuse(item: Item, key: str, message: str) -> Incompatibility:
    """Return an objection to an object, whose sentence begins with its place."""
    return Incompatibility(item.where, item.name, key, item.config.get(key), f"{item.where}: {message}", item.training)


def shown(value: Any) -> str:
    """Return a value of a description as a sentence shows it."""
    if isinstance(value, dict) and isinstance(value.get("class_name"), str):
        return f"an object of the class {value['class_name'][:64]}"
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
