"""What one request looks like: the image, what the model sees, the bars, and the exchange. HTML only, no widgets."""

from __future__ import annotations

import json
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab import show
from mlops_lab.client import Predictions
from mlops_lab.errors import LabError, ServerError
from mlops_lab.image import InputSpec, encode_png, to_input
from mlops_lab.predict import Prediction


def figure(pixels: NDArray[Any], alt: str, *caption: str, width: int = 140, pixelated: bool = False) -> str:
    """Return an image with lines of text under it; the lines are text, not HTML."""
    lines = "".join(f"<div>{escape(line)}</div>" for line in caption)
    image = show.image(encode_png(pixels), alt, width=width, pixelated=pixelated)
    style = f"margin: 0; width: {width + 20}px; color: {show.MUTED}; font-size: 12px; line-height: 1.35"
    return f'<figure style="{style}">{image}<figcaption style="color: inherit">{lines}</figcaption></figure>'


def side_by_side(*parts: str) -> str:
    """Return pieces of HTML next to each other, or below each other where there is no room."""
    style = "display: flex; flex-wrap: wrap; gap: 20px; align-items: flex-start; line-height: 1.3; "
    style += f"{show.FONT}; color: {show.TEXT}; margin: 4px 0"
    return f'<div style="{style}">{"".join(parts)}</div>'


def heading(text: str) -> str:
    """Return a small heading."""
    return f'<div style="font-weight: 600; margin: 0 0 4px">{escape(text)}</div>'


def column(title: str, *parts: str) -> str:
    """Return pieces of HTML below each other under a heading."""
    return f"<div>{heading(title)}{''.join(parts)}</div>"


def sent(pixels: NDArray[Any], what: str) -> str:
    """Return the image that goes over the wire, and its size."""
    height, width = pixels.shape[:2]
    size = len(encode_png(pixels))
    return column(
        "You send", figure(pixels, f"The image that is sent: {what}", what, f"a PNG, {width}×{height}, {size} bytes")
    )


def seen(pixels: NDArray[Any], spec: InputSpec) -> str:
    """Return an image as the model sees it: fitted to its size, its pixels as numbers.

    Examples
    --------
    >>> face = seen(np.zeros((28, 28), np.uint8), InputSpec(shape=(28, 28, 1), size=(28, 28)))
    >>> "784 numbers" in face
    True
    """
    numbers = to_input([pixels], spec)[0]
    height, width = spec.size or numbers.shape[:2]
    span = max(spec.high - spec.low, 1e-9)
    image = ((numbers.reshape(*spec.image_shape) - spec.low) * (255 / span)).round().astype(np.uint8)
    words = f"{numbers.size:,} numbers, {numbers.min():.2g} to {numbers.max():.2g}"
    shape = "shape " + "×".join(map(str, numbers.shape))
    alt = f"What the model sees: {width}×{height} pixels, {words}"
    return column("The model sees", figure(image, alt, words, shape, pixelated=True))


def said(prediction: Prediction, truth: str = "") -> str:
    """Return the bars of a prediction, and whether it is right where the truth is known."""
    labels = prediction.labels or tuple(map(str, range(len(prediction.probabilities))))
    bars = show.bars(labels, prediction.probabilities, strongest=prediction.class_index)
    return column(f"It says: {prediction}", bars, judged(prediction, truth))


def judged(prediction: Prediction, truth: str) -> str:
    """Return whether a prediction is right, in a word."""
    if not truth:
        return ""
    if prediction.label == truth:
        return f'<div style="margin-top: 4px">{show.state("ok", "right")}</div>'
    return f'<div style="margin-top: 4px">{show.state("error", "wrong")} · it is labelled {escape(truth)}</div>'


def exchange(answer: Predictions) -> str:
    """Return the request line, the status and the milliseconds of an answer in one line."""
    generation = answer.headers.get("X-Lab-Generation")
    by = f" · answered by generation {escape(generation)}" if generation else ""
    return _line(
        f"<code>{escape(answer.request)}</code> → {show.state('ok', str(answer.status))} "
        f"in {answer.milliseconds:.1f} ms{by}"
    )


def failure(request: str, error: LabError) -> str:
    """Return what came back instead of an answer: the status, the sentence and the hint."""
    status = "no answer" if isinstance(error, ServerError) else str(error.status)
    hint = f'<div style="margin-top: 2px">→ {escape(error.hint)}</div>' if error.hint else ""
    return _line(
        f"<code>{escape(request)}</code> → {show.state('error', status)}"
        f'<div style="margin-top: 6px">{escape(error.message)}</div>{hint}'
    )


def problem(error: LabError) -> str:
    """Return an error as its sentence and its hint."""
    hint = f'<div style="margin-top: 2px">→ {escape(error.hint)}</div>' if error.hint else ""
    return _line(f"{show.state('error')} {escape(error.message)}{hint}")


def pretty(message: dict[str, Any]) -> str:
    """Return JSON as indented text, with each list of numbers on one line.

    Examples
    --------
    >>> print(pretty({"version": "v1", "predictions": [{"class": 9, "probabilities": [0.25, 0.75]}]}))
    {
      "version": "v1",
      "predictions": [
        {
          "class": 9,
          "probabilities": [0.25, 0.75]
        }
      ]
    }
    """
    return "\n".join(_pretty(message, ""))


def _pretty(value: Any, indent: str) -> list[str]:
    nested = isinstance(value, dict) or (isinstance(value, list) and any(isinstance(v, dict | list) for v in value))
    if not nested or not value:
        return [json.dumps(value, ensure_ascii=False)]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    items = value.items() if isinstance(value, dict) else (("", entry) for entry in value)
    lines = [opening]
    for key, entry in items:
        first, *rest = _pretty(entry, indent + "  ")
        name = f"{json.dumps(key)}: " if key else ""
        lines += [f"{indent}  {name}{first}", *rest]
        lines[-1] += ","
    lines[-1] = lines[-1][:-1]
    return [*lines, indent + closing]


def code(text: str) -> str:
    """Return text to copy: one click selects all of it."""
    style = (
        "user-select: all; white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; padding: 8px; max-height: 260px; "
        f"overflow: auto; font-family: var(--jp-code-font-family, monospace); font-size: 12px; line-height: 1.4; "
        f"color: {show.TEXT}; background: var(--jp-layout-color2, #f5f5f5)"
    )
    return f'<pre tabindex="0" style="{style}">{escape(text)}</pre>'


def muted(text: str) -> str:
    """Return text that stands back."""
    return f'<span style="{show.FONT}; color: {show.MUTED}">{escape(text)}</span>'


def _line(html: str) -> str:
    return f'<div style="{show.FONT}; color: {show.TEXT}; line-height: 1.5">{html}</div>'
