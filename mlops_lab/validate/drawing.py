"""Plots as SVG in the theme's own colours: a curve with intervals, ranges side by side, lines over time."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab import show
from mlops_lab.image import encode_png

Point = tuple[float, float]
GROUND = "var(--jp-layout-color1, Canvas)"
TEXT = "var(--jp-content-font-color1, currentColor)"
SERIES = (show.BAR, "var(--jp-warn-color1, #b26a00)", "var(--jp-success-color1, #2e7d32)")
DASHES = ("none", "6 3", "2 3")


def curve(points: Sequence[Point], intervals: Sequence[Point], axes: tuple[str, str], label: str) -> str:
    """Return points of 0 to 1 with their vertical intervals and the diagonal."""
    size, left, bottom = 200, 40, 34

    def at(x: float, y: float) -> str:
        return f"{left + x * size:.1f},{8 + (1 - y) * size:.1f}"

    lines = [_line(at(0, 0), at(1, 1), show.LINE, "4 4")]
    lines += [_line(at(x, low), at(x, high), show.MUTED) for (x, _), (low, high) in zip(points, intervals, strict=True)]
    path = " ".join(at(x, y) for x, y in points)
    lines.append(f'<polyline points="{path}" style="fill: none; stroke: {show.BAR}; stroke-width: 2"/>')
    for x, y in points:
        cx, cy = at(x, y).split(",")
        lines.append(f'<circle cx="{cx}" cy="{cy}" r="3" style="fill: {show.BAR}"/>')
    for tick in (0, 0.5, 1):
        lines.append(_text(left + tick * size, 8 + size + 14, f"{tick:g}", "middle"))
        lines.append(_text(left - 6, 8 + (1 - tick) * size + 4, f"{tick:g}", "end"))
    lines.append(_text(left + size / 2, 8 + size + 28, axes[0], "middle"))
    lines.append(_text(left + 6, 20, axes[1], "start"))
    frame = f'<rect x="{left}" y="8" width="{size}" height="{size}" style="fill: none; stroke: {show.LINE}"/>'
    return _svg(left + size + 12, 8 + size + bottom, label, [frame, *lines])


def ranges(rows: Sequence[tuple[str, float, Point, bool]], label: str) -> str:
    """Return one line for each row: its name, a dot between 0 and 1 with its interval, and the value in words.

    A row is a name, a value, an interval, and whether it counts; one that does not count is drawn hollow.
    """
    low = min([interval[0] for _, _, interval, _ in rows], default=0.0)
    start = max(0.0, np.floor(low * 10) / 10)
    width, left, height = 260, 150, 22

    def x(value: float) -> float:
        return float(left + (value - start) / max(1 - start, 1e-9) * width)

    lines = []
    for place, (name, value, (lower, upper), counts) in enumerate(rows):
        y = 14 + place * height
        fill = show.BAR if counts else GROUND
        lines += [
            _text(left - 10, y + 4, name if len(name) < 24 else f"{name[:22]}…", "end"),
            _line(f"{x(lower):.1f},{y}", f"{x(upper):.1f},{y}", show.MUTED),
            f'<circle cx="{x(value):.1f}" cy="{y}" r="4" style="fill: {fill}; stroke: {show.BAR}"/>',
            _text(left + width + 12, y + 4, f"{value:.3f}" + ("" if counts else " too small"), "start"),
        ]
    end = 14 + len(rows) * height
    lines += [_text(x(tick), end + 2, f"{tick:g}", "middle") for tick in sorted({round(start, 1), 1.0})]
    return _svg(left + width + 110, end + 10, label, lines)


def lines(
    x: Sequence[float],
    series: Sequence[tuple[str, Sequence[float]]],
    axes: tuple[str, str],
    label: str,
    *,
    logarithmic: bool = False,
) -> str:
    """Return lines over a common axis, each with its name in words and a dash pattern of its own."""
    width, height, left, top = 420, 150, 62, 22
    values = np.array([value for _, one in series for value in one if np.isfinite(value)] or [0.0, 1.0])
    ends = (float(min(x, default=0)), float(max(x, default=1)))
    low, high = (max(values.min(), 1e-3), max(values.max(), 1e-2)) if logarithmic else (0.0, max(values.max(), 1e-9))

    def at(place: float, value: float) -> str:
        if logarithmic:
            share = np.log(max(value, low) / low) / max(np.log(high / low), 1e-9)
        else:
            share = (value - low) / (high - low)
        across = (place - ends[0]) / max(ends[1] - ends[0], 1e-9)
        return f"{left + across * width:.1f},{top + (1 - share) * height:.1f}"

    drawn = [f'<rect x="{left}" y="{top}" width="{width}" height="{height}" style="fill: none; stroke: {show.LINE}"/>']
    for place, (name, one) in enumerate(series):
        colour, dash = SERIES[place % 3], DASHES[place % 3]
        known = [(a, b) for a, b in zip(x, one, strict=True) if np.isfinite(b)]
        path = " ".join(at(a, b) for a, b in known)
        style = f"fill: none; stroke: {colour}; stroke-width: 2; stroke-dasharray: {dash}"
        drawn.append(f'<polyline points="{path}" style="{style}"/>')
        key = left + place * 140
        drawn += [_line(f"{key},10", f"{key + 22},10", colour, dash), _text(key + 28, 14, name, "start")]
    for value in (low, high):
        drawn.append(_text(left - 6, float(at(ends[0], value).split(",")[1]) + 4, _short(value), "end"))
    drawn += [
        _text(left, top + height + 14, f"{ends[0]:g}", "start"),
        _text(left + width, top + height + 14, f"{ends[1]:g}", "end"),
    ]
    drawn.append(_text(left + width / 2, top + height + 16, f"{axes[0]} (up: {axes[1]})", "middle"))
    return _svg(left + width + 16, top + height + 24, label, drawn)


def strip(images: Sequence[NDArray[np.uint8]], alt: str, width: int = 40) -> str:
    """Return several images of one size as one image, side by side."""
    joined = np.concatenate(list(images), axis=1)
    return show.image(encode_png(joined), alt, width=width * len(images), pixelated=True)


def samples(images: Sequence[NDArray[Any]], names: Sequence[str], what: str) -> str:
    """Return images in a row, each with its name as the text that stands for it; nothing where there are none."""
    drawn = []
    for name, pixels in zip([*names, *["an image"] * len(images)], images, strict=False):
        width = 40 * max(1, pixels.shape[1] // pixels.shape[0])  # of an image before and after, both
        drawn.append(show.image(encode_png(pixels), f"{name}, {what}", width=width, pixelated=True))
    return f'<div style="display: flex; flex-wrap: wrap; gap: 8px">{"".join(drawn)}</div>' if drawn else ""


def _line(start: str, end: str, colour: str, dash: str = "none") -> str:
    (x1, y1), (x2, y2) = start.split(","), end.split(",")
    style = f"stroke: {colour}; stroke-width: 2; stroke-dasharray: {dash}"
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" style="{style}"/>'


def _text(x: float, y: float, words: str, anchor: str) -> str:
    style = f"fill: {TEXT}; font-size: 11px; text-anchor: {anchor}"
    return f'<text x="{x:.1f}" y="{y:.1f}" style="{style}">{escape(words)}</text>'


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _svg(width: float, height: float, label: str, parts: Sequence[str]) -> str:
    box = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    title = escape(label, quote=True)
    return f'<svg {box} role="img" aria-label="{title}" style="max-width: 100%">{"".join(parts)}</svg>'
