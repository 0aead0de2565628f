"""Judge the types of numbers (dtype policies) of layers: names such as ``mixed_float16``, or objects around them."""

from __future__ import annotations

import re
from typing import Any

from mlops_lab.store.compat import keys
from mlops_lab.store.compat.description import Incompatibility, Item, refuse
from mlops_lab.store.compat.keys import KerasTarget

TYPES = (
    "bool", "bfloat16", "float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16",
    "uint32", "uint64", "string", "float8_e4m3fn", "float8_e5m2", "int4",
)  # fmt: skip
NAMES = re.compile(rf"{'|'.join(TYPES)}|mixed_(float16|bfloat16)|(int4|int8|float8|gptq|awq)(/[\w/-]+)?_from_\w+")


def incompatibilities(item: Item, target: KerasTarget) -> list[Incompatibility]:
    """Object to the ``dtype`` of a layer that the target does not read."""
    value = item.config.get("dtype")
    if item.kind != "layers" or value is None or _takes(value, target):
        return []
    return [refuse(item, "dtype", f"{target.keras_name} does not read the dtype {_shown(value)}.")]


def _takes(value: Any, target: KerasTarget) -> bool:
    if isinstance(value, str):
        return target.major == 2 or NAMES.fullmatch(value) is not None
    if not isinstance(value, dict):
        return False
    named = (value.get("config") or {}).get("name") if isinstance(value.get("config"), dict) else None
    if isinstance(named, str) and not NAMES.fullmatch(named):
        return False
    return keys.takes_policy(value, target.row)


def _shown(value: Any) -> str:
    if not isinstance(value, dict):
        return repr(value)[:60]
    inner = value.get("config")
    name = inner.get("name", inner.get("mode")) if isinstance(inner, dict) else None
    module = f"{value['module']}." if value.get("module") else ""
    return f"{module}{str(value.get('class_name'))[:64]}" + (f" ({str(name)[:40]!r})" if name else "")
