"""API keys, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection

from mlops_lab.errors import Unauthorized, WrongUsage


class ApiKeys:
    """The keys that open the server; without any, it is open.

    Examples
    --------
    >>> keys = ApiKeys(["open sesame"])
    >>> keys.accept("open sesame"), keys.accept("open, please")
    (True, False)
    """

    def __init__(self, keys: Collection[str] = ()) -> None:
        if isinstance(keys, str):
            keys = (keys,)
        if not all(keys):
            raise WrongUsage("An API key is empty, which would open the server to everyone.", "Name a key, or none.")
        # Digests have one length, so not even the length of a key can be told from the time a comparison takes.
        self._digests = [_digest(key) for key in keys]

    def __bool__(self) -> bool:
        return bool(self._digests)

    def accept(self, key: str) -> bool:
        """Return whether a key is one of the server's, in a time that does not depend on the answer."""
        digest = _digest(key)
        return any([hmac.compare_digest(digest, known) for known in self._digests])

    def open(self, authorization: str, api_key: str) -> bool:
        """Return whether :meth:`check` would raise nothing."""
        return not self._digests or self.accept(_given(authorization, api_key))

    def check(self, authorization: str, api_key: str) -> None:
        """Raise where neither header carries a key of the server.

        Parameters
        ----------
        authorization
            The value of ``Authorization``: ``Bearer <key>``.
        api_key
            The value of ``X-API-Key``.

        Raises
        ------
        Unauthorized
            There is no key, or a wrong one.
        """
        if not self.open(authorization, api_key):
            given = _given(authorization, api_key)
            what = "The API key is not one of this server's." if given else "This server requires an API key."
            raise Unauthorized(what, "Send the header 'Authorization: Bearer <key>'.")


def _given(authorization: str, api_key: str) -> str:
    """Return the key in either header."""
    scheme, _, key = authorization.partition(" ")
    return key.strip() if scheme.lower() == "bearer" else api_key


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
