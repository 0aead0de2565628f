"""The body of a request that carries tensors: whole, unpacked, and JSON as far as it says so. No images here."""

from __future__ import annotations

import json
import re
import zlib
from typing import Any

import numpy as np
from flask import request

from mlops_lab.errors import BadRequest, TooLarge, UnsupportedMedia
from mlops_lab.serve.limits import Limits

_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = np.zeros(256, np.int8)
_STEPS[list(b"[{")], _STEPS[list(b"]}")] = 1, -1
# What zlib calls the wrappers of its format.
_WRAPPERS = {"gzip": 31, "x-gzip": 31, "deflate": 15}


def read(limits: Limits) -> bytes:
    """Return the bytes of the request that is being answered, unpacked where they came packed.

    Raises
    ------
    BadRequest
        Fewer bytes arrived than were declared, or they are not what their encoding says.
    TooLarge
        They unpack to more than the limit.
    """
    body, declared = request.get_data(cache=False), request.content_length
    if declared is not None and len(body) != declared:
        raise BadRequest(f"The request declares {declared} bytes; {len(body)} arrived.", "Send it again.")
    encoding = request.environ.get("HTTP_CONTENT_ENCODING", "").strip().lower()
    return body if encoding in ("", "identity") else unpack(body, encoding, limits)


def unpack(body: bytes, encoding: str, limits: Limits) -> bytes:
    """Return what a packed body holds, and never unpack more than the limit.

    Examples
    --------
    >>> unpack(zlib.compress(b"[1]"), "deflate", Limits())
    b'[1]'
    """
    if encoding not in _WRAPPERS:
        raise UnsupportedMedia(f"The content encoding is {encoding[:80]!r}.", f"Send one of: {', '.join(_WRAPPERS)}.")
    unpacker = zlib.decompressobj(_WRAPPERS[encoding])
    try:
        content = unpacker.decompress(body, limits.body_bytes + 1)
    except zlib.error as error:
        raise BadRequest(f"The body of {len(body)} bytes is not {encoding}: {error}.", "Send it unpacked.") from error
    if len(content) > limits.body_bytes:
        message = f"The body unpacks to more than body_bytes={limits.body_bytes}."
        raise TooLarge(message, "Send less at a time.")
    if not unpacker.eof or unpacker.unused_data:
        raise BadRequest(f"The {encoding} body of {len(body)} bytes is not whole.", "Send it again, or unpacked.")
    return content


def parse(body: bytes, limits: Limits) -> dict[str, Any]:
    """Parse strict JSON: an object, no NaN, no key twice, no deeper than the limit.

    Examples
    --------
    >>> parse(b'{"instances": [[1, 2]]}', Limits())
    {'instances': [[1, 2]]}
    """
    try:
        message = loads(body)
    except (ValueError, RecursionError) as error:
        what = "The document is empty" if not body.strip() else f"{error}, in a body of {len(body)} bytes"
        raise BadRequest(f"JSON Parse error: {what}.", "Use json.dumps.") from error
    check_depth(body, limits)
    if not isinstance(message, dict):
        raise BadRequest(f"The JSON body is a {type(message).__name__}.", "Send an object.")
    return message


def loads(body: bytes) -> Any:
    """Parse JSON, and raise :class:`ValueError` on NaN, infinity or a key that appears twice."""
    return json.loads(body, parse_constant=_no_constant, object_pairs_hook=_no_duplicates)


def depth(body: bytes) -> int:
    r"""Return how deep the brackets of a JSON text are nested, without a step of Python for each.

    Examples
    --------
    >>> depth(b'{"a]": [[1], "\\"["]}')
    3
    """
    brackets = _STRING.sub(b"", body).translate(None, _NOT_BRACKETS)
    return int(_STEPS[np.frombuffer(brackets, np.uint8)].cumsum(dtype=np.int64).max(initial=0))


def check_depth(body: bytes, limits: Limits) -> None:
    """Raise where a JSON text is nested deeper than the limit."""
    found = depth(body)
    if found > limits.json_depth:
        message = f"The JSON is nested {found} deep; the limit is json_depth={limits.json_depth}."
        raise BadRequest(message, "Send flatter lists.")


def _no_constant(word: str) -> float:
    raise ValueError(f"{word} is not a JSON number")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    message = dict(pairs)
    if len(message) != len(pairs):
        raise ValueError("a key appears twice in one object")
    return message
