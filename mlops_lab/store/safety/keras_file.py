"""Judge a ``.keras`` archive and a legacy ``.h5`` file."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from mlops_lab.filetype import printable
from mlops_lab.store.safety import archive, config, graph, strict_json, weights
from mlops_lab.store.safety.report import AuditFinding, AuditRefusal

MEMBERS = {"metadata.json", "config.json", "model.weights.h5"}
METADATA_BYTES = 4 * 1024
WEIGHTS_BYTES = 512 * 2**20
VERSION = re.compile(r"(\d{1,3})\.(\d{1,3})(\.\d{1,4})?[0-9A-Za-z.+-]{0,40}", re.ASCII)
KNOWN_MAJORS = (2, 3)
NEWER_KEYS = {b'"quantization_config"': (3, 13), b'"input_axes"': (3, 14)}  # key → no Keras 3 before this writes it


def judge_keras(data: bytes, members: dict[str, archive.Member]) -> list[AuditFinding]:
    """Return what is wrong with a ``.keras`` archive."""
    extra, missing = members.keys() - MEMBERS, MEMBERS - members.keys()
    if extra:
        raise AuditRefusal("zip_unexpected_member", "Keras writes no such member.", min(extra))
    if missing:
        raise AuditRefusal("zip_missing_member", "A member that Keras always writes is missing.", min(missing))
    return judge_parts(
        archive.extract(data, members["metadata.json"], METADATA_BYTES),
        archive.extract(data, members["config.json"], config.MAX_BYTES),
        lambda: archive.extract(data, members["model.weights.h5"], WEIGHTS_BYTES),
    )


def judge_parts(stamp: bytes, text: bytes, held: bytes | Callable[[], bytes]) -> list[AuditFinding]:
    """Return what is wrong with a model's stamp, configuration and weights; a function is called for them last."""
    judge_metadata(stamp, text)
    tree = strict_json.parse(text, "config.json", config.MAX_BYTES)
    found = config.judge(tree)
    if found:
        return found
    built = graph.follow(tree)
    raw = held if isinstance(held, bytes) else held()
    with weights.open_h5(raw, "model.weights.h5") as file:
        weights.compare(weights.walk(file, len(raw), "model.weights.h5", len(built), float_widths(text)), built)
    return []


def judge_metadata(data: bytes, text: bytes) -> None:
    """Refuse a stamp that cannot be read, is of an unknown Keras, or does not fit the configuration."""
    stamp = strict_json.parse(data, "metadata.json", METADATA_BYTES)
    if not isinstance(stamp, dict) or not isinstance(stamp.get("keras_version"), str):
        raise AuditRefusal("metadata", "The stamp names no Keras version.", "metadata.json")
    version = stamp["keras_version"]
    match = VERSION.fullmatch(version)
    if match is None:
        raise AuditRefusal("metadata", f"{printable(version, 40)!r} is not a version of Keras.", "metadata.json")
    pair = (int(match[1]), int(match[2]))
    if pair[0] not in KNOWN_MAJORS:
        raise AuditRefusal("metadata_version", f"Keras {printable(version, 40)} is not known here.", "metadata.json")
    for key, first in NEWER_KEYS.items():
        if pair < first and key in text:
            message = f"The stamp says Keras {printable(version, 40)}, which does not write {key.decode()}."
            raise AuditRefusal("metadata_lie", message, "metadata.json")


def float_widths(text: bytes) -> tuple[int, ...]:
    """Return how wide, in bytes, the floats of a configuration's weights may be; 0 stands for bfloat16."""
    widths = {4: True, 8: b'float64"' in text, 2: b'"float16"' in text, 0: b'bfloat16"' in text}
    return tuple(width for width, used in widths.items() if used)


def judge_legacy(data: bytes) -> list[AuditFinding]:
    """Return what is wrong with a ``.h5`` file of a whole model."""
    with weights.open_h5(data, "model.h5") as file:
        text = _attribute(file, "model_config")
        tree = strict_json.parse(text, "model_config", config.MAX_BYTES)
        training = _attribute(file, "training_config", needed=False)
        found = config.judge(tree, legacy=True)
        if found:
            return found
        if training:  # never loaded, but it must be JSON of a sane size
            strict_json.parse(training, "training_config", config.MAX_BYTES)
        layers = graph.follow(tree)
        items = weights.walk(file, len(data), "model.h5", len(layers), float_widths(text))
    _compare_legacy(layers, items)
    return []


def _attribute(file: Any, name: str, *, needed: bool = True) -> bytes:
    try:
        value = file.attrs.get(name)
    except Exception as error:
        raise AuditRefusal("h5_damaged", f"The attribute cannot be read ({printable(str(error))}).", name) from None
    if value is None and not needed:
        return b""
    if not isinstance(value, str | bytes):
        raise AuditRefusal("h5_no_model", "The file holds no model's configuration.", name)
    return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else bytes(value)


def _compare_legacy(layers: list[graph.LayerWeights], items: list[weights.Weight]) -> None:
    """Compare by layer name: a legacy file keeps a layer's weights under ``model_weights/<its name>``."""
    held: dict[str, list[Any]] = {}
    for item in items:
        top, _, rest = item.path.partition("/")
        if top == "model_weights":
            held.setdefault(rest.partition("/")[0], []).append(item)
        elif top != "optimizer_weights":
            raise AuditRefusal("weights_extra", "The file holds weights that no layer of the model has.", item.path)
    nested = any(layer.path.count("/layers/") for layer in layers)
    for layer in layers:
        if layer.weights is None or nested or layer.path.endswith("/"):
            continue
        own = [item.shape for item in held.get(layer.name, ()) if "seed_generator" not in item.path]
        weights.compare_layer(own, layer)
