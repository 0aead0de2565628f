"""The ways in which clients write the same thing: content types, and base64.

What is unambiguous is read; for a likely mistake of the client, the error names the mistake.
"""

from __future__ import annotations

import base64
import binascii
import re
from urllib.parse import unquote

from mlops_lab.errors import BadImage
from mlops_lab.filetype import identify

JSON, NPY = "application/json", "application/x-npy"
UNTYPED = frozenset({"", "application/octet-stream", "binary/octet-stream", "application/x-binary"})
# Images of any format, as filetype calls them: the decoder says of each but two that it is not taken.
IMAGE_TYPES = frozenset(
    {
        *("png", "jpeg", "gif", "webp", "heic", "avif", "bmp", "tiff", "ico", "jpeg-xl", "jpeg-2000", "psd", "svg"),
        "netpbm",
    }
)
_URLSAFE = str.maketrans("-_", "+/")
_PYTHON_BYTES = re.compile(r"""[bB]['"]""")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{1,10}://")
_FILE_NAME = re.compile(r"[^\n]{1,300}\.(png|jpe?g|gif|webp|bmp|npy)", re.IGNORECASE)


def media_type(kind: str, body: bytes) -> str:
    r"""Return the content type by which a body is read: of an image, or of untyped bytes, the bytes decide.

    Examples
    --------
    >>> media_type("image/jpg", b""), media_type("application/octet-stream", b"\x93NUMPY\x01\0")
    ('image/jpeg', 'application/x-npy')
    >>> media_type("text/plain", b"")
    'text/plain'
    """
    if kind.startswith("image/"):
        return "image/jpeg"  # the decoder looks at the bytes, and names what it does not take
    if kind in UNTYPED:
        if body.startswith(b"\x93NUMPY"):
            return NPY
        if identify(body[:512]).name in IMAGE_TYPES:
            return "image/jpeg"
    return kind


def decode_base64(text: str) -> bytes:
    r"""Return the bytes in a base64 text: in lines, without padding, in the alphabet for URLs, or as a data URL.

    Raises
    ------
    BadImage
        It is no base64; where it is Python's ``b'…'``, an address or a file's name, the message says so.

    Examples
    --------
    >>> decode_base64("YWJj\r\nZA==\n"), decode_base64("data:image/jpg;base64,YWJjZA")
    (b'abcd', b'abcd')
    """
    try:
        return base64.b64decode(text, validate=True)  # as most clients write it
    except (binascii.Error, ValueError):
        return _decode_other(text.strip())


def _decode_other(text: str) -> bytes:
    """Return the bytes in a text that is not base64 just as the standard writes it."""
    content = text
    if content[:5].lower() == "data:":
        head, _, content = content.partition(",")
        if not head.lower().replace(" ", "").endswith(";base64"):
            raise BadImage(f"The data URL {head[:60]!r} is not in base64.", 'Send "data:image/png;base64,…".')
        content = unquote(content)
    content = "".join(content.split()).translate(_URLSAFE).rstrip("=")
    try:
        if len(content) % 4 == 1:
            raise binascii.Error(f"{len(content)} characters are one too many or too few")
        return base64.b64decode(content + "=" * (-len(content) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise _not_base64(text, str(error)) from error


def _not_base64(text: str, reason: str) -> BadImage:
    if _PYTHON_BYTES.match(text):
        message = f"A string in the body is Python's text of bytes, which begins with {text[:2]}."
        return BadImage(message, "Send base64.b64encode(data).decode().")
    if _ADDRESS.match(text):
        return BadImage("A string in the body is an address; the server fetches none.", "Send the image itself.")
    if _FILE_NAME.fullmatch(text):
        message = "A string in the body is the name of a file; the server has no such file."
        return BadImage(message, "Send its content, encoded as base64.")
    return BadImage(f"A string in the body is not base64: {reason}.", "Encode a PNG or JPEG file.")
