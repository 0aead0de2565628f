"""Protection of a local server from web pages of other sites: DNS rebinding and cross-site requests.

A page on the web can make its visitor's browser send requests to 127.0.0.1. Under a name of its own that leads there
(DNS rebinding) it could even read the answers, so a server on loopback answers only to names that it knows. A request
that changes or computes something is refused where a page of another site sent it.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from mlops_lab.errors import ForeignPage, LabError, Misdirected
from mlops_lab.serve.ports import LOOPBACK
from mlops_lab.serve.rest.cors import ANY, is_allowed

SAFE_METHODS = (b"GET", b"HEAD", b"OPTIONS")
# What a browser says of a request that the visitor began, or a page of the same site; pages cannot forge it.
OWN_SITES = (b"same-origin", b"same-site", b"none")
BROWSER_FIELDS = frozenset({b"origin", b"sec-fetch-site"})
MAX_SEEN = 100
Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True)
class BrowserGuard:
    """The hosts and origins that a server answers to.

    Parameters
    ----------
    hosts
        Names in a ``Host`` header, without ports; None for any.
    addresses
        Whether any IP address will do as well: no name leads a browser there.
    origins
        Returns the origins whose pages may send requests from other sites, such as ``https://example.org``; ``*``
        stands for all.
    seen
        Values of ``Host`` that were answered before, so that most requests need no check.

    Examples
    --------
    >>> guard = guard_for("127.0.0.1")
    >>> guard.knows(b"localhost:8000"), guard.knows(b"rebound.example:8000")
    (True, False)
    """

    hosts: frozenset[str] | None
    addresses: bool = False
    origins: Callable[[], Collection[str]] = tuple
    seen: set[bytes] = field(default_factory=set, compare=False)

    def knows(self, host: bytes) -> bool:
        """Return whether the server answers to a ``Host``."""
        name = _without_port(host.decode("latin-1").lower())
        return self.hosts is None or name in self.hosts or (self.addresses and _is_address(name))

    def check(self, method: bytes, headers: Headers, target: bytes | None = None) -> LabError | None:
        """Return why a request is refused; None where it is not.

        ``target`` is the host of a target such as ``http://host/path``, which clients send to proxies.
        """
        fields = dict(headers)
        host = fields.get(b"host")
        for named in (host, target):
            if named is not None and not self.knows(named):
                message = f"The request is for the host {named.decode('latin-1')[:80]!r}, which is not this server's."
                name = _without_port(named.decode("latin-1"))[:80]
                return Misdirected(message, f"If it is yours, start the server with --allowed-host {name}.")
        if host is not None and len(self.seen) < MAX_SEEN:
            self.seen.add(host)
        if method in SAFE_METHODS or not self._is_cross_site(fields, host or b""):
            return None
        origin = fields.get(b"origin", b"another site").decode("latin-1")[:80]
        message = f"A page of {origin} sent this request, and this server is of another site."
        return ForeignPage(message, "Open the server's own pages, or send it from a program.")

    def _is_cross_site(self, fields: dict[bytes, bytes], host: bytes) -> bool:
        origin, site = fields.get(b"origin"), fields.get(b"sec-fetch-site")
        if origin is not None and is_allowed(self.origins(), origin.decode("latin-1")):
            return False
        if site is not None:
            return site not in OWN_SITES
        if origin is None:
            return False
        name = _without_port(urlsplit(origin.decode("latin-1").lower()).netloc)
        return not name or (name != _without_port(host.decode("latin-1").lower()) and name not in (self.hosts or ()))


def guard_for(
    host: str,
    allowed_hosts: Collection[str] = (),
    origins: Callable[[], Collection[str]] = tuple,
) -> BrowserGuard:
    """Return the guard of a server.

    Parameters
    ----------
    host
        The address it listens on. On loopback only loopback's names are known; else those of this machine, and every
        IP address.
    allowed_hosts
        More names; ``*`` for any.
    origins
        As for :class:`BrowserGuard`.
    """
    if ANY in allowed_hosts:
        return BrowserGuard(None, origins=origins)
    names = {*LOOPBACK, host, *allowed_hosts}
    if host not in LOOPBACK:
        names |= {socket.gethostname(), socket.gethostname().partition(".")[0]}
    known = frozenset(_without_port(name.lower()) for name in names)
    return BrowserGuard(known, host not in LOOPBACK, origins)


def _without_port(host: str) -> str:
    """Return a host without its port, and an IPv6 address without brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host if host.count(":") > 1 else host.partition(":")[0]


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
