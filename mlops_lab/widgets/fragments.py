"""HTML of one exchange: the image, the model's input, the bars of the prediction, and the request line. No widgets."""

from __future__ import annotations

import json
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab import show
from mlops_lab.client import Predictions
from mlops_lab.errors import LabError, ServerError
from mlops_lab.image import InputSpec, encode_png, from_input, to_input
from mlops_lab.predict import Prediction


def figure(pixels: NDArray[Any], alt: str, *caption: str, width: int = 140, pixelated: bool = False) -> str:
    """Return an image with lines of text under it; the lines are text, not HTML."""
    lines = "".join(f"<div>{escape(line)}</div>" for line in caption)
    image = show.image(encode_png(pixels), alt, width=width, pixelated=pixelated)
    style = f"margin: 0; width: {width + 20}px; color: {show.MUTED}; font-size: 12px; line-height: 1.35"
    return f'<figure style="{style}">{image}<figcaption style="color: inherit">{lines}</figcaption></figure>'


def side_by_side(*parts: str) -> str:
    """Return HTML fragments in a row, wrapped where there is no room."""
    style = "display: flex; flex-wrap: wrap; gap: 20px; align-items: flex-start; line-height: 1.3; "
    style += f"{show.FONT}; color: {show.TEXT}; margin: 4px 0"
    return f'<div style="{style}">{"".join(parts)}</div>'


def heading(text: str) -> str:
    """Return a small heading."""
    return f'<div style="font-weight: 600; margin: 0 0 4px">{escape(text)}</div>'


def column(title: str, *parts: str) -> str:
    """Return HTML fragments stacked under a heading."""
    return f"<div>{heading(title)}{''.join(parts)}</div>"


def sent_image(pixels: NDArray[Any], what: str) -> str:
    """Return the image that is sent, with its size."""
    height, width = pixels.shape[:2]
    size = len(encode_png(pixels))
    return column(
        "You send", figure(pixels, f"The image that is sent: {what}", what, f"a PNG, {width}×{height}, {size} bytes")
    )


def model_input(pixels: NDArray[Any], spec: InputSpec) -> str:
    """Return an image as the model receives it: resized, with the range and the shape of its values.

    Examples
    --------
    >>> html = model_input(np.zeros((28, 28), np.uint8), InputSpec(shape=(28, 28, 1), size=(28, 28)))
    >>> "784 numbers" in html
    True
    """
    numbers = to_input([pixels], spec)[0]
    height, width = spec.size or numbers.shape[:2]
    image = from_input(numbers[np.newaxis], spec)[0]
    text = f"{numbers.size:,} numbers, {numbers.min():.2g} to {numbers.max():.2g}"
    shape = "shape " + "×".join(map(str, numbers.shape))
    alt = f"What the model sees: {width}×{height} pixels, {text}"
    return column("The model sees", figure(image, alt, text, shape, pixelated=True))


def prediction_bars(prediction: Prediction, truth: str = "") -> str:
    """Return the bars of a prediction, and whether it is correct where the label is known."""
    labels = prediction.labels or tuple(map(str, range(len(prediction.probabilities))))
    bars = show.bars(labels, prediction.probabilities, strongest=prediction.class_index)
    return column(f"It says: {prediction}", bars, verdict(prediction, truth))


def verdict(prediction: Prediction, truth: str) -> str:
    """Return whether a prediction matches the label."""
    if not truth:
        return ""
    if prediction.label == truth:
        return f'<div style="margin-top: 4px">{show.state("ok", "right")}</div>'
    return f'<div style="margin-top: 4px">{show.state("error", "wrong")} · it is labelled {escape(truth)}</div>'


def exchange(answer: Predictions) -> str:
    """Return the request line, the status code and the latency in one line."""
    generation = answer.headers.get("X-Lab-Generation")
    by = f" · answered by generation {escape(generation)}" if generation else ""
    return _line(
        f"<code>{escape(answer.request)}</code> → {show.state('ok', str(answer.status))} "
        f"in {answer.milliseconds:.1f} ms{by}"
    )


def failed_request(request: str, error: LabError) -> str:
    """Return the request line, the status code, the message and the hint of an error response."""
    status = "no answer" if isinstance(error, ServerError) else str(error.status)
    hint = f'<div style="margin-top: 2px">→ {escape(error.hint)}</div>' if error.hint else ""
    return _line(
        f"<code>{escape(request)}</code> → {show.state('error', status)}"
        f'<div style="margin-top: 6px">{escape(error.message)}</div>{hint}'
    )


def error_text(error: LabError) -> str:
    """Return the message and the hint of an error."""
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
    """Return code to copy: one click selects all of it."""
    style = (
        "user-select: all; white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; padding: 8px; max-height: 260px; "
        f"overflow: auto; font-family: var(--jp-code-font-family, monospace); font-size: 12px; line-height: 1.4; "
        f"color: {show.TEXT}; background: var(--jp-layout-color2, #f5f5f5)"
    )
    return f'<pre tabindex="0" style="{style}">{escape(text)}</pre>'


def muted(text: str) -> str:
    """Return text in the secondary colour."""
    return f'<span style="{show.FONT}; color: {show.MUTED}">{escape(text)}</span>'


def _line(html: str) -> str:
    return f'<div style="{show.FONT}; color: {show.TEXT}; line-height: 1.5">{html}</div>'
