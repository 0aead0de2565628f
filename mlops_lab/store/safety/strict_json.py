"""Read JSON without its surprises: one encoding, no duplicate keys, no NaN, no numbers or nesting without end."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from mlops_lab.store.safety.report import Refused, printable

MAX_TOKENS = 400_000
MAX_DEPTH = 100
BIGGEST = 2**63 - 1
BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


def parse(data: bytes, where: str, limit: int) -> Any:
    """Return the value, or refuse the text; ``where`` names it in the finding."""
    if len(data) > limit:
        raise Refused("json_size", f"{len(data):,} bytes of JSON; the limit is {limit:,}.", where)
    text = _text(data, where)
    if sum(data.count(mark) for mark in (b"{", b"[", b",", b":")) > MAX_TOKENS:
        raise Refused("json_tokens", f"The JSON has more than {MAX_TOKENS:,} pieces.", where)
    try:
        value = _decoder(where).decode(text)
    except RecursionError:
        raise Refused("json_depth", "The JSON is nested without end.", where) from None
    except ValueError as error:
        raise Refused("json_syntax", f"This is not JSON: {error}.", where) from None
    _measure(value, where)
    return value


def _text(data: bytes, where: str) -> str:
    if data.startswith(BYTE_ORDER_MARKS) or b"\0" in data[:4]:
        raise Refused(
            "json_encoding", "The JSON begins with a byte-order mark or is UTF-16; plain UTF-8 is read.", where
        )
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused("json_encoding", "The JSON is not valid UTF-8.", where) from None


def _decoder(where: str) -> json.JSONDecoder:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) != len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise Refused("json_duplicate_key", f"The key {printable(twice)!r} appears twice in one object.", where)
        return result

    def constant(word: str) -> NoReturn:
        raise Refused("json_not_finite", f"The JSON holds {word}.", where)

    def number(digits: str) -> float:
        value = float(digits)
        if not math.isfinite(value):
            raise Refused("json_not_finite", f"The number {printable(digits, 40)} is not finite.", where)
        return value

    def integer(digits: str) -> int:
        if len(digits) > 20 or abs(int(digits)) > BIGGEST:
            raise Refused("json_number", f"The number {printable(digits, 40)} is too large.", where)
        return int(digits)

    return json.JSONDecoder(object_pairs_hook=unique, parse_constant=constant, parse_float=number, parse_int=integer)


def _measure(value: Any, where: str) -> None:
    """Refuse deep nesting that the parser survived but that recursive readers, Keras among them, would not."""
    level, depth = [value], 0
    while level:
        if depth > MAX_DEPTH:
            raise Refused("json_depth", f"The JSON is nested deeper than {MAX_DEPTH} levels.", where)
        level = [child for item in level for child in _children(item)]
        depth += 1


def _children(item: Any) -> list[Any]:
    values = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
    return [child for child in values if isinstance(child, dict | list)]
