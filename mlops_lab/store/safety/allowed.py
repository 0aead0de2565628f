"""The allow-list of names that a model file may use; every other name is refused.

``allowed.json`` holds the Keras classes by module (Keras 2.15 and 3 spellings), the functions and activations that
configurations name, the operators of ONNX and SavedModel, and the types of skops. ``tools/allowed_names.py`` drafts
it from the installed packages; a person decides what stays.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files


@cache
def _table() -> dict[str, dict[str, list[str]]]:
    table: dict[str, dict[str, list[str]]] = json.loads(
        files("mlops_lab.store.safety").joinpath("allowed.json").read_text(encoding="utf-8")
    )
    return table


@cache
def keras_classes() -> frozenset[tuple[str, str]]:
    """Return the allowed (module, class_name) pairs."""
    return frozenset((module, name) for module, names in _table()["keras_classes"].items() for name in names)


@cache
def keras_names() -> frozenset[str]:
    """Return the allowed class names alone, for configurations that name no module."""
    return frozenset(name for _, name in keras_classes())


@cache
def names(kind: str, part: str = "") -> frozenset[str]:
    """Return a flat list of allowed names: ``("keras", "activations")``, ``("onnx", "ai.onnx.ml")`` and so on."""
    return frozenset(_table()[kind].get(part, ()))


@cache
def parts(kind: str) -> frozenset[str]:
    """Return the parts of a kind, such as ONNX's domains."""
    return frozenset(_table()[kind])
