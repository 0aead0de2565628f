"""Read the responses of a server: the JSON of its predictions, and its errors as exceptions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import requests

from mlops_lab import errors
from mlops_lab.errors import LabError, MethodNotAllowed, ServerError, UnsupportedMedia

PREDICTION = ("label", "class", "confidence", "probabilities")
# What else an entry of 'predictions' may hold, by its first key: the answers of the other tasks.
OTHERS = {
    **{"outputs": ("outputs",), "value": ("value",), "vector": ("vector",), "mask": ("mask",), "tensor": ("tensor",)},
    **{"score": ("score", "outlier"), "labels": ("labels", "probabilities")},
}
HINT = f"An answer has 'version' and 'predictions', and each of these has {', '.join(map(repr, PREDICTION))}."


class NoSuchRoute(ServerError):
    """A 404 whose body is not the JSON of ``serve``: it may be another kind of server."""


def parse_json(response: requests.Response, key: str) -> dict[str, Any]:
    """Return the JSON object of a response, which must have a key."""
    try:
        message = response.json()
    except ValueError:
        message = None
    if not isinstance(message, dict):
        received = f"{response.url} answered {response.text[:80]!r}, which is not a JSON object."
        raise ServerError(received, "Is it an inference server?")
    if key not in message:
        received = f"The answer of {response.url} lacks {key!r}: it is {str(message)[:80]!r}."
        raise ServerError(received, "Is it an inference server?")
    return message


def merge_answers(answers: Iterable[dict[str, Any]], path: str) -> dict[str, Any]:
    """Return the answers to the requests for predictions as one, if each has all that it needs.

    Examples
    --------
    >>> one = {"label": "cat", "class": 0, "confidence": 1.0, "probabilities": [1.0, 0.0]}
    >>> merged = merge_answers([{"version": "v1", "predictions": [one]}] * 2, "/models/pets/v1")
    >>> len(merged["predictions"])
    2
    """
    found = list(answers)
    for answer in found:
        _require(answer, ("version", "predictions"), f"The answer of POST {path}")
        entries = answer["predictions"]
        if not isinstance(entries, list) or (len(found) > 1 and len(entries) != 1):
            received = f"The 'predictions' of POST {path} are {str(entries)[:80]}"
            raise ServerError(f"{received}, and not a list with one entry per image.", HINT)
        for entry in entries:
            _require(entry, _keys_of(entry), f"A prediction of POST {path}")
    return {**found[0], "predictions": [entry for answer in found for entry in answer["predictions"]]}


def _keys_of(entry: Any) -> tuple[str, ...]:
    """Return the keys that an entry of ``predictions`` needs, by the one that says what it is."""
    known = [keys for first, keys in OTHERS.items() if isinstance(entry, dict) and first in entry]
    return known[0] if known else PREDICTION


def _require(message: Any, keys: tuple[str, ...], subject: str) -> None:
    missing = keys if not isinstance(message, dict) else tuple(key for key in keys if key not in message)
    if missing:
        raise ServerError(f"{subject} lacks {', '.join(map(repr, missing))}: it is {str(message)[:80]!r}.", HINT)


def to_error(response: requests.Response) -> LabError:
    """Return the error in a response as the exception class that it has at the server."""
    try:
        message = response.json()
        text, hint, code = message["error"], message.get("hint") or "", message.get("code")
    except (ValueError, KeyError, TypeError):
        return _foreign_error(response)
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, LabError)]
    by_code = {kind.code: kind for kind in kinds}
    # An unknown code, such as "draining", falls back on the status; the first class of a status is the most general.
    by_status = {kind.status: kind for kind in reversed(kinds) if kind.status != LabError.status}
    found = by_code.get(code) or by_status.get(response.status_code, ServerError)
    return found(text.removesuffix(hint).strip(), hint, code=code)


def _foreign_error(response: requests.Response) -> LabError:
    """Return the error of a server that does not describe its errors as ``serve`` does."""
    status, method, path = response.status_code, response.request.method, urlsplit(response.url).path
    if status == 405:
        allowed = response.headers.get("Allow", "no method")
        hint = f"Add it to the route's methods: methods=['GET', '{method}']."
        return MethodNotAllowed(f"{method} is not implemented (405) at {path}, which allows {allowed}.", hint)
    if status == 415:
        kind = response.request.headers.get("Content-Type", "")
        return UnsupportedMedia(f"{kind} is not accepted (415) at {path}.", "Let the server read PNG or JPEG bytes.")
    # The text of an HTML page says no more than its status.
    html = "html" in response.headers.get("Content-Type", "")
    text = response.reason if html else repr(response.text[:200])
    hint = "Look at the server's log." if status >= 500 else "Is it an inference server?"
    return (NoSuchRoute if status == 404 else ServerError)(f"{method} {path} was answered {status}: {text}.", hint)
