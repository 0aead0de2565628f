"""Parse the JSON of a model file with limits on its size, depth and numbers, and refuse it with a code."""

from __future__ import annotations

import math
from typing import Any

from mlops_lab import strict_json
from mlops_lab.filetype import printable
from mlops_lab.store.safety.report import AuditRefusal

MAX_TOKENS = 400_000
MAX_DEPTH = 100
BIGGEST = 2**63 - 1
BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


def parse(data: bytes, where: str, limit: int) -> Any:
    """Return the value, or refuse the text; ``where`` names it in the finding."""
    _check_text(data, where, limit)
    try:
        value = strict_json.loads(data, parse_int=_integer, parse_float=_finite)
    except strict_json.DuplicateKeyError as error:
        raise AuditRefusal("json_duplicate_key", str(error), where) from None
    except strict_json.NotFiniteError as error:
        raise AuditRefusal("json_not_finite", str(error), where) from None
    except strict_json.NestingError as error:
        raise AuditRefusal("json_depth", str(error), where) from None
    except UnicodeDecodeError:
        raise AuditRefusal("json_encoding", "The JSON is not valid UTF-8.", where) from None
    except _NumberError as error:
        raise AuditRefusal("json_number", str(error), where) from None
    except ValueError as error:
        raise AuditRefusal("json_syntax", f"This is not JSON: {error}.", where) from None
    _check_depth(value, where)
    return value


class _NumberError(ValueError):
    """A whole number that does not fit into 64 bits."""


def _check_text(data: bytes, where: str, limit: int) -> None:
    if len(data) > limit:
        raise AuditRefusal("json_size", f"{len(data):,} bytes of JSON; the limit is {limit:,}.", where)
    if data.startswith(BYTE_ORDER_MARKS) or b"\0" in data[:4]:
        message = "The JSON begins with a byte-order mark or is UTF-16; plain UTF-8 is read."
        raise AuditRefusal("json_encoding", message, where)
    if sum(data.count(mark) for mark in (b"{", b"[", b",", b":")) > MAX_TOKENS:
        raise AuditRefusal("json_tokens", f"The JSON has more than {MAX_TOKENS:,} pieces.", where)


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise strict_json.NotFiniteError(f"The number {printable(digits, 40)} is not finite.")
    return value


def _integer(digits: str) -> int:
    if len(digits) > 20 or abs(int(digits)) > BIGGEST:
        raise _NumberError(f"The number {printable(digits, 40)} is too large.")
    return int(digits)


def _check_depth(value: Any, where: str) -> None:
    """Refuse deep nesting that the parser survived but that recursive readers, Keras among them, would not."""
    level, depth = [value], 0
    while level:
        if depth > MAX_DEPTH:
            raise AuditRefusal("json_depth", f"The JSON is nested deeper than {MAX_DEPTH} levels.", where)
        level = [child for item in level for child in _children(item)]
        depth += 1


def _children(item: Any) -> list[Any]:
    values = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
    return [child for child in values if isinstance(child, dict | list)]
