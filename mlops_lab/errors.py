"""Everything that can go wrong, in one tree.

::

    LabError                      what happened, what was received, what to do
    ├── DataError                 a data set's file is missing or damaged
    ├── StoreError                the models folder cannot be read or written
    │   ├── VersionExists         that version is published; versions never change
    │   ├── DamagedArtifact       a version's files are not what its manifest lists
    │   ├── IncompatibleFile      written by a version that this environment cannot load
    │   └── UnsafeFile            a model file that does more than hold a model
    ├── NotFound                  no such thing, and here is what there is
    │   ├── UnknownModel
    │   ├── UnknownVersion
    │   ├── UnknownChain
    │   └── UnknownRoute
    ├── BadRequest                the request's body or query makes no sense
    │   ├── BadImage              the bytes are not an image we take
    │   ├── WrongShape            an array whose shape the model does not take
    │   ├── TooLarge              a limit on size, named with its value
    │   ├── UnsupportedMedia      a content type we do not read
    │   ├── MethodNotAllowed      the route is there, the verb is not
    │   ├── Unauthorized          no API key, or a wrong one
    │   ├── Misdirected           the request is for a host that is not this server's
    │   └── ForeignPage           a page of another site sent the request
    ├── Unavailable               not now: the limit that fired, and when to come back
    │   ├── DeadlineExceeded
    │   ├── StorageFull           a disk has no room left
    │   └── BrokenChain           a link of a chain does not fit the next
    ├── GateFailed                a version does not meet a threshold, so it is not promoted
    ├── ServerError               the background server could not start or answer
    │   └── PortTaken
    ├── MissingPackage            an optional package, with its install line
    └── WrongUsage                an argument that makes no sense

Each class carries an HTTP status and a code word; ``serve`` is the only package that reads the status.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, ClassVar


class LabError(Exception):
    """What happened and what was received (``message``), and what to do about it (``hint``).

    Other programs compare an ``exact`` message, so the text is that alone.

    >>> str(LabError("The file 'a.png' is empty.", "Save it again."))
    "The file 'a.png' is empty. Save it again."
    """

    status: ClassVar[int] = 500
    code: str = "error"

    def __init__(self, message: str, hint: str = "", *, code: str | None = None, exact: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.exact = exact
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        return self.message if self.exact else f"{self.message} {self.hint}".strip()

    def about(self, what: str) -> LabError:
        """Return the same error, whose message begins with what it is about.

        >>> str(LabError("It is empty.").about("a.png"))
        'a.png: It is empty.'
        """
        return type(self)(f"{what}: {self.message}", self.hint, code=self.code, exact=self.exact)

    def to_dict(self) -> dict[str, Any]:
        """Return the error as the server and ``--json`` show it."""
        return {"error": str(self), "code": self.code, "hint": self.hint}

    def _render_traceback_(self) -> list[str]:
        """Show two lines instead of a stack of frames where IPython prints the error."""
        lines = [f"{type(self).__name__}: {self.message}"]
        return [*lines, f"→ {self.hint}"] if self.hint else lines


class DataError(LabError):
    """A data set's file is missing or damaged."""

    code = "bad_data"


class StoreError(LabError):
    """The models folder, or something in it, cannot be read or written."""

    code = "store_error"


class VersionExists(StoreError):
    """The version is published already, and a published version never changes."""

    status = 409
    code = "version_exists"


class DamagedArtifact(StoreError):
    """The files of a version are not what its manifest lists."""

    code = "damaged_artifact"


class IncompatibleFile(StoreError):
    """A model file was written by a version that this environment cannot load."""

    code = "incompatible_file"


class UnsafeFile(StoreError):
    """A model file does more than hold a model, so it is refused before Keras sees it."""

    code = "unsafe_file"


class NotFound(LabError):
    """No such thing; the message names those there are, the hint the nearest."""

    status = 404
    code = "not_found"


class UnknownModel(NotFound):
    """No model of that name."""

    code = "unknown_model"


class UnknownVersion(NotFound):
    """The model has no such version or alias."""

    code = "unknown_version"


class UnknownChain(NotFound):
    """No chain of that name."""

    code = "unknown_chain"


class UnknownRoute(NotFound):
    """No such route."""

    code = "unknown_route"


class BadRequest(LabError):
    """The body of a request makes no sense."""

    status = 400
    code = "bad_request"


class BadImage(BadRequest):
    """The bytes are not an image that we take."""

    code = "bad_image"


class WrongShape(BadRequest):
    """An array whose shape the model does not take."""

    code = "wrong_shape"


class TooLarge(BadRequest):
    """Something is larger than its limit."""

    status = 413
    code = "too_large"


class UnsupportedMedia(BadRequest):
    """A content type that we do not read."""

    status = 415
    code = "unsupported_media_type"


class MethodNotAllowed(BadRequest):
    """The route exists, but not for this method."""

    status = 405
    code = "method_not_allowed"


class Unauthorized(BadRequest):
    """The request has no API key, or a wrong one."""

    status = 401
    code = "unauthorized"


class Misdirected(BadRequest):
    """The request names a host that is not this server's, as when a foreign name leads to this machine."""

    status = 421
    code = "misdirected"


class ForeignPage(BadRequest):
    """A web page of another site had a browser send the request."""

    status = 403
    code = "cross_site"


class Unavailable(LabError):
    """The server is full or draining. ``retry_after`` is in seconds."""

    status = 503
    code = "unavailable"
    retry_after: int = 1


class DeadlineExceeded(Unavailable):
    """The answer was not ready in time."""

    status = 504
    code = "deadline_exceeded"


class StorageFull(Unavailable):
    """A disk that the server writes to has no room left."""

    status = 507
    code = "storage_full"


class BrokenChain(Unavailable):
    """The links of a chain do not fit each other, or its file cannot be read."""

    code = "broken_chain"


class GateFailed(LabError):
    """A version does not meet a threshold, so it is not promoted."""

    status = 409
    code = "gate_failed"


class ServerError(LabError):
    """A background server could not start, or an inference server could not be reached."""

    code = "server_error"


class PortTaken(ServerError):
    """Another program listens on that port."""

    code = "port_taken"


class MissingPackage(LabError):
    """An optional package is not installed; the hint is the line that installs it."""

    code = "missing_package"


class WrongUsage(LabError):
    """An argument makes no sense."""

    status = 400
    code = "wrong_usage"


def nearest(wanted: str, known: Iterable[str]) -> str:
    """Return a hint that names the known words, the one nearest to the wanted one first.

    >>> nearest("cloths", ["clothes", "digits"])
    "Did you mean 'clothes'? There are: 'clothes', 'digits'."
    >>> nearest("x", ["clothes", "digits"])
    "There are: 'clothes', 'digits'."
    """
    words = list(known)
    if not words:
        return "There are none yet."
    close = difflib.get_close_matches(wanted, words, n=1)
    guess = f"Did you mean {close[0]!r}? " if close else ""
    more = f" and {len(words) - 20} more" if len(words) > 20 else ""
    return f"{guess}There are: {', '.join(map(repr, words[:20]))}{more}."
