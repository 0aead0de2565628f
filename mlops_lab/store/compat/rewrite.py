"""Rewrite a configuration for another version of Keras. Only the description changes, never the weights.

A key that the target lacks may go when it says what is the default anyway, or when it never changes an answer; one
that says more is refused by name. After the rewriting the target's verdict is asked again, so whatever is left over
is refused as well.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from mlops_lab.store.compat import graph, keys
from mlops_lab.store.compat.description import Incompatibility, Item, items
from mlops_lab.store.compat.formats import ModelFile
from mlops_lab.store.compat.keys import KerasTarget
from mlops_lab.store.compat.verdict import incompatibilities

# How a layer computes, not what; or what Keras works out again from the layer's input; or a mere name.
INERT = {
    "layers": {"implementation", "batch_input_shape", "input_length"},
    "optimizers": {"jit_compile", "is_legacy_optimizer"},
    "losses": {"fn"},
    "metrics": {"fn"},
    "ops": {"name", "dtype"},
}
# Keras 2 wrote these for the separable kinds too, which never use them.
UNUSED = {"kernel_initializer", "kernel_regularizer", "kernel_constraint"}
SEPARABLE = ("SeparableConv1D", "SeparableConv2D", "DepthwiseConv1D", "DepthwiseConv2D")
RENAMED = {("LeakyReLU", 2): ("alpha", "negative_slope"), ("LeakyReLU", 3): ("negative_slope", "alpha")}
ALIASES = {"Orthogonal": "OrthogonalInitializer", "OrthogonalInitializer": "Orthogonal"}
# The layers whose weights have other names in Keras 2 than in Keras 3; the weights are never touched. Of forty kinds
# that both have, it is only this one.
REARRANGED = ("MultiHeadAttention",)
COMPILE = {"run_eagerly": False, "steps_per_execution": 1, "jit_compile": False}


@dataclass(frozen=True)
class Rewritten:
    """A description in the target's words, what changed, and what could not be said."""

    config: dict[str, Any]
    changes: tuple[str, ...]
    refused: tuple[Incompatibility, ...]


def major(file: ModelFile) -> int:
    """Return which Keras, 2 or 3, wrote a description, by what it contains."""
    for item in items(file.config):
        if "batch_input_shape" in item.config or item.node.get("module") == graph.MODULES[2]:
            return 2
        if "batch_shape" in item.config or item.node.get("module") == graph.MODULES[3]:
            return 3
    return 2 if file.written_by.get("keras", "3").startswith("2") else 3


def convert_config(file: ModelFile, target: KerasTarget) -> Rewritten:
    """Return the description of a ``.keras`` file as the target version would have written it."""
    writer = _Writer(major(file), target)
    if moved := _rearranged(file, writer.source, target):
        return Rewritten(file.config, (), moved)
    config = copy.deepcopy(file.config)
    for item in list(items(config)):
        writer.translate(item)
    if isinstance(config.get("compile_config"), dict):
        writer.settings(config["compile_config"])
    changed = ModelFile(file.path, file.format, file.written_by, config)
    refused = tuple(writer.refused) or tuple(incompatibilities(changed, target))
    return Rewritten(config, tuple(f"{what} ({count}×)" for what, count in writer.changes.items()), refused)


def _rearranged(file: ModelFile, source: int, target: KerasTarget) -> tuple[Incompatibility, ...]:
    if source == target.major:
        return ()
    message = "Keras 2 and Keras 3 store the weights of {} under different names."
    found = [item for item in items(file.config) if item.kind == "layers" and item.name in REARRANGED]
    return tuple(Incompatibility(i.where, i.name, "", None, f"{i.where}: {message.format(i.name)}") for i in found)


class _Writer:
    """Changes one object after another in place, and keeps count."""

    def __init__(self, source: int, target: KerasTarget) -> None:
        self.source, self.target = source, target
        self.changes: dict[str, int] = {}
        self.refused: list[Incompatibility] = []

    def note(self, what: str) -> None:
        self.changes[what] = self.changes.get(what, 0) + 1

    def refuse(self, item: Item, key: str, value: Any) -> None:
        message = f"{item.where}: {self.target.keras_name} has no '{key}' for {item.name}, and the file says {value!r}."
        self.refused.append(Incompatibility(item.where, item.name, key, value, message))

    def translate(self, item: Item) -> None:
        """Change one object, whichever way the two versions differ."""
        if item.kind == "model":
            self.model(item)
        elif item.kind == "layers":
            self.layer(item)
        self.name(item)
        self.drop(item)
        if item.kind == "losses" and item.config.get("reduction") == "auto" and self.target.major == 3:
            item.node["config"]["reduction"] = "sum_over_batch_size"
            self.note("losses: 'auto' says 'sum_over_batch_size'")

    def model(self, item: Item) -> None:
        """Write the graph, and leave out what a Sequential of Keras 2 does not keep."""
        config = item.config
        if item.name == "Functional":
            for change in graph.translate(item.node, self.source, self.target):
                self.note(change)
        elif self.source == 3 and self.target.major == 2:
            if config.get("trainable") is False:
                self.refuse(item, "trainable", False)
            for key in ("trainable", "dtype", "build_input_shape"):
                if key in config:
                    del config[key]
                    self.note(f"Sequential: '{key}' left out")
        self.policy(config)

    def layer(self, item: Item) -> None:
        """Write the keys that have another name or another form."""
        config = item.config
        self.policy(config)
        if self.source == self.target.major:
            return
        old, new = RENAMED.get((item.name, self.source), ("", ""))
        if item.name == "InputLayer":
            old, new = ("batch_input_shape", "batch_shape")[:: 1 if self.source == 2 else -1]
        if old in config:
            config[new] = config.pop(old)
            self.note(f"{item.name}: '{old}' is called '{new}'")
        axis = config.get("axis")
        if item.name == "BatchNormalization" and isinstance(axis, list) and len(axis) == 1:
            config["axis"] = axis[0]
            self.note("BatchNormalization: 'axis' is one number")

    def policy(self, config: dict[str, Any]) -> None:
        """Write the type of a layer's numbers as a word where the target wants a word."""
        dtype = config.get("dtype")
        if not isinstance(dtype, dict) or keys.release(self.target.row) >= (3, 4, 0):
            return
        if dtype.get("class_name") == "DTypePolicy" and isinstance(dtype.get("config"), dict):
            config["dtype"] = dtype["config"].get("name", "float32")
            self.note("'dtype' is a word, not a DTypePolicy")

    def name(self, item: Item) -> None:
        """Call a class by the name that the target finds."""
        alias = ALIASES.get(item.name, "")
        if keys.entry(item.identity, self.target.row) is None and keys.entry(f"{item.kind}.{alias}", self.target.row):
            item.node["class_name"] = alias
            self.note(f"{item.name} is called {alias}")

    def drop(self, item: Item) -> None:
        """Leave out each key that the target lacks and that says nothing."""
        known = keys.entry(f"{item.identity.rpartition('.')[0]}.{item.node['class_name']}", self.target.row)
        if known is None:
            return
        for key, value in list(item.config.items()):
            if key in known.keys:
                continue
            inert = key in INERT.get(item.kind, ()) or (item.name in SEPARABLE and key in UNUSED)
            if inert or keys.is_default(item.identity, key, value):
                del item.node["config"][key]
                self.note(f"{item.name}: '{key}' left out")
            else:
                self.refuse(item, key, value)

    def settings(self, config: dict[str, Any]) -> None:
        """Write what Keras 2 leaves open in ``compile`` and Keras 3 wants to hear."""
        for key, value in COMPILE.items():
            if self.target.major == 3 and key in config and config[key] is None:
                config[key] = value
                self.note(f"compile: '{key}' is {value}")
