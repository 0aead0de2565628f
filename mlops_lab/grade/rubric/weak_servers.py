"""Ten servers that a request can bring down, each by one weakness, and the requests of grade-3 as they see them.

They do what a careless ``api.py`` does up to the point where it would fall, and stop there: nothing here unfolds a
large image, waits, or opens a file.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from email.parser import BytesParser
from typing import Any
from urllib.parse import unquote

ROUTE = "/models/clothes/v1"
LONG = 1_000_000  # bytes of a body
MANY_PIXELS = 20_000_000
WAIT, CONCURRENT = 1.0, 32  # seconds that a body is held back; requests at once
JSON = "application/json"


@dataclass(frozen=True)
class Attack:
    """One request of a student's.

    Parameters
    ----------
    method, path, kind, body
        What is sent.
    pause
        Seconds that the second half of the body is held back.
    times
        How often it is sent at once.
    """

    method: str = "POST"
    path: str = ROUTE
    kind: str = "image/png"
    body: bytes = b""
    pause: float = 0.0
    times: int = 1

    @property
    def at_model(self) -> bool:
        """Whether it posts to the model's address."""
        return self.method == "POST" and self.path.split("?")[0].rstrip("/") == ROUTE

    @property
    def raw_image(self) -> bool:
        """Whether its body is taken for an image."""
        return self.at_model and not self.kind.startswith(("multipart/", JSON))


def _seen(body: bytes) -> tuple[tuple[int, int], str] | None:
    """Return the size and mode that an image's header names; ``None`` where it is no image."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(body)) as image:
            return image.size, image.mode
    except Exception:  # whatever a hostile header raises: it is not decoded
        return None


def _pixels(body: bytes) -> int:
    found = _seen(body)
    return found[0][0] * found[0][1] if found else 0


def _whole(body: bytes) -> bool:
    """Whether a small image can be decoded; larger ones are not tried here."""
    from PIL import Image

    if not 0 < _pixels(body) <= 1_000_000:
        return bool(_pixels(body))
    try:
        with Image.open(io.BytesIO(body)) as image:
            image.load()
    except Exception:
        return False
    return True


def trusting(one: Attack) -> str:
    """Decode whatever comes, without a try."""
    return "500: it decoded what is no image" if one.raw_image and not _whole(one.body) else ""


def unfolding(one: Attack) -> str:
    """Decode before looking at the size."""
    large = one.raw_image and len(one.body) < LONG and _pixels(one.body) > MANY_PIXELS
    return f"killed: {len(one.body):,} bytes unfolded to {_pixels(one.body):,} pixels" if large else ""


def swallowing(one: Attack) -> str:
    """Read a body of any length."""
    return f"killed: it read {len(one.body) * one.times:,} bytes" if len(one.body) > LONG else ""


def three_colours(one: Attack) -> str:
    """Take the bytes of any mode for those of a grey image."""
    found = _seen(one.body) if one.raw_image else None
    odd = found is not None and found[1] != "L" and found[0][0] * found[0][1] <= MANY_PIXELS
    return f"500: {found[1]} was taken for grey" if odd and found else ""


def any_size(one: Attack) -> str:
    """Reshape to 28×28 whatever the size is."""
    found = _seen(one.body) if one.raw_image else None
    other = found is not None and found[0] != (28, 28) and found[0][0] * found[0][1] <= MANY_PIXELS
    return f"500: cannot reshape {found[0][0]}×{found[0][1]}" if other and found else ""


def joining(one: Attack) -> str:
    """Join the names in the address to a path."""
    path = unquote(unquote(one.path))
    return f"200: it opened {path}" if ".." in path.replace("\\", "/").split("/") else ""


def one_by_one(one: Attack) -> str:
    """Answer one client after the other."""
    return f"nobody was answered for {one.pause:g} s" if one.pause >= WAIT and len(one.body) > 1 else ""


def a_thread_each(one: Attack) -> str:
    """Start a thread for each request, and load the model in it."""
    return f"killed: {one.times} models in memory" if one.times >= CONCURRENT else ""


def believing_forms(one: Attack) -> str:
    """Take the form field ``image`` without asking whether it is there, and whether it holds anything."""
    if not (one.at_model and one.kind.startswith("multipart/form-data")):
        return ""
    head = b"Content-Type: " + one.kind.encode("utf-8", "replace") + b"\r\n\r\n"
    parts: Any = BytesParser().parsebytes(head + one.body[:LONG]).get_payload()
    named = [part for part in (parts if isinstance(parts, list) else [])
             if part.get_param("name", header="content-disposition") == "image"
             and _whole(part.get_payload(decode=True) or b"")]  # fmt: skip
    return "" if named else "500: KeyError: 'image'"


def believing_json(one: Attack) -> str:
    """Parse JSON and take what is in it."""
    if not (one.at_model and one.kind.startswith(JSON)):
        return ""
    try:
        value = json.loads(one.body[:LONG])
        rows = value["image"]
        return "" if len(rows) == 28 and all(len(row) == 28 for row in rows) else "500: not 28 rows"
    except (ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
        return f"500: {type(error).__name__}"


WEAK: dict[str, tuple[str, Callable[[Attack], str]]] = {
    "trusting": ("decodes whatever comes", trusting),
    "unfolding": ("decodes before it looks at the size", unfolding),
    "swallowing": ("reads bodies of any length", swallowing),
    "colours": ("takes every image for a grey one", three_colours),
    "sizes": ("takes every image for one of 28×28", any_size),
    "joining": ("joins the names of an address to a path", joining),
    "waiting": ("answers one client after the other", one_by_one),
    "crowd": ("starts a thread and a model for each request", a_thread_each),
    "forms": ("believes in the field of a form", believing_forms),
    "json": ("believes what JSON says", believing_json),
}
