"""Which pages of other sites may read the server's answers in a browser (CORS). By default none may.

Without these headers a browser sends a page's request, but keeps the answer from it; programs never look at them.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from mlops_lab.errors import WrongUsage

ANY = "*"
Headers = list[tuple[str, str]]

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(\[[0-9a-f:.]+\]|[^/?#@\s:*]+)(:\d{1,5})?")
_DEFAULT_PORT = re.compile(r"^(http://.*):80$|^(https://.*):443$")
_VARY = ("Vary", "Origin")  # so that no cache gives one page the answer for another
_EXPOSED = (
    "Access-Control-Expose-Headers",
    "X-Request-Id, Retry-After, Server-Timing, traceparent, Inference-Header-Content-Length",
)
_PREFLIGHT = (
    ("Access-Control-Allow-Methods", "GET, POST, OPTIONS"),
    (
        "Access-Control-Allow-Headers",
        "Authorization, Content-Encoding, Content-Type, Inference-Header-Content-Length, traceparent, X-API-Key,"
        " X-Request-Id",
    ),
    ("Access-Control-Max-Age", "600"),
)


def parse_origins(origins: Collection[str]) -> frozenset[str]:
    """Return origins as browsers send them.

    Raises
    ------
    WrongUsage
        One is no origin: a scheme and a host, with a port if it is not the usual one; or ``*`` for all.

    Examples
    --------
    >>> sorted(parse_origins(["http://localhost:3000/", "https://Example.org:443"]))
    ['http://localhost:3000', 'https://example.org']
    """
    return frozenset(map(_parse, (origins,) if isinstance(origins, str) else origins))


def _parse(origin: str) -> str:
    text = origin.strip().lower().removesuffix("/")
    if text != ANY and not _ORIGIN.fullmatch(text):
        message = f"{origin[:200]!r} is not an origin."
        raise WrongUsage(message, "Write scheme and host, and the port if any: http://localhost:3000; or * for all.")
    return _DEFAULT_PORT.sub(r"\1\2", text)


def is_allowed(allowed: Collection[str], origin: str) -> bool:
    """Return whether pages of an origin may send requests and read the answers.

    Examples
    --------
    >>> is_allowed({"*"}, "https://example.org"), is_allowed(set(), "https://example.org")
    (True, False)
    """
    return ANY in allowed or origin in allowed


def cors_headers(allowed: frozenset[str], origin: str) -> Headers:
    """Return the header fields of an answer to a page of an origin; none where no origin is allowed.

    Examples
    --------
    >>> cors_headers(frozenset({"http://localhost:3000"}), "http://localhost:3000")[0]
    ('Access-Control-Allow-Origin', 'http://localhost:3000')
    >>> cors_headers(frozenset({"http://localhost:3000"}), "https://example.org")
    [('Vary', 'Origin')]
    """
    if not allowed:
        return []
    if ANY in allowed:
        return [("Access-Control-Allow-Origin", ANY), _EXPOSED]
    return [("Access-Control-Allow-Origin", origin), _EXPOSED, _VARY] if origin in allowed else [_VARY]


def preflight_headers(allowed: frozenset[str], origin: str) -> Headers | None:
    """Return the header fields for the preflight request of a page; None where its origin is not allowed."""
    return list(_PREFLIGHT) if origin and is_allowed(allowed, origin) else None
