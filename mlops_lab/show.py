"""HTML fragments that display results in a notebook, and plain text for a terminal.

There are no scripts and no remote assets. Colours are JupyterLab's CSS variables, with fallbacks, so that results are
readable in the light and the dark theme and outside Jupyter. A state is always a word and an icon, not only a colour.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TEXT = "var(--jp-content-font-color1, inherit)"
MUTED = "var(--jp-content-font-color2, #616161)"
LINE = "var(--jp-border-color2, #bdbdbd)"
BAR = "var(--jp-brand-color1, #1976d2)"
FONT = "font-family: var(--jp-content-font-family, system-ui, sans-serif); font-size: 13px"

# Of the lines and bars of a figure: those of Okabe and Ito's colours, which colour-blind people tell apart, that have a
# contrast of 3 to 1 on white and on black pages.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")

STATES = {
    "ok": ("✓", "var(--jp-success-color1, #2e7d32)"),
    "warning": ("!", "var(--jp-warn-color1, #b26a00)"),
    "error": ("✗", "var(--jp-error-color1, #c62828)"),
    "info": ("·", MUTED),
}


# What moves a terminal's cursor, changes its colours or turns the order of words, but for tabs and line ends.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def escape_controls(text: str) -> str:
    r"""Return text that a terminal only shows: control characters, which a foreign file may hold, are spelt out.

    The spelling is that of JSON, so that a document in JSON stays the same document.

    Examples
    --------
    >>> escape_controls("red \x1b[31m, not red\n")
    'red \\u001b[31m, not red\n'
    """
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text.replace("\r\n", "\n"))


def state(kind: str, word: str = "") -> str:
    """Return a state as an icon and a word: ``ok``, ``warning``, ``error`` or ``info``."""
    icon, colour = STATES[kind]
    return f'<span style="color: {colour}; font-weight: 600; white-space: nowrap">{icon} {escape(word or kind)}</span>'


def card(title: str, *parts: str) -> str:
    """Return a titled box around HTML fragments; the title is plain text and is escaped."""
    body = "".join(f"<div>{part}</div>" for part in parts if part)
    return (
        f'<div style="{FONT}; color: {TEXT}; border: 1px solid {LINE}; border-radius: 6px; '
        f'padding: 8px 12px; margin: 4px 0; max-width: 720px">'
        f'<div style="font-weight: 600; margin-bottom: 4px">{escape(title)}</div>{body}</div>'
    )


def table(rows: Iterable[Sequence[Any]], head: Sequence[str] = ()) -> str:
    """Return a table. Cells are escaped, unless they are :class:`Html`."""
    style = f"padding: 2px 12px 2px 0; text-align: left; color: {TEXT}; vertical-align: top"
    header = "".join(f'<th scope="col" style="{style}">{escape(name)}</th>' for name in head)
    body = "".join(
        "<tr>" + "".join(f'<td style="{style}">{_cell(cell)}</td>' for cell in row) + "</tr>" for row in rows
    )
    header = f"<thead><tr>{header}</tr></thead>" if head else ""
    return f'<table style="border-collapse: collapse; {FONT}">{header}<tbody>{body}</tbody></table>'


class Html(str):
    """HTML that :func:`table` does not escape."""

    __slots__ = ()


def text(lines: str) -> str:
    """Return preformatted text, such as the end of a traceback."""
    style = f"margin: 0; white-space: pre-wrap; font-size: 12px; background: none; color: {TEXT}"
    return f'<pre style="{style}">{escape(lines)}</pre>'


def _cell(value: Any) -> str:
    return value if isinstance(value, Html) else escape(str(value))


def bars(labels: Sequence[str], values: Sequence[float], *, strongest: int, words: Sequence[str] = ()) -> str:
    """Return horizontal bars for values from 0 to 1, the strongest in bold, each with its percentage or a text."""
    words = words or [f"{100 * value:.1f}%" for value in values]
    rows = []
    for index, (label, value, word) in enumerate(zip(labels, values, words, strict=True)):
        weight = 600 if index == strongest else 400
        rows.append(
            f'<tr style="font-weight: {weight}"><td style="padding: 0 8px 0 0; text-align: right">{escape(label)}</td>'
            f'<td style="width: 160px; padding: 1px 0"><div style="background: {BAR}; height: 11px; '
            f'width: {max(1.0, 100 * value):.1f}%; opacity: {1 if index == strongest else 0.55}"></div></td>'
            f'<td style="padding: 0 0 0 8px; text-align: right; min-width: 3.5em">{escape(word)}</td></tr>'
        )
    return f'<table style="border-collapse: collapse; {FONT}; color: {TEXT}">{"".join(rows)}</table>'


def image(png: bytes, alt: str, *, width: int | None = None, pixelated: bool = False) -> str:
    """Return an image embedded as a data URL, with its alt text."""
    data = base64.b64encode(png).decode()
    size = f' width="{width}"' if width else ""
    style = "image-rendering: pixelated; " if pixelated else ""
    return (
        f'<img src="data:image/png;base64,{data}" alt="{escape(alt, quote=True)}"{size} style="{style}max-width: 100%">'
    )


def figure(width: float, height: float) -> Figure:
    """Return an empty matplotlib figure in the style of the package; sizes in inches.

    :func:`drawing` makes it a part of a page or notebook, in the page's own colours. A file, of :func:`figure_png`,
    has a white background, because it may be opened anywhere.
    """
    from matplotlib.figure import Figure

    class Styled(Figure):
        def add_subplot(self, *args: Any, **options: Any) -> Any:
            axes = super().add_subplot(*args, **options)
            axes.set_prop_cycle(color=COLOURS)
            return axes

    return Styled(figsize=(width, height), dpi=110, layout="constrained", facecolor="white")


def figure_png(drawing: Figure) -> bytes:
    """Return a matplotlib figure as PNG bytes, for a file; it is opaque."""
    buffer = io.BytesIO()
    drawing.savefig(buffer, format="png")
    return buffer.getvalue()


def drawing(drawn: Figure, alt: str) -> str:
    """Return a matplotlib figure as SVG in the text colour of the page, be it light or dark, with its alt text.

    What is black becomes the text colour, and the background shows the page, also behind a legend.
    """
    import matplotlib

    for legend in filter(None, (axes.get_legend() for axes in drawn.axes)):
        legend.set_frame_on(False)
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none"}):  # text stays text
        drawn.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    svg = re.sub(r"<(style|metadata).*?</\1>", "", svg[svg.index("<svg") :], flags=re.DOTALL)  # it would style the page
    svg = svg.replace("\n", " ")
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # the same in every figure, and nothing refers to them
    head = f'<svg role="img" aria-label="{escape(alt, quote=True)}" fill="currentColor" stroke-linejoin="round" '
    style = f'style="color: {TEXT}; max-width: 100%; height: auto"'
    return svg.replace("<svg ", f"{head}{style} ", 1).replace("#000000", "currentColor")


def by_epoch(axes: Axes) -> None:
    """Give axes whole epochs, a grid and a legend."""
    from matplotlib.ticker import MaxNLocator

    axes.set(xlabel="epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))  # two ticks of one epoch would be fractions
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)


def plain(value: Any, *, inside: bool = False) -> str:
    """Return a value as readable text: without quotes, and with brackets only around nested values.

    Examples
    --------
    >>> plain({"shape": [28, 28], "seed": None})
    'shape (28, 28), seed none'
    """
    if isinstance(value, dict):
        text = ", ".join(f"{key} {plain(item, inside=True)}" for key, item in value.items())
    elif isinstance(value, list | tuple):
        text = ", ".join(plain(item, inside=True) if isinstance(item, dict) else str(item) for item in value)
    else:
        return "none" if value is None else str(value)
    return f"({text})" if inside else text
