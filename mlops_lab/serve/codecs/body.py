"""Request bodies: decompressed within the limit, and JSON read strictly."""

from __future__ import annotations

import re
import zlib
from typing import Any

import numpy as np

from mlops_lab.errors import BadRequest, TooLarge, UnsupportedMedia
from mlops_lab.serve.core.limits import Limits
from mlops_lab.strict_json import loads

_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = np.zeros(256, np.int8)
_STEPS[list(b"[{")], _STEPS[list(b"]}")] = 1, -1
# zlib's numbers for the wrappers of its format.
_WRAPPERS = {"gzip": 31, "x-gzip": 31, "deflate": 15}


def too_large(declared: int | None, limits: Limits) -> TooLarge:
    """Return the error for a body over the limit, by its declared length where there is one."""
    received = declared or "more"
    return TooLarge(
        f"The body has {received} bytes; the limit is body_bytes={limits.body_bytes}.", "Send less at a time."
    )


def check_whole(body: bytes, declared: int | None) -> None:
    """Raise where fewer bytes arrived than were declared."""
    if declared is not None and len(body) != declared:
        raise BadRequest(f"The request declares {declared} bytes; {len(body)} arrived.", "Send it again.")


def decompress(body: bytes, encoding: str, limits: Limits) -> bytes:
    """Return the content of a body by its ``Content-Encoding``, and never decompress more than the limit.

    Raises
    ------
    UnsupportedMedia
        The encoding is not known.
    BadRequest
        The bytes are not what the encoding says.
    TooLarge
        They decompress to more than the limit.

    Examples
    --------
    >>> decompress(zlib.compress(b"[1]"), "deflate", Limits())
    b'[1]'
    """
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in _WRAPPERS:
        raise UnsupportedMedia(f"The content encoding is {encoding[:80]!r}.", f"Send one of: {', '.join(_WRAPPERS)}.")
    decompressor = zlib.decompressobj(_WRAPPERS[encoding])
    try:
        content = decompressor.decompress(body, limits.body_bytes + 1)
    except zlib.error as error:
        message = f"The body of {len(body)} bytes is not {encoding}: {error}."
        raise BadRequest(message, "Send it uncompressed.") from error
    if len(content) > limits.body_bytes:
        message = f"The body decompresses to more than body_bytes={limits.body_bytes}."
        raise TooLarge(message, "Send less at a time.")
    if not decompressor.eof or decompressor.unused_data:
        message = f"The {encoding} body of {len(body)} bytes is incomplete."
        raise BadRequest(message, "Send it again, or uncompressed.")
    return content


def parse_object(body: bytes, limits: Limits) -> dict[str, Any]:
    """Parse a JSON object strictly: no NaN, no duplicate key, no deeper than the limit.

    Examples
    --------
    >>> parse_object(b'{"instances": [[1, 2]]}', Limits())
    {'instances': [[1, 2]]}
    """
    check_containers(body, limits)
    try:
        message = loads(body)
    except ValueError as error:
        what = (
            "The document is empty"
            if not body.strip()
            else f"{str(error).removesuffix('.')}, in a body of {len(body)} bytes"
        )
        raise BadRequest(f"JSON Parse error: {what}.", "Use json.dumps.") from error
    check_depth(body, limits)
    if not isinstance(message, dict):
        raise BadRequest(f"The JSON body is a {type(message).__name__}.", "Send an object.")
    return message


def check_containers(body: bytes, limits: Limits) -> None:
    """Raise where a JSON text has so many brackets that parsing it takes long; those in its strings count as well."""
    found = body.count(b"[") + body.count(b"{")
    if found > limits.json_containers:
        message = f"The JSON has {found} lists and objects; the limit is json_containers={limits.json_containers}."
        raise TooLarge(message, "Send several requests, or an array as application/x-npy.")


def depth(body: bytes) -> int:
    r"""Return the nesting depth of a JSON text, without a step of Python for each bracket.

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
        raise BadRequest(message, "Reduce the nesting depth.")
